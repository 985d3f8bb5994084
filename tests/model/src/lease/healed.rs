//! Liveness: once nothing fails any more, and everything is delivered in order, a primary opens within a bound.
//!
//! The controller of this part is core's own: `election::next` and `election::elect` over what the API shows.

use super::controller::Controller;
use super::limits::Limits;
use super::state::{Postgres, State};
use pgherd_core::instance::Phase;
use pgherd_core::lease::HolderState;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A primary is open by then, in seconds: a lease that lapses, an election that is declined, and another.
const BACK_WITHIN: u64 = 40;
/// Rounds of deliveries within one second.
const ROUNDS: usize = 60;
/// Deliveries of one kind within a round: whatever a step brings about, a run comes to its end.
const DELIVERIES: usize = 200;

/// Of many states a few are followed, always the same ones.
pub fn is_sampled(limits: &Limits, state: &State) -> bool {
    // A lease that went back waits for people.
    if limits.heal_one_of == 0 || state.broken.is_some() || state.went_back() {
        return true;
    }
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    !hasher.finish().is_multiple_of(limits.heal_one_of)
}

/// Whether a primary opens when everything is well again, and whoever is there follows it; but for a volume with a
/// timeline that nobody reserved, which waits for people.
pub fn comes_back(limits: &Limits, state: &State) -> bool {
    let mut state = state.clone();
    heal(limits, &mut state);
    settle(limits, &mut state, BACK_WITHIN, |state| if limits.misled > 0 { is_served(state) } else { is_whole(state) })
}

/// One instance is open, and the others stream from it.
fn is_whole(state: &State) -> bool {
    let there = (0..state.slots.len()).filter(|at| state.may_boot(*at)).filter_map(|at| state.slots.get(at));
    let follows = |slot: &crate::shared::Shared<super::state::Slot>| {
        slot.postgres.writes() || slot.postgres == Postgres::Standby && slot.link.is_some_and(|link| link.streaming)
    };
    is_served(state) && there.into_iter().all(follows)
}

/// One instance is open under the stored lease.
pub fn is_served(state: &State) -> bool {
    let lease = state.store.lease().value;
    let serves = |slot: &&crate::shared::Shared<super::state::Slot>| {
        let primary = slot.machine.as_ref().is_some_and(|machine| *machine.phase() == Phase::Primary);
        primary && slot.postgres.writes() && lease.held_by().is_some_and(|holder| holder.nonce == slot.nonce())
    };
    lease.state == HolderState::Open && state.slots.iter().filter(serves).count() == 1
}

/// Every fault ends: what stood still goes on, what died starts, disks answer, pods that were deleted are gone.
fn heal(limits: &Limits, state: &mut State) {
    for at in 0..state.slots.len() {
        state.on(at, |slot| (slot.wedged, slot.cut) = (None, false));
        if state.slots.get(at).is_some_and(|slot| slot.frozen.is_some()) {
            state.thaw(limits, at);
        }
        if !state.may_boot(at) {
            state.end(at, false);
        }
    }
}

/// Delivers everything, second by second, until `done`.
pub fn settle(limits: &Limits, state: &mut State, seconds: u64, done: impl Fn(&State) -> bool) -> bool {
    let limits = Limits { writes: usize::MAX, losses: 0, misled: 0, ..*limits };
    let mut controller = Controller::default();
    for _ in 0..seconds {
        for _ in 0..ROUNDS {
            let before = state.clone();
            deliver(&limits, state);
            controller.look(&limits, state);
            if state.broken.is_some() {
                return false;
            }
            if *state == before {
                break;
            }
        }
        if done(state) {
            return true;
        }
        state.tick(&limits);
    }
    false
}

