//! Runs: a model, its bounds, and what came of it. `table` lists them.

use crate::lease::{LeaseModel, Limits};
use crate::quorum::{Limits as QuorumLimits, QuorumModel, State};
use serde::{Deserialize, Serialize};
use stateright::{Checker, Model};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a run found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The run.
    pub name: String,
    /// Different states, without any symmetry reduction.
    pub states: usize,
    /// The longest path.
    pub depth: usize,
    /// Every state within the bounds was seen.
    pub exhausted: bool,
    /// It is one of the deep runs, which may be cut off after so many states.
    #[serde(default)]
    pub deep: bool,
    /// Seconds.
    pub seconds: f64,
    /// Each broken property, with the shortest way to it.
    pub violations: Vec<Violation>,
}

impl Outcome {
    /// How it ended, for people.
    pub fn end(&self) -> &'static str {
        match (self.violations.is_empty(), self.exhausted, self.deep) {
            (false, ..) => "VIOLATION",
            (_, true, _) => "exhausted",
            (.., true) => "cut off (deep)",
            _ => "cut off",
        }
    }
}

/// A broken property.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Violation {
    /// Which.
    pub property: String,
    /// What the last step did, where that is known.
    pub detail: String,
    /// The steps.
    pub trace: Vec<String>,
}

/// Ends a run when its time is up: the checker itself looks at the time only between its threads.
#[derive(Clone, Debug)]
pub struct Clock {
    until: Instant,
    is_cut: Arc<AtomicBool>,
    is_stopped: Arc<AtomicBool>,
}

impl Clock {
    /// From now on.
    pub fn of(time: Duration) -> Self {
        Self { until: Instant::now() + time, is_cut: Arc::default(), is_stopped: Arc::default() }
    }

    /// Whether there is time left; a state that is not followed any more is remembered.
    pub fn runs(&self) -> bool {
        let runs = self.is_stopped.load(Ordering::Relaxed) || Instant::now() < self.until;
        if !runs {
            self.is_cut.store(true, Ordering::Relaxed);
        }
        runs
    }

    /// Time does not count any more: the way to a violation is found by taking it again.
    fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }
}

/// Checks one model breadth first, with one thread, no longer than its clock allows.
pub fn check<M>(name: &str, model: M, clock: &Clock, states: usize, explain: impl Fn(&M::State) -> String) -> Outcome
where
    M: Model + Send + Sync + 'static,
    M::State: Debug + Clone + Hash + PartialEq + Send + Sync,
    M::Action: Debug + Clone + PartialEq + Send + Sync,
{
    let began = Instant::now();
    let checker = model
        .checker()
        .threads(1)
        .target_state_count(states)
        .finish_when(stateright::HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    clock.stop();
    let violations: Vec<Violation> = checker
        .discoveries()
        .into_iter()
        .map(|(property, path)| Violation {
            property: property.to_owned(),
            detail: explain(path.last_state()),
            trace: path.into_actions().iter().map(|action| format!("{action:?}")).collect(),
        })
        .collect();
    let taken = began.elapsed();
    let cut = checker.state_count() >= states || clock.is_cut.load(Ordering::Relaxed);
    Outcome {
        name: name.to_owned(),
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        exhausted: violations.is_empty() && !cut,
        deep: false,
        seconds: taken.as_secs_f64(),
        violations,
    }
}

/// How much of a run is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Enough to see that it runs.
    Taste,
    /// For `make test`.
    Bounded,
    /// For one mutant.
    Mutant,
    /// For `make model`.
    Long,
}

impl Budget {
    /// Seconds, and states generated, at the most. What counts is states, so that a run is the same on any machine;
    /// the time is for one that hangs.
    fn most(self, deep: bool) -> (u64, usize) {
        match self {
            Budget::Taste => (20, 20_000),
            Budget::Bounded => (30, 60_000),
            Budget::Mutant => (600, 3_000_000),
            Budget::Long if deep => (600, DEEP_STATES),
            Budget::Long => (3_600, 100_000_000),
        }
    }

    /// By name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "taste" => Some(Self::Taste),
            "bounded" => Some(Self::Bounded),
            "mutant" => Some(Self::Mutant),
            "long" => Some(Self::Long),
            _ => None,
        }
    }
}

/// Runs that `make model` goes through to the end, as it has been seen to: one that is cut off fails it. All others are
/// deep: they are cut off after so many states, unless they end by themselves.
const EXHAUSTED: &[&str] = &[
    "lease-losses",
    "lease-losses-quiet",
    "lease-freeze",
    "lease-wedge",
    "lease-crash",
    "lease-crash-lost",
    "lease-terminated",
    "lease-failsafe",
    "lease-failsafe-gone",
    "lease-failsafe-crash",
    "prompt-crash-in-place",
    "prompt-sync-crash",
    "lease-sync",
    "quorum-elections",
    "quorum-unfenced",
    "quorum-change-lost",
    "quorum-changes",
    "quorum-raise-change",
    "quorum-preferred",
];

/// Whether a run may be cut off.
fn is_deep(name: &str) -> bool {
    !EXHAUSTED.contains(&name)
}

/// Where a deep run is cut off.
const DEEP_STATES: usize = 3_000_000;

/// A run by name.
pub struct Run {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// What may happen in it.
    pub bounds: Bounds,
}

/// What may happen in a run.
pub enum Bounds {
    /// In the model of the lease.
    Lease(Limits),
    /// In the model of the quorum.
    Quorum(QuorumLimits),
}

impl Run {
    /// Lets it run.
    pub fn go(&self, budget: Budget) -> Outcome {
        let (seconds, states) = budget.most(is_deep(self.name));
        let clock = Clock::of(Duration::from_secs(seconds));
        let outcome = match &self.bounds {
            Bounds::Lease(limits) => {
                let limits = Limits { heal_one_of: healed_one_of(limits.heal_one_of), ..*limits };
                let model = LeaseModel { limits, clock: clock.clone() };
                let told = model.clone();
                check(self.name, model, &clock, states, |state| told.explain(state))
            }
            Bounds::Quorum(limits) => {
                let model = QuorumModel { limits: *limits, clock: clock.clone() };
                check(self.name, model, &clock, states, State::detail)
            }
        };
        Outcome { deep: is_deep(self.name), ..outcome }
    }
}

/// `MODEL_HEAL=n` heals one of n states instead of the number that the run says.
fn healed_one_of(of_the_run: u64) -> u64 {
    std::env::var("MODEL_HEAL").ok().and_then(|n| n.parse().ok()).unwrap_or(of_the_run)
}
