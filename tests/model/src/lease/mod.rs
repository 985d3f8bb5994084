//! The model of the lease: whole `instance::Machine`s, clocks, an API server that loses and delays, and faults.
//!
//! The machines are core's own. The model makes up what is around them: each step is one event that a machine is
//! told of, one request that lands, one fault, or one second that passes on every clock. Whoever may be elected by
//! whatever controller, doubled, frozen or stale, is elected here: any standby, from any version of the lease.

mod action;
mod checks;
mod controller;
mod effects;
mod faults;
mod healed;
mod limits;
mod start;
mod state;
mod store;

pub use action::Action;
pub use limits::Limits;
pub use state::{SYSTEM, State};

use crate::runs::Clock;
use stateright::{Model, Property};

/// One run: its bounds.
#[derive(Clone, Debug)]
pub struct LeaseModel {
    /// What may happen, and how often.
    pub limits: Limits,
    /// When to stop, done or not.
    pub clock: Clock,
}

impl LeaseModel {
    /// What is wrong in a state: the rule that a step broke, or how the healed run goes.
    pub fn explain(&self, state: &State) -> String {
        state.broken.clone().unwrap_or_else(|| healed::story(&self.limits, state).join("\n    "))
    }
}

impl Model for LeaseModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![start::running(&self.limits)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_none() && self.clock.runs() {
            action::possible(&self.limits, state, actions);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        next.take(&self.limits, &action);
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no rule is broken by a step", |_, state: &State| state.broken.is_none()),
            Property::always("I1: one writer, under its own lease", |_, state| checks::one_writer(state)),
            Property::always("I4: settings go with the record", |model: &LeaseModel, state| {
                model.limits.sync == 0 || checks::settings_go_with_the_record(state)
            }),
            Property::always("I2: one timeline, one promotion", |_, state| checks::timelines_grow(state)),
            Property::always("terms only grow, and each has one holder", |_, state| checks::terms_grow(state)),
            Property::always("once all is well, a primary opens", |model: &LeaseModel, state| {
                healed::is_sampled(&model.limits, state) || healed::comes_back(&model.limits, state)
            }),
        ]
    }
}
