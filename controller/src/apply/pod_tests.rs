//! The shape of an instance's pod: what a user may say of it, and that it stays as it was where he says nothing.

use super::tests::{cluster, with_target};
use super::{objects, pods, volumes};
use pgherd_core::cluster::ServiceKind;
use pgherd_proto::names;
use serde_json::{Value, json};

/// The pod of a cluster with these fields in its spec.
fn pod(fields: &Value) -> Value {
    let mut stored = cluster();
    let mut spec = json!(stored.spec);
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    stored.spec = serde_json::from_value(spec).unwrap();
    with_target(&stored, |target| json!(pods::build(target, 1)))
}

fn spec(fields: &Value) -> Value {
    pod(fields)["spec"].clone()
}

fn variable(pod: &Value, name: &str) -> Value {
    let env = pod["spec"]["containers"][0]["env"].as_array().unwrap();
    env.iter().find(|variable| variable["name"] == name).map_or(Value::Null, |variable| variable["value"].clone())
}

#[tokio::test]
async fn what_is_not_said_is_not_in_the_pod_so_that_no_upgrade_replaces_it() {
    let spec = spec(&json!({}));
    for absent in [
        "schedulerName",
        "priorityClassName",
        "imagePullSecrets",
        "nodeSelector",
        "tolerations",
        "topologySpreadConstraints",
    ] {
        assert_eq!(spec[absent], Value::Null, "{absent}");
    }
    let probes = ["startupProbe", "readinessProbe", "livenessProbe"].map(|probe| &spec["containers"][0][probe]);
    let numbers = |probe: &Value| (probe["periodSeconds"].clone(), probe["failureThreshold"].clone());
    assert_eq!(probes.map(numbers), [(json!(1), json!(3600)), (json!(2), json!(3)), (json!(10), json!(3))]);
    assert!(probes.iter().all(|probe| probe["initialDelaySeconds"].is_null() && probe["timeoutSeconds"] == 5));
    assert_eq!(variable(&pod(&json!({})), "PGHERD_LOG_LEVEL"), Value::Null);
    assert_eq!(spec["volumes"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn where_a_pod_may_run_is_as_the_user_says() {
    let constraint = json!({ "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule" });
    let toleration = json!({ "key": "dedicated", "operator": "Exists", "effect": "NoSchedule" });
    let near = json!({ "requiredDuringSchedulingIgnoredDuringExecution": [{ "topologyKey": "zone" }] });
    let nodes = json!({ "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [] } });
    let spec = spec(&json!({
        "schedulerName": "mine",
        "priorityClassName": "high",
        "imagePullSecrets": [{ "name": "registry" }],
        "topologySpreadConstraints": [constraint],
        "affinity": { "nodeSelector": { "disk": "ssd" }, "tolerations": [toleration], "nodeAffinity": nodes,
            "additionalPodAffinity": near, "additionalPodAntiAffinity": near },
    }));
    assert_eq!((&spec["schedulerName"], &spec["priorityClassName"]), (&json!("mine"), &json!("high")));
    assert_eq!(spec["imagePullSecrets"], json!([{ "name": "registry" }]));
    assert_eq!(spec["topologySpreadConstraints"], json!([constraint]));
    assert_eq!((&spec["nodeSelector"], &spec["tolerations"]), (&json!({ "disk": "ssd" }), &json!([toleration])));
    assert_eq!((&spec["affinity"]["nodeAffinity"], &spec["affinity"]["podAffinity"]), (&nodes, &near));
    let apart = &spec["affinity"]["podAntiAffinity"];
    assert_eq!(
        apart["requiredDuringSchedulingIgnoredDuringExecution"],
        near["requiredDuringSchedulingIgnoredDuringExecution"]
    );
    assert!(apart["preferredDuringSchedulingIgnoredDuringExecution"].is_array(), "ours is there too: {apart}");
}

#[tokio::test]
async fn each_field_of_a_security_context_takes_the_place_of_ours_alone() {
    let spec = spec(&json!({
        "seccompProfile": { "type": "Unconfined" },
        "podSecurityContext": { "fsGroup": 5, "fsGroupChangePolicy": "OnRootMismatch" },
        "securityContext": { "readOnlyRootFilesystem": false },
    }));
    let of_pod = &spec["securityContext"];
    assert_eq!((&of_pod["fsGroup"], &of_pod["runAsUser"]), (&json!(5), &json!(26)));
    assert_eq!(of_pod["fsGroupChangePolicy"], "OnRootMismatch");
    assert_eq!(of_pod["seccompProfile"]["type"], "Unconfined");
    for container in [&spec["containers"][0], &spec["initContainers"][0]] {
        let context = &container["securityContext"];
        assert_eq!((&context["readOnlyRootFilesystem"], &context["privileged"]), (&json!(false), &json!(false)));
        assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
    }
}

#[tokio::test]
async fn environment_and_files_are_those_of_the_user_beside_ours() {
    let sources = json!([{ "secret": { "name": "s" } }]);
    let pod = pod(&json!({
        "logLevel": "debug",
        "env": [{ "name": "AWS_REGION", "value": "eu" }, { "name": "PGDATA", "value": "/elsewhere" }],
        "envFrom": [{ "configMapRef": { "name": "m" } }],
        "projectedVolumeTemplate": { "sources": sources },
        "ephemeralVolumesSizeLimit": { "shm": "256Mi", "temporaryData": "2Gi" },
    }));
    assert_eq!(variable(&pod, "PGHERD_LOG_LEVEL"), "debug");
    assert_eq!(variable(&pod, "AWS_REGION"), "eu");
    assert_ne!(variable(&pod, "PGDATA"), "/elsewhere");
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["envFrom"], json!([{ "configMapRef": { "name": "m" } }]));
    let volume = |name: &str| {
        pod["spec"]["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == name).unwrap().clone()
    };
    assert_eq!(volume("projected")["projected"]["sources"], sources);
    let mounted = container["volumeMounts"].as_array().unwrap().iter().find(|mount| mount["name"] == "projected");
    assert_eq!(mounted.unwrap()["mountPath"], "/projected");
    assert_eq!(volume("shm")["emptyDir"]["sizeLimit"], "256Mi");
    assert_eq!(volume("scratch-data")["emptyDir"]["sizeLimit"], "2Gi");
}

#[tokio::test]
async fn scratch_files_are_on_the_volume_that_the_user_names() {
    let claim = json!({ "volumeClaimTemplate": { "spec": { "accessModes": ["ReadWriteOnce"] } } });
    let spec = spec(&json!({ "ephemeralVolumeSource": claim }));
    let volumes = spec["volumes"].as_array().unwrap();
    let scratch = volumes.iter().find(|volume| volume["name"] == "scratch-data").unwrap();
    assert_eq!(
        (&scratch["ephemeral"]["volumeClaimTemplate"]["spec"]["accessModes"][0], &scratch["emptyDir"]),
        (&json!("ReadWriteOnce"), &Value::Null)
    );
}

#[tokio::test]
async fn probes_are_as_the_user_says_and_their_thresholds_follow_the_seconds() {
    let spec = spec(&json!({
        "startDelay": 100,
        "livenessProbeTimeout": 45,
        "probes": {
            "startup": { "periodSeconds": 30, "timeoutSeconds": 0 },
            "readiness": { "failureThreshold": 9, "initialDelaySeconds": 4 },
            "liveness": { "periodSeconds": 20, "terminationGracePeriodSeconds": 7 },
        },
    }));
    let container = &spec["containers"][0];
    let (startup, readiness, liveness) =
        (&container["startupProbe"], &container["readinessProbe"], &container["livenessProbe"]);
    assert_eq!((&startup["periodSeconds"], &startup["failureThreshold"]), (&json!(30), &json!(4)), "100 s, rounded up");
    assert_eq!(startup["timeoutSeconds"], 5, "CNPG writes 0 for what is not given");
    assert_eq!((&readiness["failureThreshold"], &readiness["initialDelaySeconds"]), (&json!(9), &json!(4)));
    assert_eq!((&liveness["failureThreshold"], &liveness["terminationGracePeriodSeconds"]), (&json!(3), &json!(7)));
}

#[tokio::test]
async fn every_object_has_what_it_inherits_and_none_of_it_is_ours() {
    let mut stored = cluster();
    stored.spec.inherited_metadata = serde_json::from_value(json!({
        "labels": { "team": "shop", "cnpg.io/cluster": "another" }, "annotations": { "note": "n" } }))
    .unwrap();
    let all = with_target(&stored, |target| {
        [
            json!(pods::build(target, 1)),
            json!(volumes::build(target, 1)),
            json!(objects::role(target)),
            json!(super::services::build(target, ServiceKind::Rw, "c-rw".into())),
        ]
    });
    for object in all {
        let metadata = &object["metadata"];
        assert_eq!((&metadata["labels"]["team"], &metadata["annotations"]["note"]), (&json!("shop"), &json!("n")));
        assert_eq!(metadata["labels"]["cnpg.io/cluster"], "c");
    }
}

#[tokio::test]
async fn a_claim_is_made_by_its_template_where_size_and_class_say_nothing() {
    let claim = |storage: &Value| {
        let mut stored = cluster();
        stored.spec.storage = serde_json::from_value(storage.clone()).unwrap();
        with_target(&stored, |target| json!(volumes::build(target, 1))["spec"].clone())
    };
    let template = json!({ "accessModes": ["ReadWriteOncePod"], "storageClassName": "slow", "volumeMode": "Filesystem",
        "resources": { "requests": { "storage": "1Gi" } } });
    let by_template = claim(&json!({ "pvcTemplate": template }));
    assert_eq!(by_template, template);
    let both = claim(&json!({ "size": "2Gi", "storageClass": "fast", "pvcTemplate": template }));
    assert_eq!((&both["resources"]["requests"]["storage"], &both["storageClassName"]), (&json!("2Gi"), &json!("fast")));
    assert_eq!(both["accessModes"], json!(["ReadWriteOncePod"]));
}

#[tokio::test]
async fn wal_has_a_claim_of_its_own_where_it_is_asked_for_and_the_pod_mounts_it() {
    let mut stored = cluster();
    let bare = with_target(&stored, |target| (volumes::build_wal(target, 1), json!(pods::build(target, 1))));
    assert_eq!(bare.0, None);
    assert!(!bare.1.to_string().contains(names::WAL_MOUNT));
    stored.spec.wal_storage = serde_json::from_value(json!({ "size": "3Gi", "storageClass": "fast" })).unwrap();
    let (claim, pod) =
        with_target(&stored, |target| (json!(volumes::build_wal(target, 1)), json!(pods::build(target, 1))));
    let metadata = &claim["metadata"];
    assert_eq!(metadata["name"], "c-1-wal");
    assert_eq!(metadata["labels"]["cnpg.io/pvcRole"], "PG_WAL");
    assert_eq!(metadata["labels"]["cnpg.io/instanceName"], "c-1");
    assert_eq!(metadata["annotations"]["cnpg.io/nodeSerial"], "1");
    let spec = &claim["spec"];
    assert_eq!((&spec["resources"]["requests"]["storage"], &spec["storageClassName"]), (&json!("3Gi"), &json!("fast")));
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    let volume = volumes.iter().find(|volume| volume["name"] == "pg-wal").unwrap();
    assert_eq!(volume["persistentVolumeClaim"]["claimName"], "c-1-wal");
    for container in [&pod["spec"]["initContainers"][0], &pod["spec"]["containers"][0]] {
        let mounts = container["volumeMounts"].as_array().unwrap();
        let mount = mounts.iter().find(|mount| mount["name"] == "pg-wal").unwrap();
        assert_eq!(mount["mountPath"], "/var/lib/postgresql/wal");
    }
    let env = pod["spec"]["containers"][0]["env"].as_array().unwrap();
    assert!(env.iter().any(|variable| variable["value"] == "/var/lib/postgresql/wal"));
}
