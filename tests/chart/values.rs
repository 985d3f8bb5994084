//! The modes of the values, and what the values' schema refuses.

use crate::helm::{chart, objects, template};
use serde_json::{Value, json};

/// Everything that a value turns on, in the combinations that people have.
pub fn modes() -> Vec<(&'static str, Value)> {
    let monitoring = |kind: &str| {
        json!({ "labels": { "release": "prometheus" }, "controller": { "enabled": true, "kind": kind },
            "clusters": { "enabled": true }, "prometheusRule": { "enabled": true }, "dashboard": { "enabled": true } })
    };
    vec![
        ("defaults", json!({})),
        ("one namespace", json!({ "watch": { "namespaces": ["a"] } })),
        (
            "namespaces and nothing of the cluster",
            json!({ "watch": { "namespaces": ["a", "b"], "nodes": false }, "webhook": { "enabled": false },
                "rbac": { "aggregate": false }, "crds": { "create": false } }),
        ),
        ("a strict webhook", json!({ "webhook": { "failurePolicy": "Fail", "timeoutSeconds": 10, "port": 10250 } })),
        (
            "policies for all",
            json!({ "networkPolicy": { "enabled": true, "apiServerPorts": [443], "clusters": { "namespaces": ["a"] } } }),
        ),
        (
            "policies with peers",
            json!({ "watch": { "namespaces": ["a"] }, "networkPolicy": { "enabled": true,
                "metricsFrom": [{ "namespaceSelector": { "matchLabels": { "name": "monitoring" } } }],
                "clusters": { "postgresFrom": [{ "podSelector": { "matchLabels": { "app": "shop" } } }],
                    "metricsFrom": [{ "ipBlock": { "cidr": "10.0.0.0/8" } }] } } }),
        ),
        ("monitored by pod", json!({ "monitoring": monitoring("PodMonitor") })),
        (
            "monitored by service",
            json!({ "watch": { "namespaces": ["a"] }, "monitoring": monitoring("ServiceMonitor") }),
        ),
        (
            "an account of somebody else's",
            json!({ "serviceAccount": { "create": false }, "rbac": { "create": false } }),
        ),
        ("one replica", json!({ "replicaCount": 1, "image": { "tag": "1.2.3", "pullPolicy": "Always" } })),
        (
            "all of the pod",
            json!({ "fullnameOverride": "postgres-operator", "imagePullSecrets": ["registry"], "logLevel": "debug",
                "image": { "digest": format!("sha256:{}", "a".repeat(64)) }, "drainTaints": ["example.com/drain"],
                "extraEnv": [{ "name": "TZ", "value": "UTC" }], "podAnnotations": { "a": "b" }, "podLabels": { "c": "d" },
                "serviceAccount": { "name": "operator", "annotations": { "a": "b" } }, "listenAddress": "[::]",
                "nodeSelector": { "kubernetes.io/os": "linux" }, "priorityClassName": "system-cluster-critical",
                "tolerations": [{ "key": "k", "operator": "Exists" }], "affinity": { "nodeAffinity": {} },
                "topologySpreadConstraints": [{ "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
                    "whenUnsatisfiable": "ScheduleAnyway" }] }),
        ),
    ]
}

#[test]
fn a_value_that_does_not_exist_or_is_of_the_wrong_kind_is_refused_before_anything_is_rendered() {
    for (wrong, at) in [
        (json!({ "replicas": 3 }), "replicas"),
        (json!({ "replicaCount": "two" }), "replicaCount"),
        (json!({ "webhook": { "failurePolicy": "Maybe" } }), "failurePolicy"),
        (json!({ "webhook": { "enable": true } }), "enable"),
        (json!({ "watch": { "namespaces": ["Not A Name"] } }), "namespaces"),
        (json!({ "watch": { "namespaces": "a,b" } }), "namespaces"),
        (json!({ "image": { "digest": "sha256:short" } }), "digest"),
        (json!({ "metrics": { "port": 80 } }), "port"),
        (json!({ "logLevel": "loud" }), "logLevel"),
        (json!({ "monitoring": { "controller": { "kind": "Probe" } } }), "kind"),
        (json!({ "networkPolicy": { "apiServerPorts": [] } }), "apiServerPorts"),
        (json!({ "listenAddress": "localhost" }), "listenAddress"),
    ] {
        let output = template(&wrong);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{wrong} was rendered");
        assert!(said.contains("values don't meet the specifications") && said.contains(at), "{wrong}: {said}");
    }
}

#[test]
fn every_value_has_its_line_in_the_schema_and_every_line_of_the_schema_a_value() {
    let read = |name: &str| std::fs::read_to_string(chart().join(name)).unwrap();
    let values: Value = serde_yaml_ng::from_str(&read("values.yaml")).unwrap();
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    compare(&values, &schema, "");
}

fn compare(values: &Value, schema: &Value, path: &str) {
    let Some(described) = schema["properties"].as_object().filter(|_| schema["additionalProperties"] == false) else {
        return;
    };
    // Resources are Kubernetes' own, and `global` is Helm's.
    if path == "/resources" {
        return;
    }
    for name in described.keys().filter(|name| *name != "global") {
        let value = values.get(name).unwrap_or_else(|| panic!("{path}/{name} is not in values.yaml"));
        compare(value, &described[name], &format!("{path}/{name}"));
    }
    for name in values.as_object().unwrap().keys() {
        assert!(described.contains_key(name), "{path}/{name} is not in values.schema.json");
    }
}

#[test]
fn a_controller_of_some_namespaces_needs_nothing_of_the_whole_cluster() {
    let (_, values) = modes().into_iter().find(|(name, _)| name.starts_with("namespaces and nothing")).unwrap();
    let objects = objects(&values);
    let outside: Vec<_> = objects.iter().filter(|object| object["metadata"]["namespace"].is_null()).collect();
    assert_eq!(outside, [&Value::Null; 0]);
    let roles: Vec<_> = objects.iter().filter(|object| object["kind"] == "Role").collect();
    let namespaces: Vec<_> = roles.iter().map(|role| role["metadata"]["namespace"].as_str().unwrap()).collect();
    assert_eq!(namespaces, ["a", "b", "pgherd-system"]);
}
