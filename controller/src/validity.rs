//! Whether a spec may be put in force. A bad edit of a running cluster stops nothing: the last valid spec
//! stays in force, and the status says what is wrong with the new one.

use crate::apply::ApplyError;
use crate::catalog::{Chosen, with_image};
use crate::conditions;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use pgherd_proto::cluster::{Cluster, ClusterSpec};
use pgherd_proto::labels;
use serde_json::json;

/// The spec in force.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The spec.
    pub spec: ClusterSpec,
    /// Why the newest one is not in force.
    pub invalid: Option<String>,
    /// Fields that are accepted and do nothing yet.
    pub ignored: Vec<String>,
}

/// Judges the stored spec; falls back on the last valid one. `chosen` is what a catalog says where the spec names one:
/// the spec in force then has the image itself, so that a catalog that is lost stops nothing either.
///
/// # Errors
/// What is wrong, where there was never a valid one.
pub fn judge(cluster: &Cluster, chosen: Option<&Chosen>) -> Result<Verdict, String> {
    let old = last_valid(cluster);
    let (wanted, problems) = match chosen {
        None => (cluster.spec.clone(), problems(cluster, old.as_ref())),
        Some(Err(why)) => (cluster.spec.clone(), vec![why.clone()]),
        Some(Ok(image)) => {
            let wanted = with_image(cluster, image);
            let first = problems(cluster, None);
            let mut all = first.clone();
            let more = problems(&wanted, old.as_ref());
            all.extend(more.into_iter().filter(|new| !first.contains(new)));
            (wanted.spec, all)
        }
    };
    if problems.is_empty() {
        return Ok(Verdict { ignored: ignored(cluster, &wanted), spec: wanted, invalid: None });
    }
    let why = problems.join("; ");
    match old {
        Some(spec) => Ok(Verdict { ignored: ignored(cluster, &spec), spec, invalid: Some(why) }),
        None => Err(why),
    }
}

fn last_valid(cluster: &Cluster) -> Option<ClusterSpec> {
    serde_json::from_str(cluster.annotations().get(labels::LAST_VALID_SPEC)?).ok()
}

/// Notes a valid spec on the Cluster, over the version that was judged.
///
/// # Errors
/// [`ApplyError`].
pub async fn remember(client: &Client, cluster: &Cluster, verdict: &Verdict) -> Result<(), ApplyError> {
    if verdict.invalid.is_some() || last_valid(cluster).as_ref() == Some(&verdict.spec) {
        return Ok(());
    }
    let text = serde_json::to_string(&verdict.spec).unwrap_or_default();
    let patch = json!({ "metadata": { "annotations": { labels::LAST_VALID_SPEC: text } } });
    let params =
        PatchParams { field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let clusters = Api::<Cluster>::namespaced(client.clone(), &cluster.namespace().unwrap_or_default());
    let patched = clusters.patch(&cluster.name_any(), &params, &Patch::Merge(patch)).await;
    patched.map(drop).map_err(|source| ApplyError::Write { what: "note the valid spec".to_owned(), source })
}

/// Broken rules, forbidden changes, and fields that are refused since ignoring them would be unsafe.
fn problems(cluster: &Cluster, old: Option<&ClusterSpec>) -> Vec<String> {
    let mut findings = pgherd_proto::validate::cluster(cluster);
    findings.extend(old.map(|old| pgherd_proto::validate::change(old, &cluster.spec)).unwrap_or_default());
    let errors = findings.iter().filter(|finding| finding.is_error());
    errors.map(|finding| format!("{}: {}", finding.path, finding.message)).collect()
}

/// Fields of the spec in force, and annotations, that are accepted and do nothing.
fn ignored(cluster: &Cluster, spec: &ClusterSpec) -> Vec<String> {
    let object = json!({ "metadata": { "annotations": cluster.annotations() }, "spec": spec });
    conditions::ignored("Cluster", &object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> Cluster {
        serde_yaml_ng::from_str(include_str!("../../docs/examples/cluster.yaml")).unwrap()
    }

    #[test]
    fn the_example_manifest_is_valid_and_what_it_cannot_have_yet_is_named() {
        let verdict = judge(&seed(), None).unwrap();
        assert_eq!(verdict.invalid, None);
        assert_eq!(verdict.ignored, [""; 0], "all that it asks for is done");
    }

    #[test]
    fn annotations_that_do_nothing_are_named_and_those_that_work_or_ask_for_nothing_are_not() {
        let mut cluster = seed();
        let silent = judge(&cluster, None).unwrap().ignored;
        cluster.annotations_mut().extend([
            (labels::HIBERNATION.to_owned(), "on".to_owned()),
            (labels::RESTARTED_AT.to_owned(), "2026-01-01T00:00:00Z".to_owned()),
            (labels::FENCED_INSTANCES.to_owned(), "[]".to_owned()),
        ]);
        assert_eq!(judge(&cluster, None).unwrap().ignored, silent);
        cluster.annotations_mut().insert("cnpg.io/podPatch".to_owned(), "[]".to_owned());
        assert!(judge(&cluster, None).unwrap().ignored.contains(&"annotation:cnpg.io/podPatch".to_owned()));
    }

    #[test]
    fn a_spec_is_in_force_with_the_image_of_its_catalog_and_without_the_catalog_with_the_last_one() {
        let mut cluster = seed();
        let reference = json!({ "kind": "ImageCatalog", "name": "k", "major": 16 });
        cluster.spec.image_catalog_ref = Some(serde_json::from_value(reference).unwrap());
        let image = |image: &str| -> Chosen { Ok(image.to_owned()) };
        let verdict = judge(&cluster, Some(&image("pg:16.4"))).unwrap();
        assert_eq!((verdict.invalid, verdict.spec.postgres_image()), (None, "pg:16.4"));
        let gone: Chosen = Err("the catalog is absent".to_owned());
        assert_eq!(judge(&cluster, Some(&gone)).unwrap_err(), "the catalog is absent");
        let text = serde_json::to_string(&verdict.spec).unwrap();
        cluster.annotations_mut().insert(labels::LAST_VALID_SPEC.to_owned(), text);
        let without = judge(&cluster, Some(&gone)).unwrap();
        assert_eq!((without.spec, without.invalid), (verdict.spec, Some("the catalog is absent".to_owned())));
        let newer = judge(&cluster, Some(&image("pg:16.5"))).unwrap();
        assert_eq!((newer.invalid, newer.spec.postgres_image()), (None, "pg:16.5"));
        let no_tag = judge(&cluster, Some(&image("pg@sha256:0"))).unwrap();
        assert!(no_tag.invalid.is_some_and(|why| why.contains("imageName")), "its major could not be told");
        cluster.spec.image_catalog_ref.as_mut().unwrap().major = 17;
        let upgrade = judge(&cluster, Some(&image("pg:17.1"))).unwrap();
        assert!(
            upgrade.invalid.is_some_and(|why| why.contains("PostgreSQL 17"))
                && upgrade.spec.postgres_image() == "pg:16.4"
        );
    }

    #[test]
    fn a_bad_edit_leaves_the_last_valid_spec_in_force() {
        let mut cluster = seed();
        let valid = cluster.spec.clone();
        cluster.spec.instances = 0;
        assert!(judge(&cluster, None).unwrap_err().contains("spec.instances"));
        let text = serde_json::to_string(&valid).unwrap();
        cluster.annotations_mut().insert(labels::LAST_VALID_SPEC.to_owned(), text);
        let verdict = judge(&cluster, None).unwrap();
        assert_eq!(verdict.spec, valid);
        assert!(verdict.invalid.is_some_and(|why| why.contains("spec.instances")));
    }
}
