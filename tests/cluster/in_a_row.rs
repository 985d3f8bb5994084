//! Switchovers in a row while rows are written, each asked for as soon as the last one is open; then a failover and a
//! switchover while S3 hangs, which stand in nobody's way.

use pgherd_localkube::fault::{FaultRequest, Target};
use pgherd_localkube::s3::S3Fault;

use crate::bed::{Bed, CLUSTER, long};
use crate::cluster::text;
use crate::load::Load;

#[tokio::test(flavor = "multi_thread")]
async fn switchovers_in_a_row_under_load_lose_nothing_and_no_promotion_waits_for_a_store_that_hangs() {
    let bed = Bed::start("inarow", |_| {}).await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;
    bed.archive_now(&primary, 60).await;

    let first = load.promised().last().unwrap().timeline;
    let rounds = if long() { 50 } else { 10 };
    let what = format!("{rounds} switchovers in a row");
    bed.hurt(&load, &what, async || bed.in_a_row(rounds).await).await;
    bed.never_back(&load, first + rounds);
    bed.nothing_lost(&load).await;

    let primary = bed.healthy(120).await;
    bed.promoted_while_s3_hangs(&load, &primary).await;
    bed.never_back(&load, first + rounds + 2);

    bed.fault(FaultRequest::S3 { what: S3Fault::None }).await;
    let primary = bed.healthy(120).await;
    let last = bed.archive_now(&primary, 120).await;
    bed.archiving_works().await;
    bed.archive_is_whole(&last, 120).await;
    bed.settle(load).await;
    bed.down().await;
}

impl Bed {
    /// So many switchovers: to who was a standby the longest, every fifth back to who has just handed over, and is only
    /// beginning to follow.
    async fn in_a_row(&self, rounds: u32) {
        let mut pods = self.standbys().await;
        pods.push(self.primary().await);
        for round in 1..=rounds {
            // The primary is the last, and the one before it handed over to it.
            let target = pods.remove(if round % 5 == 0 { pods.len() - 2 } else { 0 });
            self.say(&format!("switchover {round} to {target}"));
            self.switched_to(&target).await;
            pods.push(target);
        }
    }

    /// Asks for a switchover, and waits until its target is open, whatever else is left to do.
    async fn switched_to(&self, target: &str) {
        self.ask_for(target).await;
        self.until(&format!("{target} to be open"), 60, async || {
            let status = self.cluster().await?.get("status").cloned().unwrap_or_default();
            assert_eq!(text(&status, "/targetPrimary"), target, "given up: {status:#}");
            match self.holder().await? {
                (holder, state) if holder == target && state == "open" => Ok(()),
                (holder, state) => Err(format!("{holder} is {state}")),
            }
        })
        .await;
    }

    /// The primary dies, and whoever is the next one is asked to hand over to the third: all of it without S3.
    async fn promoted_while_s3_hangs(&self, load: &Load, primary: &str) {
        let standbys = self.standbys().await;
        self.archive_now(primary, 60).await;
        self.fault(FaultRequest::S3 { what: S3Fault::Silent }).await;
        self.written(load, 30).await;
        // What is handed to the archive from now on hangs there.
        let stuck = self.ask(primary, "SELECT pg_walfile_name(pg_switch_wal())").await.unwrap();
        self.hurt(load, "kill -9 of the primary's postmaster while S3 hangs", async || {
            self.kill(Target::Postmaster, primary).await;
            self.another_primary(primary, 60).await;
        })
        .await;
        let next = self.primary().await;
        let target = standbys.iter().find(|pod| **pod != next).unwrap();
        self.hurt(load, "a switchover while S3 hangs", async || self.switched_to(target).await).await;
        assert_eq!(self.healthy(120).await, *target, "the old primaries follow it, without S3 too");
        self.nothing_lost(load).await;
        let stored = self.directory.join(format!("s3/phoenix-guardian-backups/db/{CLUSTER}/wals/{}", &stuck[..16]));
        assert!(stored.is_dir() && !stored.join(format!("{stuck}.gz")).exists(), "S3 has not moved all the while");
    }

    /// Rows were acknowledged on one timeline after the other, up to this one: every handover took just one.
    fn never_back(&self, load: &Load, last: u32) {
        let promised = load.promised();
        assert!(promised.is_sorted_by_key(|entry| entry.timeline), "a row of an old timeline after one of a new one");
        assert_eq!(promised.last().unwrap().timeline, last, "one timeline for each handover");
        let timelines = promised.chunk_by(|one, other| one.timeline == other.timeline).count();
        self.say(&format!("rows were acknowledged on {timelines} timelines, the last is {last}"));
    }
}
