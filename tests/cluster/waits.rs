//! Commits that wait for a standby (`any 1`, `required`), and what may and may not let them go: frozen backends, a frozen
//! walsender, a wait that is cancelled or terminated, a crash while nobody can acknowledge, and who reads a row early.

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, Patch, PatchParams};
use nix::sys::signal::Signal;
use pgherd_core::lease::ElectableRecord;
use pgherd_localkube::fault::{Cut, FaultRequest, Target};
use pgherd_localkube::node::process::ProcessId;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Config, NoTls};

use crate::bed::{Bed, CLUSTER, NAMESPACE};
use crate::inside::{is_stopped, numbered};

#[tokio::test(flavor = "multi_thread")]
async fn no_commit_is_let_go_early_by_a_frozen_walsender_a_cancelled_wait_or_a_crash() {
    let bed = Bed::start("waits", |cluster| {
        cluster["spec"]["postgresql"]["synchronous"] = json!({"method": "any", "number": 1});
    })
    .await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;
    run(&bed.application(&bed.place.service()).await.unwrap(), "CREATE TABLE waits (n int)").await.unwrap();

    bed.hurt(&load, "every client's backend of the primary frozen", async || {
        bed.fault(FaultRequest::Freeze { target: Target::Backends, pod: bed.full(&primary) }).await;
    })
    .await;
    bed.fault(FaultRequest::Heal).await;
    let primary = bed.healthy(120).await;
    bed.nothing_lost(&load).await;

    bed.walsender_frozen(&load, &primary).await;
    let primary = bed.healthy(120).await;
    bed.nothing_lost(&load).await;

    bed.nobody_acknowledges(&load, &primary).await;
    bed.healthy(120).await;
    bed.settle(load).await;
    bed.down().await;
}

impl Bed {
    /// Writes go on by the other standby, and no tighter promise is published while the frozen one may let go by the old.
    async fn walsender_frozen(&self, load: &crate::load::Load, primary: &str) {
        let standby = self.standby().await;
        let walsender = self.walsender(primary, &standby).await;
        self.hurt(load, &format!("the walsender of {standby} frozen"), async || {
            assert!(walsender.signal(Signal::SIGSTOP));
        })
        .await;
        assert!(is_stopped(walsender));

        self.say("two are to acknowledge from now on");
        self.synchronous(json!({"method": "any", "number": 2})).await;
        self.until("a record of two", 60, async || {
            let needed = self.needed().await?;
            // Read after the record: whoever is there now was there when it was published.
            let there = walsender.is_alive();
            assert!(!(there && needed == 2), "published while a walsender may go by the old setting");
            if needed == 2 { Ok(()) } else { Err(format!("{needed} needed, the frozen one is there: {there}")) }
        })
        .await;
        self.written(load, 60).await;
        self.healthy(60).await;
        self.read_early(&standby, primary).await;
        self.written(load, 60).await;
        self.healthy(60).await;
        self.synchronous(json!({"method": "any", "number": 1})).await;
        self.until("a record of one", 60, async || match self.needed().await? {
            1 => Ok(()),
            needed => Err(format!("{needed} are needed")),
        })
        .await;
        self.written(load, 60).await;
    }

    /// Two are to acknowledge and one of them is frozen: the other shows a row that the primary shows to nobody yet, which
    /// is postgres' own rule and why docs/failures.md says to read from the primary what anything depends on.
    async fn read_early(&self, frozen: &str, primary: &str) {
        let standbys = self.standbys().await;
        let reader = standbys.iter().find(|standby| *standby != frozen).expect("another standby");
        self.fault(FaultRequest::Freeze { target: Target::Pod, pod: self.full(frozen) }).await;
        let direct = self.application(&format!("pod/{primary}")).await.unwrap();
        let waiting = tokio::spawn(async move { run(&direct, "INSERT INTO waits VALUES (0)").await });
        let seen_on = async |pod: &str| {
            self.ask_in(pod, "app", "SELECT count(*) FROM waits WHERE n = 0")
                .await
                .map_err(|error| format!("{error:#}"))
        };
        self.until("a row on a standby", 30, async || match seen_on(reader).await?.as_str() {
            "1" => Ok(()),
            other => Err(other.to_owned()),
        })
        .await;
        assert_eq!(seen_on(primary).await.unwrap(), "0", "the primary shows it once it is acknowledged");
        assert!(!waiting.is_finished(), "{frozen} has not acknowledged it");
        self.say(&format!("{reader} shows a row that waits for {frozen} and that {primary} does not show"));
        self.fault(FaultRequest::Heal).await;
        waiting.await.unwrap().expect("acknowledged once both have it");
    }

