//! The controller's program against the small API server, from the example manifest to a cluster that is gone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test"
)]

mod api;
mod hook;
mod leading;
mod rights;

use api::{NAME, NS, Rig, api, opened_by, until};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Namespace, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use pgherd_controller::observe;
use pgherd_core::lease::{HolderState, LeaseRecord, Term, WalPosition};
use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::TimelineId;
use pgherd_pki::{ClientIdentity, server_config};
use pgherd_proto::backup::Backup;
use pgherd_proto::cluster::Cluster;
use pgherd_proto::scheduled_backup::ScheduledBackup;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Plays kubelet and manager: the pod runs, is ready, and its member says `phase`.
async fn play(client: &Client, serial: u32, phase: &str, ip: &str) -> Pod {
    let (pods, name) = (api::<Pod>(client), format!("{NAME}-{serial}"));
    let (pod, _) = until("the pod", || async { pods.get_opt(&name).await.unwrap() }).await;
    let report = report(serial, &pod.uid().unwrap(), phase);
    let note = json!({ "metadata": { "annotations": { "pgherd.io/member": report.to_string() } } });
    pods.patch(&name, &PatchParams::default(), &Patch::Merge(note)).await.unwrap();
    let status = json!({ "status": { "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }],
        "conditions": [{ "type": "Ready", "status": "True" }] } });
    pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap()
}

fn report(serial: u32, uid: &str, phase: &str) -> Value {
    json!({ "nonce": format!("n{serial}"), "podUID": uid, "incarnation": format!("i{serial}"), "systemID": "7",
        "phase": phase, "position": { "timeline": 1, "lsn": format!("0/300000{serial}") }, "ready": true })
}

async fn write_lease(client: &Client, change: impl FnOnce(&mut LeaseRecord)) {
    let leases = api::<Lease>(client);
    let stored = leases.get(NAME).await.unwrap();
    let mut record = pgherd_proto::lease::read(&stored).unwrap().value;
    change(&mut record);
    let lease = pgherd_proto::lease::to_lease(&stored, &record, jiff::Timestamp::now());
    leases.replace(NAME, &PostParams::default(), &lease).await.unwrap();
}

/// Plays the managers' HTTPS: whoever asks at `address` gets `answer`.
async fn serve(client: &Client, listener: TcpListener, answer: Value, tasks: &mut JoinSet<()>) {
    let text = |secret: &Secret, key: &str| String::from_utf8(secret.data.as_ref().unwrap()[key].0.clone()).unwrap();
    let server = api::<Secret>(client).get(&format!("{NAME}-instance-tls")).await.unwrap();
    let (certificate, key, ca) = (text(&server, "tls.crt"), text(&server, "tls.key"), text(&server, "ca.crt"));
    let identity = ClientIdentity { certificate_pem: &certificate, key_pem: &key };
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server_config(identity, Some(&ca)).unwrap()));
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            assert!(stream.get_ref().1.peer_certificates().is_some(), "the controller shows a certificate");
            let mut request = [0u8; 4096];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"POST /pg/fence "));
            let body = answer.to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            stream.shutdown().await.ok();
        }
    });
}

fn condition<'a>(all: &'a [Condition], kind: &str) -> &'a Condition {
    all.iter().find(|condition| condition.type_ == kind).unwrap_or_else(|| panic!("no condition {kind}: {all:?}"))
}

async fn a_backup_waits_for_an_instance(client: &Client) {
    let backups = api::<Backup>(client);
    let backup = |name: &str| -> Backup {
        let text = json!({ "apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup", "metadata": { "name": name },
            "spec": { "cluster": { "name": NAME } } });
        serde_json::from_value(text).unwrap()
    };
    backups.create(&PostParams::default(), &backup("by-hand")).await.unwrap();
    until("the backup's phase", || async {
        let status = backups.get("by-hand").await.unwrap().status?;
        let waits =
            status.phase.as_deref() == Some("pending") && status.error.as_deref() == Some("no instance is ready");
        (waits && condition(&status.conditions, "UnsupportedFields").status == "False").then_some(())
    })
    .await;
    backups.delete("by-hand", &kube::api::DeleteParams::default()).await.unwrap();
}

