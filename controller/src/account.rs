//! What `spec.serviceAccountTemplate` says of the managers' ServiceAccount: a cloud knows an account by an annotation, and
//! that may come after the account.

use crate::apply::is_ours;
use crate::rights;
use kube::Resource;
use pgherd_core::cluster::{DriftFact, ObjectKind};
use pgherd_proto::cluster::{ClusterSpec, EmbeddedObjectMetadata};
use pgherd_proto::labels;
use std::collections::BTreeMap;

/// Labels of ours without a prefix of ours.
const OUR_LABELS: [&str; 4] = [labels::APP_NAME, labels::APP_INSTANCE, labels::APP_COMPONENT, labels::APP_MANAGED_BY];

/// The template's labels and annotations without those that only we give.
#[must_use]
pub fn wanted(spec: &ClusterSpec) -> EmbeddedObjectMetadata {
    let template = spec.service_account_template.as_deref().cloned().unwrap_or_default().metadata;
    let (mut labels, mut annotations) = (template.labels, template.annotations);
    labels.retain(|name, _| !is_ours(name) && !OUR_LABELS.contains(&name.as_str()));
    annotations.retain(|name, _| !is_ours(name));
    EmbeddedObjectMetadata { labels, annotations, ..EmbeddedObjectMetadata::default() }
}

/// Whether the stored account lacks any of it, if it is `owner`'s. What else it has may be anybody's, and what was taken
/// out of the template is not known any more: neither counts.
#[must_use]
pub fn drift<K: Resource>(stored: &K, wanted: &EmbeddedObjectMetadata, owner: &str) -> Option<DriftFact> {
    let lacks = |there: &Option<BTreeMap<String, String>>, wanted: &BTreeMap<String, String>| {
        wanted.iter().any(|(name, value)| there.as_ref().and_then(|there| there.get(name)) != Some(value))
    };
    let meta = stored.meta();
    let differs = lacks(&meta.labels, &wanted.labels) || lacks(&meta.annotations, &wanted.annotations);
    rights::drift(ObjectKind::ServiceAccount, stored, differs, false, owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ServiceAccount;
    use serde_json::{Value, json};

    fn template(labels: &Value, annotations: &Value) -> EmbeddedObjectMetadata {
        let metadata = json!({ "labels": labels, "annotations": annotations });
        wanted(&serde_json::from_value(json!({ "serviceAccountTemplate": { "metadata": metadata } })).unwrap())
    }

    fn stored(annotations: &Value) -> ServiceAccount {
        let owner = json!({ "apiVersion": "v1", "kind": "Cluster", "name": "c", "uid": "cu" });
        let metadata = json!({ "name": "c", "resourceVersion": "9", "ownerReferences": [owner],
            "labels": { "app.kubernetes.io/name": "postgresql", "theirs": "x" }, "annotations": annotations });
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    #[test]
    fn an_account_that_lacks_what_its_template_says_has_drifted_and_what_others_put_there_is_no_matter() {
        let role = |arn: &str| json!({ "eks.amazonaws.com/role-arn": arn });
        let wanted = template(&json!({}), &role("a"));
        let drifted = Some(DriftFact { kind: ObjectKind::ServiceAccount, version: "9".into(), anew: false });
        assert_eq!(drift(&stored(&json!({})), &wanted, "cu"), drifted);
        assert_eq!(drift(&stored(&role("b")), &wanted, "cu"), drifted);
        assert_eq!(drift(&stored(&json!({})), &wanted, "of-another"), None);
        let more = json!({ "eks.amazonaws.com/role-arn": "a", "theirs": "y" });
        assert_eq!(drift(&stored(&more), &wanted, "cu"), None);
        assert_eq!(drift(&stored(&more), &template(&json!({}), &json!({})), "cu"), None, "it was taken out");
        assert_eq!(drift(&stored(&more), &template(&json!({ "team": "shop" }), &json!({})), "cu"), drifted);
    }

    #[test]
    fn what_only_we_give_is_not_taken_from_the_template_so_that_nothing_is_written_over_and_over() {
        let ours = json!({ "app.kubernetes.io/name": "x", "cnpg.io/cluster": "another", "role": "x" });
        let wanted = template(&ours, &json!({ "pgherd.io/x": "y" }));
        assert_eq!(wanted, EmbeddedObjectMetadata::default());
        assert_eq!(drift(&stored(&json!({})), &wanted, "cu"), None);
        let theirs = template(&json!({ "app.kubernetes.io/part-of": "shop" }), &json!({}));
        assert_eq!(theirs.labels.len(), 1);
    }
}
