//! A timeline id is given up in a whole cluster: whoever has reserved it dies before its end-of-recovery record. The next
//! primary leaves the id out, the others follow it past the gap, and so does a restore from the archive.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, Patch, PatchParams};
use pgherd_localkube::fault::{Cut, FaultRequest, Target, Way};
use pgherd_testkit::checker::{judge, read_table};
use pgherd_testkit::recovery::BaseCopy;
use serde_json::json;
use tokio_postgres::Config;

use crate::bed::{Bed, CLUSTER, NAMESPACE};

const ROW: &str = "SELECT pg_walfile_name(pg_current_wal_lsn())";

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_that_was_reserved_and_given_up_stands_in_nobodys_way() {
    let bed = Bed::hurried("burnt", |_| {}).await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;
    let copy = BaseCopy::take(&bed, &primary, &bed.directory.join("copy")).await.unwrap();
    bed.archive_now(&primary, 60).await;
    let before = bed.written_timeline(&primary).await;
    let winner = bed.standby().await;

    bed.hurt(&load, "the next primary dies before it has ended its recovery", async || {
        bed.reserves_and_dies(&winner).await;
        bed.until("another timeline than the one that was given up", 90, async || {
            let now = bed.primary().await;
            let at = timeline(&bed.ask(&now, ROW).await?);
            if at > before + 1 { Ok(()) } else { Err(format!("{now} writes timeline {at}")) }
        })
        .await;
    })
    .await;
    let next = bed.healthy(180).await;
    let after = bed.written_timeline(&next).await;
    bed.say(&format!("timeline {before} was left for {after}; {} was given up", before + 1));
    bed.nothing_lost(&load).await;
    for standby in bed.standbys().await {
        let received = "SELECT received_tli FROM pg_stat_wal_receiver";
        assert_eq!(bed.ask(&standby, received).await.as_deref(), Ok(after.to_string().as_str()), "{standby}");
    }

    // Nothing was ever written on it: a history stands in for it, here and in the archive.
    let history = format!("{:08X}.history", before + 1);
    let here = std::fs::read_to_string(bed.data_of(&next).join("pg_wal").join(&history)).unwrap();
    assert!(here.starts_with("# pgherd: reserved for a promotion that did not take place"), "{here}");
    let last = bed.archive_now(&next, 60).await;
    let archived = bed
        .until(&format!("{history} in the archive"), 60, async || {
            bed.archived_history(before + 1).await.map_err(|error| format!("{error:#}"))
        })
        .await;
    assert_eq!(archived, here);
    let segments = bed.archived_segments().await.unwrap();
    assert_eq!(timeline(&last), after);
    assert!(segments.iter().all(|segment| timeline(segment) != before + 1), "{segments:?}");

    let promised = load.promised();
    bed.archive_now(&next, 60).await;
    let recovered = copy.recover(&bed, &"latest").await.unwrap();
    let application = bed.application(&bed.place.service()).await.unwrap();
    let restored: Config = recovered.dsn(application.get_dbname().unwrap()).parse().unwrap();
    let verdict = judge(&promised, &read_table(&restored).await.unwrap());
    recovered.stop().await;
    assert!(verdict.holds(), "{verdict:?}");
    bed.say(&format!("a restore to the latest timeline has all {} rows", verdict.acknowledged));
    bed.settle(load).await;
    bed.down().await;
}

impl Bed {
    /// Its startup process stands still, so that it takes the lease and a timeline id, and gets no further.
    async fn reserves_and_dies(&self, winner: &str) {
        self.has_all(winner).await;
        self.fault(FaultRequest::Freeze { target: Target::Startup, pod: self.full(winner) }).await;
        let patch = Patch::Merge(json!({ "status": { "targetPrimary": winner } }));
        self.clusters().patch_status(CLUSTER, &PatchParams::default(), &patch).await.unwrap();
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), NAMESPACE);
        let reserved = self
            .until(&format!("{winner} to reserve a timeline"), 60, async || {
                let lease = leases.get(CLUSTER).await.map_err(|error| error.to_string())?;
                let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
                let notes = lease.metadata.annotations.unwrap_or_default();
                let note = |name: &str| notes.get(name).cloned().unwrap_or_default();
                let state = note("pgherd.io/state");
                if holder == winner && state == "promoting" {
                    Ok(note("pgherd.io/timeline"))
                } else {
                    Err(format!("{holder} is {state}"))
                }
            })
            .await;
        self.until("the promotion to be asked for", 30, async || {
            let said = self.ask(winner, "SELECT pg_is_in_recovery()").await?;
            let signal = self.data_of(winner).join("promote").exists();
            if signal && said == "t" { Ok(()) } else { Err(format!("in recovery: {said}, asked: {signal}")) }
        })
        .await;
        self.say(&format!("{winner} has reserved timeline {reserved}, and dies"));
        self.kill(Target::Pod, winner).await;
        self.fault(FaultRequest::Heal).await;
    }

    /// No client writes any more, and `standby` has received what there is: what it lacked in the end it would have to
    /// fetch from the primary, by the process that stands still.
    async fn has_all(&self, standby: &str) {
        let primary = self.primary().await;
        let cut = Cut {
            pods: vec![self.full(&primary)],
            from: vec!["clients".to_owned()],
            way: Way::Both,
            flap: None,
            percent: None,
        };
        self.fault(FaultRequest::Cut(cut)).await;
        self.until(&format!("{standby} to have all"), 30, async || {
            let end = self.ask(&primary, "SELECT pg_current_wal_flush_lsn()").await?;
            let has = self.ask(standby, &format!("SELECT pg_last_wal_receive_lsn() >= '{end}'")).await?;
            let again = self.ask(&primary, "SELECT pg_current_wal_flush_lsn()").await?;
            if has == "t" && again == end { Ok(()) } else { Err(format!("it ends at {again}")) }
        })
        .await;
    }

    async fn written_timeline(&self, primary: &str) -> u32 {
        timeline(&self.until(&format!("{primary} answering"), 30, async || self.ask(primary, ROW).await).await)
    }
}

/// Of a segment's name.
fn timeline(segment: &str) -> u32 {
    u32::from_str_radix(&segment[..8], 16).unwrap()
}
