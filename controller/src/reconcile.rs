//! One look at one cluster: observe, ask if need be, plan, check, apply.

use crate::apply::{
    ApplyError, Blueprint, Target, apply, let_go_of_deleted_lease, let_go_of_lease, mark_invalid, mark_unreadable,
};
use crate::backups::{self, Silences};
use crate::caches::{Caches, Key};
use crate::catalog;
use crate::clock;
use crate::config::Config;
use crate::desired::desired;
use crate::drift::outdated;
use crate::drills;
use crate::due::Cause;
use crate::members::Members;
use crate::memory::Remembered;
use crate::observe::{ObserveError, observe, read_lease};
use crate::rest::{Beside, Rest};
use crate::schedules;
use crate::validity::{Verdict, judge, remember};
use core::time::Duration;
use kube::Client;
use pgherd_core::cluster::{Desired, Observed};
use pgherd_core::election::{Next, next};
use pgherd_core::plan::{LostLease, Plan, check, lost_lease, plan};
use pgherd_core::time::Instant;
use pgherd_proto::cluster::Cluster;
use pgherd_proto::names;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Mutex;

/// After a failure.
const RETRY: Duration = Duration::from_secs(1);
/// After somebody else wrote first: his write wakes us, this is in case it does not.
const RETRY_CONFLICT: Duration = Duration::from_millis(50);
/// While the image's catalog is not there.
const RETRY_CATALOG: Duration = Duration::from_secs(5);
/// Where nothing is due.
const QUIET: Duration = Duration::from_secs(30);
/// For so long after its cluster is gone a lease is looked for: a manager that nobody sees any more may make it again.
const GONE_FOR: Duration = Duration::from_secs(600);

/// What all looks share.
pub struct Reconciler {
    /// The API server.
    pub client: Client,
    /// The watched objects.
    pub caches: Caches,
    /// The settings.
    pub config: Config,
    /// The way to the managers.
    pub members: Members,
    memory: Mutex<HashMap<Key, Arc<Mutex<Remembered>>>>,
    /// Clusters that are gone, and since when.
    gone: Mutex<HashMap<Key, Instant>>,
    silences: Silences,
    told: schedules::Told,
}

/// A look, before anything is written.
pub struct Look {
    /// The cluster as stored.
    pub cluster: Arc<Cluster>,
    /// Its spec in force, and what is to be said about it.
    pub verdict: Verdict,
    /// That spec as plain values.
    pub desired: Desired,
    /// What there is.
    pub observed: Observed,
    /// What to do.
    pub plan: Plan,
}

impl Reconciler {
    /// Nothing is remembered yet.
    #[must_use]
    pub fn new(client: Client, caches: Caches, config: Config) -> Self {
        let members = Members::new(config.status_port);
        Self {
            client,
            caches,
            config,
            members,
            memory: Mutex::default(),
            gone: Mutex::default(),
            silences: Silences::default(),
            told: schedules::Told::default(),
        }
    }

    /// Looks at one cluster. Answers how soon to look again; `None` once it is gone.
    pub(crate) async fn reconcile(&self, key: Key, cause: Cause) -> Option<Duration> {
        let again = match self.rests(&key, cause).await {
            Rests::All(again) => return Some(again),
            Rests::Itself => Some(QUIET),
            Rests::Not => self.look_after(&key).await,
        };
        // Afterwards: no election waits for backups.
        let (client, caches) = (&self.client, &self.caches);
        schedules::explain(client, caches, &key).await;
        backups::explain(client, caches, &key).await;
        let slot = schedules::keep(client, caches, &self.told, &key).await;
        let backup = backups::attend(client, caches, &self.silences, &key).await;
        let drill = drills::attend(client, caches, &self.config, &key).await;
        let beside = [slot, backup, drill].into_iter().flatten().min();
        if let Some(memory) = self.remembered(&key).await
            && let Some(rest) = memory.lock().await.rest.as_mut()
        {
            rest.looked_beside(beside, clock::now());
        }
        [again, beside].into_iter().flatten().min()
    }

