//! A holder's life: open, crashed with its tail in hand, stepping down in order (protocol, section 6).

use super::bounds::{CANDIDATE_BOUND, RECOVERY_BOUND, TAIL_BOUND};
use super::command::{Command, Op, StartAs};
use super::event::{Outcome, TailCall};
use super::machine::Machine;
use super::phase::{AfterKill, AfterRelease, Crashed, Phase, StepDown, SteppingDown};
use super::stop::Stop;
use super::view::{ClusterView, Volume};
use crate::lease::{HolderState, LeaseRecord, WalPosition};
use crate::time::Instant;
use core::time::Duration;

/// CNPG's smartShutdownTimeout, where nobody can take over and the user set none.
const SMART_DEFAULT: Duration = Duration::from_secs(180);

impl Machine {
    pub(super) fn become_primary(&mut self) {
        let timeline = self.hold.as_ref().map(|h| h.lease.value.timeline).unwrap_or_default();
        self.failures = 0;
        self.chosen_in_place = false;
        self.out.push(Command::AnnouncePrimary(timeline));
        self.phase = Phase::Primary;
    }

    pub(super) fn primary(&mut self) {
        let Some(cluster) = self.cluster.clone() else { return };
        let (awaited, fenced) = (self.lost_to().is_some(), self.is_fenced());
        let handover = awaited || fenced;
        if !(handover || self.terminating) {
            return self.restart_in_place(&cluster);
        }
        let electable = self.electable_peers();
        let stop = Stop {
            // With somebody to take over, clients are better served there: no smart phase unless asked for.
            smart: cluster.smart_shutdown.or_else(|| (!electable && !handover).then_some(SMART_DEFAULT)),
            // Whoever was elected fetches the end of WAL; a primary that is only fenced stops in all order.
            fast: (fenced || !awaited).then_some(if self.terminating {
                cluster.stop_delay
            } else {
                cluster.switchover_delay
            }),
            checkpoint_first: true,
            within: self.terminating.then_some(cluster.stop_delay),
        };
        let then = if self.terminating { AfterRelease::Exit } else { AfterRelease::Follow };
        let op = self.op();
        self.out.push(Command::StopPostgres(op, stop));
        self.phase = Phase::SteppingDown(SteppingDown { then, step: StepDown::Stopping(op) });
    }

    /// Only postgres restarts: the lease is held and renewed all the while, and nobody else is asked to take over.
    fn restart_in_place(&mut self, cluster: &ClusterView) {
        let Some(asked) = self.restart_due() else { return };
        let (smart, fast) = (cluster.smart_shutdown, Some(cluster.switchover_delay));
        let stop = Stop { smart, fast, checkpoint_first: true, within: None };
        self.restarted = Some(asked);
        self.chosen_in_place = true;
        let op = self.op();
        self.out.push(Command::StopPostgres(op, stop));
        self.phase = Phase::Crashed(Crashed::Stopping(op));
    }

    pub(super) fn crashed(&mut self, step: Crashed, now: Instant) {
        match step {
            Crashed::Offered { since, end } => {
                let coming = self.lost_to().is_some() && now.since(since) < CANDIDATE_BOUND;
                let alone = !self.electable_peers();
                let chosen = self.chosen_in_place || self.won().is_some();
                let waited = now.since(since) >= TAIL_BOUND && !coming;
                if self.terminating || self.is_fenced() {
                    self.leave_crashed(end);
                } else if alone || chosen || waited {
                    self.barrier_before_clients();
                    let op = self.start_postgres(StartAs::Primary);
                    self.phase = Phase::Crashed(Crashed::StartingInPlace(op, now));
                }
            }
            // It was to restart, and is to leave instead: nothing comes after its stop but the release.
            Crashed::Stopping(_) if self.terminating => {
                let step = StepDown::Stopping(self.stop_within_grace());
                self.phase = Phase::SteppingDown(SteppingDown { then: AfterRelease::Exit, step });
            }
            // Nothing was promised to a client yet: dead again, then as above.
            Crashed::StartingInPlace(..) if self.terminating => {
                let op = self.op();
                self.out.push(Command::KillEverything(op));
                self.phase = Phase::Crashed(Crashed::Killing(op));
            }
            Crashed::StartingInPlace(_, since) if now.since(since) >= RECOVERY_BOUND => {
                self.lose_and_pause(format!("it did not recover within {} s", RECOVERY_BOUND.as_secs()), now);
            }
            Crashed::Opening(past) => {
                let opened = |lease: &LeaseRecord| lease.state == HolderState::Open && lease.term > past;
                if self.hold.as_ref().is_some_and(|hold| opened(&hold.lease.value)) {
                    self.become_primary();
                }
            }
            _ => {}
        }
    }

    /// Nothing of postgres is left: the lease goes first, then (unless it is only fenced) this process; not while a
    /// renewal is under way.
    fn leave_crashed(&mut self, end: WalPosition) {
        if self.io.is_none() {
            self.release(Some(end));
            let step = StepDown::Releasing(end);
            let then = if self.terminating { AfterRelease::Exit } else { AfterRelease::Follow };
            self.phase = Phase::SteppingDown(SteppingDown { then, step });
        }
    }

