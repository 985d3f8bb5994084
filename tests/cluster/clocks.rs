//! Clocks: a wall clock that jumps about under one pod, and a machine whose clocks all stand still while it is paused.
//! Commits wait for a standby (`any 1`, `required`): what is shown of a paused machine holds only then.

use std::time::{Duration, Instant};

use pgherd_localkube::fault::{Cut, FaultRequest, Target};
use pgherd_testkit::journal::boottime;
use serde_json::json;
use tokio_postgres::NoTls;

use crate::bed::Bed;
use crate::load::Load;

const HOUR: i64 = 3_600_000;
/// Longer than `leaseDuration`.
const WHILE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_jump_move_nobody_and_a_machine_whose_clocks_stood_still_acknowledges_nothing() {
    let bed = Bed::start_with(
        "clocks",
        |cluster| cluster["spec"]["postgresql"]["synchronous"] = json!({"method": "any", "number": 1}),
        |options| options.clocks = true,
    )
    .await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;
    bed.archive_now(&primary, 60).await;

    bed.wall_jumps(&load, &primary).await;
    let primary = bed.healthy(60).await;
    bed.nothing_lost(&load).await;

    bed.stood_still(&load, &primary).await;
    bed.healthy(120).await;
    bed.settle(load).await;
    bed.down().await;
}

impl Bed {
    /// What is added to a pod's clocks, in milliseconds: to the wall clock, and to those that nobody can set.
    async fn clocks(&self, pod: &str, wall: i64, steady: i64) {
        self.fault(FaultRequest::Clock { pod: self.full(pod), wall, steady }).await;
    }

    /// By an hour, ahead and back, again and again for longer than a lease: the same postgres writes on, and archives.
    /// A failover to a right clock is as any other.
    async fn wall_jumps(&self, load: &Load, primary: &str) {
        let run = self.started(primary).await;
        let (since, began) = (boottime(), Instant::now());
        let mut jumps = [HOUR, -HOUR, 0, -HOUR, HOUR].into_iter().cycle();
        while began.elapsed() < WHILE {
            self.clocks(primary, jumps.next().unwrap(), 0).await;
            self.written(load, 30).await;
        }
        self.until_rows_of(load, since, WHILE).await;
        assert_eq!(self.started(primary).await, run, "a wall clock that jumps moves nobody");
        assert_eq!(self.primary().await, primary);
        self.nothing_lost(load).await;

        for offset in [HOUR, -HOUR] {
            self.clocks(primary, offset, 0).await;
            // Refused with RequestTimeTooSkewed, and signed again by the clock of the store.
            self.archive_now(primary, 60).await;
        }
        self.hurt(load, "the primary, an hour back, loses its postmaster", async || {
            self.kill(Target::Postmaster, primary).await;
            self.another_primary(primary, 60).await;
        })
        .await;
        // Its certificates are as old as the cluster, and must be good for it too.
        self.healthy(60).await;
        self.clocks(primary, 0, 0).await;
    }

    /// A hypervisor pauses the primary's machine for longer than a lease and does not tell it: it takes its lease for
    /// good still, and reaches neither the API nor a standby to learn better. A client that stayed with it gets nothing
    /// acknowledged, and it ends at what it takes for its deadline.
    async fn stood_still(&self, load: &Load, primary: &str) {
        let direct = self.application(&format!("pod/{primary}")).await.unwrap();
        let (client, connection) = direct.connect(NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute("CREATE TABLE paused (n int)").await.unwrap();

        let mut paused = Instant::now();
        self.hurt(load, "the primary's machine is paused", async || {
            // First: what is sent to a paused machine is not waiting for it, as it would be for processes that stand.
            let from = ["api", "pods"].map(str::to_owned).to_vec();
            self.fault(FaultRequest::Cut(Cut { pods: vec![self.full(primary)], from, ..Cut::default() })).await;
            paused = Instant::now();
            self.fault(FaultRequest::Freeze { target: Target::Pod, pod: self.full(primary) }).await;
            self.another_primary(primary, 60).await;
        })
        .await;
        let missed = i64::try_from(paused.elapsed().as_millis()).unwrap();
        self.clocks(primary, -missed, -missed).await;
        let resumed = Instant::now();
        self.fault(FaultRequest::Resume { pod: self.full(primary) }).await;
        let commit = client.batch_execute("INSERT INTO paused VALUES (1)");
        let answer = tokio::time::timeout(Duration::from_secs(30), commit).await;
        self.say(&format!("after {} ms: {answer:?}", resumed.elapsed().as_millis()));
        let answer = answer.expect("it ends at what it takes for its deadline");
        assert!(answer.is_err(), "acknowledged by a primary whose successor wrote already");
        drop(client);
        let _it_ended_with_its_server = connection.await.unwrap();
        self.written(load, 30).await;
        self.clocks(primary, 0, 0).await;
        self.fault(FaultRequest::Heal).await;
        let next = self.healthy(120).await;
        assert_eq!(self.ask_in(&next, "app", "SELECT count(*) FROM paused").await.unwrap(), "0");
    }
}
