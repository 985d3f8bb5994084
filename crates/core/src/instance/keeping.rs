//! Keeping the lease: renewals with proof, answers and their ages, and what happens when it is lost (L3-L6).

use super::bounds::{PROOF_FRESH, RENEW_RETRY};
use super::command::{Command, Op};
use super::event::Outcome;
use super::machine::Machine;
use super::phase::{AfterKill, Crashed, Initializing, Phase, Promoting};
use crate::lease::{Conflict, Hold, HolderState, LeaseRecord, Purpose, Versioned, conflict, taken};
use crate::time::Instant;

/// The one request about the lease that is in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeaseIo {
    pub op: Op,
    pub kind: IoKind,
    pub record: LeaseRecord,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IoKind {
    Take,
    Renew,
    Release,
}

/// What is known of the write path, and of the last renewal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Proof {
    pub op: Option<Op>,
    pub began: Option<Instant>,
    pub next_renewal: Option<Instant>,
}

impl Machine {
    pub(super) fn lease_seen(&mut self, lease: Versioned<LeaseRecord>, now: Instant) {
        let known_term = self.lease.as_ref().map(|l| l.value.term).unwrap_or_default();
        if lease.value.term < known_term {
            return; // A late answer of a watch; a lease that really went back is refused by rule L9.
        }
        self.observation.observe(&lease.version, now);
        if let Some((attempt, sent)) = self.unresolved_take.clone()
            && lease.value.attempt == attempt
            && lease.value.state != HolderState::Released
        {
            self.unresolved_take = None;
            self.hold = Hold::from_answer(lease.clone(), sent, now, self.timings);
        }
        let mine = lease.value.held_by().is_some_and(|holder| holder.nonce == self.me.holder.nonce);
        let lost = !mine && self.hold.as_ref().is_some_and(|hold| lease.value.term > hold.lease.value.term);
        self.lease = Some(lease);
        if lost {
            self.lose();
        }
    }

    pub(super) fn lease_answered(&mut self, outcome: Outcome, now: Instant) {
        let Some(io) = self.io.take() else { return };
        match (io.kind, outcome) {
            (IoKind::Take, Outcome::Stored { version, sent }) => {
                let lease = Versioned { version, value: io.record };
                self.note_own(lease.clone(), now);
                self.hold = Hold::from_answer(lease, sent, now, self.timings);
                self.proof = Proof { next_renewal: Some(sent.plus(self.timings.retry_period)), ..Proof::default() };
            }
            (IoKind::Take, Outcome::Unknown { sent, .. }) => self.unresolved_take = Some((io.record.attempt, sent)),
            (IoKind::Renew, Outcome::Stored { version, sent }) => {
                let lease = Versioned { version, value: io.record };
                if let Some(hold) = &mut self.hold {
                    hold.renewed(lease.clone(), sent, self.timings);
                }
                self.note_own(lease, now);
                self.proof.next_renewal = Some(sent.plus(self.timings.retry_period));
            }
            (IoKind::Renew, Outcome::Conflicted(stored)) => match conflict(&self.me.holder.nonce, &stored.value) {
                // Somebody touched our own record (a finalizer, a person): its version, but not its age (L4).
                Conflict::Adopt => {
                    if let Some(hold) = &mut self.hold {
                        hold.lease = stored;
                    }
                    self.proof.next_renewal = Some(now);
                }
                Conflict::Lost => {
                    self.lease = Some(stored);
                    self.lose();
                }
            },
            (IoKind::Release, Outcome::Stored { version, .. }) => {
                self.note_own(Versioned { version: version.clone(), value: io.record }, now);
                self.release_stored(version);
            }
            (IoKind::Take | IoKind::Release, Outcome::Conflicted(stored)) => {
                self.observation.observe(&stored.version, now);
                self.lease = Some(stored);
                self.release_lost(io.kind);
            }
            (IoKind::Release, _) => self.release_lost(io.kind),
            (IoKind::Renew, _) => self.proof.next_renewal = Some(now.plus(RENEW_RETRY)),
            (IoKind::Take, _) => {}
        }
    }