    pub(super) fn crashed_finished(&mut self, step: Crashed, op: Op, outcome: Outcome, now: Instant) {
        match (step, outcome) {
            (Crashed::Stopping(o), _) if o == op => {
                let op = self.op();
                self.out.push(Command::KillEverything(op));
                self.phase = Phase::Crashed(Crashed::Killing(op));
            }
            (Crashed::Killing(o), Outcome::Done) if o == op => {
                let op = self.op();
                self.out.push(Command::InspectVolume(op));
                self.phase = Phase::Crashed(Crashed::Reading(op));
            }
            (Crashed::Reading(o), Outcome::Inspected(Volume::Data(data))) if o == op => {
                self.volume = Some(Volume::Data(data.clone()));
                self.lineage.clone_from(&data.lineage);
                if self.hold.as_ref().is_some_and(|hold| hold.lease.value.timeline != data.end.timeline) {
                    // There is no tail of this term.
                    return self.lose_and_pause("it ended before it was promoted".to_owned(), now);
                }
                self.phase = Phase::Crashed(Crashed::Offered { since: now, end: data.end });
            }
            (Crashed::StartingInPlace(o, _), Outcome::Done) if o == op => {
                let past = self.hold.as_ref().map(|hold| hold.lease.value.term).unwrap_or_default();
                self.phase = Phase::Crashed(Crashed::Opening(past));
            }
            (Crashed::Killing(o) | Crashed::Reading(o) | Crashed::StartingInPlace(o, _), outcome) if o == op => {
                self.failures = self.failures.saturating_add(1);
                let why = if let Outcome::Failed(why) = outcome { why } else { format!("{outcome:?}") };
                self.lose_and_pause(why, now);
            }
            _ => {}
        }
    }

    /// A candidate has everything up to the end: the holder gives the lease up, and answers with its version.
    pub(super) fn tail_confirmed(&mut self, op: Op, call: &TailCall) {
        let Phase::Crashed(Crashed::Offered { end, .. }) = self.phase else {
            return self.refuse_tail(op, "this instance offers no tail");
        };
        let term = self.hold.as_ref().map(|h| h.lease.value.term);
        if self.io.is_some() {
            return self.refuse_tail(op, "a renewal of the lease is under way; ask again");
        }
        if term != Some(call.term) {
            return self.refuse_tail(op, "the lease has another term");
        }
        if call.position < end {
            return self.refuse_tail(op, "the candidate lacks WAL");
        }
        self.release(Some(end));
        self.phase = Phase::Crashed(Crashed::Releasing(op, end));
    }

    fn refuse_tail(&mut self, op: Op, why: &str) {
        self.out.push(Command::AnswerTail(op, Err(why.to_owned())));
    }

    pub(super) fn stepping_down(&mut self, step: SteppingDown) {
        // A pod that is told to stop while it hands over leaves when that is done.
        if self.terminating && step.then == AfterRelease::Follow {
            let step = match step.step {
                StepDown::Stopping(_) => StepDown::Stopping(self.stop_within_grace()),
                further => further,
            };
            self.phase = Phase::SteppingDown(SteppingDown { then: AfterRelease::Exit, step });
        }
    }

    /// A stop is under way that has longer than the pod has: another one beside it, which has not.
    fn stop_within_grace(&mut self) -> Op {
        let grace = self.cluster.as_ref().map(|cluster| cluster.stop_delay).unwrap_or_default();
        let op = self.op();
        let stop = Stop { smart: None, fast: Some(grace), checkpoint_first: false, within: Some(grace) };
        self.out.push(Command::StopPostgres(op, stop));
        op
    }

    pub(super) fn step_down_finished(&mut self, down: SteppingDown, op: Op, outcome: Outcome, _now: Instant) {
        let step = match (down.step, outcome) {
            (StepDown::Stopping(o), _) if o == op => {
                let op = self.op();
                self.out.push(Command::KillEverything(op));
                StepDown::Killing(op)
            }
            (StepDown::Killing(o), Outcome::Done) if o == op => {
                let op = self.op();
                self.out.push(Command::InspectVolume(op));
                StepDown::Reading(op)
            }
            (StepDown::Reading(o), Outcome::Inspected(Volume::Data(data))) if o == op && self.io.is_none() => {
                self.volume = Some(Volume::Data(data.clone()));
                self.release(Some(data.end));
                StepDown::Releasing(data.end)
            }
            // A renewal is in flight: read again rather than race with it.
            (StepDown::Reading(o), Outcome::Inspected(_)) if o == op => {
                let op = self.op();
                self.out.push(Command::InspectVolume(op));
                StepDown::Reading(op)
            }
            (StepDown::Killing(o) | StepDown::Reading(o), _) if o == op => return self.lose(),
            (step, _) => step,
        };
        self.phase = Phase::SteppingDown(SteppingDown { step, ..down });
    }

    pub(super) fn release_stored(&mut self, version: String) {
        match self.phase {
            Phase::Crashed(Crashed::Releasing(op, end)) => {
                self.out.push(Command::AnswerTail(op, Ok(version)));
                self.phase = Phase::Offering(end);
            }
            Phase::SteppingDown(SteppingDown { then, step: StepDown::Releasing(end) }) => {
                self.after_release(then, end, true);
            }
            _ => {}
        }
    }

    /// Whether it was stored is not known: not a holder in any case; if it was not, the lease lapses.
    pub(super) fn release_failed(&mut self) {
        match self.phase {
            Phase::Crashed(Crashed::Releasing(op, end)) => {
                self.refuse_tail(op, "the release of the lease had no answer");
                self.phase = Phase::Offering(end);
            }
            Phase::SteppingDown(SteppingDown { then, step: StepDown::Releasing(end) }) => {
                self.after_release(then, end, false);
            }
            _ => {}
        }
    }

    /// Whoever leaves stays until another has taken the lease, lest the last of its WAL goes with it.
    fn after_release(&mut self, then: AfterRelease, end: WalPosition, stored: bool) {
        match then {
            AfterRelease::Follow => self.phase = Phase::Offering(end),
            AfterRelease::Exit if stored && self.electable_peers() => {
                self.lingers_until = Some(self.now.plus(TAIL_BOUND));
                self.phase = Phase::Offering(end);
            }
            AfterRelease::Exit => self.kill(AfterKill::Exit(0)),
        }
    }
}
