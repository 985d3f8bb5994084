//! What the Cluster keeps of a drill: its status, a condition and an Event, over the version that was looked at.

use crate::conditions::{Wanted, merge, write_status};
use crate::news::tell;
use jiff::Timestamp;
use kube::{Client, ResourceExt};
use pgherd_core::plan::EventKind;
use pgherd_proto::cluster::{Cluster, Drill, DrillReport, Proven, condition, drill_phase, reason};
use pgherd_proto::event::News;
use serde_json::json;

/// Now, as it stands in a status.
pub(super) fn stamp() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// How one ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ended {
    /// `status.recoverability.drill`.
    pub drill: Drill,
    /// What was proven.
    pub proven: Option<Proven>,
    /// For the condition and the Event.
    pub message: String,
}

/// A drill's end by its pod's last words, or by `how` it ended where there are none.
pub(super) fn concluded(drill: Drill, said: Option<&str>, how: &str, now: &str) -> Ended {
    let report = said.and_then(|text| serde_json::from_str::<DrillReport>(text.trim()).ok()).unwrap_or_default();
    match report {
        DrillReport { proven: Some(proven), error: None } => succeeded(drill, proven, now),
        DrillReport { error: Some(error), .. } => failed(drill, &error, now),
        DrillReport { .. } => failed(drill, how, now),
    }
}

fn succeeded(drill: Drill, proven: Proven, now: &str) -> Ended {
    let proven = Proven { proven_at: Some(now.to_owned()), ..proven };
    let text = |field: &Option<String>| field.clone().unwrap_or_else(|| "unknown".to_owned());
    let seconds = |milliseconds: i64| format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100);
    let message = format!(
        "backup {} and its WAL were restored up to {} ({}) in {}: fetched in {}, replayed in {}, checked in {}; \
         checksums {}, amcheck {}, query {}",
        text(&proven.backup_id),
        text(&proven.instant),
        text(&proven.lsn),
        seconds(proven.milliseconds),
        seconds(proven.fetch_milliseconds),
        seconds(proven.replay_milliseconds),
        seconds(proven.check_milliseconds),
        text(&proven.checksums),
        text(&proven.amcheck),
        text(&proven.query),
    );
    let phase = Some(drill_phase::PROVEN.to_owned());
    Ended { drill: Drill { phase, stopped_at: Some(now.to_owned()), ..drill }, proven: Some(proven), message }
}

/// One that proved nothing.
pub(super) fn failed(drill: Drill, why: &str, now: &str) -> Ended {
    let drill = Drill {
        phase: Some(drill_phase::FAILED.to_owned()),
        stopped_at: Some(now.to_owned()),
        last_failed_at: Some(now.to_owned()),
        error: Some(why.to_owned()),
        ..drill
    };
    Ended { drill, proven: None, message: why.to_owned() }
}

/// Writes it; false where somebody else wrote first, who wakes us again.
pub(super) async fn write(client: &Client, cluster: &Cluster, drill: &Drill) -> bool {
    write_status(client, cluster, json!({ "recoverability": { "drill": drill } })).await
}

/// Writes how it ended, and tells it.
pub(super) async fn conclude(client: &Client, cluster: &Cluster, ended: &Ended) {
    let (good, reason) =
        if ended.proven.is_some() { (true, reason::DRILL_SUCCEEDED) } else { (false, reason::DRILL_FAILED) };
    let wanted: Wanted = (condition::BACKUP_PROVEN, good, reason, ended.message.clone());
    let before = cluster.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
    let conditions = merge(before, vec![wanted], cluster.metadata.generation);
    let mut recoverability = json!({ "drill": ended.drill });
    if let (Some(fields), Some(proven)) = (recoverability.as_object_mut(), &ended.proven) {
        fields.insert("lastProven".to_owned(), json!(proven));
    }
    if !write_status(client, cluster, json!({ "recoverability": recoverability, "conditions": conditions })).await {
        return;
    }
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    if good {
        tracing::info!(cluster = %name, %namespace, message = %ended.message, "the archive is proven restorable");
    } else {
        tracing::error!(cluster = %name, %namespace, why = %ended.message, "the archive is not proven restorable");
    }
    let kind = if good { EventKind::Normal } else { EventKind::Warning };
    let title = if good { "BackupProven" } else { "BackupNotProven" };
    let news = News { kind, reason: title, message: &ended.message };
    tell(client, cluster, news).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-28T03:00:00Z";

    #[test]
    fn the_last_words_of_the_pod_are_the_result() {
        let said = r#"{"proven":{"instant":"2026-11-28T02:59:00Z","backupID":"20261128T020000","milliseconds":61234}}"#;
        let ended = concluded(Drill::default(), Some(said), "exit code 0", NOW);
        assert_eq!(ended.drill.phase.as_deref(), Some("proven"));
        assert_eq!(ended.proven.and_then(|proven| proven.proven_at).as_deref(), Some(NOW));
        assert!(ended.message.contains("up to 2026-11-28T02:59:00Z"), "{}", ended.message);
        assert!(ended.message.contains("in 61.2 s"), "{}", ended.message);
        let ended = concluded(Drill::default(), Some(r#"{"error":"data.tar.gz is damaged"}"#), "exit code 1", NOW);
        assert_eq!((ended.drill.error.as_deref(), ended.proven), (Some("data.tar.gz is damaged"), None));
        assert_eq!(ended.drill.last_failed_at.as_deref(), Some(NOW));
        for nothing in [None, Some(""), Some("panicked"), Some("{}")] {
            let ended = concluded(Drill::default(), nothing, "its container ended with 137", NOW);
            assert_eq!(ended.drill.error.as_deref(), Some("its container ended with 137"), "{nothing:?}");
        }
    }
}
