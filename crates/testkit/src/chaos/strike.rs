//! Putting faults on a cluster when their time comes, and ending them.

use super::dice::Dice;
use super::kinds::{Act, Cast, Harm, Whom, kind};
use super::knowledge::Knowledge;
use super::schedule::{Planned, Role};
use crate::bed::Bed;
use crate::journal::boottime;
use anyhow::Context as _;
use core::time::Duration;
use pgherd_localkube::fault::{Done, FaultRequest};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until};

/// How long a fault waits for somebody whom it can be put on.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long before a fault a row may have been acknowledged that it keeps from being streamed.
const BEFORE: u64 = 2_000_000_000;
/// How long after it the volume may still be out of reach.
const AFTER: u64 = 5_000_000_000;
/// How long a container waits for its restart when it was killed before.
const BACKED_OFF: u64 = 25_000_000_000;

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

impl Struck {
    /// Spans in which the volume of a primary could not be read.
    #[must_use]
    pub fn unreadable(all: &[Self]) -> Vec<(u64, u64)> {
        let container = |one: &Self| matches!(one.kind.as_str(), "kill_manager" | "kill_pod" | "kill_container");
        let mut spans = Vec::new();
        for (index, one) in all.iter().enumerate() {
            let hidden = kind(&one.kind).is_some_and(|kind| kind.harm == Harm::Hidden);
            let again = container(one) && all.iter().take(index).any(|other| container(other) && other.pod == one.pod);
            if one.primary && hidden {
                spans.push((one.from.saturating_sub(BEFORE), one.until.saturating_add(AFTER)));
            } else if one.primary && again {
                // The kubelet makes it wait, and the others do not wait that long.
                spans.push((one.from.saturating_sub(BEFORE), one.from.saturating_add(BACKED_OFF)));
            }
        }
        spans
    }
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
}

impl<'a> Striker<'a> {
    /// For a cluster.
    #[must_use]
    pub const fn new(bed: &'a Bed, knowledge: &'a Knowledge) -> Self {
        Self { bed, knowledge, lasting: Vec::new(), struck: Vec::new() }
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
            let mut dice = Dice::new(planned.seed);
            let Some((cast, primary)) = self.cast(planned.role, &mut dice).await else {
                if Instant::now() >= deadline {
                    return Ok(());
                }
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let acts = (kind.acts)(&cast, &mut dice);
            let from = boottime();
            let (mut told, mut ids) = (Vec::new(), Vec::new());
            for act in &acts {
                match carry_out(self.bed, act).await {
                    Ok(Done { text, id }) => {
                        told.push(text);
                        ids.extend(id);
                    }
                    Err(error) if Instant::now() >= deadline => told.push(format!("not done: {error:#}")),
                    Err(_) => {}
                }
            }
            if told.is_empty() {
                // Its process may be about to come back.
                sleep(Duration::from_millis(200)).await;
                continue;
            }
            let pod = if kind.whom == Whom::Pod { cast.pod } else { String::new() };
            let index = self.struck.len();
            let done = told.join("; ");
            self.struck.push(Struck { kind: planned.kind.clone(), pod, primary, from, until: from, done });
            if planned.lasts > 0 {
                let ends = Instant::now() + Duration::from_millis(planned.lasts);
                self.lasting.push(Lasting { ends, index, ids });
            }
            return Ok(());
        }
    }

    /// Who is meant now.
    async fn cast(&self, role: Role, dice: &mut Dice) -> Option<(Cast, bool)> {
        let status = self.bed.handle.status().await.ok()?;
        let prefix = self.bed.full(&format!("{}-", self.bed.place.cluster));
        let mut pods: Vec<String> = status.pods.into_iter().map(|(name, _)| name).collect();
        pods.retain(|name| name.starts_with(&prefix));
        pods.sort();
        let holder = self.knowledge.holder().map(|name| self.bed.full(&name));
        let mine = |pod: &&String| (Some(*pod) == holder.as_ref()) == (role == Role::Primary);
        let wanted: Vec<&String> = pods.iter().filter(|pod| role == Role::Everybody || mine(pod)).collect();
        let pod = (*dice.weighted(&wanted, |_| 1)?).clone();
        let others = pods.iter().filter(|other| **other != pod).cloned().collect();
        let primary = Some(&pod) == holder.as_ref() && role != Role::Everybody;
        Some((Cast { pod, others }, primary))
    }
}

async fn carry_out(bed: &Bed, act: &Act) -> anyhow::Result<Done> {
    match act {
        Act::Fault(request) => Ok(bed.handle.inject(request.clone()).await?),
        Act::DeletePod { pod, force } => {
            let name = pod.rsplit('/').next().unwrap_or_default();
            if *force {
                bed.force_delete_pod(name).await?;
            } else {
                bed.delete_pod(name).await?;
            }
            Ok(Done { text: format!("{name} was deleted"), id: None })
        }
    }
}
