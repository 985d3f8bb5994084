//! S3 goes away while rows are written and a primary dies: nothing is missing in the archive afterwards.

use std::collections::BTreeSet;

use pgherd_localkube::fault::{FaultRequest, Target};
use pgherd_localkube::s3::S3Fault;

use crate::bed::Bed;

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_was_away_lacks_nothing_when_it_is_back() {
    let bed = Bed::start("outage", |_| {}).await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;
    bed.archive_now(&primary, 60).await;

    bed.hurt(&load, "S3 off", async || {
        bed.fault(FaultRequest::S3 { what: S3Fault::Off }).await;
        bed.switches(&load, &primary).await;
    })
    .await;
    bed.hurt(&load, "kill -9 of the primary's postmaster without S3", async || {
        bed.kill(Target::Postmaster, &primary).await;
        bed.another_primary(&primary, 90).await;
    })
    .await;
    // The old primary has WAL that no store has: it is put aside, and does not keep the instance from coming back.
    let next = bed.healthy(120).await;
    bed.hurt(&load, "S3 answers 503", async || {
        bed.fault(FaultRequest::S3 { what: S3Fault::Status(503) }).await;
        bed.switches(&load, &next).await;
    })
    .await;
    bed.fault(FaultRequest::S3 { what: S3Fault::None }).await;
    let next = bed.healthy(120).await;
    let last = bed.archive_now(&next, 120).await;

    bed.archive_is_whole(&last, 120).await;
    bed.settle(load).await;
    bed.down().await;
}

impl Bed {
    /// Waits until everything up to this segment is there, however often the primary has moved.
    pub async fn archive_is_whole(&self, last: &str, within: u64) {
        let whole = self.until("an archive without a hole", within, async || {
            let names = self.archived().await;
            holes(&names, last).map(|()| names.len())
        });
        self.say(&format!("{} files in the archive, without a hole", whole.await));
    }

    /// Four segments' worth of switches, with rows in each.
    pub async fn switches(&self, load: &crate::load::Load, primary: &str) {
        for _ in 0..4 {
            self.written(load, 30).await;
            self.ask(primary, "SELECT pg_switch_wal()").await.unwrap();
        }
    }
}

/// Every segment number from the first to that of `last` is there, and a history of every timeline after the first.
fn holes(names: &[String], last: &str) -> Result<(), String> {
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let segment = |name: &str| number(&name[8..16]) * 256 + number(&name[16..24]);
    let whole = |name: &&String| name.len() == 24 && name.bytes().all(|digit| digit.is_ascii_hexdigit());
    let there: BTreeSet<u64> = names.iter().filter(whole).map(|name| segment(name)).collect();
    let first = there.first().copied().ok_or("no segment")?;
    let missing: Vec<u64> = (first..=segment(last)).filter(|number| !there.contains(number)).collect();
    let histories = 2..=number(&last[..8]);
    let untold: Vec<u64> = histories.filter(|timeline| !names.contains(&format!("{timeline:08X}.history"))).collect();
    if first == 1 && missing.is_empty() && untold.is_empty() {
        Ok(())
    } else {
        Err(format!("first {first}, missing {missing:?}, timelines without history {untold:?}"))
    }
}