    fn note_own(&mut self, lease: Versioned<LeaseRecord>, now: Instant) {
        self.observation.observe(&lease.version, now);
        self.lease = Some(lease);
    }

    pub(super) fn proof_answered(&mut self, outcome: &Outcome) {
        self.proof.op = None;
        if let Outcome::Proven(began) = outcome {
            self.proof.began = Some(*began);
        }
    }

    /// Rule L5, the manager's half; the watchdog is the other.
    pub(super) fn fence_if_overdue(&mut self, now: Instant) {
        if self.hold.as_ref().is_some_and(|hold| hold.overdue(now)) {
            self.lose();
        }
    }

    /// No longer a holder, whatever the reason: everything is killed, then the volume is looked at again.
    pub(super) fn lose(&mut self) {
        self.hold = None;
        self.io = None;
        self.unresolved_take = None;
        if !matches!(self.phase, Phase::Killing(..) | Phase::Exited) {
            let then = if self.terminating { AfterKill::Exit(0) } else { AfterKill::Restart };
            self.kill(then);
        }
    }

    /// Renews when it is due, or at once when the record has to say something else; never without a fresh proof
    /// that WAL can be written (hole 26).
    pub(super) fn keep_lease(&mut self, now: Instant) {
        let Some(hold) = &self.hold else { return };
        if self.io.is_some() {
            return;
        }
        let wanted = self.wanted_record(&hold.lease.value);
        let news = wanted.state != hold.lease.value.state || wanted.tail != hold.lease.value.tail;
        let due = self.proof.next_renewal.is_none_or(|at| now >= at);
        if !(news || due) {
            return;
        }
        let fresh = self.proof.began.is_some_and(|began| now.since(began) < PROOF_FRESH);
        if !fresh {
            if self.proof.op.is_none() {
                let op = self.op();
                let sql = matches!(self.phase, Phase::Primary);
                self.proof.op = Some(op);
                self.out.push(Command::ProveWritePath { op, sql });
            }
            return;
        }
        let over = hold.lease.version.clone();
        self.proof.began = None;
        self.put(IoKind::Renew, over, wanted);
    }

    fn wanted_record(&self, stored: &LeaseRecord) -> LeaseRecord {
        let mut record = stored.clone();
        record.takers = self.takers();
        record.holder = Some(self.me.holder.clone());
        match &self.phase {
            Phase::Primary | Phase::Promoting(Promoting::Opening) | Phase::Initializing(Initializing::Opening) => {
                record.state = HolderState::Open;
                record.tail = None;
            }
            // Rule E6: the members were fenced at this term while the tail was offered; the next one frees them.
            Phase::Crashed(Crashed::Opening) if stored.state != HolderState::Open => {
                record.state = HolderState::Open;
                record.tail = None;
                record.term = stored.term.next();
            }
            Phase::Crashed(Crashed::Offered { end, .. }) => {
                record.state = HolderState::Recovering;
                record.tail = Some(*end);
            }
            _ => {}
        }
        record
    }

    pub(super) fn takers(&self) -> Vec<crate::identity::PodUid> {
        self.peers.iter().filter(|peer| peer.electable).map(|peer| peer.pod_uid.clone()).collect()
    }

    pub(super) fn put(&mut self, kind: IoKind, over: String, record: LeaseRecord) {
        let op = self.op();
        self.out.push(Command::PutLease { op, over, record: record.clone() });
        self.io = Some(LeaseIo { op, kind, record });
    }

    /// Rule L2, over the version that was looked at.
    pub(super) fn take(&mut self, over: &Versioned<LeaseRecord>, purpose: Purpose) {
        let attempt = self.attempt();
        let record = taken(&over.value, self.me.holder.clone(), attempt, purpose, self.takers());
        self.put(IoKind::Take, over.version.clone(), record);
    }

    /// Rule L6: from the moment of sending, not a holder.
    pub(super) fn release(&mut self, tail: Option<crate::lease::WalPosition>) {
        let Some(hold) = self.hold.take() else { return };
        let record = crate::lease::released(&hold.lease.value, tail);
        self.put(IoKind::Release, hold.lease.version, record);
    }
}
