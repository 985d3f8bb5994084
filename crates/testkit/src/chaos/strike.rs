//! Putting faults on a cluster when their time comes, and ending them.

use super::dice::Dice;
use super::kinds::{Act, Cast, Kind, Whom, kind};
use super::knowledge::{Knowledge, lease_now};
use super::schedule::{Planned, Role};
use crate::bed::Bed;
use crate::journal::boottime;
use anyhow::{Context as _, ensure};
use core::time::Duration;
use pgherd_localkube::fault::{Done, FaultRequest};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long a fault waits for somebody whom it can be put on.
const PATIENCE: Duration = Duration::from_secs(10);
/// The kind that leaves this program in the dark too.
pub(super) const STALE: &str = "api_stale_watches";

/// A fault that was put on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Struck {
    /// The kind's name.
    pub kind: String,
    /// The pod, or nothing for everybody's faults.
    pub pod: String,
    /// It held the lease then.
    pub primary: bool,
    /// From when, in nanoseconds of `CLOCK_BOOTTIME`.
    pub from: u64,
    /// Until when.
    pub until: u64,
    /// What the daemon said.
    pub done: String,
}

struct Lasting {
    ends: Instant,
    index: usize,
    ids: Vec<String>,
}

/// Carries out a schedule.
pub struct Striker<'a> {
    bed: &'a Bed,
    knowledge: &'a Knowledge,
    lasting: Vec<Lasting>,
    /// What was done.
    pub struck: Vec<Struck>,
    /// Kinds that found nobody whom they could be put on, and why.
    pub missed: Vec<String>,
}

impl<'a> Striker<'a> {
    /// For a cluster.
    #[must_use]
    pub const fn new(bed: &'a Bed, knowledge: &'a Knowledge) -> Self {
        Self { bed, knowledge, lasting: Vec::new(), struck: Vec::new(), missed: Vec::new() }
    }

    /// Carries out the whole schedule, and ends what lasts still.
    ///
    /// # Errors
    /// If the daemon does not answer: a fault that finds nobody is only left out.
    pub async fn run(&mut self, schedule: &[Planned]) -> anyhow::Result<()> {
        let began = Instant::now();
        for planned in schedule {
            let at = began + Duration::from_millis(planned.at);
            self.end_until(at).await?;
            self.strike(planned).await?;
        }
        let last = self.lasting.iter().map(|lasting| lasting.ends).max();
        self.end_until(last.unwrap_or(began)).await?;
        self.bed.fault(FaultRequest::Heal).await.context("failed to heal")?;
        Ok(())
    }

