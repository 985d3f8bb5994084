//! What a scenario has at hand, and how it is run: its time, the rows that are written meanwhile, and what it leaves to look at
//! when it fails.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::Instant;

use futures::FutureExt as _;
use pgherd_testkit::journal::boottime;

use crate::cluster::Cluster;
use crate::load::Load;
use crate::place::Place;
use crate::report::{Report, Scenario};
use crate::store::Store;
use crate::tools::Tools;

pub struct World {
    pub directory: PathBuf,
    pub tools: Tools,
    /// The version of the API server.
    pub kubernetes: String,
    pub place: Place,
    pub cluster: Cluster,
    pub _store: Store,
    /// Rows being written, from the first scenario on.
    pub load: Option<Load>,
    /// What a rolling update goes to.
    pub next_image: String,
}

impl World {
    /// Runs a scenario and reports what became of it.
    pub async fn scenario(&mut self, report: &mut Report, name: &str, body: impl AsyncFnOnce(&mut Self)) {
        if std::env::var("ONLY").is_ok_and(|only| !only.is_empty() && !only.split(',').any(|one| name.contains(one))) {
            return;
        }
        let (began, since) = (Instant::now(), boottime());
        let outcome = AssertUnwindSafe(body(self)).catch_unwind().await;
        let error = outcome.err().map(|panic| match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => panic.downcast::<&str>().map_or_else(|_| "it panicked".to_owned(), |text| (*text).to_owned()),
        });
        if error.is_some() {
            self.look_around(name).await;
        }
        report.add(Scenario {
            name: name.to_owned(),
            seconds: began.elapsed().as_secs_f64(),
            ok: error.is_none(),
            gap_seconds: self.load.as_ref().and_then(|load| load.longest_gap(since)),
            error,
        });
    }

    /// Waits until rows that began after this call were acknowledged.
    pub async fn rows_are_written(&self, seconds: u64) {
        let load = self.load.as_ref().unwrap();
        let before = load.acknowledged();
        self.cluster
            .kubectl
            .until("rows being acknowledged", seconds, async || match load.acknowledged() {
                now if now > before + 20 => Ok(()),
                now => Err(format!("{now} rows, {before} before")),
            })
            .await;
    }

    /// The cluster is in health again, rows are written, and every one that was acknowledged is there once.
    pub async fn is_whole(&self, seconds: u64) -> String {
        let primary = self.cluster.healthy(seconds).await;
        self.rows_are_written(60).await;
        let load = self.load.as_ref().unwrap();
        let verdict = self.cluster.kubectl.until("the table", 60, async || load.verdict().await).await;
        assert!(verdict.holds(), "{verdict:?}");
        primary
    }

    /// Ends the writer and judges for the last time.
    pub async fn settle(&mut self, report: &mut Report) {
        let Some(load) = self.load.take() else { return };
        if let Ok(verdict) = load.verdict().await {
            report.acknowledged = verdict.acknowledged;
            report.lost = u64::try_from(verdict.lost.len()).unwrap();
        }
        load.stop().await;
    }

    /// Writes down what there is to see, beside the programs' logs.
    async fn look_around(&self, name: &str) {
        let mut text = String::new();
        for arguments in [
            ["get", "nodes,pods,pvc,pv,svc,endpoints", "-A", "-o", "wide"].as_slice(),
            &["get", "clusters,backups,leases,pods", "-A", "-o", "yaml"],
            &["get", "events", "-A", "--sort-by=.lastTimestamp"],
            &["-n", "pgherd-system", "logs", "-l", "app.kubernetes.io/name=pgherd", "--tail=2000", "--prefix"],
            &[
                "-n",
                "phoenix-guardian",
                "logs",
                "-l",
                "cnpg.io/podRole=instance",
                "--tail=2000",
                "--prefix",
                "-c",
                "postgres",
            ],
        ] {
            let said = self.cluster.kubectl.ask(arguments).await;
            text.push_str(&format!("$ kubectl {}\n{}\n", arguments.join(" "), said.unwrap_or_else(|error| error)));
        }
        let file = format!("failed-{}", name.replace(|letter: char| !letter.is_alphanumeric(), "-"));
        std::fs::write(self.directory.join("logs").join(file), text).unwrap();
    }
}
