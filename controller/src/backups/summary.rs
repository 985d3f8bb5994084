//! What the Cluster's status says of its backups: the last good one, the last failed one, how far back one can go.

use crate::conditions::{Wanted, merge, write_status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use pgherd_proto::backup::{Backup, BackupMethod, BackupStatus, phase};
use pgherd_proto::cluster::{Cluster, condition, reason};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Writes it where it differs. What no Backup tells any more is left as it stands.
pub(super) async fn write(client: &Client, cluster: &Cluster, backups: &[Arc<Backup>]) {
    let before = cluster.status.clone().unwrap_or_default();
    let statuses: Vec<(i64, &BackupStatus)> = backups
        .iter()
        .filter_map(|backup| {
            let created = backup.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second());
            backup.status.as_ref().map(|status| (created, status))
        })
        .collect();
    let mut wanted = Map::new();
    for (name, value) in fields(&statuses) {
        wanted.insert(name.to_owned(), value);
    }
    let stored = serde_json::to_value(&before).unwrap_or_default();
    wanted.retain(|name, value| stored.get(name) != Some(value));
    if let Some(news) = said(&statuses) {
        let conditions = merge(before.conditions.clone(), vec![news], cluster.metadata.generation);
        if conditions != before.conditions {
            wanted.insert("conditions".to_owned(), json!(conditions));
        }
    }
    if !wanted.is_empty() {
        write_status(client, cluster, Value::Object(wanted)).await;
    }
}

fn fields(statuses: &[(i64, &BackupStatus)]) -> BTreeMap<&'static str, Value> {
    let ended = |wanted: &'static str| {
        let done = statuses.iter().filter(move |(_, status)| status.phase.as_deref() == Some(wanted));
        done.filter_map(|(_, status)| status.stopped_at.as_ref().map(|time| time.0))
    };
    let text = |time: jiff::Timestamp| json!(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let by_method = |value: &Value| json!({ method(BackupMethod::BarmanObjectStore): value });
    let mut fields = BTreeMap::new();
    if let Some(last) = ended(phase::COMPLETED).max().map(text) {
        fields.insert("lastSuccessfulBackupByMethod", by_method(&last));
        fields.insert("lastSuccessfulBackup", last);
    }
    if let Some(first) = ended(phase::COMPLETED).min().map(text) {
        fields.insert("firstRecoverabilityPointByMethod", by_method(&first));
        fields.insert("firstRecoverabilityPoint", first);
    }
    if let Some(last) = ended(phase::FAILED).max().map(text) {
        fields.insert("lastFailedBackup", last);
    }
    fields
}

fn method(method: BackupMethod) -> String {
    json!(method).as_str().map(str::to_owned).unwrap_or_default()
}

/// The condition, from the Backup under way, or else the one that ended last.
fn said(statuses: &[(i64, &BackupStatus)]) -> Option<Wanted> {
    let begun = statuses.iter().filter(|(_, status)| status.is_under_way() || status.is_done());
    let seconds = |time: &Option<Time>| time.as_ref().map(|time| time.0.as_second());
    let (_, last) = begun.max_by_key(|(created, status)| {
        (status.is_under_way(), seconds(&status.stopped_at).or(seconds(&status.started_at)), *created)
    })?;
    let kind = condition::LAST_BACKUP_SUCCEEDED;
    Some(match last.phase.as_deref() {
        Some(phase::COMPLETED) => (kind, true, reason::LAST_BACKUP_SUCCEEDED, "Backup was successful".to_owned()),
        Some(phase::FAILED | phase::INVALID) => {
            (kind, false, reason::LAST_BACKUP_FAILED, last.error.clone().unwrap_or_default())
        }
        _ => (kind, false, reason::BACKUP_STARTED, "New Backup starting up".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(phase: &str, started: i64, stopped: Option<i64>) -> BackupStatus {
        let time = |seconds| Time(jiff::Timestamp::from_second(seconds).unwrap());
        BackupStatus {
            phase: Some(phase.to_owned()),
            started_at: Some(time(started)),
            stopped_at: stopped.map(time),
            error: (phase == phase::FAILED).then(|| "no room".to_owned()),
            ..BackupStatus::default()
        }
    }

    #[test]
    fn the_last_backup_decides_the_condition_and_all_of_them_the_window() {
        let all = [
            status(phase::COMPLETED, 100, Some(200)),
            status(phase::FAILED, 300, Some(400)),
            status(phase::COMPLETED, 500, Some(600)),
        ];
        let of = |many: &[BackupStatus]| {
            let statuses: Vec<_> = many.iter().map(|status| (0, status)).collect();
            (said(&statuses).map(|(_, truth, reason, message)| (truth, reason, message)), fields(&statuses))
        };
        let (news, window) = of(&all);
        assert_eq!(news.unwrap().1, reason::LAST_BACKUP_SUCCEEDED);
        assert_eq!(window["lastSuccessfulBackup"], "1970-01-01T00:10:00Z");
        assert_eq!(window["firstRecoverabilityPoint"], "1970-01-01T00:03:20Z");
        assert_eq!(window["firstRecoverabilityPointByMethod"]["barmanObjectStore"], "1970-01-01T00:03:20Z");
        assert_eq!(window["lastFailedBackup"], "1970-01-01T00:06:40Z");
        assert_eq!(of(&all[..2]).0.unwrap(), (false, reason::LAST_BACKUP_FAILED, "no room".to_owned()));
        let busy = [status(phase::RUNNING, 100, None), all[2].clone()];
        assert_eq!(of(&busy).0.unwrap().1, reason::BACKUP_STARTED);
        assert_eq!(of(&[status(phase::PENDING, 1, None)]), (None, BTreeMap::new()));
    }
}