    /// Ends each lasting fault at its time, until `then`.
    async fn end_until(&mut self, then: Instant) -> anyhow::Result<()> {
        while let Some(next) = self.lasting.iter().map(|lasting| lasting.ends).min().filter(|ends| *ends <= then) {
            sleep_until(next).await;
            let (over, left): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.lasting).into_iter().partition(|one| one.ends <= next);
            self.lasting = left;
            for Lasting { index, ids, .. } in over {
                for id in ids {
                    // Gone with its pod, perhaps.
                    let _ended = self.bed.handle.inject(FaultRequest::HealOne { id }).await;
                }
                if let Some(struck) = self.struck.get_mut(index) {
                    struck.until = boottime();
                }
            }
        }
        sleep_until(then).await;
        Ok(())
    }

    async fn strike(&mut self, planned: &Planned) -> anyhow::Result<()> {
        let Some(kind) = kind(&planned.kind) else { return Ok(()) };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let why = match self.attempt(kind, planned).await {
                Ok(()) => return Ok(()),
                Err(why) => why,
            };
            if Instant::now() >= deadline {
                self.missed.push(format!("{}: {why:#}", kind.name));
                return Ok(());
            }
            // Its process may be about to come back.
            sleep(Duration::from_millis(200)).await;
        }
    }

    async fn attempt(&mut self, kind: &Kind, planned: &Planned) -> anyhow::Result<()> {
        let mut dice = Dice::new(planned.seed);
        let (cast, primary) = self.cast(kind, planned.role, &mut dice).await?;
        let from = boottime();
        let (mut told, mut ids) = (Vec::new(), Vec::new());
        for act in &(kind.acts)(&cast, &mut dice) {
            let Done { text, id } = carry_out(self.bed, act).await?;
            told.push(text);
            ids.extend(id);
        }
        ensure!(!told.is_empty(), "there is nobody else");
        let pod = if kind.whom == Whom::Everybody { String::new() } else { cast.pod };
        let index = self.struck.len();
        let (kind, done) = (planned.kind.clone(), told.join("; "));
        self.struck.push(Struck { kind, pod, primary, from, until: from, done });
        if planned.lasts > 0 {
            let ends = Instant::now() + Duration::from_millis(planned.lasts);
            self.lasting.push(Lasting { ends, index, ids });
        }
        Ok(())
    }

    /// Who holds the lease, or held it last. What is known comes from a watch: where watches tell nothing, the lease is
    /// asked.
    async fn holder(&self) -> Option<String> {
        let is_stale = |one: &Lasting| self.struck.get(one.index).is_some_and(|struck| struck.kind == STALE);
        if self.lasting.iter().any(is_stale)
            && let Ok(Ok(change)) = timeout(PATIENCE, lease_now(self.bed)).await
            && !change.holder.is_empty()
        {
            return Some(change.holder);
        }
        self.knowledge.holder()
    }

    /// Who is meant now, and whether that is the primary.
    async fn cast(&self, kind: &Kind, role: Role, dice: &mut Dice) -> anyhow::Result<(Cast, bool)> {
        let status = self.bed.handle.status().await?;
        let prefix = self.bed.full(&format!("{}-", self.bed.place.cluster));
        let mut pods: Vec<String> = status.pods.into_iter().map(|(name, _)| name).collect();
        pods.retain(|name| name.starts_with(&prefix));
        pods.sort();
        // What takes data away must not take them from another than it is meant for: the lease is asked, not remembered.
        let holder = if kind.ruins { open_holder(self.bed).await? } else { self.holder().await };
        let holder = holder.map(|name| self.bed.full(&name));
        let mine = |pod: &&String| (Some(*pod) == holder.as_ref()) == (role == Role::Primary);
        let wanted: Vec<&String> = pods.iter().filter(|pod| role == Role::Everybody || mine(pod)).collect();
        let pod = (*dice.weighted(&wanted, |_| 1).context("nobody has that role")?).clone();
        let others = pods.iter().filter(|other| **other != pod).cloned().collect();
        let primary = Some(&pod) == holder.as_ref() && role != Role::Everybody;
        Ok((Cast { pod, others }, primary))
    }
}

/// Who holds the lease and writes, by the lease itself.
async fn open_holder(bed: &Bed) -> anyhow::Result<Option<String>> {
    let change = timeout(PATIENCE, lease_now(bed)).await.context("the API is silent")??;
    ensure!(change.state == "open", "nobody writes now");
    Ok(Some(change.holder))
}

async fn carry_out(bed: &Bed, act: &Act) -> anyhow::Result<Done> {
    match act {
        Act::Fault(request) => Ok(bed.handle.inject(request.clone()).await?),
        Act::DeletePod { pod, force } => {
            let name = name_of(pod);
            let deleted = async { if *force { bed.force_delete_pod(name).await } else { bed.delete_pod(name).await } };
            timeout(PATIENCE, deleted).await.context("the API is silent")??;
            Ok(Done { text: format!("{name} was deleted"), id: None })
        }
        Act::LoseNode { pod } => {
            let found = timeout(PATIENCE, bed.pods().get(name_of(pod))).await.context("the API is silent")??;
            let node = found.spec.and_then(|spec| spec.node_name).context("it is on no node")?;
            Ok(bed.handle.inject(FaultRequest::NodeLost { node }).await?)
        }
    }
}

fn name_of(pod: &str) -> &str {
    pod.rsplit('/').next().unwrap_or_default()
}
