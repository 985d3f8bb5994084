//! A standby's life: following whoever is open, noticing that it cannot.

use super::bounds::{DECLINE_PAUSE, LINK_PATIENCE, RETRY_PAUSE};
use super::command::{Command, Op, StartAs};
use super::event::Outcome;
use super::machine::{Declined, Machine};
use super::phase::{AfterKill, Crashed, Initializing, Phase, Standby};
use super::stop::Stop;
use super::view::Leader;
use crate::time::Instant;
use core::time::Duration;

/// A standby has nothing to lose by stopping fast.
const STANDBY_STOP: Stop =
    Stop { smart: None, fast: Some(Duration::from_secs(20)), checkpoint_first: false, within: None };

impl Machine {
    pub(super) fn start_standby(&mut self, leader: Option<Leader>) {
        let op = self.start_postgres(StartAs::Standby(leader.clone()));
        self.phase = Phase::Standby(Standby::StartingPostgres(op, leader));
    }

    pub(super) fn standby(&mut self, step: Standby, now: Instant) {
        if self.terminating && !matches!(step, Standby::Stopping(_)) {
            let op = self.op();
            let within = self.cluster.as_ref().map(|cluster| cluster.stop_delay);
            self.out.push(Command::StopPostgres(op, Stop { within, ..STANDBY_STOP }));
            self.phase = Phase::Stopping(op);
            return;
        }
        let Standby::Running { leader, unlinked } = step else { return };
        if self.is_fenced() {
            let op = self.op();
            self.out.push(Command::StopPostgres(op, STANDBY_STOP));
            self.phase = Phase::Standby(Standby::Stopping(op));
            return;
        }
        if let Some(election) = self.won() {
            return self.run_for(election, now);
        }
        let wanted = self.leader();
        // One that it was counted by and is no longer has dropped it from its setting, too: no need to reconnect.
        let dropped = |wanted: &Leader| leader.as_ref() == Some(&Leader { counts_me: true, ..wanted.clone() });
        if wanted.as_ref().is_some_and(|new| leader.as_ref() != Some(new) && !dropped(new)) {
            self.out.push(Command::Follow(wanted.clone()));
            self.link = None;
            self.phase = Phase::Standby(Standby::Running { leader: wanted, unlinked: Some(now) });
            return;
        }
        let streaming = self.link.is_some_and(|link| link.streaming);
        let unlinked = if streaming || wanted.is_none() { None } else { unlinked.or(Some(now)) };
        if unlinked.is_some_and(|since| now.since(since) >= LINK_PATIENCE) {
            let op = self.op();
            self.failures = self.failures.saturating_add(2);
            self.out.push(Command::StopPostgres(op, STANDBY_STOP));
            self.phase = Phase::Standby(Standby::Stopping(op));
            return;
        }
        if streaming {
            self.failures = 0;
        }
        self.phase = Phase::Standby(Standby::Running { leader, unlinked });
    }

    pub(super) fn standby_finished(&mut self, step: Standby, op: Op, outcome: Outcome, now: Instant) {
        match (step, outcome) {
            (Standby::StartingPostgres(o, leader), Outcome::Done) if o == op => {
                self.phase = Phase::Standby(Standby::Running { leader, unlinked: None });
            }
            (Standby::StartingPostgres(o, _), Outcome::Failed(why)) if o == op => self.standby_failed(why, now),
            (Standby::Stopping(o), _) if o == op => self.kill(AfterKill::Restart),
            _ => {}
        }
    }

    /// A standby that has been restarted for want of a link to its open leader, and has none still: what it serves
    /// only gets older, so it is not to be taken for a healthy one. While nobody is open it stays what it is.
    #[must_use]
    pub fn cannot_follow(&self) -> bool {
        self.failures > 0 && matches!(self.phase, Phase::Standby(Standby::Running { unlinked: Some(_), .. }))
    }

    fn standby_failed(&mut self, why: String, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.kill(AfterKill::Pause(now.plus(RETRY_PAUSE), why));
    }

    /// The postmaster ended by itself.
    pub(super) fn postgres_exited(&mut self, why: String, now: Instant) {
        match &self.phase {
            Phase::Standby(Standby::Running { .. }) => self.standby_failed(why, now),
            Phase::Candidate(_) => {
                let until = now.plus(DECLINE_PAUSE);
                self.declined = self.election().cloned().map(|election| Declined { election, until, lacks_wal: false });
                self.standby_failed(why, now);
            }
            // A client may have written as soon as postgres was promoted, whatever the lease says of it yet.
            Phase::Primary
            | Phase::Promoting(_)
            | Phase::Initializing(Initializing::Opening)
            | Phase::Crashed(Crashed::Opening(_)) => {
                let op = self.op();
                self.out.push(Command::KillEverything(op));
                self.phase = Phase::Crashed(Crashed::Killing(op));
            }
            // Nothing was promised to a client yet: start over from what is on disk.
            Phase::Initializing(Initializing::StartingPostgres(_)) => self.start_is_void = true,
            Phase::Initializing(_) => self.lose_and_pause(why, now),
            // Whoever waits for a start, a stop or a kill learns of it by that command's outcome.
            _ => self.start_is_void = true,
        }
    }
}