    /// Both standbys cut off: commits wait, a cancelled one is acknowledged with a warning, a terminated one is not,
    /// and after a crash nobody is let in until a standby has what the recovery shows.
    async fn nobody_acknowledges(&self, load: &crate::load::Load, primary: &str) {
        let direct = self.application(&format!("pod/{primary}")).await.unwrap();
        let mut pods = self.standbys().await;
        pods.iter_mut().for_each(|pod| *pod = self.full(pod));
        self.fault(FaultRequest::Cut(Cut { pods, from: ["all", "api"].map(str::to_owned).to_vec(), ..Cut::default() }))
            .await;

        // Postgres' own rules, and why docs/how-to/synchronous.md says not to do either.
        let cancelled = self.ended_by("pg_cancel_backend", primary, &direct, 1).await;
        let warnings = cancelled.expect("a cancelled wait is acknowledged");
        assert!(
            warnings.iter().any(|said| said.contains("canceling wait for synchronous replication")),
            "{warnings:?}"
        );
        self.say(&format!("a cancelled wait: {}", warnings.join("; ")));
        let terminated = self.ended_by("pg_terminate_backend", primary, &direct, 2).await;
        self.say(&format!("a terminated wait: {}", terminated.expect_err("its client is told of no commit")));
        let shown =
            self.ask_in(primary, "app", "SELECT string_agg(n::text, ',' ORDER BY n) FROM waits WHERE n > 0").await;
        assert_eq!(shown.unwrap(), "1,2", "both are there for everybody, though no standby has them");

        let before = load.promised().len();
        let run_before = self.started(primary).await;
        self.say("kill -9 of the primary's postmaster while nobody can acknowledge");
        self.kill(Target::Postmaster, primary).await;
        let (knocking, turned_away) = knock(direct);
        self.started_again(primary, &run_before, 90).await;
        self.until("clients turned away by postgres itself", 60, async || {
            assert!(!knocking.is_finished(), "a client was let in before the barrier");
            let said = turned_away.borrow().clone();
            if said.contains("pg_hba.conf rejects") { Ok(()) } else { Err(said) }
        })
        .await;
        // For longer than the barrier is waited for at a time.
        let still = tokio::time::timeout(Duration::from_secs(7), async {
            while !knocking.is_finished() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(still.await.is_err(), "a client was let in before the barrier");
        assert_eq!(load.promised().len(), before, "nothing is acknowledged meanwhile");
        self.fault(FaultRequest::Heal).await;
        let knocks = tokio::time::timeout(Duration::from_secs(60), knocking).await.expect("clients let in").unwrap();
        self.say(&format!("let in after the barrier, at the {knocks}th knock"));
        self.written(load, 60).await;
        let kept = self.ask_in(primary, "app", "SELECT count(*) FROM waits WHERE n > 0").await;
        self.say(&format!("rows that were let go early and are there: {kept:?}"));
    }

    /// What the client is told whose commit of row `n` waits for a standby, when that wait is ended by a function.
    async fn ended_by(
        &self,
        function: &str,
        primary: &str,
        direct: &Config,
        n: u32,
    ) -> Result<Vec<String>, tokio_postgres::Error> {
        let mut client = direct.clone();
        client.application_name(function);
        let waiting = tokio::spawn(async move { run(&client, &format!("INSERT INTO waits VALUES ({n})")).await });
        let sql = format!(
            "SELECT count({function}(pid)) FROM pg_stat_activity \
             WHERE application_name = '{function}' AND wait_event = 'SyncRep'"
        );
        self.until("a commit that waits", 60, async || match self.ask(primary, &sql).await?.as_str() {
            "1" => Ok(()),
            other => Err(format!("{other} wait")),
        })
        .await;
        waiting.await.unwrap()
    }

    async fn synchronous(&self, wanted: serde_json::Value) {
        let patch = json!({"spec": {"postgresql": {"synchronous": wanted}}});
        self.clusters().patch(CLUSTER, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    async fn lease(&self) -> Result<Lease, String> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), NAMESPACE);
        leases.get(CLUSTER).await.map_err(|error| error.to_string())
    }

    /// How many have to acknowledge a commit by the newest record.
    async fn needed(&self) -> Result<u32, String> {
        let annotations = self.lease().await?.metadata.annotations.unwrap_or_default();
        let text = annotations.get("pgherd.io/records").ok_or("no records")?;
        let records: Vec<ElectableRecord> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        records.last().map(|record| record.needed).ok_or_else(|| "no record".to_owned())
    }

    async fn walsender(&self, primary: &str, standby: &str) -> ProcessId {
        let sql = format!("SELECT pid FROM pg_stat_replication WHERE application_name = '{standby}'");
        let number = self.until("its walsender", 30, async || {
            let said = self.ask(primary, &sql).await?;
            said.parse::<i32>().map_err(|_| said)
        });
        let number = number.await;
        let first = self.handle.process(NAMESPACE, primary, "postgres").await.unwrap().pid;
        numbered(first, number).expect("a walsender of that number")
    }
}

/// Tries to connect and read until that is possible: the number of tries that it took, and why the last one failed.
fn knock(config: Config) -> (JoinHandle<u64>, watch::Receiver<String>) {
    let (refused, why) = watch::channel(String::new());
    let knocking = tokio::spawn(async move {
        let mut knocks = 0;
        loop {
            knocks += 1;
            match tokio::time::timeout(Duration::from_secs(2), run(&config, "SELECT 1")).await {
                Ok(Ok(_)) => return knocks,
                Ok(Err(error)) => {
                    refused.send_replace(error.as_db_error().map_or(error.to_string(), |e| e.message().to_owned()))
                }
                Err(_) => refused.send_replace("no answer".to_owned()),
            };
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    (knocking, why)
}

/// Runs a statement in a session of its own; answers the warnings that came with it.
async fn run(config: &Config, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let (client, mut connection) = config.connect(NoTls).await?;
    let heard = tokio::spawn(async move {
        let mut messages = futures::stream::poll_fn(move |cx| connection.poll_message(cx));
        let mut warnings = Vec::new();
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notice(notice) = message {
                warnings.push(notice.message().to_owned());
            }
        }
        warnings
    });
    let done = client.batch_execute(sql).await;
    drop(client);
    let warnings = heard.await.unwrap_or_default();
    done.map(|()| warnings)
}
