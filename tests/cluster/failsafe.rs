//! Rule L7: who writes on while the API is away, and who stops. Where replication is asynchronous, as in the example, every
//! member that may take the lease has to promise not to; where commits need one of two, one of two promises is enough.

use std::time::Duration;

use pgherd_localkube::fault::{ApiFault, Cut, FaultRequest, Flap, Target, Way};
use pgherd_testkit::journal::{Entry, boottime, longest_gap};
use serde_json::json;

use crate::bed::{Bed, long};
use crate::load::Load;

/// `leaseDuration`: a holder that has stopped by then has stopped in time.
const LEASE: Duration = Duration::from_secs(8);
/// Two and a half of them.
const OUTAGE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_writes_on_without_the_api_while_all_takers_promise_and_stops_in_time_once_one_is_silent() {
    let bed = Bed::start("failsafe", |_| {}).await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;
    let standby = bed.standby().await;
    let run = bed.started(&primary).await;

    let since = boottime();
    bed.fault(FaultRequest::Api { what: ApiFault::Off }).await;
    bed.writes_on(&load, since, OUTAGE).await;
    assert_eq!(bed.started(&primary).await, run, "the same postgres has written all the time");

    bed.fault(FaultRequest::Freeze { target: Target::Pod, pod: bed.full(&standby) }).await;
    let frozen = boottime();
    let last = bed.nobody_writes(&load).await;
    let after = Duration::from_nanos(last.at.saturating_sub(frozen));
    bed.say(&format!("the last row came {:.3} s after a taker fell silent", after.as_secs_f64()));
    assert!(after < LEASE, "{last:?} was acknowledged {after:?} after the last promise can have been given");
    bed.fault(FaultRequest::Heal).await;
    bed.written(&load, 90).await;
    let primary = bed.healthy(120).await;
    bed.lost_only_apart(&load).await;

    for partition in partitions() {
        bed.apart(&load, &primary, &partition).await;
    }
    bed.one_behind(&load).await;
    load.stop().await;
    bed.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_commits_need_one_of_two_a_primary_writes_on_without_the_api_while_one_of_two_promises() {
    let bed = Bed::start("quorum", |cluster| {
        cluster["spec"]["postgresql"]["synchronous"] = json!({"method": "any", "number": 1});
    })
    .await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;
    let [silent, other] = <[String; 2]>::try_from(bed.standbys().await).unwrap();
    let run = bed.started(&primary).await;

    bed.fault(FaultRequest::Api { what: ApiFault::Off }).await;
    let since = boottime();
    bed.fault(FaultRequest::Freeze { target: Target::Pod, pod: bed.full(&silent) }).await;
    bed.writes_on(&load, since, OUTAGE).await;
    assert_eq!(bed.started(&primary).await, run, "the same postgres has written all the time");

    bed.fault(FaultRequest::Freeze { target: Target::Pod, pod: bed.full(&other) }).await;
    bed.nobody_writes(&load).await;
    bed.until("the primary stopped", 30, async || {
        let asked = bed.ask(&primary, "SELECT 1").await;
        if asked.is_err() { Ok(()) } else { Err(format!("{asked:?}")) }
    })
    .await;
    bed.fault(FaultRequest::Heal).await;
    bed.written(&load, 90).await;
    bed.healthy(120).await;
    bed.settle(load).await;
    bed.down().await;
}

/// A link that is cut, and what becomes of the primary.
struct Partition {
    what: &'static str,
    from: &'static [&'static str],
    way: Way,
    flap: Option<Flap>,
    /// It writes on all the while, or another takes over; nothing is said of one that comes and goes.
    goes_on: Option<bool>,
}

const TO_ALL: &[&str] = &["all", "api"];

/// One that the primary outlives; all of them in a long run.
fn partitions() -> Vec<Partition> {
    let of = |what, from, goes_on| Partition { what, from, way: Way::Both, flap: None, goes_on: Some(goes_on) };
    let from_api = of("from the API", &["api"], true);
    if !long() {
        return vec![from_api];
    }
    let flap = Some(Flap { cut: 1500, open: 1500 });
    vec![
        from_api,
        of("from its standbys", &["pods"], true),
        Partition { way: Way::In, ..of("of what comes to it", TO_ALL, false) },
        Partition { way: Way::Out, ..of("of what it sends", TO_ALL, false) },
        Partition { flap, goes_on: None, ..of("from all, now and then", TO_ALL, true) },
    ]
}

