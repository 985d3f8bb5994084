//! The controller: the real `next` and `elect`, over what the API shows; what it writes is bound to what it read.

use super::world::{MEMBERS, World};
use pgherd_core::cluster::{Desired, Memory, Observed, PodView, Report, VolumeView};
use pgherd_core::election::{Answer, Next, Why, elect, next, why};
use pgherd_core::identity::Nonce;
use pgherd_core::lease::{HolderState, Term};
use pgherd_core::time::Instant;

/// It looks without being woken, too.
const QUIET: u64 = 1_000;
const RETRY: u64 = 250;
const ANSWER_WITHIN: u64 = 1_000;

type LeaseKey = (Option<Nonce>, Term, HolderState);

#[derive(Default)]
pub struct Controller {
    pub down: bool,
    /// A look is coming, or a round is under way.
    busy: bool,
    again: bool,
    round: u64,
    answers: Vec<(usize, Report)>,
    lease: Option<(LeaseKey, Instant)>,
    election: Option<(String, Instant)>,
    unhealthy: Option<Instant>,
}

impl World {
    pub fn controller_wakes(&mut self) {
        self.wake_controller();
        self.later(QUIET, World::controller_wakes);
    }

    pub fn wake_controller(&mut self) {
        if self.controller.busy {
            self.controller.again = true;
            return;
        }
        self.controller.busy = true;
        let delay = self.dice.between(2, 25);
        self.later(delay, World::controller_looks);
    }

    fn controller_rests(&mut self, pause: Option<u64>) {
        self.controller.busy = false;
        if let Some(pause) = pause {
            self.later(pause, World::wake_controller);
        } else if core::mem::take(&mut self.controller.again) {
            self.wake_controller();
        }
    }

    fn observe(&mut self) -> Observed {
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
            lease: Some(self.lease.clone()),
            status: self.status.clone(),
            ..Observed::default()
        };
        observed.memory = self.remember(&observed);
        observed
    }

    fn remember(&mut self, observed: &Observed) -> Memory {
        let now = self.now;
        let lease = &self.lease.value;
        let key = (lease.holder.as_ref().map(|holder| holder.nonce.clone()), lease.term, lease.state);
        let known = &mut self.controller;
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
            ..Memory::default()
        }
    }

    fn controller_looks(&mut self) {
        if self.controller.down {
            return self.controller_rests(None);
        }
        let observed = self.observe();
        match next(&desired(), &observed, self.now) {
            Next::Nothing => {
                if let (HolderState::Open, Some(holder)) = (self.lease.value.state, observed.holder())
                    && self.status.target_primary.is_none()
                {
                    self.status.target_primary = Some(holder.name.clone());
                }
                self.controller_rests(None);
            }
            Next::Wait { until, .. } => {
                let pause = until.since(self.now).as_millis() as u64;
                self.controller_rests(None);
                self.later(pause + 1, World::wake_controller);
            }
            Next::Cancel { holder, reason } => {
                self.note(|_| format!("controller: cancels for {holder}: {reason}"));
                self.status.target_primary = Some(holder);
                self.status.election = None;
                self.cluster_changed();
                self.controller_rests(None);
            }
            Next::Ask { why } => self.controller_asks(observed, why),
        }
    }

    fn controller_asks(&mut self, observed: Observed, why: Why) {
        self.controller.round += 1;
        self.controller.answers.clear();
        let round = self.controller.round;
        let Some(lease) = observed.lease.clone() else { return self.controller_rests(None) };
        for at in 0..MEMBERS {
            if matches!(why, Why::Switchover { .. }) {
                let report = self.fresh_report(at).filter(|_| self.nodes[at].reaches_peers());
                self.controller.answers.extend(report.map(|report| (at, report)));
            } else if !observed.pods[at].holds(&lease.value) {
                self.ask_to_fence(at, round, lease.value.term);
            }
        }
        let all_at_once = self.dice.between(150, ANSWER_WITHIN);
        self.later(all_at_once, move |w| w.controller_elects(round, observed, &why));
    }

    pub fn fenced(&mut self, round: u64, member: usize, report: Report) {
        if self.controller.round == round {
            self.controller.answers.push((member, report));
        }
    }

    fn controller_elects(&mut self, round: u64, mut observed: Observed, why: &Why) {
        if self.controller.round != round || self.controller.down {
            return self.controller_rests(None);
        }
        for (at, report) in core::mem::take(&mut self.controller.answers) {
            if observed.pods[at].uid == report.pod_uid {
                observed.pods[at].report = Some(report);
            }
        }
        let Some(lease) = observed.lease.clone() else { return self.controller_rests(None) };
        match elect(&desired(), &observed, &lease, why) {
            // Written over the status that it was decided from.
            Answer::Elected(election) if self.status == observed.status => {
                let fact = election.fact;
                self.note(|_| format!("controller: elects {fact:?}"));
                self.status.target_primary = Some(fact.winner.clone());
                self.status.election = Some(fact);
                self.cluster_changed();
                self.controller_rests(None);
            }
            Answer::Elected(_) => self.controller_rests(Some(1)),
            Answer::Refused(refusal) => {
                self.note(|_| format!("controller: refuses ({}): {:?}", refusal.reason, refusal.lines()));
                if matches!(why, Why::Switchover { .. }) {
                    self.status.target_primary = observed.holder().map(|holder| holder.name.clone());
                }
                self.controller_rests(Some(RETRY));
            }
        }
    }
}

fn desired() -> Desired {
    Desired { name: "c".to_owned(), instances: MEMBERS as u32, ..Desired::default() }
}
