//! The controller's half of backups, with members that only say that they are there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod api;

use api::{NAME, NS, Rig, api, until};
use k8s_openapi::api::core::v1::{Event, Namespace, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use pgherd_proto::backup::{Backup, BackupStatus, phase};
use pgherd_proto::cluster::{Cluster, reason};
use pgherd_proto::labels;
use pgherd_proto::scheduled_backup::ScheduledBackup;
use serde_json::{Value, json};

/// Plays kubelet and manager of the one instance: its pod runs and is ready, and this process of it says that it serves.
async fn serves(client: &Client, nonce: &str) {
    let (pods, name) = (api::<Pod>(client), format!("{NAME}-1"));
    let (pod, _) = until("the pod", || async { pods.get_opt(&name).await.unwrap() }).await;
    let report = json!({ "nonce": nonce, "podUID": pod.uid().unwrap(), "incarnation": "i1", "systemID": "7",
        "phase": "primary", "position": { "timeline": 1, "lsn": "0/5000000" }, "ready": true });
    let note = json!({ "metadata": { "annotations": { labels::MEMBER: report.to_string() } } });
    pods.patch(&name, &PatchParams::default(), &Patch::Merge(note)).await.unwrap();
    let ready = json!({ "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }],
        "containerStatuses": [{ "name": "postgres", "containerID": "local://1", "image": "x", "imageID": "x",
            "ready": true, "restartCount": 0, "state": { "running": {} } }] } });
    pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(ready)).await.unwrap();
}

async fn order(client: &Client, name: &str, spec: Value) {
    let mut spec = spec;
    spec["cluster"] = json!({ "name": NAME });
    let backup: Backup = serde_json::from_value(json!({ "apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup",
        "metadata": { "name": name }, "spec": spec }))
    .unwrap();
    api::<Backup>(client).create(&PostParams::default(), &backup).await.unwrap();
}

