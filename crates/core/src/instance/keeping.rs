//! Keeping the lease: renewals with proof, answers and their ages, and what happens when it is lost (L3-L6).

use super::bounds::{PROOF_FRESH, RENEW_RETRY, RETRY_PAUSE};
use super::command::{Command, Op};
use super::event::Outcome;
use super::machine::Machine;
use super::phase::{AfterKill, Crashed, Initializing, Phase, Promoting};
use super::view::Peer;
use crate::lease::{Conflict, Hold, HolderState, LeaseRecord, Purpose, Versioned, conflict, released, taken};
use crate::sync::own_raised;
use crate::time::Instant;
use crate::timeline::Lineage;

/// The one request about the lease that is in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LeaseIo {
    pub op: Op,
    pub kind: IoKind,
    pub over: String,
    pub record: LeaseRecord,
    /// When it was sent.
    pub since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum IoKind {
    Take,
    Renew,
    /// A renewal of a lease that is gone (L8).
    Create,
    Release,
}

/// What is known of the write path, and of the last renewal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Proof {
    pub op: Option<Op>,
    pub began: Option<Instant>,
    /// The last one, whether a renewal has used it or not.
    pub shown: Option<Instant>,
    pub next_renewal: Option<Instant>,
    pub next_proof: Option<Instant>,
}

