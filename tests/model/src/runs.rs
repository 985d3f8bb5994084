//! Runs: a model, its bounds, and what came of it.

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
    /// Seconds.
    pub seconds: f64,
    /// Each broken property, with the shortest way to it.
    pub violations: Vec<Violation>,
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
}

impl Clock {
    /// From now on.
    pub fn of(time: Duration) -> Self {
        Self { until: Instant::now() + time, is_cut: Arc::default() }
    }

    /// Whether there is time left; a state that is not followed any more is remembered.
    pub fn runs(&self) -> bool {
        let runs = Instant::now() < self.until;
        if !runs {
            self.is_cut.store(true, Ordering::Relaxed);
        }
        runs
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
    /// Seconds, and states generated, at the most. Counted in states first: machines differ.
    fn most(self) -> (u64, usize) {
        match self {
            Budget::Taste => (10, 20_000),
            Budget::Bounded => (12, 400_000),
            Budget::Mutant => (120, 2_000_000),
            Budget::Long => (900, 40_000_000),
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

/// A run by name.
pub struct Run {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    bounds: Bounds,
}

enum Bounds {
    Lease(Limits),
    Quorum(QuorumLimits),
}

impl Run {
    /// Lets it run.
    pub fn go(&self, budget: Budget) -> Outcome {
        let (seconds, states) = budget.most();
        let clock = Clock::of(Duration::from_secs(seconds));
        match &self.bounds {
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
        }
    }
}

/// `MODEL_HEAL=n` heals one of n states instead of the number that the run says.
fn healed_one_of(of_the_run: u64) -> u64 {
    std::env::var("MODEL_HEAL").ok().and_then(|n| n.parse().ok()).unwrap_or(of_the_run)
}

const fn lease(name: &'static str, about: &'static str, limits: Limits) -> Run {
    Run { name, about, bounds: Bounds::Lease(limits) }
}

const fn quorum(name: &'static str, about: &'static str, limits: QuorumLimits) -> Run {
    Run { name, about, bounds: Bounds::Quorum(limits) }
}

const FEW: QuorumLimits = QuorumLimits::FEW;
const QUIET: Limits = Limits::QUIET;

/// All runs.
pub const TABLE: &[Run] = &[
    lease(
        "lease-election",
        "elections of anybody by any controller while the primary is well or silent",
        Limits { ticks: 5, writes: 3, elections: 1, slow_kills: true, heal_one_of: 200, ..QUIET },
    ),
    lease(
        "lease-losses",
        "requests without an answer, stored, not stored, or stored long after",
        Limits { ticks: 4, writes: 2, elections: 1, losses: 1, zombies: true, heal_one_of: 200, ..QUIET },
    ),
    lease(
        "lease-losses-quiet",
        "the same without an election, further",
        Limits { ticks: 6, writes: 3, elections: 0, losses: 2, zombies: true, heal_one_of: 200, ..QUIET },
    ),
    lease(
        "lease-freeze",
        "a manager that stands still, and goes on later",
        Limits { ticks: 4, writes: 2, elections: 1, freezes: 1, heal_one_of: 200, ..QUIET },
    ),
    lease(
        "lease-crash",
        "a postmaster that dies while its backends go on, and the tail handed over",
        Limits { ticks: 3, writes: 4, elections: 1, crashes: 1, heal_one_of: 200, ..QUIET },
    ),
    lease(
        "lease-crash-lost",
        "the same, with answers lost",
        Limits { ticks: 3, writes: 3, elections: 1, crashes: 1, losses: 1, zombies: true, heal_one_of: 200, ..QUIET },
    ),
    lease(
        "lease-death",
        "a container that dies and starts again, proven or not yet",
        Limits { ticks: 3, writes: 3, elections: 1, deaths: 1, heal_one_of: 200, ..QUIET },
    ),
    lease(
        "lease-wedge",
        "a disk that hangs under an idle primary",
        Limits { ticks: 6, writes: 6, elections: 0, wedges: 1, ..QUIET },
    ),
    lease(
        "lease-drift",
        "clocks that drift apart by a second within a leaseDuration of four, and a manager that stands still",
        Limits { ticks: 4, writes: 1, elections: 1, freezes: 1, drift: 1, lease: 4, ..QUIET },
    ),
    lease(
        "lease-touched",
        "a lease touched by hand under a holder that renews",
        Limits { ticks: 4, writes: 3, elections: 1, edits: 1, slow_kills: true, heal_one_of: 200, ..QUIET },
    ),
    lease(
        "lease-terminated",
        "SIGTERM, with kills that take time",
        Limits { ticks: 3, writes: 3, elections: 1, terminations: 1, slow_kills: true, heal_one_of: 200, ..QUIET },
    ),
    lease(
        "lease-failsafe",
        "a primary that is cut off from the API, and a member that pledges",
        Limits {
            ticks: 9,
            writes: 1,
            elections: 1,
            cut: true,
            lease: 4,
            deadline: 3,
            failsafe: true,
            heal_one_of: 200,
            ..QUIET
        },
    ),
    lease(
        "lease-failsafe-three",
        "the same with two members to pledge",
        Limits {
            instances: 3,
            ticks: 8,
            writes: 1,
            elections: 1,
            cut: true,
            lease: 4,
            deadline: 3,
            failsafe: true,
            ..QUIET
        },
    ),
    lease(
        "lease-failsafe-join",
        "the same while a member joins that the primary does not know of",
        Limits {
            ticks: 9,
            writes: 1,
            elections: 1,
            joins: 1,
            cut: true,
            lease: 4,
            deadline: 3,
            failsafe: true,
            ..QUIET
        },
    ),
    lease(
        "lease-failsafe-restart",
        "the same while a member that has pledged starts again: its pledges are forgotten, and so is its timer",
        Limits {
            ticks: 8,
            writes: 1,
            elections: 1,
            deaths: 1,
            cut: true,
            lease: 4,
            deadline: 3,
            failsafe: true,
            ..QUIET
        },
    ),
    lease(
        "lease-handover",
        "a primary that is told to stop, three instances, two elections, within a second",
        Limits { instances: 3, ticks: 0, writes: 6, elections: 2, terminations: 1, ..QUIET },
    ),
    lease(
        "lease-crash-in-place",
        "a postmaster that dies, and nobody who is elected",
        Limits { ticks: 6, writes: 5, elections: 0, crashes: 2, heal_one_of: 200, ..QUIET },
    ),
    lease(
        "lease-double",
        "a pod deleted by force whose process lives, beside another of the same name",
        Limits { ticks: 4, writes: 2, elections: 1, doubles: 1, ..QUIET },
    ),
    lease("lease-join", "a member that joins", Limits { ticks: 4, writes: 2, elections: 1, joins: 1, ..QUIET }),
    lease(
        "lease-three",
        "three instances, two elections",
        Limits { instances: 3, ticks: 4, writes: 2, elections: 2, heal_one_of: 500, ..QUIET },
    ),
    lease(
        "lease-all",
        "three instances and every fault, not deep",
        Limits {
            instances: 3,
            ticks: 5,
            writes: 3,
            elections: 1,
            losses: 1,
            zombies: true,
            crashes: 1,
            deaths: 1,
            freezes: 1,
            wedges: 1,
            edits: 1,
            doubles: 1,
            terminations: 1,
            heal_one_of: 500,
            ..QUIET
        },
    ),
    quorum(
        "quorum-elections",
        "two elections, one after the other, and a primary that dies or not",
        QuorumLimits { writes: 2, elections: 2, crashes: 1, ..FEW },
    ),
    quorum(
        "quorum-controllers",
        "two controllers, two elections that overlap",
        QuorumLimits { writes: 2, elections: 2, controllers: 2, crashes: 1, ..FEW },
    ),
    quorum(
        "quorum-change",
        "the synchronous set changes once, and an election comes between",
        QuorumLimits { writes: 1, elections: 1, changes: 1, crashes: 1, ..FEW },
    ),
    quorum(
        "quorum-change-lost",
        "the same, with publishings that have no answer",
        QuorumLimits { writes: 1, elections: 1, changes: 2, losses: 1, ..FEW },
    ),
    quorum(
        "quorum-changes",
        "it changes twice",
        QuorumLimits { writes: 2, elections: 1, changes: 2, crashes: 1, ..FEW },
    ),
    quorum(
        "quorum-wipe",
        "a volume is lost and cloned anew, from anybody",
        QuorumLimits { writes: 1, elections: 1, wipes: 1, crashes: 1, ..FEW },
    ),
    quorum(
        "quorum-wipe-twice",
        "the same with two elections",
        QuorumLimits { writes: 2, elections: 2, wipes: 1, crashes: 1, ..FEW },
    ),
    quorum(
        "quorum-raise",
        "a holder raises its term while elections are under way",
        QuorumLimits { writes: 2, elections: 2, raises: 1, losses: 1, ..FEW },
    ),
    quorum(
        "quorum-raise-change",
        "the same while the set changes",
        QuorumLimits { writes: 1, elections: 1, raises: 1, changes: 2, ..FEW },
    ),
    quorum(
        "quorum-both",
        "commits wait for both standbys",
        QuorumLimits { writes: 1, elections: 2, changes: 1, needed: 2, crashes: 1, ..FEW },
    ),
    quorum(
        "quorum-preferred",
        "preferred: from one to nobody and back",
        QuorumLimits { writes: 2, elections: 1, changes: 2, preferred: true, crashes: 1, ..FEW },
    ),
];