fn deliver(limits: &Limits, state: &mut State) {
    for _ in 0..DELIVERIES {
        let Some(put) = state.puts.first().cloned() else { break };
        // What has landed already is not sent again: its answer is on its way.
        if put.answer.is_none() {
            state.land(limits, 0);
        }
        // Landing took away what nobody waits for.
        if !put.given_up || put.answer.is_some() {
            state.answered(limits, 0);
        }
    }
    if let Some(put) = state.puts.first() {
        let asks = format!("instance {} asks the API server again at every answer, without a pause", put.slot);
        state.violated(asks);
    }
    for at in 0..state.slots.len() {
        if state.slots.get(at).is_some_and(|slot| slot.machine.is_none()) && state.may_boot(at) {
            state.boot(limits, at);
        }
        for _ in 0..DELIVERIES {
            if !state.slots.get(at).is_some_and(|slot| slot.awake() && slot.seen < state.store.newest()) {
                break;
            }
            state.watch(limits, at);
        }
        if state.store.missing.is_some() && state.slots.get(at).is_some_and(|slot| slot.awake() && !slot.misses) {
            state.see_missing(limits, at);
        }
        if state.slots.get(at).is_some_and(|slot| slot.awake()) {
            state.see_cluster(limits, at);
            state.see_deaths(limits, at);
            state.see_peers(limits, at);
        }
        let jobs = state.slots.get(at).map_or(0, |slot| slot.jobs.len());
        for job in (0..jobs).rev() {
            if state.can_finish(at, job) {
                state.finish(limits, at, job);
            } else {
                state.fail(limits, at, job);
            }
        }
    }
}

/// The healed run, second by second, for whoever looks for what holds it up.
pub fn story(limits: &Limits, state: &State) -> Vec<String> {
    let mut state = state.clone();
    heal(limits, &mut state);
    let mut told = vec![line(&state)];
    for _ in 0..BACK_WITHIN {
        if settle(limits, &mut state, 1, is_whole) {
            break;
        }
        told.push(line(&state));
        if let Some(broken) = &state.broken {
            told.push(broken.clone());
            break;
        }
    }
    told
}

fn line(state: &State) -> String {
    let lease = state.store.lease();
    let holder = lease.value.holder.as_ref().map(|holder| holder.nonce.0.clone()).unwrap_or_default();
    let mut text = format!(
        "{}: lease {} of {holder} {:?} term {} timeline {} tail {:?}; election {:?}",
        state.tick,
        lease.version,
        lease.value.state,
        lease.value.term,
        lease.value.timeline,
        lease.value.tail,
        state.store.elections.last().map(|e| (&e.winner, &e.lease_version, e.term, &e.tail, e.evidence)),
    );
    for slot in &state.slots {
        let phase = slot.machine.as_ref().map(|machine| machine.phase());
        text.push_str(&format!(
            "; {} {:?} {phase:?} ends {:?} jobs {:?}",
            slot.nonce(),
            slot.postgres,
            slot.end(),
            slot.jobs
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Action, start};
    use super::{comes_back, settle};
    use crate::lease::Limits;

    #[test]
    fn a_container_that_dies_before_the_answer_to_its_stored_lease_holds_up_nobody() {
        let limits = Limits { ticks: 9, writes: 9, ..Limits::QUIET };
        let mut state = start::running(&limits);
        for _ in 0..limits.ticks {
            if let Some(at) = (0..state.puts.len()).find(|at| state.can_land(&limits, *at)) {
                state.land(&limits, at);
                break;
            }
            state.take(&limits, &Action::Tick);
            while let Some(job) = state.slots[0].jobs.len().checked_sub(1) {
                state.finish(&limits, 0, job);
            }
        }
        assert!(state.puts.iter().any(|put| put.slot == 0 && put.answer.is_some()), "a renewal landed");
        state.end(0, true);
        assert!(state.puts.is_empty(), "its answer has nobody to reach");
        assert!(settle(&limits, &mut state.clone(), 1, |_| true), "everything is delivered");
        assert!(comes_back(&limits, &state));
    }
}