async fn annotations_that_do_nothing_are_named(clusters: &Api<Cluster>) {
    let annotate = |value: Value| json!({ "metadata": { "annotations": { "cnpg.io/podPatch": value } } });
    let says = |wanted: bool| async move {
        let all = clusters.get(NAME).await.unwrap().status?.conditions;
        let found = all.iter().find(|condition| condition.type_ == "UnsupportedFields")?;
        // Nothing that the example's spec asks for is in vain.
        assert_eq!(found.status == "True", found.message.contains("annotation:"), "{found:?}");
        (found.message.contains("annotation:cnpg.io/podPatch") == wanted).then_some(())
    };
    for (value, wanted) in [(json!("[]"), true), (Value::Null, false)] {
        clusters.patch(NAME, &PatchParams::default(), &Patch::Merge(annotate(value))).await.unwrap();
        until("the annotation in the condition", || says(wanted)).await;
    }
}

async fn install_pod_monitors(client: &Client) {
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let version = json!({ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } });
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": { "name": "podmonitors.monitoring.coreos.com" },
        "spec": { "group": "monitoring.coreos.com", "scope": "Namespaced", "versions": [version],
            "names": { "plural": "podmonitors", "singular": "podmonitor", "kind": "PodMonitor" } }
    }))
    .unwrap();
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    definitions.create(&PostParams::default(), &definition).await.unwrap();
}

