//! What must hold in every state.

use super::state::State;

/// I1: who can commit is alone, and the stored lease is its own: before anybody else's take is stored it is dead.
pub fn one_writer(state: &State) -> bool {
    let writers: Vec<_> = state.slots.iter().filter(|slot| slot.postgres.writes()).collect();
    let lease = state.store.lease().value;
    let named = |nonce| lease.held_by().is_some_and(|holder| holder.nonce == nonce);
    writers.len() <= 1 && writers.iter().all(|writer| named(writer.nonce()))
}

/// I2: what is written is the timeline that the lease reserves.
pub fn timelines_grow(state: &State) -> bool {
    let reserved = state.store.lease().value.timeline;
    let writers = state.slots.iter().filter(|slot| slot.postgres.writes());
    let grow = state.store.leases.iter().zip(state.store.leases.iter().skip(1));
    grow.into_iter().all(|(before, after)| before.timeline <= after.timeline)
        && writers.into_iter().all(|writer| writer.end().timeline == reserved)
}

/// A term is a take: another holder, or another take of the same one, has a later term.
pub fn terms_grow(state: &State) -> bool {
    let pairs = state.store.leases.iter().zip(state.store.leases.iter().skip(1));
    pairs.into_iter().all(|(before, after)| {
        let same = before.attempt == after.attempt && before.holder == after.holder;
        before.term <= after.term && (same || before.term < after.term)
    })
}
