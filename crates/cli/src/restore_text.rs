//! What `pgherd restore` says before anything is stopped: what is lost, by what is known.

use pgherd_core::backup::{RecoveryTarget, Target, Timestamp};
use pgherd_proto::cluster::{Cluster, RestorePreview};

/// By the primary's look at the archive.
pub fn losses(cluster: &Cluster, target: &RecoveryTarget, preview: &RestorePreview, now: Timestamp) -> String {
    let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    let number = |number: Option<i64>| number.map_or_else(|| "unknown".to_owned(), |number| number.to_string());
    let bytes = match preview.gives_up_bytes {
        Some(bytes) => format!("at most {bytes} bytes of WAL"),
        None => "all WAL since the timelines parted".to_owned(),
    };
    format!(
        "{}\
         \x20 begins with      backup {}, along timeline {}\n\
         \x20 written now      up to {} on timeline {}\n\
         \x20 recoverable      from {} to {} (LSN {})\n\
         \x20 given up         {}{bytes}\n{}",
        heading(cluster, target),
        said(&preview.backup),
        number(preview.along),
        said(&preview.written_lsn),
        number(preview.timeline),
        said(&preview.first_recoverable),
        said(&preview.last_recoverable),
        said(&preview.last_recoverable_lsn),
        span(target, now),
        consequences(cluster)
    )
}

/// By the status alone, since no primary answers; refused where that shows that it cannot be.
pub fn coarse(cluster: &Cluster, target: &RecoveryTarget, now: Timestamp) -> Result<String, String> {
    let known = cluster.status.as_ref().and_then(|status| status.recoverability.as_ref());
    let read = |text: Option<&String>| text.and_then(|text| text.parse::<Timestamp>().ok());
    let first = known.as_ref().and_then(|known| read(known.first_recoverable.as_ref()));
    if let Target::Time(at) = &target.target {
        if *at > now {
            return Err(format!("{} is in the future: it is {} now", target.target, now.utc()));
        }
        if let Some(first) = first.filter(|first| at < first) {
            return Err(format!("{} is before what can be recovered, which begins at {}", target.target, first.utc()));
        }
    }
    let window = match &known {
        Some(known) => format!(
            "from {} to {}, as of {}",
            known.first_recoverable.as_deref().unwrap_or("unknown"),
            known.last_recoverable.as_deref().unwrap_or("unknown"),
            known.checked_at.as_deref().unwrap_or("unknown")
        ),
        None => "unknown".to_owned(),
    };
    Ok(format!(
        "{}\
         \x20 No primary answers: the archive could not be looked at. A target that it does not have is refused once the\n\
         \x20 cluster has stopped; --undo goes back then.\n\
         \x20 recoverable      {window}\n\
         \x20 given up         {}everything after the target\n{}",
        heading(cluster, target),
        span(target, now),
        consequences(cluster)
    ))
}

/// Of an undo.
pub fn undoing(cluster: &Cluster) -> String {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    format!(
        "{name} goes back to the volumes of before its last restore.\n\
         \x20 What was written since is put aside in its place, on volumes that are kept.\n\
         \x20 It is down from now on until one of the old instances is elected.\n"
    )
}

fn heading(cluster: &Cluster, target: &RecoveryTarget) -> String {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let before = if target.exclusive { "just before " } else { "" };
    format!("{name} is to be as it was at {before}{}.\n", target.target)
}

/// How long ago a time was.
fn span(target: &RecoveryTarget, now: Timestamp) -> String {
    let Target::Time(at) = &target.target else { return String::new() };
    let seconds = now.seconds().saturating_sub(at.seconds()).max(0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("what was committed in the last {hours}:{minutes:02}:{seconds:02}, ")
}

fn consequences(cluster: &Cluster) -> String {
    let primary = cluster.status.as_ref().and_then(|status| status.current_primary.as_deref()).unwrap_or("none");
    format!(
        "  It is down from now on (primary {primary}) until one instance is restored. The old volumes are put aside, and\n\
         \x20 kept until they are dropped; --undo goes back to them. Make sure that there is room for as much again.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cluster() -> Cluster {
        let status = json!({"currentPrimary": "c-1", "recoverability": {"checkedAt": "2026-11-23T10:00:00Z",
            "firstRecoverable": "2026-11-20T00:00:00Z", "lastRecoverable": "2026-11-23T09:59:00Z"}});
        serde_json::from_value(json!({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
            "metadata": {"name": "c"}, "spec": {}, "status": status}))
        .unwrap()
    }

    fn time(text: &str) -> RecoveryTarget {
        RecoveryTarget { target: Target::Time(text.parse().unwrap()), ..RecoveryTarget::default() }
    }

    #[test]
    fn what_is_lost_is_said_in_time_bytes_and_timelines() {
        let preview = RestorePreview {
            backup: Some("20261123T020000".into()),
            along: Some(2),
            timeline: Some(2),
            written_lsn: Some("0/9000000".into()),
            last_recoverable_lsn: Some("0/8000000".into()),
            first_recoverable: Some("2026-11-20T00:00:00Z".into()),
            last_recoverable: Some("2026-11-23T10:16:00Z".into()),
            gives_up_bytes: Some(16_777_216),
            ..RestorePreview::default()
        };
        let now = "2026-11-23 11:16:01Z".parse().unwrap();
        assert_eq!(
            losses(&cluster(), &time("2026-11-23 10:15:00Z"), &preview, now),
            "c is to be as it was at 2026-11-23 10:15:00+00:00.\n\
             \x20 begins with      backup 20261123T020000, along timeline 2\n\
             \x20 written now      up to 0/9000000 on timeline 2\n\
             \x20 recoverable      from 2026-11-20T00:00:00Z to 2026-11-23T10:16:00Z (LSN 0/8000000)\n\
             \x20 given up         what was committed in the last 1:01:01, at most 16777216 bytes of WAL\n\
             \x20 It is down from now on (primary c-1) until one instance is restored. The old volumes are put aside, and\n\
             \x20 kept until they are dropped; --undo goes back to them. Make sure that there is room for as much again.\n"
        );
    }

    #[test]
    fn without_a_primary_only_what_the_status_rules_out_is_refused() {
        let now = "2026-11-23 11:16:01Z".parse().unwrap();
        let coarse = |text: &str| coarse(&cluster(), &time(text), now);
        assert!(coarse("2026-11-23 10:15:00Z").unwrap().contains("No primary answers"));
        assert!(coarse("2026-11-24 10:15:00Z").unwrap_err().contains("in the future"));
        assert!(coarse("2026-11-19 10:15:00Z").unwrap_err().contains("before what can be recovered"));
    }
}
