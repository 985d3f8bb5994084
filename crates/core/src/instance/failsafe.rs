//! Rule L7 in the machine: asking for pledges while the API is away, and giving them.

use super::bounds::{FAILSAFE_AFTER, PROOF_FRESH, RENEW_RETRY};
use super::command::{Command, Op, PledgeRound};
use super::event::{Outcome, PledgeCall};
use super::keeping::IoKind;
use super::machine::Machine;
use super::phase::Phase;
use crate::identity::{Nonce, PodUid};
use crate::lease::{LeaseRecord, Term};
use crate::sync::{Pledge, Pledger, enough_pledges, is_bound, may_pledge, own_entry};
use crate::time::Instant;
use core::time::Duration;
use std::collections::BTreeSet;

/// What is known of pledges. Nothing of it is stored: a process that starts has a timer at zero (hole 22).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Failsafe {
    /// The API does not answer: rounds are asked for, and SSN, records and takers stay as they are.
    active: bool,
    round: u64,
    op: Option<Op>,
    next: Option<Instant>,
    /// A pledge that this member gave.
    pledged: Option<Given>,
}

/// A pledge: to whom, when, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Given {
    nonce: Nonce,
    term: Term,
    at: Instant,
    binds_for: Duration,
}

impl Failsafe {
    pub fn active(&self) -> bool {
        self.active
    }

    pub fn is_round(&self, op: Op) -> bool {
        self.op == Some(op)
    }
}

impl Machine {
    /// A renewal has had no answer for a while: the members are asked for the time that the API did not give.
    pub(super) fn keep_failsafe(&mut self, now: Instant) {
        let Some(hold) = self.hold.as_ref().filter(|_| !matches!(self.phase, Phase::Killing(..) | Phase::Exited))
        else {
            (self.failsafe.active, self.failsafe.op, self.failsafe.next) = (false, None, None);
            return;
        };
        let waits = self.io.as_ref().is_some_and(|io| {
            io.kind == IoKind::Renew && io.since.is_some_and(|since| now.since(since) >= FAILSAFE_AFTER)
        });
        self.failsafe.active = waits || !self.unanswered.is_empty();
        let due = self.failsafe.next.is_none_or(|at| now >= at);
        if !self.failsafe.active || !due || self.failsafe.op.is_some() {
            return;
        }
        // A disk that hangs is as good a reason to stop as it is with the API there (hole 26).
        if self.proof.shown.is_none_or(|began| now.since(began) >= PROOF_FRESH) {
            return self.prove(now);
        }
        let (nonce, term) = (self.me.holder.nonce.clone(), hold.lease.value.term);
        let takers = self.may_take_from_me();
        let members = self.peers.iter().filter(|peer| takers.contains(&peer.pod_uid)).cloned().collect();
        self.failsafe.round = self.failsafe.round.saturating_add(1);
        let lease_duration = self.timings.lease_duration;
        let round = PledgeRound { nonce, term, round: self.failsafe.round, lease_duration, members };
        let op = self.op();
        self.failsafe.op = Some(op);
        self.out.push(Command::AskPledges(op, round));
    }

    /// The confirmed takers, and those in lists that were sent and had no answer (hole 13).
    fn may_take_from_me(&self) -> BTreeSet<PodUid> {
        let confirmed = self.hold.as_ref().map(|hold| &hold.lease.value);
        confirmed
            .into_iter()
            .chain(self.unanswered_renewals())
            .flat_map(|record| record.takers.iter().cloned())
            .collect()
    }

    pub(super) fn unanswered_renewals(&self) -> impl Iterator<Item = &LeaseRecord> {
        let sent = self.io.iter().filter(|io| io.kind == IoKind::Renew).map(|io| &io.record);
        self.unanswered.iter().chain(sent)
    }

    pub(super) fn pledges_in(&mut self, outcome: Outcome, now: Instant) {
        self.failsafe.op = None;
        let Some(hold) = self.hold.as_ref().filter(|hold| !hold.overdue(now)) else { return };
        let mut lists: Vec<_> = vec![own_entry(&hold.lease.value).cloned()];
        lists.extend(self.unanswered_renewals().map(|record| own_entry(record).cloned()));
        let takers = self.may_take_from_me();
        let extended = match outcome {
            Outcome::Pledged { sent, by } if enough_pledges(&takers, &lists, &by) => Some(sent),
            _ => None,
        };
        self.failsafe.next = Some(match extended {
            Some(sent) => sent.plus(self.timings.retry_period),
            None => now.plus(RENEW_RETRY),
        });
        if let (Some(sent), Some(hold)) = (extended, self.hold.as_mut()) {
            hold.extended(sent, self.timings);
        }
    }

    /// The pledger's half: its own timer starts anew, and for a leaseDuration it fences itself for nobody. That is the
    /// asker's, if it is longer than its own: by its own timings the asker writes on.
    pub(super) fn pledge_asked(&mut self, op: Op, call: &PledgeCall, now: Instant) {
        let taking = self.io.as_ref().is_some_and(|io| io.kind == IoKind::Take) || self.unresolved.is_some();
        let pledger = Pledger {
            writes: self.hold.is_some(),
            takes: taking,
            fence: self.fence,
            lease: self
                .lease
                .as_ref()
                .map(|lease| (lease.value.term, lease.value.held_by().map(|holder| holder.nonce.clone()))),
        };
        let answer = may_pledge(&pledger, &call.nonce, call.term);
        if answer.is_ok() {
            self.observation.restart(now);
            let (nonce, term) = (call.nonce.clone(), call.term);
            let binds_for = self.timings.lease_duration.max(call.lease_duration);
            self.failsafe.pledged = Some(Given { nonce, term, at: now, binds_for });
        }
        let pledge = Pledge { pod_uid: self.me.holder.pod_uid.clone(), incarnation: self.incarnation().cloned() };
        self.out.push(Command::AnswerPledge(op, answer.map(|()| pledge).map_err(|refusal| refusal.to_string())));
    }

    /// A pledge binds while its holder may count on it: not once that has released, died for certain, or lost the
    /// lease.
    pub(super) fn is_pledged(&self, now: Instant) -> bool {
        self.failsafe.pledged.as_ref().is_some_and(|Given { nonce, term, at, binds_for }| {
            let over = self.lease.as_ref().is_some_and(|lease| {
                let holder = lease.value.held_by();
                let others = holder.is_none_or(|holder| holder.nonce != *nonce);
                lease.value.term > *term || (lease.value.term == *term && others)
            });
            is_bound(*at, *binds_for, now) && !over && !self.dead.contains(nonce)
        })
    }
}
