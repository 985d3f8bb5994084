//! The FailoverQuorum: what `synchronous_standby_names` says, for tools. The record that elections go by is in the
//! Lease (rules Q and E); this object mirrors it, as CNPG's tools expect it.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Nothing: the object has only a status.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "FailoverQuorum",
    plural = "failoverquorums",
    singular = "failoverquorum",
    namespaced,
    status = "FailoverQuorumStatus",
    derive = "PartialEq",
    doc = "What the primary of a cluster waits for before it acknowledges a commit. Named as its Cluster.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", default)]
pub struct FailoverQuorumSpec {}

/// What the primary waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FailoverQuorumStatus {
    /// `ANY` or `FIRST`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The instances that may have every acknowledged commit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub standby_names: Vec<String>,
    /// How many of them have one.
    pub standby_number: i32,
    /// The instance that wrote this last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub primary: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::CustomResourceExt;

    #[test]
    fn the_status_has_cnpgs_fields() {
        let status = FailoverQuorumStatus {
            method: "ANY".into(),
            standby_names: vec!["c-2".into(), "c-3".into()],
            standby_number: 1,
            primary: "c-1".into(),
        };
        let json = serde_json::to_value(&status).unwrap();
        let wanted = r#"{"method":"ANY","primary":"c-1","standbyNames":["c-2","c-3"],"standbyNumber":1}"#;
        assert_eq!(json, serde_json::from_str::<serde_json::Value>(wanted).unwrap());
        let crd = FailoverQuorum::crd();
        assert_eq!(crd.metadata.name.as_deref(), Some("failoverquorums.postgresql.cnpg.io"));
        assert!(crd.spec.versions.iter().all(|version| version.subresources.is_some()));
    }
}
