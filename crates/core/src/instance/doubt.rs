//! Doubts about the lease: a take that had no answer, and a lease in this process' name without a hold (L3, L6).

use super::bounds::RENEW_RETRY;
use super::keeping::{IoKind, LeaseIo};
use super::machine::Machine;
use super::phase::{Initializing, Phase};
use super::view::Volume;
use crate::lease::{Ground, Hold, LeaseRecord, Versioned, released};
use crate::time::Instant;

/// A take that may or may not have been stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Unresolved {
    /// The version that it was sent over.
    over: String,
    record: LeaseRecord,
    /// When it was sent first: its deadline runs from there, whichever of its sendings is stored.
    sent: Instant,
    again: Instant,
}

impl Machine {
    pub(super) fn take_unanswered(&mut self, io: LeaseIo, sent: Instant, now: Instant) {
        let first = self.unresolved.take().filter(|known| known.record.attempt == io.record.attempt);
        let sent = first.map_or(sent, |known| known.sent);
        self.unresolved = Some(Unresolved { over: io.over, record: io.record, sent, again: now.plus(RENEW_RETRY) });
    }

    /// Rule L3: a stored record with one's own attempt id makes a holder, as the lost answer would have. The doubt
    /// ends when somebody else was stored, or when a hold would be overdue in any case.
    pub(super) fn resolve_take(&mut self, now: Instant) {
        let Some(doubt) = &self.unresolved else { return };
        let stored = self.lease.as_ref().filter(|lease| lease.value.term >= doubt.record.term);
        if let Some(lease) = stored {
            let mine = lease.value.attempt == doubt.record.attempt && lease.value.held_by().is_some();
            if mine && self.hold.is_none() {
                self.proof.began = None;
                self.proof.next_renewal = Some(doubt.sent.plus(self.timings.retry_period));
                self.hold = Hold::from_answer(lease.clone(), doubt.sent, now, self.timings);
            }
            self.unresolved = None;
        } else if now >= doubt.sent.plus(self.timings.renew_deadline) {
            self.unresolved = None;
        }
    }

    /// Without a hold: the same take once more while its fate is open, since one of the two is stored at most; and
    /// a lease that names this process, or an earlier pod of its volume, of which nothing writes any more, is given
    /// back (L6).
    pub(super) fn settle_doubts(&mut self, now: Instant) {
        if self.io.is_some() {
            return;
        }
        if let Some(doubt) = self.unresolved.clone() {
            let wanted = matches!(
                self.phase,
                Phase::Candidate(_) | Phase::Offering(_) | Phase::Initializing(Initializing::Taking)
            );
            if wanted && now >= doubt.again {
                self.put(IoKind::Take, doubt.over, doubt.record);
            }
            return;
        }
        let Some(lease) = &self.lease else { return };
        let mine = lease.value.held_by().is_some_and(|holder| holder.nonce == self.me.holder.nonce);
        let due = self.proof.next_renewal.is_none_or(|at| now >= at);
        if (mine || self.inherits(lease, now)) && due && self.cannot_use_the_lease(lease.value.timeline) {
            let end = match &self.volume {
                Some(Volume::Data(data))
                    if data.end.timeline == lease.value.timeline && self.wrote_last(&lease.value) =>
                {
                    Some(data.end)
                }
                _ => None,
            };
            let (over, record) = (lease.version.clone(), released(&lease.value, lease.value.tail.max(end)));
            self.put(IoKind::Release, over, record);
        }
    }

    /// The holder was an earlier pod on this volume. Where its heir cannot go on in place, the others get the lease.
    fn inherits(&self, lease: &Versioned<LeaseRecord>, now: Instant) -> bool {
        let ground = self.may_take(lease, now);
        ground == Ok(Ground::VolumeInherited) && matches!(self.volume, Some(Volume::Data(_)))
    }

    /// Postgres is down or in recovery, and this phase does not lead to writing.
    pub(super) fn cannot_use_the_lease(&self, timeline: crate::timeline::TimelineId) -> bool {
        match &self.phase {
            Phase::Waiting { .. } | Phase::Joining(..) | Phase::Rejoining(..) | Phase::Standby(_) => true,
            Phase::Stopping(_) => true,
            Phase::Offering(end) => end.timeline != timeline,
            _ => false,
        }
    }
}
