//! Where runs begin: a cluster that has come up by itself, its first member the primary, the others streaming.

use super::healed::{is_served, settle};
use super::limits::Limits;
use super::state::{Postgres, Slot, Spent, State, Store};
use crate::shared::Shared;
use pgherd_core::lease::{ElectableRecord, LeaseRecord};

/// Long enough to initialise, clone and settle.
const UP_WITHIN: u64 = 60;
const EPOCH: u64 = 1_000;

/// A cluster that has just been created: nothing has started.
pub fn created(limits: &Limits) -> State {
    let slot = |at: usize| Shared::new(Slot::new(&format!("c-{}", at + 1), &format!("u{}", at + 1)));
    State {
        epoch: EPOCH,
        tick: 0,
        slots: (0..limits.instances).map(slot).collect(),
        // The controller makes the Lease with the Cluster's other objects.
        store: Shared::new(Store { leases: vec![LeaseRecord::default()], ..Store::default() }),
        puts: Vec::new(),
        spent: Spent::default(),
        broken: None,
    }
}

/// The same, up and running, with all its past forgotten but the newest version of the lease.
pub fn running(limits: &Limits) -> State {
    let mut state = created(limits);
    let whole = |state: &State| {
        let standbys = state
            .slots
            .iter()
            .filter(|slot| slot.postgres == Postgres::Standby && slot.link.is_some_and(|l| l.streaming));
        let promised = |record: &ElectableRecord| record.voters.len() + 1 == state.slots.len();
        let records = &state.store.lease().value.records;
        let kept = limits.sync == 0 || (records.len() == 1 && records.iter().all(promised));
        kept && is_served(state) && standbys.count() + 1 == state.slots.len() && names_all(state)
    };
    if !settle(limits, &mut state, UP_WITHIN, whole) {
        let phases = state.slots.iter().map(|slot| slot.machine.as_ref().map(|machine| machine.phase().clone()));
        let phases: Vec<_> = phases.collect();
        state.violated(format!("the cluster does not come up: {phases:?}"));
        return state;
    }
    state.epoch += state.tick;
    state.tick = 0;
    state.store.change(|store| {
        store.forgotten = store.newest() - 1;
        store.leases.drain(..store.leases.len().saturating_sub(1));
        store.elections.clear();
        store.dead.clear();
    });
    state.spent = Spent::default();
    for at in 0..state.slots.len() {
        state.on(at, |slot| {
            (slot.elections, slot.deaths) = (0, 0);
            slot.cut = limits.cut && slot.postgres.writes();
        });
    }
    state
}

/// The holder has named every other member as one that may take over.
fn names_all(state: &State) -> bool {
    state.store.lease().value.takers.len() + 1 == state.slots.len()
}
