//! What is said of an archive that was proven.

use super::bring::Brought;
use core::time::Duration;
use pgherd_core::backup::{Checked, Timestamp};
use pgherd_proto::cluster::Proven;

/// What the checks found, and how long they took.
pub(super) struct Checks {
    pub checksums: Checked,
    pub amcheck: Checked,
    pub query: Checked,
    pub took: Duration,
}

/// For the status of the Cluster.
pub(super) fn proven(brought: &Brought, instant: Timestamp, checks: &Checks, took: Duration) -> Proven {
    let millis = |took: Duration| i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
    let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let begin = brought.choice.span.begin.lsn;
    Proven {
        instant: Some(precise(instant)),
        lsn: Some(brought.reached.to_string()),
        timeline_id: i64::from(brought.timeline.0),
        backup_id: Some(brought.choice.backup.to_string()),
        proven_at: None,
        milliseconds: millis(took),
        fetch_milliseconds: millis(brought.fetching),
        replay_milliseconds: millis(brought.replaying),
        check_milliseconds: millis(checks.took),
        fetched_bytes: bytes(brought.fetched),
        written_bytes: bytes(brought.written),
        replayed_bytes: bytes(brought.reached.0.saturating_sub(begin.0)),
        checksums: Some(word(&checks.checksums, "verified")),
        amcheck: Some(word(&checks.amcheck, "verified")),
        query: Some(word(&checks.query, "true")),
    }
}

/// With fractions: a commit of the same second may not be there.
fn precise(instant: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(instant.micros()).map_or_else(|_| instant.rfc3339(), |time| time.to_string())
}

fn word(checked: &Checked, clean: &str) -> String {
    match checked {
        Checked::Clean(more) if more.is_empty() => clean.to_owned(),
        Checked::Clean(more) => format!("{clean}; {more}"),
        Checked::NotMade(why) | Checked::Wrong(why) => why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_keeps_its_fractions() {
        assert_eq!(precise("2026-11-28 17:33:00.123456+00".parse().unwrap()), "2026-11-28T17:33:00.123456Z");
        assert_eq!(precise("2026-11-28 17:33:00+00".parse().unwrap()), "2026-11-28T17:33:00Z");
    }
}
