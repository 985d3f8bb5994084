//! The PodMonitor of a cluster: what it is to say, and how far what is stored differs. `spec.monitoring` may change after it
//! was made.

use crate::rights;
use crate::tls::CertificateNames;
use kube::api::DynamicObject;
use pgherd_core::cluster::{DriftFact, ObjectKind};
use pgherd_proto::cluster::ClusterSpec;
use pgherd_proto::{labels, names, secrets};
use serde_json::{Map, Value, json};

/// What we may say of an endpoint; where we do not, nobody does.
const OURS: [&str; 4] = ["scheme", "tlsConfig", "relabelings", "metricRelabelings"];

/// Its spec.
#[must_use]
pub fn spec(cluster: &str, namespace: &str, spec: &ClusterSpec) -> Value {
    let monitoring = spec.monitoring.clone().unwrap_or_default();
    let mut endpoint = Map::from_iter([("port".to_owned(), json!(names::METRICS_PORT_NAME))]);
    if monitoring.serves_tls() {
        let authority = CertificateNames::of(cluster, namespace, spec).server_authority;
        let ca = json!({ "secret": { "name": authority, "key": secrets::CA_CRT } });
        endpoint.insert("scheme".to_owned(), json!("https"));
        endpoint.insert("tlsConfig".to_owned(), json!({ "ca": ca, "serverName": names::service_rw(cluster) }));
    }
    for (name, rules) in [
        ("relabelings", monitoring.pod_monitor_relabelings),
        ("metricRelabelings", monitoring.pod_monitor_metric_relabelings),
    ] {
        if !rules.is_empty() {
            endpoint.insert(name.to_owned(), json!(rules));
        }
    }
    json!({
        "selector": { "matchLabels": { labels::CLUSTER: cluster, labels::POD_ROLE: labels::POD_ROLE_INSTANCE } },
        "podMetricsEndpoints": [endpoint],
    })
}

/// How the stored one differs from what is wanted, if it is `owner`'s: one that somebody else made is his.
#[must_use]
pub fn drift(stored: &DynamicObject, wanted: &Value, owner: &str) -> Option<DriftFact> {
    let there = stored.data.get("spec").unwrap_or(&Value::Null);
    let endpoint = |spec: &Value, name: &str| spec.pointer(&format!("/podMetricsEndpoints/0/{name}")).is_some();
    let same = OURS.iter().all(|name| endpoint(there, name) == endpoint(wanted, name)) && contains(there, wanted);
    rights::drift(ObjectKind::PodMonitor, stored, !same, false, owner)
}

/// Whether all that is wanted is there; an API server adds defaults.
fn contains(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| there.get(key).is_some_and(|there| contains(there, value)))
        }
        (Value::Array(there), Value::Array(wanted)) => {
            there.len() == wanted.len() && there.iter().zip(wanted).all(|(there, wanted)| contains(there, wanted))
        }
        _ => there == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(monitoring: &Value) -> Value {
        spec("c", "ns", &serde_json::from_value(json!({ "monitoring": monitoring })).unwrap())
    }

    fn stored(spec: &Value, owner: &str) -> DynamicObject {
        let owner = json!({ "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "name": "c", "uid": owner });
        let metadata = json!({ "name": "c", "resourceVersion": "9", "ownerReferences": [owner] });
        serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap()
    }

    #[test]
    fn tls_and_rules_are_the_endpoints() {
        let rule = json!({ "targetLabel": "team", "replacement": "shop" });
        let spec = wanted(&json!({ "tls": { "enabled": true }, "podMonitorRelabelings": [rule] }));
        let endpoint = &spec["podMetricsEndpoints"][0];
        assert_eq!((&endpoint["scheme"], &endpoint["relabelings"]), (&json!("https"), &json!([rule])));
        assert_eq!(endpoint["tlsConfig"]["serverName"], "c-rw");
        assert_eq!(endpoint["tlsConfig"]["ca"]["secret"], json!({ "name": "c-ca", "key": "ca.crt" }));
        assert!(endpoint.get("metricRelabelings").is_none());
    }

    #[test]
    fn what_was_changed_or_taken_back_is_seen_and_what_an_api_server_adds_is_not() {
        let plain = wanted(&json!({}));
        let rule = json!({ "targetLabel": "team", "replacement": "shop" });
        let with_rule = wanted(&json!({ "podMonitorMetricRelabelings": [rule] }));
        let drifted = |there: &Value, wanted: &Value| drift(&stored(there, "cu"), wanted, "cu").is_some();
        assert!(drifted(&plain, &with_rule) && drifted(&with_rule, &plain) && !drifted(&plain, &plain));
        let mut defaulted = with_rule.clone();
        defaulted["podMetricsEndpoints"][0]["metricRelabelings"][0]["action"] = json!("replace");
        assert!(!drifted(&defaulted, &with_rule));
        assert_eq!(drift(&stored(&plain, "of-another"), &with_rule, "cu"), None);
    }
}
