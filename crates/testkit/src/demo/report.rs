//! The demo's report: `target/demo/report.json`, and the same for people.

use serde::{Deserialize, Serialize};

/// The machine that the numbers are from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Cores.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Kernel and architecture.
    pub system: String,
    /// `debug` or `release`: the build that ran.
    pub build: String,
}

/// What was seen at the old primary after it came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejoined {
    /// The database system is the same one.
    pub same_system: bool,
    /// It follows the new timeline.
    pub on_new_timeline: bool,
    /// The new primary streams to it.
    pub streaming: bool,
    /// A row that was written after the failover is read there.
    pub reads_new_row: bool,
}

impl Rejoined {
    /// All of it.
    #[must_use]
    pub fn complete(self) -> bool {
        let Self { same_system, on_new_timeline, streaming, reads_new_row } = self;
        same_system && on_new_timeline && streaming && reads_new_row
    }
}

/// Everything that was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The commit that ran, with `-dirty` where the tree was changed.
    pub commit: String,
    /// RFC 3339.
    pub started_at: String,
    /// The server's own version.
    pub postgres: String,
    /// The machine.
    pub host: Host,
    /// Instances ready before the fault.
    pub instances_ready: u64,
    /// Standbys streaming before the fault.
    pub streaming_replicas: u64,
    /// WAL segments found in S3 at the end.
    pub wal_segments_archived: u64,
    /// Rows that were acknowledged.
    pub acknowledged: u64,
    /// Acknowledged rows that were not found again.
    pub lost: u64,
    /// Rows that were found more than once.
    pub twice: u64,
    /// From the last acknowledged row before to the first one after the kill.
    pub failover_seconds: f64,
    /// The pod whose postmaster was killed.
    pub old_primary: String,
    /// The pod that took over.
    pub new_primary: String,
    /// The old primary follows again.
    pub old_primary_rejoined: bool,
    /// In detail.
    pub rejoined: Rejoined,
    /// From the kill to the last of those.
    pub rejoin_seconds: f64,
    /// The timeline at the end.
    pub timeline: u32,
    /// A table that was dropped came back exactly as it was at [`Report::pitr_target`].
    pub pitr_exact: bool,
    /// The moment that was recovered to, a second before the drop, by the server's clock.
    pub pitr_target: String,
    /// Rows that came back.
    pub pitr_rows: u64,
    /// From asking for a base backup to its end, the archiving of its WAL included.
    pub backup_seconds: f64,
    /// From asking for the second cluster to its rows in a client's hands.
    pub restore_seconds: f64,
    /// From the start of the program; the build is not in it.
    pub duration_seconds: f64,
    /// Why the demo could not be finished, if it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One promise, and whether it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// What was promised.
    pub text: String,
    /// Whether it was kept.
    pub kept: bool,
}

impl Report {
    /// The promises, in the order in which they are shown. A failover's time is measured, not promised here:
    /// machines differ.
    #[must_use]
    pub fn promises(&self) -> Vec<Promise> {
        let promise = |kept: bool, text: String| Promise { text, kept };
        let Self { instances_ready, streaming_replicas, wal_segments_archived, acknowledged, lost, twice, .. } = self;
        vec![
            promise(self.error.is_none(), self.error.clone().unwrap_or_else(|| "ran to its end".to_owned())),
            promise(*instances_ready == 3, format!("{instances_ready} of 3 instances ready")),
            promise(*streaming_replicas == 2, format!("{streaming_replicas} of 2 standbys streaming")),
            promise(*wal_segments_archived > 0, format!("{wal_segments_archived} WAL segments archived in S3")),
            promise(
                *acknowledged > 0 && *lost == 0 && *twice == 0,
                format!("{acknowledged} rows acknowledged, {lost} lost, {twice} there twice"),
            ),
            promise(
                self.failover_seconds > 0.0 && self.old_primary != self.new_primary,
                format!("writes went on at {} after {:.3} s", self.new_primary, self.failover_seconds),
            ),
            promise(self.timeline >= 2, format!("on timeline {}", self.timeline)),
            promise(
                self.old_primary_rejoined && self.rejoined.complete(),
                format!("{} follows again after {:.1} s", self.old_primary, self.rejoin_seconds),
            ),
            promise(
                self.pitr_exact && self.pitr_rows > 0,
                format!(
                    "{} rows of a lost table back as they were the second before, from a backup of {:.1} s, in {:.1} s",
                    self.pitr_rows, self.backup_seconds, self.restore_seconds
                ),
            ),
        ]
    }

    /// The summary for people.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut lines =
            vec![format!("postgres {} on {} cores, commit {}", self.postgres, self.host.cores, self.commit)];
        for Promise { text, kept } in self.promises() {
            lines.push(format!("  {}  {text}", if kept { "ok    " } else { "BROKEN" }));
        }
        lines.push(format!("took {:.0} s", self.duration_seconds));
        lines.join("\n")
    }

    /// Whether every promise was kept.
    #[must_use]
    pub fn kept(&self) -> bool {
        self.promises().iter().all(|promise| promise.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Report {
        let rejoined = Rejoined { same_system: true, on_new_timeline: true, streaming: true, reads_new_row: true };
        Report {
            instances_ready: 3,
            streaming_replicas: 2,
            wal_segments_archived: 4,
            acknowledged: 1000,
            failover_seconds: 0.8,
            old_primary: "c-1".into(),
            new_primary: "c-2".into(),
            old_primary_rejoined: true,
            rejoined,
            timeline: 2,
            pitr_exact: true,
            pitr_rows: 100,
            ..Report::default()
        }
    }

    #[test]
    fn a_report_without_a_broken_promise_is_kept() {
        assert!(good().kept(), "{}", good().summary());
    }

    #[test]
    fn each_broken_promise_breaks_the_whole() {
        let broken: [fn(&mut Report); 11] = [
            |r| r.instances_ready = 2,
            |r| r.streaming_replicas = 1,
            |r| r.wal_segments_archived = 0,
            |r| r.lost = 1,
            |r| r.twice = 1,
            |r| r.acknowledged = 0,
            |r| r.timeline = 1,
            |r| r.rejoined.reads_new_row = false,
            |r| r.pitr_exact = false,
            |r| r.pitr_rows = 0,
            |r| r.error = Some("failed".into()),
        ];
        for (index, change) in broken.iter().enumerate() {
            let mut report = good();
            change(&mut report);
            assert!(!report.kept(), "case {index}");
        }
    }

    #[test]
    fn the_report_has_the_names_that_others_read() {
        let json = serde_json::to_value(good()).unwrap();
        for name in [
            "commit",
            "started_at",
            "postgres",
            "host",
            "instances_ready",
            "streaming_replicas",
            "wal_segments_archived",
            "acknowledged",
            "lost",
            "failover_seconds",
            "old_primary_rejoined",
            "timeline",
            "pitr_exact",
            "backup_seconds",
            "restore_seconds",
            "duration_seconds",
        ] {
            assert!(json.get(name).is_some(), "{name}");
        }
    }
}
