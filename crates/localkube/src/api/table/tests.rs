//! Tables of whole objects.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::registry::Registry;
use super::super::resource::GroupResource;
use super::{Include, table};

fn cells(registry: &Registry, resource: &str, object: Value) -> Vec<Value> {
    let info = registry.preferred(&GroupResource::from(resource)).unwrap();
    let now = "2026-01-01T00:01:00Z".parse().unwrap();
    let table = table(info, &[Arc::new(object)], "7", Include::Metadata, now);
    assert_eq!(
        table["columnDefinitions"].as_array().unwrap().len(),
        table["rows"][0]["cells"].as_array().unwrap().len()
    );
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    table["rows"][0]["cells"].as_array().unwrap().clone()
}

#[test]
fn kubectl_sees_the_columns_it_knows() {
    let definition = json!({"metadata": {"name": "clusters.a.io"}, "spec": {"group": "a.io", "scope": "Namespaced",
        "names": {"plural": "clusters", "kind": "Cluster"}, "versions": [{"name": "v1", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {"type": "object"}}, "additionalPrinterColumns": [
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
            {"name": "Instances", "type": "integer", "jsonPath": ".status.instances"},
            {"name": "Primary", "type": "string", "jsonPath": ".status.currentPrimary"}]}]}});
    let registry = Registry::new(std::iter::once(&definition));
    let born = "2026-01-01T00:00:00Z";
    let cases = [
        (
            "pods",
            json!({"metadata": {"name": "c-1", "creationTimestamp": born}, "spec": {"containers": [{}], "nodeName": "n"},
                "status": {"phase": "Running", "podIP": "10.0.0.1",
                    "containerStatuses": [{"ready": true, "restartCount": 2, "state": {"running": {}}}]}}),
            vec![
                json!("c-1"),
                json!("1/1"),
                json!("Running"),
                json!("2"),
                json!("60s"),
                json!("10.0.0.1"),
                json!("n"),
                json!("<none>"),
                json!("<none>"),
            ],
        ),
        (
            "services",
            json!({"metadata": {"name": "s", "creationTimestamp": born}, "spec": {"type": "ClusterIP",
                "clusterIP": "10.0.0.9", "ports": [{"port": 5432, "protocol": "TCP"}], "selector": {"a": "b"}}}),
            vec![
                json!("s"),
                json!("ClusterIP"),
                json!("10.0.0.9"),
                json!("<none>"),
                json!("5432/TCP"),
                json!("60s"),
                json!("a=b"),
            ],
        ),
        (
            "events",
            json!({"metadata": {"name": "e"}, "lastTimestamp": born, "type": "Normal", "reason": "R",
                "involvedObject": {"kind": "Pod", "name": "p"}, "message": "hello"}),
            vec![json!("60s"), json!("Normal"), json!("R"), json!("pod/p"), json!("hello")],
        ),
        (
            "clusters.a.io",
            json!({"metadata": {"name": "c", "creationTimestamp": born}, "status": {"instances": 3}}),
            vec![json!("c"), json!("60s"), json!(3), Value::Null],
        ),
        (
            "leases.coordination.k8s.io",
            json!({"metadata": {"name": "l", "creationTimestamp": born}, "spec": {"holderIdentity": "c-1"}}),
            vec![json!("l"), json!("c-1"), json!("60s")],
        ),
    ];
    for (resource, object, expected) in cases {
        assert_eq!(cells(&registry, resource, object), expected, "{resource}");
    }
}
