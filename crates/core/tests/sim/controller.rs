//! The controllers: the real `next` and `elect`, over what the API shows; what they write is bound to what they read.
//! The second one sleeps, but for a fault that has both at work at once.

use super::world::{MEMBERS, World};
use pgherd_core::cluster::{Desired, Memory, Observed, PodView, Report, VolumeView};
use pgherd_core::election::{Answer, Next, Why, elect, hears_holder, next, why};
use pgherd_core::identity::Nonce;
use pgherd_core::lease::{HolderState, Term};
use pgherd_core::plan::{Step, plan};
use pgherd_core::time::Instant;

/// It looks without being woken, too.
const QUIET: u64 = 1_000;
const RETRY: u64 = 250;
const ANSWER_WITHIN: u64 = 1_000;
pub const CONTROLLERS: usize = 2;

type LeaseKey = (Option<Nonce>, Term, HolderState);

#[derive(Default)]
pub struct Controller {
    pub down: bool,
    /// A look is coming, or a round is under way.
    busy: bool,
    again: bool,
    round: u64,
    answers: Vec<(usize, Report)>,
    /// Who counts on the holder.
    unfenced: Vec<usize>,
    lease: Option<(LeaseKey, Instant)>,
    election: Option<(String, Instant)>,
    unhealthy: Option<Instant>,
}

impl Controller {
    /// One that is not at work.
    pub fn asleep() -> Self {
        Self { down: true, ..Self::default() }
    }
}

impl World {
    pub fn controller_wakes(&mut self) {
        self.wake_controllers();
        self.later(QUIET, World::controller_wakes);
    }

    pub fn wake_controllers(&mut self) {
        for who in 0..CONTROLLERS {
            self.wake_controller(who);
        }
    }

    pub fn wake_controller(&mut self, who: usize) {
        if self.controllers[who].down {
            return;
        }
        if self.controllers[who].busy {
            self.controllers[who].again = true;
            return;
        }
        self.controllers[who].busy = true;
        let delay = self.dice.between(2, 25);
        self.later(delay, move |w| w.controller_looks(who));
    }

    fn controller_rests(&mut self, who: usize, pause: Option<u64>) {
        self.controllers[who].busy = false;
        if let Some(pause) = pause {
            self.later(pause, move |w| w.wake_controller(who));
        } else if core::mem::take(&mut self.controllers[who].again) {
            self.wake_controller(who);
        }
    }

    fn observe(&mut self, who: usize) -> Observed {
        let pod = |(at, node): (usize, &super::node::Node)| PodView {
            name: node.name.clone(),
            serial: at as u32 + 1,
            uid: node.uid.clone(),
            ip: Some(node.name.clone()),
            ready: true,
            dead_nonces: node.dead_nonces.clone(),
            report: node.annotation.clone().filter(|report| report.pod_uid == node.uid),
            ..PodView::default()
        };
        let volume = |(at, node): (usize, &super::node::Node)| VolumeView {
            name: node.name.clone(),
            serial: at as u32 + 1,
            has_data: node.disk.data.is_some(),
            ..VolumeView::default()
        };
        let mut observed = Observed {
            pods: self.nodes.iter().enumerate().map(pod).collect(),
            volumes: self.nodes.iter().enumerate().map(volume).collect(),
            lease: Some(self.lease.clone()).filter(|_| self.lease_lost.is_none()),
            status: self.status.clone(),
            ..Observed::default()
        };
        observed.memory = self.remember(who, &observed);
        observed
    }

    fn remember(&mut self, who: usize, observed: &Observed) -> Memory {
        let now = self.now;
        let lease = &self.lease.value;
        let key = (lease.holder.as_ref().map(|holder| holder.nonce.clone()), lease.term, lease.state);
        let known = &mut self.controllers[who];
        if known.lease.as_ref().is_none_or(|(before, _)| *before != key) {
            known.lease = Some((key, now));
        }
        let text = format!("{:?}", self.status.election);
        if known.election.as_ref().is_none_or(|(before, _)| *before != text) {
            known.election = Some((text, now));
        }
        known.unhealthy = why(observed).and(known.unhealthy.or(Some(now)));
        Memory {
            lease_since: known.lease.as_ref().map(|(_, since)| *since).unwrap_or_default(),
            election_since: known.election.as_ref().map(|(_, since)| *since).unwrap_or_default(),
            unhealthy_since: known.unhealthy,
            lease_lost_since: self.lease_lost,
            ..Memory::default()
        }
    }

