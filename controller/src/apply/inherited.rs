//! `spec.inheritedMetadata`: labels and annotations that the user wants on every object of the cluster. Ours have
//! precedence, and what is there already gets what it lacks; what the user takes back stays until the object is made anew.

use super::{ApplyError, Target, failed};
use crate::caches::Key;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service};
use kube::api::{Patch, PatchParams};
use kube::{Resource, ResourceExt};
use pgherd_proto::cluster::{ClusterSpec, EmbeddedObjectMetadata};
use pgherd_proto::labels;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

/// What is inherited; never one of ours, which decide what an object is.
pub(super) fn of_spec(spec: &ClusterSpec) -> EmbeddedObjectMetadata {
    let mut inherited = spec.inherited_metadata.as_deref().cloned().unwrap_or_default();
    for all in [&mut inherited.labels, &mut inherited.annotations] {
        all.retain(|name, _| !is_ours(name));
    }
    inherited
}

/// Names that only we give.
pub(crate) fn is_ours(name: &str) -> bool {
    let prefix = name.split('/').next().unwrap_or_default();
    matches!(prefix, "cnpg.io" | "alpha.cnpg.io" | "pgherd.io") || name == labels::ROLE_DEPRECATED
}

/// Gives what is there already what it lacks.
pub(super) async fn bring(target: &Target<'_>) -> Result<(), ApplyError> {
    let inherited = of_spec(target.spec);
    if inherited.labels.is_empty() && inherited.annotations.is_empty() {
        return Ok(());
    }
    let key = Key { namespace: target.desired.namespace.clone(), name: target.desired.name.clone() };
    let caches = target.caches;
    let pods = each::<Pod>(target, &caches.pods.of(&key), &inherited).await;
    let claims = each::<PersistentVolumeClaim>(target, &caches.claims.of(&key), &inherited).await;
    let services = each::<Service>(target, &caches.services.of(&key), &inherited).await;
    let secrets = each::<Secret>(target, &caches.secrets.of(&key), &inherited).await;
    pods.and(claims).and(services).and(secrets)
}

async fn each<K>(target: &Target<'_>, all: &[Arc<K>], inherited: &EmbeddedObjectMetadata) -> Result<(), ApplyError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + serde::de::DeserializeOwned + Debug,
{
    let ours = |object: &&Arc<K>| {
        object.owner_references().iter().any(|owner| Some(&owner.uid) == target.cluster.meta().uid.as_ref())
    };
    for object in all.iter().filter(ours) {
        let (lacks_labels, lacks_annotations) =
            (lacking(object.labels(), &inherited.labels), lacking(object.annotations(), &inherited.annotations));
        if lacks_labels.is_empty() && lacks_annotations.is_empty() {
            continue;
        }
        let name = object.name_any();
        let patch = json!({ "metadata": { "labels": lacks_labels, "annotations": lacks_annotations } });
        let params =
            PatchParams { field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patched = target.api::<K>().patch(&name, &params, &Patch::Merge(patch)).await;
        patched.map_err(failed(format!("give {} {name} its inherited metadata", K::kind(&()))))?;
    }
    Ok(())
}

/// What of `wanted` is not there, or is another.
fn lacking(there: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let another = |(name, value): &(&String, &String)| there.get(*name) != Some(*value) && !is_reserved(name);
    wanted.iter().filter(another).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Labels of ours without a prefix of ours, which an object has from its making.
fn is_reserved(name: &str) -> bool {
    name.starts_with("app.kubernetes.io/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_an_object_ours_is_not_inherited_and_never_overwritten() {
        let spec: ClusterSpec = serde_json::from_value(json!({ "inheritedMetadata": {
            "labels": { "team": "shop", "cnpg.io/cluster": "another", "role": "x" },
            "annotations": { "pgherd.io/x": "y", "note": "z" } } }))
        .unwrap();
        let inherited = of_spec(&spec);
        assert_eq!(inherited.labels.keys().collect::<Vec<_>>(), ["team"]);
        assert_eq!(inherited.annotations.keys().collect::<Vec<_>>(), ["note"]);
        let there = BTreeMap::from([("team".to_owned(), "old".to_owned())]);
        assert_eq!(lacking(&there, &inherited.labels)["team"], "shop");
    }
}