    async fn look_after(&self, key: &Key) -> Option<Duration> {
        let Some(cluster) = self.caches.cluster(key) else {
            self.memory.lock().await.remove(key);
            self.members.forget(key);
            // The garbage collector takes the rest; the lease waits for us, and for the last holder to stop.
            if !self.caches.pods.of(key).is_empty() {
                return Some(QUIET);
            }
            return self.let_go(key).await;
        };
        self.gone.lock().await.remove(key);
        let memory = self.memory.lock().await.entry(key.clone()).or_default().clone();
        let mut memory = memory.lock().await;
        match Box::pin(self.step(key, cluster.clone(), &mut memory)).await {
            Ok(again) => Some(again),
            Err(Failure::Observe(error)) => {
                let why = pgherd_telemetry::chain(&error);
                tracing::warn!(cluster = %key.name, namespace = %key.namespace, error = %why,
                    "could not look at the cluster");
                if matches!(error, ObserveError::Lease(_))
                    && let Err(error) = mark_unreadable(&self.client, &cluster, &why).await
                {
                    said(key, &error);
                }
                Some(RETRY)
            }
            Err(Failure::Apply(error)) if error.is_conflict() => Some(RETRY_CONFLICT),
            Err(Failure::Apply(error)) => Some(said(key, &error)),
        }
    }

    async fn remembered(&self, key: &Key) -> Option<Arc<Mutex<Remembered>>> {
        self.memory.lock().await.get(key).cloned()
    }

    /// Whether nothing has happened to it but renewals of its lease. Nothing of it is unpacked for that.
    async fn rests(&self, key: &Key, cause: Cause) -> Rests {
        let (Cause::Routine, Some(memory)) = (cause, self.remembered(key).await) else { return Rests::Not };
        let Some(version) = self.caches.clusters.version(&key.namespace, &key.name) else { return Rests::Not };
        let (mut memory, now) = (memory.lock().await, clock::now());
        let Some(rest) = memory.rest.as_mut().filter(|rest| rest.may_go_on(&version, now)) else { return Rests::Not };
        let Ok(lease) = read_lease(&self.client, key).await else { return Rests::Not };
        if !rest.goes_on(lease.as_ref(), now) {
            return Rests::Not;
        }
        let beside = rest.beside(now);
        if let Some(lease) = lease {
            memory.seen_renewed(lease.version, now);
        }
        match beside {
            Beside::Nothing(until) => Rests::All(until.unwrap_or(QUIET)),
            Beside::Look => Rests::Itself,
        }
    }

    /// Of a cluster that is gone. Its lease may come after all, and go, and nobody would say so.
    async fn let_go(&self, key: &Key) -> Option<Duration> {
        let (namespace, name, now) = (&key.namespace, &key.name, clock::now());
        let since = self.gone.lock().await.get(key).copied();
        let let_go = match since {
            None => let_go_of_lease(&self.client, namespace, name).await,
            Some(_) => let_go_of_deleted_lease(&self.client, namespace, name).await,
        };
        if let Err(error) = let_go {
            return Some(said(key, &error));
        }
        let mut gone = self.gone.lock().await;
        if now.since(*gone.entry(key.clone()).or_insert(now)) < GONE_FOR {
            return Some(QUIET);
        }
        gone.remove(key);
        None
    }

    async fn step(&self, key: &Key, cluster: Arc<Cluster>, memory: &mut Remembered) -> Result<Duration, Failure> {
        memory.rest = None;
        let verdict = match self.judged(&cluster, memory).await? {
            Ok(verdict) => verdict,
            Err(again) => return Ok(again),
        };
        let look = self.look(key, cluster, verdict, memory, true).await?;
        for line in &look.plan.report.0 {
            tracing::debug!(cluster = %key.name, namespace = %key.namespace, %line, "planned");
        }
        let violations = check(&look.observed, &look.plan);
        if !violations.is_empty() {
            let all: Vec<String> = violations.iter().map(ToString::to_string).collect();
            tracing::error!(cluster = %key.name, namespace = %key.namespace, violations = %all.join("; "),
                "refused to apply a plan that would break an invariant");
            return Ok(RETRY);
        }
        let target = Target {
            client: &self.client,
            caches: &self.caches,
            config: &self.config,
            cluster: &look.cluster,
            ignored: &look.verdict.ignored,
            spec: &look.verdict.spec,
            desired: &look.desired,
            observed: &look.observed,
        };
        apply(&target, &look.plan, memory, clock::now()).await?;
        let instances = self.caches.secret(&key.namespace, &names::secret_instances(&key.name));
        let (wall, now) = (jiff::Timestamp::now(), clock::now());
        if let Some(rest) = Rest::after(&look.cluster, &look.observed, &look.plan, instances.as_deref(), wall, now) {
            memory.rests(rest);
            self.members.forget(key);
        }
        Ok(look.plan.again.unwrap_or(QUIET))
    }

