//! Making Backups when their slot comes. The name of a Backup is that of its slot, so that none is made twice.

use crate::backups::of_cluster;
use crate::caches::{Caches, Key};
use crate::conditions::write_status;
use crate::news::tell;
use core::time::Duration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::PostParams;
use kube::{Api, Client, Resource, ResourceExt};
use pgherd_core::backup::{ScheduleStep, ScheduleView, Timestamp, plan_schedule};
use pgherd_core::plan::EventKind;
use pgherd_core::rules::cron::Schedule;
use pgherd_proto::backup::{Backup, BackupSpec, BackupStatus};
use pgherd_proto::cluster::{Cluster, Extra};
use pgherd_proto::event::News;
use pgherd_proto::labels;
use pgherd_proto::scheduled_backup::{BackupOwner, ScheduledBackup};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::Mutex;

/// Which schedules were told of what CNPG would make of them, by uid and generation.
pub type Told = Mutex<BTreeSet<(String, i64)>>;

/// Keeps every schedule of this cluster; how soon the next slot comes.
pub async fn keep(client: &Client, caches: &Caches, told: &Told, key: &Key) -> Option<Duration> {
    let schedules = caches.schedules.of(key);
    if schedules.is_empty() {
        return None;
    }
    let cluster = caches.cluster(key)?;
    let mut soonest: Option<Duration> = None;
    for schedule in schedules {
        let Ok(when) = schedule.spec.schedule.parse::<Schedule>() else { continue };
        warn_of_five_fields(client, told, &schedule).await;
        if schedule.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let until = one(client, caches, &cluster, &schedule, when, key).await;
        soonest = [soonest, until].into_iter().flatten().min();
    }
    soonest
}

async fn one(
    client: &Client,
    caches: &Caches,
    cluster: &Cluster,
    schedule: &ScheduledBackup,
    when: Schedule,
    key: &Key,
) -> Option<Duration> {
    let name = schedule.name_any();
    let made = |backup: &Backup| backup.labels().get(labels::SCHEDULED_BACKUP) == Some(&name);
    let done = |backup: &Backup| backup.status.as_ref().is_some_and(BackupStatus::is_done);
    let status = schedule.status.clone().unwrap_or_default();
    let now = stamp(jiff::Timestamp::now());
    let view = ScheduleView {
        schedule: when,
        immediate: schedule.spec.immediate,
        suspended: schedule.spec.suspend,
        created: schedule.metadata.creation_timestamp.as_ref().map_or(now, |time| stamp(time.0)),
        checked: status.last_check_time.as_ref().map(|time| stamp(time.0)),
        busy: of_cluster(caches, key).iter().any(|backup| made(backup) && !done(backup)),
    };
    let next = (!view.suspended).then(|| when.next_after(now)).flatten();
    let settled = json!({ "lastCheckTime": now.rfc3339(), "nextScheduleTime": next.map(Timestamp::rfc3339) });
    match plan_schedule(&view, now) {
        ScheduleStep::Take { slot, immediate } => {
            let backup = backup(cluster, schedule, slot, immediate);
            let name = backup.name_any();
            let params =
                PostParams { field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()), ..Default::default() };
            let backups = Api::<Backup>::namespaced(client.clone(), &key.namespace);
            match backups.create(&params, &backup).await {
                Ok(_) => tracing::info!(%name, cluster = %key.name, namespace = %key.namespace, "a slot has come"),
                Err(kube::Error::Api(answer)) if answer.code == 409 => {}
                Err(error) => {
                    tracing::warn!(%name, namespace = %key.namespace, error = %pgherd_telemetry::chain(&error),
                        "a Backup was not made and is tried again");
                    return Some(Duration::from_secs(1));
                }
            }
            let mut taken = settled;
            if let Some(fields) = taken.as_object_mut() {
                fields.insert("lastScheduleTime".to_owned(), json!(now.rfc3339()));
            }
            write_status(client, schedule, taken).await;
        }
        ScheduleStep::Settle => {
            write_status(client, schedule, settled).await;
        }
        ScheduleStep::Wait { .. } => {
            let shown = status.next_schedule_time.as_ref().map(|time| stamp(time.0));
            // A slot that waits for another backup has come already.
            if !view.busy && shown != next {
                write_status(client, schedule, json!({ "nextScheduleTime": next.map(Timestamp::rfc3339) })).await;
            }
        }
    }
    let millis = next?.micros().saturating_sub(now.micros()).checked_div(1000)?;
    Some(Duration::from_millis(u64::try_from(millis).unwrap_or_default()).saturating_add(Duration::from_millis(5)))
}