async fn say(client: &Client, name: &str, status: &Value) {
    let patch = Patch::Merge(json!({ "status": status }));
    api::<Backup>(client).patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

async fn wait_for(client: &Client, name: &str, wanted: &str) -> BackupStatus {
    let last = std::sync::Mutex::new(BackupStatus::default());
    let reached = || async {
        let status = api::<Backup>(client).get(name).await.unwrap().status?;
        *last.lock().unwrap() = status.clone();
        (status.phase.as_deref() == Some(wanted)).then_some(status)
    };
    let what = format!("{name} to be {wanted}");
    let waiting = until(&what, reached);
    match tokio::time::timeout(std::time::Duration::from_secs(25), waiting).await {
        Ok((status, _)) => status,
        Err(_) => {
            let pods = api::<Pod>(client).list(&ListParams::default()).await.unwrap().items;
            panic!("{name} is not {wanted}: {:?}\n{}", last.lock().unwrap(), serde_json::to_string(&pods).unwrap())
        }
    }
}

/// A rig with the example's cluster, of one instance that serves.
async fn rig() -> Rig {
    let rig = Rig::start(1).await;
    let client = &rig.client;
    let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": NS } })).unwrap();
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    let mut cluster: Cluster = serde_yaml_ng::from_str(include_str!("../../docs/examples/cluster.yaml")).unwrap();
    cluster.spec.instances = 1;
    api::<Cluster>(client).create(&PostParams::default(), &cluster).await.unwrap();
    serves(client, "n1").await;
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_ordered_one_at_a_time_and_lost_ones_hold_nobody_up() {
    let rig = rig().await;
    let client = &rig.client;
    order(client, "first", json!({})).await;
    let told = wait_for(client, "first", phase::STARTED).await;
    let instance = told.instance_id.unwrap();
    assert_eq!(
        (instance.pod_name.as_str(), instance.session_id.as_deref()),
        (format!("{NAME}-1").as_str(), Some("n1"))
    );
    assert_eq!(instance.container_id, "local://1");
    assert_eq!(told.server_name.as_deref(), Some(NAME));
    assert!(told.destination_path.unwrap().starts_with("s3://") && told.s3_credentials.is_some());
    order(client, "second", json!({ "target": "primary" })).await;
    let waits = wait_for(client, "second", phase::PENDING).await;
    assert_eq!(waits.error.as_deref(), Some("first is taken first"));
    let clusters = api::<Cluster>(client);
    let condition = |reason: &'static str| {
        let clusters = clusters.clone();
        async move {
            let status = clusters.get(NAME).await.unwrap().status?;
            let found = status.conditions.iter().find(|condition| condition.type_ == "LastBackupSucceeded")?;
            (found.reason == reason).then(|| status.clone())
        }
    };
    until("the condition of a backup under way", || condition("BackupStarted")).await;

    // Its manager was restarted: another process speaks from the pod.
    serves(client, "n2").await;
    let again = wait_for(client, "first", phase::PENDING).await;
    assert!(again.failed_attempts[0].error.contains("ended while it took the backup"), "{again:?}");
    assert!(again.instance_id.is_none(), "{again:?}");
    until("an event of it", || async {
        let events = api::<Event>(client).list(&ListParams::default()).await.unwrap();
        events.into_iter().find(|event| event.reason.as_deref() == Some("BackupRetried"))
    })
    .await;

    let second = wait_for(client, "second", phase::STARTED).await;
    assert_eq!((second.instance_id.unwrap().session_id.as_deref(), second.error), (Some("n2"), None));
    // The last one to end, whatever the clock says.
    let done = json!({ "phase": "completed", "stoppedAt": "2099-11-28T13:05:00Z" });
    say(client, "second", &done).await;
    let (status, _) = until("the condition of a good backup", || condition("LastBackupSucceeded")).await;
    assert_eq!(status.last_successful_backup.as_deref(), Some("2099-11-28T13:05:00Z"));
    assert_eq!(status.first_recoverability_point.as_deref(), Some("2099-11-28T13:05:00Z"));

    // It is taken once more. One whose manager says nothing is dead within seconds, and the third attempt is the last.
    let again = wait_for(client, "first", phase::STARTED).await;
    assert_eq!((again.instance_id.unwrap().session_id.as_deref(), again.failed_attempts.len()), (Some("n2"), 1));
    let attempts = json!([{ "error": "one" }, { "error": "two" }]);
    say(client, "first", &json!({ "phase": "running", "failedAttempts": attempts })).await;
    let failed = wait_for(client, "first", phase::FAILED).await.error.unwrap();
    assert!(failed.contains("has said nothing about it for") && failed.contains("3 attempts"), "{failed}");
    until("the failure in the cluster's status", || async {
        clusters.get(NAME).await.unwrap().status?.last_failed_backup
    })
    .await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_archiving_fails_a_backup_is_held_up_and_it_begins_once_archiving_works() {
    let rig = rig().await;
    let client = &rig.client;
    let clusters = api::<Cluster>(client);
    let archiving = |status: &'static str, reason: &'static str, message: &'static str| {
        let clusters = clusters.clone();
        async move {
            let wanted = json!({ "type": "ContinuousArchiving", "status": status, "reason": reason, "message": message,
                "lastTransitionTime": "2026-11-28T13:05:00Z" });
            // The controller writes into the same list.
            until("the condition to be there", || async {
                let found = serde_json::to_value(clusters.get(NAME).await.unwrap()).unwrap();
                let mut conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
                conditions.retain(|condition| condition["type"] != "ContinuousArchiving");
                conditions.push(wanted.clone());
                let patch = json!({ "metadata": { "resourceVersion": found["metadata"]["resourceVersion"] },
                    "status": { "conditions": conditions } });
                clusters.patch_status(NAME, &PatchParams::default(), &Patch::Merge(patch)).await.ok()
            })
            .await;
        }
    };
    // The one before it leaves the controller time to see the condition.
    order(client, "busy", json!({})).await;
    wait_for(client, "busy", phase::STARTED).await;
    archiving("False", reason::ARCHIVING_FAILING, "000000010000000000000003: 403 AccessDenied").await;
    order(client, "held", json!({})).await;
    wait_for(client, "held", phase::PENDING).await;
    say(client, "busy", &json!({ "phase": "completed", "stoppedAt": "2026-11-28T13:05:00Z" })).await;
    let held = wait_for(client, "held", phase::WAL_ARCHIVING_FAILING).await;
    assert!(held.error.unwrap().contains("403 AccessDenied") && held.instance_id.is_none());
    archiving("True", reason::ARCHIVING_SUCCESS, reason::ARCHIVING_WORKS).await;
    let begun = wait_for(client, "held", phase::STARTED).await;
    assert_eq!(begun.error, None);

    // Where the archive is another cluster's, nobody waits for anything.
    archiving("False", reason::ARCHIVE_REFUSES, "00000002.history: it belongs to database system 8").await;
    order(client, "refused", json!({})).await;
    wait_for(client, "refused", phase::PENDING).await;
    say(client, "held", &json!({ "phase": "completed", "stoppedAt": "2026-11-28T13:06:00Z" })).await;
    let refused = wait_for(client, "refused", phase::FAILED).await;
    assert!(refused.error.unwrap().contains("it belongs to database system 8") && refused.instance_id.is_none());
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_makes_its_backups_and_says_what_cnpg_would_make_of_it() {
    let rig = rig().await;
    let client = &rig.client;
    let mut raw: Value = serde_yaml_ng::from_str(include_str!("../../docs/examples/scheduledbackup.yaml")).unwrap();
    let schedules = api::<ScheduledBackup>(client);
    let create = |raw: Value| {
        let schedules = schedules.clone();
        async move {
            let schedule: ScheduledBackup = serde_json::from_value(raw).unwrap();
            schedules.create(&PostParams::default(), &schedule).await.unwrap()
        }
    };
    create(raw.clone()).await;
    let next = || async {
        let status = schedules.get("daily-backup").await.unwrap().status?;
        status.last_check_time.and(status.next_schedule_time)
    };
    let (next, _) = until("the next slot", next).await;
    assert_eq!(next.0.strftime("%H:%M:%S").to_string(), "02:00:00");
    until("the warning of five fields", || async {
        let events = api::<Event>(client).list(&ListParams::default()).await.unwrap();
        events.into_iter().find(|event| event.reason.as_deref() == Some("FiveFieldSchedule"))
    })
    .await;
    let made = |schedule: &str| {
        let (backups, selector) = (api::<Backup>(client), format!("{}={schedule}", labels::SCHEDULED_BACKUP));
        async move { backups.list(&ListParams::default().labels(&selector)).await.unwrap().items }
    };
    assert!(made("daily-backup").await.is_empty(), "nothing is due");

    raw["metadata"]["name"] = json!("at-once");
    raw["spec"]["immediate"] = json!(true);
    create(raw.clone()).await;
    let (first, _) = until("the immediate backup", || async { made("at-once").await.into_iter().next() }).await;
    assert_eq!(first.labels()[labels::IMMEDIATE_BACKUP], "true");
    assert_eq!(first.owner_references()[0].kind, "ScheduledBackup");
    wait_for(client, &first.name_any(), phase::STARTED).await;

    // Every second, and never more than one that is not done; deleted schedules take their Backups along.
    raw["metadata"]["name"] = json!("often");
    raw["spec"]["immediate"] = json!(false);
    raw["spec"]["schedule"] = json!("* * * * * *");
    create(raw.clone()).await;
    let (one, _) = until("a backup of the second", || async { made("often").await.into_iter().next() }).await;
    let waits = wait_for(client, &one.name_any(), phase::PENDING).await;
    assert!(waits.error.unwrap().contains("is taken first"));
    assert_eq!(made("often").await.len(), 1);
    say(client, &one.name_any(), &json!({ "phase": "failed", "stoppedAt": "2026-11-28T13:05:00Z" })).await;
    until("the next one", || async { (made("often").await.len() == 2).then_some(()) }).await;
    schedules.delete("often", &DeleteParams::default()).await.unwrap();
    until("its backups to go", || async { made("often").await.is_empty().then_some(()) }).await;
    rig.end().await;
}