impl Bed {
    async fn apart(&self, load: &Load, primary: &str, partition: &Partition) {
        self.say(&format!("the primary cut off {}", partition.what));
        let primary = match self.primary().await {
            now if now == primary => primary.to_owned(),
            now => now,
        };
        let cut = Cut {
            pods: vec![self.full(&primary)],
            from: partition.from.iter().map(|from| (*from).to_owned()).collect(),
            way: partition.way,
            flap: partition.flap,
            percent: None,
        };
        let since = boottime();
        self.fault(FaultRequest::Cut(cut)).await;
        match partition.goes_on {
            Some(true) => {
                let run = self.started(&primary).await;
                self.writes_on(load, since, LEASE + Duration::from_secs(4)).await;
                assert_eq!(self.started(&primary).await, run, "the same postgres has written all the time");
            }
            Some(false) => drop(self.another_primary(&primary, 90).await),
            None => self.until_rows_of(load, since, LEASE + Duration::from_secs(4)).await,
        }
        self.fault(FaultRequest::Heal).await;
        self.written(load, 90).await;
        self.healthy(180).await;
        self.lost_only_apart(load).await;
    }

    /// The primary does not reach the API, and one of its takers only: that one promises and follows to the end, the other
    /// is behind. The lease lapses for the other first, which must not be elected for that.
    async fn one_behind(&self, load: &Load) {
        let primary = self.primary().await;
        let [behind, follows] = <[String; 2]>::try_from(self.standbys().await).unwrap();
        let before = self.verdict(load).await.lost;
        let cut = async |from: String| {
            self.fault(FaultRequest::Partition { pod: self.full(&primary), from }).await;
        };
        self.hurt(load, "the primary cut off from the API, and from one standby before", async || {
            cut(self.full(&behind)).await;
            self.until_rows_of(load, boottime(), Duration::from_secs(1)).await;
            cut("api".to_owned()).await;
            assert_eq!(self.another_primary(&primary, 90).await, follows);
        })
        .await;
        self.fault(FaultRequest::Heal).await;
        self.written(load, 90).await;
        self.healthy(180).await;
        assert_eq!(self.verdict(load).await.lost, before, "{behind} lacked them");
    }

    /// Rows are acknowledged for so long after `since`, all on one timeline.
    async fn writes_on(&self, load: &Load, since: u64, within: Duration) {
        self.until_rows_of(load, since, within).await;
        let promised = load.promised();
        let rows: Vec<&Entry> = promised.iter().filter(|entry| entry.at >= since).collect();
        let timeline = rows[0].timeline;
        assert!(rows.iter().all(|entry| entry.timeline == timeline), "nobody takes over");
        let gap = longest_gap(&promised, since).unwrap();
        self.say(&format!("{} rows in {within:?}, the longest gap {:.3} s", rows.len(), gap.seconds()));
    }

    /// Waits until a row is acknowledged so long after `since`.
    pub async fn until_rows_of(&self, load: &Load, since: u64, after: Duration) {
        let wanted = since.saturating_add(u64::try_from(after.as_nanos()).unwrap());
        let what = format!("rows {after:?} later");
        self.until(&what, after.as_secs() + 60, async || match load.promised().last() {
            Some(last) if last.at >= wanted => Ok(()),
            last => Err(format!("{last:?}, and {wanted} is wanted")),
        })
        .await;
    }

    /// Waits until nothing was acknowledged for a leaseDuration; answers the last row.
    async fn nobody_writes(&self, load: &Load) -> Entry {
        self.until("nobody to write for a leaseDuration", 60, async || {
            let last = *load.promised().last().ok_or("no row")?;
            let silent = Duration::from_nanos(boottime().saturating_sub(last.at));
            if silent > LEASE { Ok(last) } else { Err(format!("a row {silent:?} ago")) }
        })
        .await
    }
}
