//! The primary is cut off or frozen: it must stop writing before another begins, and follow it afterwards, whatever it
//! wrote alone. Replication is asynchronous, so rows that only the old primary had may be lost; they are counted.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use pgherd_localkube::fault::{FaultRequest, Target};

use crate::bed::{Bed, NAMESPACE};
use crate::load::Load;

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_cut_off_or_frozen_stops_in_time_and_follows_the_next() {
    let bed = Bed::start("apart", |_| {}).await;
    let old = bed.healthy(120).await;
    let load = bed.load().await;

    cut_off(&bed, &load, &old).await;
    // Its clients still reached it until its fence: it has rows that nobody else has.
    let directory = bed.identity_of(&old);
    bed.fault(FaultRequest::Heal).await;
    let primary = bed.healthy(120).await;
    assert_eq!(bed.identity_of(&old), directory, "the old primary was to be rewound, not cloned");
    bed.lost_only_apart(&load).await;

    cut_off(&bed, &load, &primary).await;
    let directory = bed.identity_of(&primary);
    bed.forget_wal(&primary);
    bed.fault(FaultRequest::Heal).await;
    let next = bed.healthy(120).await;
    assert_ne!(bed.identity_of(&primary), directory, "without its WAL it can only be cloned");
    bed.lost_only_apart(&load).await;

    let mut primary = next;
    for target in [Target::Pod, Target::Manager, Target::Postmaster] {
        bed.hurt(&load, &format!("frozen at the primary: {target:?}"), async || {
            bed.fault(FaultRequest::Freeze { target, pod: format!("{NAMESPACE}/{primary}") }).await;
            bed.another_primary(&primary, 90).await;
        })
        .await;
        bed.fault(FaultRequest::Heal).await;
        primary = bed.healthy(120).await;
        bed.lost_only_apart(&load).await;
    }
    load.stop().await;
    bed.down().await;
}

/// From the API and from the standbys, not from clients, until another is the primary.
pub async fn cut_off(bed: &Bed, load: &Load, primary: &str) {
    let standbys = bed.standbys().await;
    bed.hurt(load, "the primary cut off from the API and its standbys", async || {
        let pod = format!("{NAMESPACE}/{primary}");
        for standby in standbys {
            let from = format!("{NAMESPACE}/{standby}");
            bed.fault(FaultRequest::Partition { pod: pod.clone(), from }).await;
        }
        bed.fault(FaultRequest::Partition { pod, from: "api".to_owned() }).await;
        bed.another_primary(primary, 90).await;
    })
    .await;
}

impl Bed {
    /// The data directory of an instance, on the host.
    pub fn data_of(&self, pod: &str) -> PathBuf {
        find(&self.directory.join("node"), pod, 0).expect("a volume of that name")
    }

    /// What a clone changes and a rewind does not: the directory itself.
    pub fn identity_of(&self, pod: &str) -> u64 {
        std::fs::metadata(self.data_of(pod)).unwrap().ino()
    }

    /// As if its WAL had been recycled long ago.
    fn forget_wal(&self, pod: &str) {
        let wal = self.data_of(pod).join("pg_wal");
        let mut removed = 0;
        for entry in std::fs::read_dir(&wal).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.len() == 24 && name.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                std::fs::remove_file(entry.path()).unwrap();
                removed += 1;
            }
        }
        self.say(&format!("{removed} segments of {pod} are gone"));
    }

    /// No row is there twice, no primary acknowledged after the next had begun, and rows are missing only where one
    /// was cut off: of the last rows of a timeline.
    pub async fn lost_only_apart(&self, load: &Load) {
        let verdict = self.verdict(load).await;
        assert!(verdict.twice.is_empty(), "{verdict:?}");
        let promised = load.promised();
        let mut before = promised[0];
        let mut gone = false;
        for entry in &promised {
            assert!(entry.timeline >= before.timeline, "two wrote at once: {before:?} then {entry:?}");
            let lost = verdict.lost.contains(&entry.row);
            let same = entry.timeline == before.timeline;
            assert!(lost || !gone || !same, "row {} is there, and one before it is lost", entry.row);
            gone = lost;
            before = *entry;
        }
        self.say(&format!("{} acknowledged, {} lost by being cut off", verdict.acknowledged, verdict.lost.len()));
    }
}

/// The `pgdata` below the claim's directory, whose name has the claim's name in it.
fn find(directory: &Path, claim: &str, depth: u32) -> Option<PathBuf> {
    let entries: Vec<_> = std::fs::read_dir(directory).ok()?.flatten().collect();
    entries.into_iter().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).find_map(|entry| {
        let path = entry.path();
        let data = path.join("pgdata");
        if data.is_dir() && path.to_string_lossy().contains(claim) {
            return Some(data);
        }
        if depth < 3 { find(&path, claim, depth + 1) } else { None }
    })
}
