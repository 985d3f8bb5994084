//! From an election won to a primary: the missing WAL, the lease, the promotion (E5, L2, I2).

use super::bounds::{ASK_AGAIN, CANDIDATE_BOUND, DECLINE_PAUSE, UNANNOUNCED_TAIL_BOUND};
use super::command::{Command, Op};
use super::event::Outcome;
use super::keeping::IoKind;
use super::machine::{Declined, Machine};
use super::phase::{Candidate, CandidateStep, Phase, Promoting, Standby};
use crate::cluster::{ElectionFact, TailFact};
use crate::election::{is_named, is_switchover, verify};
use crate::lease::{Ground, HolderState, Purpose, Refusal, Versioned, WalPosition, released};
use crate::time::Instant;

impl Machine {
    pub(super) fn run_for(&mut self, election: ElectionFact, now: Instant) {
        let needed = election.tail.as_ref().map_or(election.evidence, |tail| tail.end.max(election.evidence));
        let step = self.gather(needed);
        self.phase = Phase::Candidate(Candidate { election: Box::new(election), since: now, needs: needed, step });
    }

    fn gather(&mut self, needed: WalPosition) -> CandidateStep {
        let op = self.op();
        self.out.push(Command::AwaitPosition(op, needed));
        CandidateStep::Gathering(op)
    }

    pub(super) fn candidate(&mut self, candidate: Candidate, now: Instant) {
        if self.hold.is_some() && !self.terminating {
            let timeline = self.hold.as_ref().map(|h| h.lease.value.timeline).unwrap_or_default();
            self.configure_synchronous();
            let op = self.op();
            self.out.push(Command::Promote(op, timeline));
            self.phase = Phase::Promoting(Promoting::Asked(op));
            return;
        }
        let asked = self.io.is_some() || self.unresolved.is_some();
        let void = self.election() != Some(candidate.election.as_ref());
        let late = now.since(candidate.since) >= CANDIDATE_BOUND;
        if self.terminating || (!asked && (void || late || self.is_fenced())) {
            return self.decline(candidate, now);
        }
        match candidate.step {
            CandidateStep::Gathering(_) if self.goes_without(&candidate, now) => {
                let needs = candidate.election.evidence;
                self.candidate_take(Candidate { step: CandidateStep::Ready, needs, ..candidate }, now);
            }
            CandidateStep::Pausing(until) if now < until => {}
            CandidateStep::Ready | CandidateStep::Pausing(_) => self.candidate_take(candidate, now),
            // The take came to nothing.
            CandidateStep::Taking if !asked => self.candidate_take(candidate, now),
            _ => {}
        }
    }

    /// The WAL that it waits for is of a holder whose lease lapsed without a word about it, and no record says that a
    /// commit in it was acknowledged by anybody else: it is worth a moment, and not the cluster.
    fn goes_without(&self, candidate: &Candidate, now: Instant) -> bool {
        let source = candidate.election.tail.as_ref().map(|tail| &tail.pod_uid);
        let unannounced = self.lease.as_ref().is_some_and(|Versioned { value, .. }| {
            let holds = value.held_by().is_some_and(|holder| Some(&holder.pod_uid) == source);
            holds && value.state == HolderState::Open && value.records.is_empty()
        });
        unannounced && now.since(candidate.since) >= UNANNOUNCED_TAIL_BOUND
    }

