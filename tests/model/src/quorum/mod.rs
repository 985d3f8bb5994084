//! The model of the quorum: commits, walsenders, records, elections and lost volumes, without any clock.
//!
//! It assumes nothing about time: a primary that was replaced goes on for as long as it likes, elections overlap, and
//! what was sent lands whenever it does. What is decided is decided by core: `sync::{choose, next_move, Progress}`,
//! `election::{elect, verify}`, `lease::{taken, conflict}`. I3, I4, and that two of three instances are enough.

mod action;
mod election;
mod publish;
mod state;

use crate::runs::Clock;
pub use action::Action;
pub use state::State;
use stateright::{Model, Property};

/// What may happen, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Commits.
    pub writes: u8,
    /// Times that a primary wants another synchronous set.
    pub changes: u8,
    /// Elections.
    pub elections: u8,
    /// Controllers at work at once.
    pub controllers: usize,
    /// Primaries that die.
    pub crashes: u8,
    /// Volumes that are lost, and cloned anew from anybody.
    pub wipes: u8,
    /// Publishings without an answer.
    pub losses: u8,
    /// Terms raised in place (E6).
    pub raises: u8,
    /// Primaries that end in order: they release the lease, with where their WAL ends (L6).
    pub releases: u8,
    /// Standbys that somebody promotes by hand.
    pub meddles: u8,
    /// A controller may also hear members that do not fence themselves.
    pub unfenced: bool,
    /// A take promises those only who answered the election, not everybody.
    pub narrow: bool,
    /// `number`.
    pub needed: u32,
    /// `dataDurability: preferred`.
    pub preferred: bool,
}

impl Limits {
    /// One election, one write.
    pub const FEW: Limits = Limits {
        writes: 1,
        changes: 0,
        elections: 1,
        controllers: 1,
        crashes: 0,
        wipes: 0,
        losses: 0,
        raises: 0,
        releases: 0,
        meddles: 0,
        unfenced: false,
        narrow: false,
        needed: 1,
        preferred: false,
    };
}

/// One run.
#[derive(Clone, Debug)]
pub struct QuorumModel {
    /// Its bounds.
    pub limits: Limits,
    /// When to stop.
    pub clock: Clock,
}

impl Model for QuorumModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::running(&self.limits)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_none() && self.clock.runs() {
            action::possible(&self.limits, state, actions);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        next.take(&self.limits, action);
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("I3: no acknowledged commit is missing on an elected primary", |_, state: &State| {
                state.broken.is_none()
            }),
            Property::always("I4: what is in force anywhere is safe with what is stored", |_, state: &State| {
                state.is_ordered()
            }),
            Property::always("two of three instances are enough to elect one", |model: &QuorumModel, state: &State| {
                model.limits.preferred || model.limits.wipes > 0 || state.pairs_satisfy()
            }),
        ]
    }
}
