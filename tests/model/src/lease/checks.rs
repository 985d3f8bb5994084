//! What must hold in every state.

use super::state::State;
use pgherd_core::instance::Phase;
use pgherd_core::sync::{own_entry, safe};

/// I1: who can commit is alone, and the stored lease is its own: before anybody else's take is stored it is dead.
pub fn one_writer(state: &State) -> bool {
    let writers: Vec<_> = state.slots.iter().filter(|slot| slot.postgres.writes()).collect();
    let lease = state.store.lease().value;
    let named = |nonce| lease.held_by().is_some_and(|holder| holder.nonce == nonce);
    writers.len() <= 1 && writers.iter().all(|writer| named(writer.nonce()))
}

/// I4, in the machine: what is in force goes with the stored record; and hole 11: whoever is let in after a crash
/// recovery sees nothing that could be taken back.
pub fn settings_go_with_the_record(state: &State) -> bool {
    let lease = state.store.lease().value;
    let Some(entry) = own_entry(&lease) else { return true };
    let holder = lease.held_by().map(|holder| holder.nonce.clone());
    state.slots.iter().filter(|slot| slot.postgres.writes() && holder == Some(slot.nonce())).all(|slot| {
        let open = slot.machine.as_ref().is_some_and(|machine| *machine.phase() == Phase::Primary) && !slot.gated;
        safe(&slot.setting, entry) && !(open && slot.unreplicated)
    })
}

/// I2: what is written is the timeline that the lease reserves.
pub fn timelines_grow(state: &State) -> bool {
    let reserved = state.store.lease().value.timeline;
    let writers = state.slots.iter().filter(|slot| slot.postgres.writes());
    let grow = state.store.leases.iter().zip(state.store.leases.iter().skip(1));
    grow.into_iter().all(|(before, after)| before.timeline <= after.timeline)
        && writers.into_iter().all(|writer| writer.end().timeline == reserved)
}

/// A term is a take: another holder, or another take of the same one, has a later term. A lease that is made anew
/// (L8) may have that of a take which nobody has heard of.
pub fn terms_grow(state: &State) -> bool {
    let pairs = state.store.leases.iter().zip(state.store.leases.iter().skip(1));
    pairs.into_iter().all(|(before, after)| {
        let same = before.attempt == after.attempt && before.holder == after.holder;
        let anew = after.attempt.0.starts_with("anew-");
        before.term <= after.term && (same || anew || before.term < after.term)
    })
}