    fn candidate_take(&mut self, candidate: Candidate, now: Instant) {
        let Some(lease) = self.lease.clone() else { return };
        let allowed = self.may_take(&lease, now);
        // Of a primary that was well when it was elected, the end of WAL is known by its release and not before.
        let handover = is_switchover(&candidate.election);
        let tail = lease.value.tail;
        let needs = tail.filter(|_| handover).map_or(candidate.needs, |tail| tail.max(candidate.needs));
        let doubted = verify(&candidate.election, &lease.version, &lease.value, self.incarnation(), needs).is_err();
        let step = match (allowed, lease.value.held_by()) {
            (Err(Refusal::WentBack { .. }), _) => return self.decline(candidate, now),
            (Ok(Ground::Released), _) if needs > candidate.needs => self.gather(needs),
            (Ok(Ground::Released), _) if doubted => return self.decline(candidate, now),
            (Ok(Ground::Released), _) => {
                self.take(&lease, Purpose::Promotion);
                CandidateStep::Taking
            }
            // An unreleased lease is taken as it was elected from (E5): the next election knows more.
            (Ok(_), _) if handover || !is_named(&candidate.election, &lease) => return,
            (Ok(_), _) if doubted => return self.decline(candidate, now),
            (Ok(_), _) => {
                self.take(&lease, Purpose::Promotion);
                CandidateStep::Taking
            }
            (Err(_), Some(holder))
                if lease.value.state == HolderState::Recovering && candidate.election.tail.is_some() =>
            {
                let op = self.op();
                let Some(tail) = candidate.election.tail.clone() else { return };
                // The holder that has to release may be another pod than the one that serves the WAL.
                let source = TailFact {
                    pod: holder.name.clone(),
                    pod_uid: holder.pod_uid.clone(),
                    address: holder.address.clone(),
                    end: tail.end,
                };
                self.out.push(Command::ConfirmTail(op, source, lease.value.term));
                CandidateStep::Confirming(op)
            }
            (Err(_), Some(_)) if handover || !is_named(&candidate.election, &lease) => return,
            (Err(_), Some(holder)) => {
                let op = self.op();
                self.out.push(Command::LookForProof(op, holder.name.clone(), holder.nonce.clone()));
                CandidateStep::Proving(op)
            }
            (Err(_), None) => return,
        };
        self.phase = Phase::Candidate(Candidate { step, needs, ..candidate });
    }

    pub(super) fn candidate_finished(&mut self, candidate: Candidate, op: Op, outcome: Outcome, now: Instant) {
        let next = match (candidate.step, outcome) {
            (CandidateStep::Gathering(o), Outcome::Done) if o == op => CandidateStep::Ready,
            (CandidateStep::Confirming(o), Outcome::Released(version)) if o == op => {
                // The holder's answer names the version that its release made: no need to wait for the watch.
                if let Some(lease) = &self.lease
                    && lease.value.held_by().is_some()
                {
                    let value = released(&lease.value, lease.value.tail);
                    self.lease = Some(Versioned { version: version.clone(), value });
                    self.observation.observe(&version, now);
                }
                CandidateStep::Ready
            }
            (CandidateStep::Proving(o), Outcome::Done) if o == op => {
                if let Some(holder) = self.lease.as_ref().and_then(|l| l.value.held_by()) {
                    self.dead.push(holder.nonce.clone());
                }
                CandidateStep::Ready
            }
            (CandidateStep::Gathering(o), _) if o == op => return self.decline(candidate, now),
            (CandidateStep::Confirming(o) | CandidateStep::Proving(o), _) if o == op => {
                CandidateStep::Pausing(now.plus(ASK_AGAIN))
            }
            (step, _) => step,
        };
        self.phase = Phase::Candidate(Candidate { step: next, ..candidate });
    }

    /// The take was refused, or its release was: whoever waited for it goes on.
    pub(super) fn release_lost(&mut self, kind: IoKind) {
        match (&self.phase, kind) {
            (Phase::Candidate(candidate), IoKind::Take) => {
                self.phase = Phase::Candidate(Candidate { step: CandidateStep::Ready, ..candidate.clone() });
            }
            (_, IoKind::Release) => self.release_failed(),
            _ => {}
        }
    }

    /// Back to being a standby: the same election is not run for again at once.
    fn decline(&mut self, candidate: Candidate, now: Instant) {
        let lacks_wal = matches!(candidate.step, CandidateStep::Gathering(_));
        self.declined = Some(Declined { election: *candidate.election, until: now.plus(DECLINE_PAUSE), lacks_wal });
        self.phase = Phase::Standby(Standby::Running { leader: None, unlinked: None });
    }

    pub(super) fn promotion_finished(&mut self, outcome: Outcome) {
        let reserved = self.hold.as_ref().map(|h| h.lease.value.timeline);
        match outcome {
            Outcome::Promoted(timeline, lineage) if Some(timeline) == reserved => {
                self.lineage = lineage;
                self.phase = Phase::Promoting(Promoting::Opening);
            }
            // Another timeline than the reserved one may be somebody else's (I2), and a promotion that failed
            // leaves nothing to serve.
            _ => self.lose(),
        }
    }

    pub(super) fn promoting(&mut self, step: Promoting) {
        let open = self.hold.as_ref().is_some_and(|h| h.lease.value.state == HolderState::Open);
        if step == Promoting::Opening && open {
            self.become_primary();
        }
    }
}