impl Machine {
    pub(super) fn lease_seen(&mut self, lease: Versioned<LeaseRecord>, now: Instant) {
        if self.is_regression(&lease.value) {
            return;
        }
        self.observation.observe(&lease.version, now);
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
                self.note_stored(lease.clone(), now);
                self.unresolved = None;
                self.unanswered.clear();
                self.hold = Hold::from_answer(lease, sent, now, self.timings);
                self.proof = Proof { next_renewal: Some(sent.plus(self.timings.retry_period)), ..Proof::default() };
            }
            (IoKind::Take, Outcome::Unknown { sent, .. }) => self.take_unanswered(io, sent, now),
            // The watch has yet to tell that the lease is gone: asked again at once, the answer would be the same.
            (IoKind::Take, Outcome::NotFound) => {
                let sent = io.since.unwrap_or(now);
                self.take_unanswered(io, sent, now);
            }
            (IoKind::Renew | IoKind::Create, Outcome::Stored { version, sent }) => {
                self.missing = false;
                let lease = Versioned { version, value: io.record };
                if let Some(hold) = &mut self.hold {
                    hold.renewed(lease.clone(), sent, self.timings);
                }
                self.unanswered.clear();
                self.note_stored(lease, now);
                self.proof.next_renewal = Some(sent.plus(self.timings.retry_period));
            }
            (IoKind::Renew, Outcome::NotFound) => {
                self.lease_missing();
                self.proof.next_renewal = Some(now);
            }
            (IoKind::Renew | IoKind::Create, Outcome::Conflicted(stored)) => {
                match conflict(&self.me.holder.nonce, &stored.value) {
                    // Somebody touched our own record (a finalizer, a person): its version, but not its age (L4).
                    Conflict::Adopt => {
                        self.missing = false;
                        // A proxy that sends a request twice answers with the second one's conflict.
                        self.unanswered.push(io.record);
                        self.observation.observe(&stored.version, now);
                        self.adopt(stored);
                        // Those that were sent over an earlier version can be stored no more.
                        self.unanswered.clear();
                        self.lease = self.hold.as_ref().map(|hold| hold.lease.clone());
                        self.proof.next_renewal = Some(now);
                    }
                    Conflict::Lost => {
                        self.note_conflict(&io.over, stored, now);
                        self.lose();
                    }
                }
            }
            (IoKind::Release, Outcome::Stored { version, .. }) => {
                self.note_stored(Versioned { version: version.clone(), value: io.record }, now);
                self.release_stored(version);
            }
            // A renewal of ours had come first: what is stored is ours still, and nothing of it writes (L6).
            (IoKind::Release, Outcome::Conflicted(stored))
                if conflict(&self.me.holder.nonce, &stored.value) == Conflict::Adopt =>
            {
                // One that was set back meanwhile is put right by what is known of it (L9).
                let set_back = stored.value.term < io.record.term;
                let record = if set_back { io.record } else { released(&stored.value, io.record.tail) };
                self.put(IoKind::Release, stored.version.clone(), record);
                self.note_stored(stored, now);
            }
            (IoKind::Take, Outcome::Conflicted(stored)) => {
                self.note_conflict(&io.over, stored, now);
                // Over a version that is gone nothing can be stored any more: it was, or it never will be.
                self.resolve_take(now);
                self.unresolved = None;
                self.release_lost(io.kind);
            }
            (IoKind::Release, Outcome::Conflicted(stored)) => {
                self.note_conflict(&io.over, stored, now);
                self.release_lost(io.kind);
            }
            (IoKind::Release, _) => {
                self.proof.next_renewal = Some(now.plus(RENEW_RETRY));
                self.release_lost(io.kind);
            }
            (IoKind::Renew | IoKind::Create, _) => {
                if !self.unanswered.contains(&io.record) {
                    self.unanswered.push(io.record);
                }
                self.proof.next_renewal = Some(now.plus(RENEW_RETRY));
            }
            (IoKind::Take, _) => self.release_lost(io.kind),
        }
    }

    fn note_stored(&mut self, lease: Versioned<LeaseRecord>, now: Instant) {
        // An answer that the watch has overtaken is late, and no lease that went back (L9): no other word of the
        // lease need follow that would end that suspicion.
        let late = self.lease.as_ref().is_some_and(|known| lease.value.term < known.value.term);
        if late || self.is_regression(&lease.value) {
            return;
        }
        self.observation.observe(&lease.version, now);
        self.lease = Some(lease);
    }

    /// What a request ran into, unless the watch has moved on from the version that it was sent over: then it may have
    /// seen something later already, which it would not tell again.
    fn note_conflict(&mut self, over: &str, stored: Versioned<LeaseRecord>, now: Instant) {
        if self.lease.as_ref().is_none_or(|known| known.version == over) {
            self.note_stored(stored, now);
        }
    }

    pub(super) fn proof_answered(&mut self, outcome: &Outcome, now: Instant) {
        self.proof.op = None;
        match outcome {
            Outcome::Proven(began) => (self.proof.began, self.proof.shown) = (Some(*began), Some(*began)),
            _ => self.proof.next_proof = Some(now.plus(RENEW_RETRY)),
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
        self.lose_and(AfterKill::Restart);
    }

    /// The same after a failure, which would only happen again at once.
    pub(super) fn lose_and_pause(&mut self, why: String, now: Instant) {
        self.lose_and(AfterKill::Pause(now.plus(RETRY_PAUSE), why));
    }

    fn lose_and(&mut self, then: AfterKill) {
        self.hold = None;
        self.missing = false;
        self.io = None;
        self.unresolved = None;
        self.unanswered.clear();
        self.proof.next_renewal = None;
        if !matches!(self.phase, Phase::Killing(..) | Phase::Exited) {
            self.kill(if self.terminating { AfterKill::Exit(0) } else { then });
        }
    }

    /// Renews when it is due, or at once when the record has to say something else; never without a fresh proof
    /// that WAL can be written (hole 26).
    pub(super) fn keep_lease(&mut self, now: Instant) {
        let Some(hold) = &self.hold else { return self.settle_doubts(now) };
        if self.io.is_some() || matches!(self.phase, Phase::Killing(..) | Phase::Exited) {
            return;
        }
        if self.cannot_use_the_lease(hold.lease.value.timeline) {
            return self.release(hold.lease.value.tail); // The answer to a take came after it was given up.
        }
        let wanted = self.wanted_record(&hold.lease.value);
        let stored = &hold.lease.value;
        // Until a member is named it could not take over from a holder that vanished without proof (hole 13).
        let is_new = wanted.takers.iter().any(|taker| !stored.takers.contains(taker));
        let news = is_new
            || self.missing
            || (wanted.state, wanted.tail, wanted.term) != (stored.state, stored.tail, stored.term)
            || wanted.records != stored.records;
        let due = self.proof.next_renewal.is_none_or(|at| now >= at);
        if !(news || due) {
            return;
        }
        let fresh = self.proof.began.is_some_and(|began| now.since(began) < PROOF_FRESH);
        if !fresh {
            return self.prove(now);
        }
        let over = hold.lease.version.clone();
        self.proof.began = None;
        self.put(self.renewal(), over, wanted);
    }

    pub(super) fn prove(&mut self, now: Instant) {
        if self.proof.op.is_none() && self.proof.next_proof.is_none_or(|at| now >= at) {
            let op = self.op();
            let sql = matches!(self.phase, Phase::Primary);
            self.proof.op = Some(op);
            self.out.push(Command::ProveWritePath { op, sql });
        }
    }

    pub(super) fn wanted_record(&self, stored: &LeaseRecord) -> LeaseRecord {
        let mut record = stored.clone();
        // Frozen while the members pledge (L7).
        if !self.failsafe.active() {
            record.takers = self.takers();
            record.records = self.wanted_records(stored);
        }
        record.holder = Some(self.me.holder.clone());
        record.lease_duration = self.timings.lease_duration;
        match &self.phase {
            Phase::Primary | Phase::Promoting(Promoting::Opening) | Phase::Initializing(Initializing::Opening) => {
                record.state = HolderState::Open;
                record.tail = None;
                // The same after a false alarm: members that have promised to follow nobody of this term.
                if let Some(fence) = self.peers.iter().map(|peer| peer.fence).max().filter(|f| *f >= stored.term) {
                    record.records = own_raised(&record, fence.next());
                    record.term = fence.next();
                }
                record.lineage = self.opened_lineage(stored);
            }
            // Rule E6: the members were fenced at this term while the tail was offered; the next one frees them,
            // and voids what elections and late renewals still say of the crash.
            Phase::Crashed(Crashed::Opening(past)) => {
                record.state = HolderState::Open;
                record.tail = None;
                record.records = own_raised(&record, stored.term.max(past.next()));
                record.term = stored.term.max(past.next());
                record.lineage = self.opened_lineage(stored);
            }
            Phase::Crashed(Crashed::Offered { end, .. }) => {
                record.state = HolderState::Recovering;
                record.tail = Some(*end);
            }
            _ => {}
        }
        record
    }

    /// Whoever is elected later must lie on the history of what was open to clients.
    fn opened_lineage(&self, stored: &LeaseRecord) -> Option<Lineage> {
        let own = self.lineage.as_ref().filter(|lineage| lineage.timeline == stored.timeline);
        own.or(stored.lineage.as_ref()).cloned()
    }

    pub(super) fn takers(&self) -> Vec<crate::identity::PodUid> {
        let reached = |peer: &&Peer| peer.electable && !self.out_of_reach(&peer.name, self.now);
        self.peers.iter().filter(reached).map(|peer| peer.pod_uid.clone()).collect()
    }

    pub(super) fn put(&mut self, kind: IoKind, over: String, record: LeaseRecord) {
        let op = self.op();
        self.out.push(match kind {
            IoKind::Create => Command::CreateLease { op, record: record.clone() },
            _ => Command::PutLease { op, over: over.clone(), record: record.clone() },
        });
        self.io = Some(LeaseIo { op, kind, over, record, since: Some(self.now) });
    }

    /// Rule L2, over the version that was looked at.
    pub(super) fn take(&mut self, over: &Versioned<LeaseRecord>, purpose: Purpose) {
        let attempt = self.attempt();
        let own = self.promise();
        let taken = taken(&over.value, self.me.holder.clone(), attempt, purpose, self.takers(), own);
        let record = LeaseRecord { lease_duration: self.timings.lease_duration, ..taken };
        self.put(IoKind::Take, over.version.clone(), record);
    }

    /// Rule L6: from the moment of sending, not a holder.
    pub(super) fn release(&mut self, tail: Option<crate::lease::WalPosition>) {
        let Some(hold) = self.hold.take() else { return };
        let record = released(&hold.lease.value, tail);
        self.put(IoKind::Release, hold.lease.version, record);
    }
}
