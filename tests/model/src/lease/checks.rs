//! What must hold in every state.

use super::state::State;
use pgherd_core::instance::Phase;
use pgherd_core::lease::LeaseRecord;
use pgherd_core::sync::{own_entry, safe};

/// I1: who can commit is alone, and the stored lease is its own: before anybody else's take is stored it is dead.
pub fn one_writer(state: &State) -> bool {
    let writers: Vec<_> = state.slots.iter().filter(|slot| slot.postgres.writes()).collect();
    let lease = state.store.lease().value;
    let named = |nonce| state.went_back() || lease.held_by().is_some_and(|holder| holder.nonce == nonce);
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

/// I2: what clients can write is the timeline that the lease reserves.
pub fn timelines_grow(state: &State) -> bool {
    let reserved = state.store.lease().value.timeline;
    let writers = state.slots.iter().filter(|slot| slot.postgres.writes() && !slot.gated);
    let grow = state.store.leases.iter().zip(state.store.leases.iter().skip(1));
    let set_back = |before: &LeaseRecord, after: &LeaseRecord| state.spent.set_backs > 0 && after.term < before.term;
    grow.into_iter().all(|(before, after)| before.timeline <= after.timeline || set_back(before, after))
        && writers.into_iter().all(|writer| writer.end().timeline == reserved || state.went_back())
}

/// A term is a take: another holder, or another take of the same one, has a later term. A lease that is made anew
/// (L8) may have that of a take which nobody has heard of.
pub fn terms_grow(state: &State) -> bool {
    let pairs = state.store.leases.iter().zip(state.store.leases.iter().skip(1));
    pairs.into_iter().all(|(before, after)| {
        let same = before.attempt == after.attempt && before.holder == after.holder;
        let anew = after.attempt.0.starts_with("anew-");
        let set_back = state.spent.set_backs > 0 && after.term < before.term;
        set_back || before.term <= after.term && (same || anew || before.term < after.term)
    })
}
