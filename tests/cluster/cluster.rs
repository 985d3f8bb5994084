//! The cluster as its status, its pods and its instances show it, and what is waited for.

use std::cell::Cell;
use std::time::{Duration, Instant};

use kube::api::{Api, DeleteParams, DynamicObject};
use pgherd_localkube::fault::Target;
pub use pgherd_testkit::bed::text;
use pgherd_testkit::wait;
use serde_json::Value;

use crate::bed::Bed;

impl Bed {
    /// Clusters of the namespace.
    pub fn clusters(&self) -> Api<DynamicObject> {
        self.objects("postgresql.cnpg.io", "Cluster")
    }

    /// The Cluster as JSON.
    pub async fn cluster(&self) -> Result<Value, String> {
        (**self).cluster().await.map_err(|error| format!("{error:#}"))
    }

    /// Who is the primary by the status.
    pub async fn primary(&self) -> String {
        (**self).primary().await.unwrap()
    }

    /// The standbys: every pod of the cluster that is not the primary.
    pub async fn standbys(&self) -> Vec<String> {
        (**self).standbys().await.unwrap()
    }

    /// A standby.
    pub async fn standby(&self) -> String {
        self.standbys().await.into_iter().next().unwrap()
    }

    /// What tells one run of a container from the next: the pod's UID and its restarts.
    pub async fn run_of(&self, pod: &str) -> String {
        let Ok(Some(found)) = self.pods().get_opt(pod).await else { return "none".to_owned() };
        let status = found.status.as_ref().and_then(|status| status.container_statuses.as_ref()?.first());
        let restarts = status.map_or(0, |container| container.restart_count);
        format!("{}/{restarts}", found.metadata.uid.unwrap_or_default())
    }

    /// Waits until something is so.
    pub async fn until<T, F, L>(&self, what: &str, seconds: u64, look: L) -> T
    where
        L: FnMut() -> F,
        F: Future<Output = Result<T, String>>,
    {
        match wait::until(what, Duration::from_secs(seconds), look).await {
            Ok(value) => value,
            Err(error) => {
                let cluster = self.cluster().await.unwrap_or_default();
                let status = cluster.get("status").cloned().unwrap_or_default();
                panic!("{error}\nthe Cluster's status: {status:#}")
            }
        }
    }

    /// Waits until the cluster is healthy by its own word and by what its instances say; answers the primary.
    pub async fn healthy(&self, seconds: u64) -> String {
        let began = std::time::Instant::now();
        let primary = self
            .until("a healthy cluster", seconds, async || self.look().await.map_err(|error| format!("{error:#}")))
            .await;
        self.say(&format!("healthy after {:.1} s, {primary} is the primary", began.elapsed().as_secs_f64()));
        primary
    }

    /// Waits until somebody other than `old` is the primary by the status; answers who.
    pub async fn another_primary(&self, old: &str, seconds: u64) -> String {
        self.until("another primary", seconds, async || {
            let now = text(&self.cluster().await?, "/status/currentPrimary");
            if now == old { Err(format!("it is still {old}")) } else { Ok(now) }
        })
        .await
    }

    /// Waits until a pod's container is another run than `before`.
    pub async fn another_run(&self, pod: &str, before: &str, seconds: u64) {
        let what = format!("{pod} started again");
        self.until(&what, seconds, async || {
            let now = self.run_of(pod).await;
            if now == before || now == "none" { Err(now) } else { Ok(()) }
        })
        .await;
    }
}

impl Bed {
    /// What a member says of itself; nothing while it is not there.
    pub async fn report_of(&self, pod: &str) -> Value {
        let annotations = self.pods().get(pod).await.ok().and_then(|pod| pod.metadata.annotations).unwrap_or_default();
        annotations.get("pgherd.io/member").and_then(|said| serde_json::from_str(said).ok()).unwrap_or_default()
    }

    /// When a pod's postmaster started, by its own word.
    pub async fn started(&self, pod: &str) -> String {
        self.until(&format!("{pod} answering"), 30, async || self.ask(pod, STARTED).await).await
    }

    /// Waits until a pod's postmaster is another than `before`.
    pub async fn started_again(&self, pod: &str, before: &str, seconds: u64) {
        self.until(&format!("another postmaster of {pod}"), seconds, async || match self.ask(pod, STARTED).await? {
            now if now == before => Err(format!("it is the one of {now}")),
            _ => Ok(()),
        })
        .await;
    }
}

impl Bed {
    /// SIGKILL to one process of postgres, and to the next one if that had just ended by itself, until the postmaster has
    /// gone with it and another is there.
    pub async fn crash(&self, target: Target, pod: &str) {
        let before = self.started(pod).await;
        let struck = Cell::new(None::<Instant>);
        self.until(&format!("another postmaster of {pod}"), 60, async || {
            if self.ask(pod, STARTED).await? != before {
                return Ok(());
            }
            if struck.get().is_none_or(|at| at.elapsed() > AGAIN) {
                struck.set(Some(Instant::now()));
                self.say(&self.strike(target, pod).await?);
            }
            Err("it is the same".to_owned())
        })
        .await;
    }

    /// A primary whose container the kubelet would start again at once, were it killed: one that was killed before is
    /// held back, and nobody waits so long for the end of its WAL.
    pub async fn fresh_primary(&self) -> String {
        loop {
            let primary = self.healthy(120).await;
            if self.run_of(&primary).await.ends_with("/0") {
                return primary;
            }
            self.say(&format!("{primary} was killed before: its pod is replaced"));
            self.pods().delete(&primary, &DeleteParams::default()).await.unwrap();
            self.another_primary(&primary, 60).await;
        }
    }
}

/// A postmaster is gone sooner than this after one of its processes was killed.
const AGAIN: Duration = Duration::from_secs(5);
const STARTED: &str = "SELECT pg_postmaster_start_time()";