/// Whoever asks in a shell does not know the image that the controller was given, and is not told of a change for it.
async fn a_healthy_cluster_has_an_empty_plan(rig: &Rig) {
    let (text, _) = until("an empty plan", || async {
        let text = rig.plan(NAME, NS, &[]).await;
        text.contains("steps: none").then_some(text)
    })
    .await;
    assert!(text.starts_with("phase: Cluster in healthy state"), "{text}");
    let plan: Value = serde_json::from_str(&rig.plan(NAME, NS, &["-o", "json"]).await).unwrap();
    assert_eq!((&plan["plan"]["steps"], &plan["violations"]), (&json!([]), &json!([])));
    assert_eq!(plan["managerImage"], api::MANAGER_IMAGE);
    assert_eq!(plan["desired"]["instances"], 3);
    assert_eq!(plan["observed"]["pods"].as_array().map(Vec::len), Some(3));
    // Another image would be another plan.
    let text = rig.plan(NAME, NS, &["--manager-image", "pgherd/pgherd:next"]).await;
    assert!(text.contains("spec.initContainers[bootstrap-controller].image has changed"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_manifest_becomes_a_cluster_survives_its_primary_and_goes_away() {
    let (second, port) = {
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    };
    let rig = Rig::start(port).await;
    let client = rig.client.clone();
    let mut tasks = JoinSet::new();
    let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": NS } })).unwrap();
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();

    // A schedule in the wrong namespace is told where its cluster is.
    let schedules = Api::<ScheduledBackup>::namespaced(client.clone(), "default");
    let schedule: ScheduledBackup =
        serde_yaml_ng::from_str(include_str!("../../docs/examples/scheduledbackup.yaml")).unwrap();
    schedules.create(&PostParams::default(), &schedule).await.unwrap();

    let clusters = api::<Cluster>(&client);
    let cluster: Cluster = serde_yaml_ng::from_str(include_str!("../../docs/examples/cluster.yaml")).unwrap();
    clusters.create(&PostParams::default(), &cluster).await.unwrap();
    let (_, took) =
        until("the first pod", || async { api::<Pod>(&client).get_opt(&format!("{NAME}-1")).await.unwrap() }).await;
    eprintln!("first pod after {took:?}");
    let error = "cluster not found in namespace default; there is one in phoenix-guardian";
    let (status, _) = until("the schedule's error", || async {
        let status = schedules.get("daily-backup").await.unwrap().status?;
        (status.error.as_deref() == Some(error)).then_some(status)
    })
    .await;
    let found = condition(&status.conditions, "ClusterFound");
    assert_eq!((found.status.as_str(), found.reason.as_str()), ("False", "ClusterNotFound"));
    assert_eq!(found.message, error);
    // Nothing that does nothing is silent, on no kind.
    let ignored = condition(&status.conditions, "UnsupportedFields");
    assert_eq!((ignored.status.as_str(), ignored.reason.as_str()), ("False", "AllFieldsSupported"));
    a_backup_waits_for_an_instance(&client).await;
    annotations_that_do_nothing_are_named(&clusters).await;
    let names = |list: Vec<String>| list.into_iter().filter(|name| name.starts_with(NAME)).collect::<Vec<_>>();
    let listed = api::<Service>(&client).list(&ListParams::default()).await.unwrap();
    let services = names(listed.into_iter().map(|service| service.name_any()).collect());
    assert_eq!(services, ["-r", "-ro", "-rw"].map(|suffix| format!("{NAME}{suffix}")));
    let app = api::<Secret>(&client).get(&format!("{NAME}-app")).await.unwrap();
    assert_eq!(app.data.unwrap().len(), 11);
    let text = rig.plan(NAME, NS, &[]).await;
    assert!(text.contains("Setting up primary") && text.contains("waits for the first instance"), "{text}");
    until("the event about PodMonitor", || async {
        let events = api::<Event>(&client).list(&ListParams::default()).await.unwrap();
        events.into_iter().find(|event| event.reason.as_deref() == Some("PodMonitorUnavailable"))
    })
    .await;

    // Once the kind is known, one is made; it shows up below.
    install_pod_monitors(&client).await;

    // The first instance initialises the database and opens; the others are created.
    let first = play(&client, 1, "primary", "127.0.0.1").await;
    write_lease(&client, |record| *record = opened_by(&first)).await;
    let status = json!({ "status": { "systemID": "7", "currentPrimary": format!("{NAME}-1") } });
    clusters.patch_status(NAME, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    let standby = play(&client, 2, "standby", "127.0.0.2").await;
    play(&client, 3, "standby", "127.0.0.3").await;
    until("a healthy cluster", || async {
        let status = clusters.get(NAME).await.unwrap().status?;
        let healthy = status.phase.as_deref() == Some("Cluster in healthy state");
        (healthy && status.ready_instances == Some(3)).then_some(())
    })
    .await;
    until("the role labels", || async {
        let primaries = ListParams::default().labels("cnpg.io/instanceRole=primary,role=primary");
        let found = api::<Pod>(&client).list(&primaries).await.unwrap().items;
        (found.len() == 1 && found[0].name_any() == format!("{NAME}-1")).then_some(())
    })
    .await;
    let claim = api::<PersistentVolumeClaim>(&client).get(&format!("{NAME}-2")).await.unwrap();
    assert_eq!(claim.annotations()["cnpg.io/pvcStatus"], "ready");
    let monitors = Api::<DynamicObject>::namespaced_with(client.clone(), NS, &observe::pod_monitor_kind());
    until("the PodMonitor", || async {
        // Each change is looked at. Without one the next look may be half a minute away.
        let change =
            json!({ "metadata": { "annotations": { "looked-at": format!("{:?}", std::time::Instant::now()) } } });
        clusters.patch(NAME, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
        monitors.get_opt(NAME).await.unwrap()
    })
    .await;
    a_healthy_cluster_has_an_empty_plan(&rig).await;

    // Its postmaster dies: from the annotation to the election.
    serve(&client, second, report(2, &standby.uid().unwrap(), "standby"), &mut tasks).await;
    let end = WalPosition { timeline: TimelineId(1), lsn: Lsn(0x300_0148) };
    write_lease(&client, |record| {
        record.state = HolderState::Recovering;
        record.tail = Some(end);
    })
    .await;
    play(&client, 1, "recovering", "127.0.0.1").await;
    let (election, took) = until("the election", || async { clusters.get(NAME).await.unwrap().status?.election }).await;
    eprintln!("election after {took:?}");
    assert_eq!((election.winner.as_str(), election.term), (format!("{NAME}-2").as_str(), Term(1)));
    assert_eq!(election.tail.map(|tail| tail.end), Some(end));

    // Deleted: everything goes, the lease as well.
    clusters.delete(NAME, &DeleteParams::default()).await.unwrap();
    until("the lease to be gone", || async {
        api::<Lease>(&client).get_opt(NAME).await.unwrap().is_none().then_some(())
    })
    .await;
    until("the services to be gone", || async {
        api::<Service>(&client).list(&ListParams::default()).await.unwrap().items.is_empty().then_some(())
    })
    .await;
    tasks.shutdown().await;
    rig.end().await;
}
