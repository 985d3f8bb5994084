//! Core's own controller over what the model's API shows: `election::next`, then `election::elect`.

use super::limits::Limits;
use super::state::{State, TICK};
use pgherd_core::cluster::{Desired, LeaseSeen, Memory, Observed, PodView, Report, StatusFacts, VolumeView};
use pgherd_core::election::{Answer, Next, elect, next, why};
use pgherd_core::instance::{Event, FenceCall, Op};
use pgherd_core::lease::LeaseRecord;
use pgherd_core::plan::{Step, plan};
use pgherd_core::time::Instant;

/// The controller, with what it remembers between two looks.
#[derive(Default)]
pub struct Controller {
    lease: Option<(String, Instant)>,
    election: Option<(usize, Instant)>,
    unhealthy: Option<Instant>,
    target: Option<String>,
}

impl Controller {
    /// One look, and what follows from it.
    pub fn look(&mut self, limits: &Limits, state: &mut State) {
        let now = Instant((state.epoch + state.tick) * TICK);
        let desired = desired(limits);
        let mut observed = self.observe(state, now);
        if let Some(record) = Self::anew(&desired, &observed, state, now) {
            state.stored(record);
            return;
        }
        match next(&desired, &observed, now) {
            Next::Nothing | Next::Wait { .. } => {}
            Next::Cancel { holder, .. } => self.target = Some(holder),
            Next::Ask { why } => {
                let Some(lease) = observed.lease.clone() else { return };
                for at in 0..state.slots.len() {
                    let Some(slot) = state.slots.get(at) else { continue };
                    let pod = observed.pods.iter().find(|pod| pod.uid == slot.uid);
                    if !slot.awake() || pod.is_none_or(|pod| pod.holds(&lease.value)) {
                        continue;
                    }
                    state.tell(limits, at, Event::FenceRequested(Op(u64::MAX), FenceCall { term: lease.value.term }));
                    let Some(slot) = state.slots.get(at) else { continue };
                    let fenced = slot.disk.data.as_ref().is_some_and(|data| data.fence >= lease.value.term);
                    let fresh = report(state, at, true).filter(|_| fenced);
                    let pod = observed.pods.iter_mut().find(|pod| pod.uid == slot.uid);
                    pod.into_iter().for_each(|pod| pod.report = fresh.clone().or(pod.report.take()));
                }
                if let Answer::Elected(election) = elect(&desired, &observed, &lease, &why)
                    && state.store.elections.last() != Some(&election.fact)
                {
                    self.target = Some(election.fact.winner.clone());
                    state.store.change(|store| store.elections.push(election.fact));
                }
            }
        }
    }

    /// The deleted lease, made anew by a controller that looks at it now.
    pub fn recreated(&mut self, limits: &Limits, state: &State) -> Option<LeaseRecord> {
        let now = Instant((state.epoch + state.tick) * TICK);
        let observed = self.observe(state, now);
        Self::anew(&desired(limits), &observed, state, now)
    }

    /// Rule L8 is core's: when, by whose answers, and as what.
    fn anew(desired: &Desired, observed: &Observed, state: &State, now: Instant) -> Option<LeaseRecord> {
        let mut observed = observed.clone();
        observed.memory.lease_lost_since = Some(state.store.missing?);
        for (at, pod) in observed.pods.iter_mut().enumerate() {
            pod.report = report(state, at, true);
        }
        let steps = plan(desired, &observed, now).steps;
        steps.into_iter().find_map(|step| if let Step::RecreateLease(record) = step { Some(*record) } else { None })
    }

    fn observe(&mut self, state: &State, now: Instant) -> Observed {
        let exists = (0..state.slots.len()).filter(|at| state.may_boot(*at));
        let (mut pods, mut volumes) = (Vec::new(), Vec::new());
        for at in exists {
            let Some(slot) = state.slots.get(at) else { continue };
            let serial = u32::try_from(at).unwrap_or_default() + 1;
            pods.push(PodView {
                name: slot.name.clone(),
                serial,
                uid: slot.uid.clone(),
                ip: Some(slot.uid.0.clone()),
                ready: true,
                dead_nonces: state.store.dead.clone(),
                report: report(state, at, false),
                ..PodView::default()
            });
            let has_data = slot.disk.data.is_some();
            volumes.push(VolumeView { name: slot.name.clone(), serial, has_data, ..VolumeView::default() });
        }
        let status = StatusFacts {
            system_id: state.store.system,
            initializing: state.store.initializer.clone(),
            target_primary: self.target.clone(),
            election: state.store.elections.last().cloned(),
            ..StatusFacts::default()
        };
        let holder = state.store.lease().value.holder.map(|holder| holder.name);
        let status = StatusFacts { current_primary: holder, ..status };
        let lease = Some(state.store.lease()).filter(|_| state.store.missing.is_none());
        let mut observed = Observed { pods, volumes, lease, status, ..Observed::default() };
        observed.memory = self.remember(state, &observed, now);
        observed
    }

    fn remember(&mut self, state: &State, observed: &Observed, now: Instant) -> Memory {
        let lease = &state.store.lease().value;
        let key = format!("{:?} {} {:?}", lease.holder, lease.term, lease.state);
        if self.lease.as_ref().is_none_or(|(known, _)| *known != key) {
            self.lease = Some((key, now));
        }
        let count = state.store.elections.len();
        if self.election.is_none_or(|(known, _)| known != count) {
            self.election = Some((count, now));
        }
        self.unhealthy = why(observed).and(self.unhealthy.or(Some(now)));
        Memory {
            lease_since: self.lease.as_ref().map(|(_, since)| *since).unwrap_or_default(),
            election_since: self.election.map(|(_, since)| since).unwrap_or_default(),
            unhealthy_since: self.unhealthy,
            ..Memory::default()
        }
    }
}

fn desired(limits: &Limits) -> Desired {
    Desired {
        name: "c".to_owned(),
        instances: u32::try_from(limits.instances).unwrap_or(u32::MAX),
        synchronous: limits.sync > 0,
        timings: limits.timings(),
        ..Desired::default()
    }
}

/// What a member says of itself.
fn report(state: &State, at: usize, fresh: bool) -> Option<Report> {
    let slot = state.slots.get(at)?;
    let said = slot.machine.as_ref()?.report(state.now(at));
    let (version, term, _, stale) = said.lease.unwrap_or_default();
    Some(Report {
        nonce: slot.nonce(),
        pod_uid: slot.uid.clone(),
        incarnation: said.incarnation,
        system_id: said.system_id,
        phase: said.phase,
        message: said.message,
        lease_seen: LeaseSeen { version, stale, term, lease_duration: said.lease_duration },
        position: if fresh { Some(slot.end()) } else { said.position },
        tail: said.tail,
        fence: said.fence,
        fresh,
        ..Report::default()
    })
}