    fn controller_looks(&mut self, who: usize) {
        if self.controllers[who].down {
            return self.controller_rests(who, None);
        }
        if self.lease_lost.is_some() {
            return self.controller_makes_the_lease_anew(who);
        }
        let observed = self.observe(who);
        match next(&desired(), &observed, self.now) {
            Next::Nothing => {
                if let (HolderState::Open, Some(holder)) = (self.lease.value.state, observed.holder())
                    && self.status.target_primary.is_none()
                {
                    self.status.target_primary = Some(holder.name.clone());
                }
                self.controller_rests(who, None);
            }
            Next::Wait { until, .. } => {
                let pause = until.since(self.now).as_millis() as u64;
                self.controller_rests(who, None);
                self.later(pause + 1, move |w| w.wake_controller(who));
            }
            Next::Cancel { holder, reason } => {
                self.note(|_| format!("controller: cancels for {holder}: {reason}"));
                self.status.target_primary = Some(holder);
                self.status.election = None;
                self.cluster_changed();
                self.controller_rests(who, None);
            }
            Next::Ask { why } => self.controller_asks(who, observed, why),
        }
    }

    /// Rule L8: when, by whose answers and as what is core's decision.
    fn controller_makes_the_lease_anew(&mut self, who: usize) {
        let mut observed = self.observe(who);
        for at in 0..MEMBERS {
            observed.pods[at].report = self.fresh_report(at).filter(|_| self.nodes[at].reaches_peers());
        }
        let desired = Desired { synchronous: self.sync.is_some(), ..desired() };
        let steps = plan(&desired, &observed, self.now).steps;
        let anew = steps.into_iter().find_map(|step| match step {
            Step::RecreateLease(record) => Some(*record),
            _ => None,
        });
        if let Some(record) = anew {
            self.note(|_| "controller: makes the deleted lease anew".to_owned());
            self.make_lease(record);
        }
        self.controller_rests(who, Some(RETRY));
    }

    fn controller_asks(&mut self, who: usize, observed: Observed, why: Why) {
        // The number tells whose round it is.
        let round = (self.controllers[who].round / CONTROLLERS as u64 + 1) * CONTROLLERS as u64 + who as u64;
        self.controllers[who].round = round;
        self.controllers[who].answers.clear();
        self.controllers[who].unfenced.clear();
        let Some(lease) = observed.lease.clone() else { return self.controller_rests(who, None) };
        for at in 0..MEMBERS {
            if matches!(why, Why::Switchover { .. }) {
                let report = self.fresh_report(at).filter(|_| self.nodes[at].reaches_peers());
                self.controllers[who].answers.extend(report.map(|report| (at, report)));
            } else if !observed.pods[at].holds(&lease.value) {
                self.ask_to_fence(at, round, lease.value.term);
            } else if hears_holder(&lease.value, &why) {
                // As its annotation would say it; it is not fenced, and no candidate.
                let report = self.fresh_report(at).filter(|_| self.nodes[at].reaches_peers());
                self.controllers[who].answers.extend(report.map(|report| (at, Report { fresh: false, ..report })));
            }
        }
        let all_at_once = self.dice.between(150, ANSWER_WITHIN);
        self.later(all_at_once, move |w| w.controller_elects(who, round, observed, &why));
    }

    pub fn fenced(&mut self, round: u64, member: usize, report: Report) {
        let who = round as usize % CONTROLLERS;
        if self.controllers[who].round == round {
            self.controllers[who].answers.push((member, report));
        }
    }

    pub fn not_fenced(&mut self, round: u64, member: usize) {
        let who = round as usize % CONTROLLERS;
        if self.controllers[who].round == round {
            self.controllers[who].unfenced.push(member);
        }
    }

    fn controller_elects(&mut self, who: usize, round: u64, mut observed: Observed, why: &Why) {
        if self.controllers[who].round != round || self.controllers[who].down {
            return self.controller_rests(who, None);
        }
        for (at, report) in core::mem::take(&mut self.controllers[who].answers) {
            if observed.pods[at].uid == report.pod_uid {
                observed.pods[at].report = Some(report);
            }
        }
        for at in core::mem::take(&mut self.controllers[who].unfenced) {
            observed.pods[at].counts_on_holder = true;
        }
        let Some(lease) = observed.lease.clone() else { return self.controller_rests(who, None) };
        match elect(&desired(), &observed, &lease, why) {
            // Written over the status that it was decided from.
            Answer::Elected(election) if self.status == observed.status => {
                let fact = election.fact;
                self.note(|_| format!("controller: elects {fact:?}"));
                self.status.target_primary = Some(fact.winner.clone());
                self.status.election = Some(fact);
                self.cluster_changed();
                self.controller_rests(who, None);
            }
            Answer::Elected(_) => self.controller_rests(who, Some(1)),
            Answer::Awaits(members) => {
                self.note(|_| format!("controller: waits for {members:?}"));
                self.controller_rests(who, Some(RETRY));
            }
            Answer::Refused(refusal) => {
                self.note(|_| format!("controller: refuses ({}): {:?}", refusal.reason, refusal.lines()));
                if matches!(why, Why::Switchover { .. }) {
                    self.status.target_primary = observed.holder().map(|holder| holder.name.clone());
                }
                self.controller_rests(who, Some(RETRY));
            }
        }
    }
}

fn desired() -> Desired {
    Desired { name: "c".to_owned(), instances: MEMBERS as u32, ..Desired::default() }
}