    /// The spec in force; or how soon to look again where there is none, which is noted on the Cluster.
    async fn judged(&self, cluster: &Cluster, memory: &mut Remembered) -> Result<Result<Verdict, Duration>, Failure> {
        let chosen = catalog::chosen(&self.client, cluster, memory, clock::now()).await;
        if let Some(verdict) = memory.judged(cluster).filter(|_| chosen.is_none()) {
            return Ok(Ok(verdict));
        }
        match judge(cluster, chosen.as_ref()) {
            Ok(verdict) => {
                remember(&self.client, cluster, &verdict).await?;
                memory.remember_judged(cluster, &verdict);
                Ok(Ok(verdict))
            }
            Err(why) => {
                mark_invalid(&self.client, cluster, &why).await?;
                // Nobody tells of a catalog.
                Ok(Err(if chosen.is_some() { RETRY_CATALOG } else { QUIET }))
            }
        }
    }

    /// Observes and plans. With `ask`, members are asked where an election depends on it, which fences them;
    /// without, their annotations are believed.
    ///
    /// # Errors
    /// [`ObserveError`].
    pub async fn look(
        &self,
        key: &Key,
        cluster: Arc<Cluster>,
        verdict: Verdict,
        memory: &mut Remembered,
        ask: bool,
    ) -> Result<Look, ObserveError> {
        let desired = desired(&cluster, &verdict.spec);
        let now = clock::now();
        let stored = (&*cluster, &verdict.spec, &desired);
        let mut observed = observe(&self.client, &self.caches, &self.config, stored, memory, now).await?;
        observed.invalid.clone_from(&verdict.invalid);
        let blueprint = Blueprint { spec: &verdict.spec, desired: &desired, config: &self.config };
        let restarted_at = cluster.restarted_at();
        for pod in self.caches.pods.of(key) {
            let view = observed.pods.iter_mut().find(|view| pod.metadata.uid.as_ref() == Some(&view.uid.0));
            if let Some(view) = view {
                view.outdated = outdated(&pod, blueprint, restarted_at.as_deref());
            }
        }
        if ask && lost_lease(&desired, &observed, now) == LostLease::Ask {
            self.members.call(&self.caches, key, &mut observed).await;
        }
        if let (Next::Ask { why }, Some(lease)) = (next(&desired, &observed, now), observed.lease.clone()) {
            match why {
                _ if !ask => believe_annotations(&mut observed),
                why if why.is_handover() => self.members.look(&self.caches, key, &mut observed).await,
                why => self.members.fence(&self.caches, key, &lease, &why, &mut observed).await,
            }
        }
        let plan = plan(&desired, &observed, clock::now());
        Ok(Look { cluster, verdict, desired, observed, plan })
    }
}

/// How far a cluster is left alone this time.
enum Rests {
    /// It is, and so is what is beside it, for so long.
    All(Duration),
    /// It is, and not its Backups, schedules and drills.
    Itself,
    /// It is looked at.
    Not,
}

fn believe_annotations(observed: &mut Observed) {
    for report in observed.pods.iter_mut().filter_map(|pod| pod.report.as_mut()) {
        report.fresh = true;
    }
}

fn said(key: &Key, error: &ApplyError) -> Duration {
    tracing::warn!(cluster = %key.name, namespace = %key.namespace,
        error = %pgherd_telemetry::chain(error), "a step of the plan failed and is planned again");
    RETRY
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Observe(#[from] ObserveError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
}