fn stamp(time: jiff::Timestamp) -> Timestamp {
    Timestamp::from_micros(time.as_microsecond())
}

fn backup(cluster: &Cluster, schedule: &ScheduledBackup, slot: Timestamp, immediate: bool) -> Backup {
    let spec = BackupSpec {
        cluster: schedule.spec.cluster.clone(),
        method: schedule.spec.method,
        target: schedule.spec.target,
        // For methods that are refused.
        plugin_configuration: None,
        online: None,
        online_configuration: None,
        extra: Extra::default(),
    };
    let name = format!("{}-{}", schedule.name_any(), slot.utc().compact().replace('T', ""));
    let mut backup = Backup::new(&name, spec);
    let owner = match schedule.spec.backup_owner_reference {
        BackupOwner::None => None,
        BackupOwner::Schedule => schedule.owner_ref(&()),
        BackupOwner::Cluster => cluster.owner_ref(&()),
    };
    let owner = owner.map(|owner| OwnerReference { controller: Some(true), block_owner_deletion: Some(true), ..owner });
    backup.metadata = ObjectMeta {
        name: Some(name),
        namespace: schedule.namespace(),
        labels: Some(BTreeMap::from([
            (labels::CLUSTER.to_owned(), schedule.spec.cluster.name.clone()),
            (labels::SCHEDULED_BACKUP.to_owned(), schedule.name_any()),
            (labels::IMMEDIATE_BACKUP.to_owned(), immediate.to_string()),
        ])),
        owner_references: owner.map(|owner| vec![owner]),
        ..ObjectMeta::default()
    };
    backup
}

/// Five fields are Unix cron here and something else to CNPG: whoever goes back there has to know.
async fn warn_of_five_fields(client: &Client, told: &Told, schedule: &ScheduledBackup) {
    let text = &schedule.spec.schedule;
    if text.trim().starts_with('@') || text.split_whitespace().count() != 5 {
        return;
    }
    let this = (schedule.uid().unwrap_or_default(), schedule.metadata.generation.unwrap_or_default());
    if !told.lock().await.insert(this) {
        return;
    }
    let minute = text.split_whitespace().nth(1).unwrap_or_default();
    let message = format!(
        "{text:?} has five fields and is read as cron does it, in UTC: minute, hour, day, month, weekday. CNPG takes \
         the first of them for seconds and the second, {minute}, for minutes; \"0 {text}\" means the same to both"
    );
    let news = News { kind: EventKind::Warning, reason: "FiveFieldSchedule", message: &message };
    tell(client, schedule, news).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_named_by_its_slot_labelled_and_owned() {
        let raw: serde_json::Value =
            serde_yaml_ng::from_str(include_str!("../../../docs/examples/scheduledbackup.yaml")).unwrap();
        let mut schedule: ScheduledBackup = serde_json::from_value(raw).unwrap();
        schedule.metadata.uid = Some("u1".to_owned());
        schedule.metadata.namespace = Some("ns".to_owned());
        let cluster: Cluster = serde_yaml_ng::from_str(include_str!("../../../docs/examples/cluster.yaml")).unwrap();
        let slot: Timestamp = "2026-11-28 02:00:00".parse().unwrap();
        let made = backup(&cluster, &schedule, slot, false);
        assert_eq!(made.name_any(), format!("{}-20261128020000", schedule.name_any()));
        assert_eq!(made.labels()[labels::SCHEDULED_BACKUP], schedule.name_any());
        assert_eq!(made.labels()[labels::IMMEDIATE_BACKUP], "false");
        assert_eq!(made.labels()[labels::CLUSTER], cluster.name_any());
        assert_eq!(made.owner_references()[0].kind, "ScheduledBackup");
        schedule.spec.backup_owner_reference = BackupOwner::None;
        assert!(backup(&cluster, &schedule, slot, true).owner_references().is_empty());
    }
}
