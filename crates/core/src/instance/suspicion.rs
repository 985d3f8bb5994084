//! What should not be: a lease that went back or vanished, and a standby that somebody promoted by hand (L8, L9).

use super::command::Command;
use super::keeping::IoKind;
use super::machine::Machine;
use super::phase::{AfterKill, Phase, Standby};
use super::view::Volume;
use crate::lease::{Ground, LeaseRecord, Refusal, Term, Versioned, may_take};
use crate::time::Instant;
use crate::timeline::TimelineId;

impl Machine {
    /// Rule L9: the lease is older than what this volume has seen of it, or than the timeline that it holds. Then it
    /// was restored or edited, and no role is changed by it: why, for people.
    #[must_use]
    pub(super) fn went_back(&self) -> Option<String> {
        let lease = self.regressed.as_ref().or(self.lease.as_ref().map(|lease| &lease.value))?;
        if lease.term < self.max_term {
            return Some(format!(
                "the lease is at term {}, and term {} was seen here: it was restored or edited. No role is changed by \
                 it; see \"A lease that went back\" in the runbook",
                lease.term, self.max_term
            ));
        }
        let own = self.own_timeline().filter(|own| *own > lease.timeline && self.is_initialised())?;
        Some(format!(
            "the volume holds timeline {own}, and the lease never reserved one after {}: postgres was promoted by \
             hand, or the lease was set back. The directory is neither served nor thrown away; to have it cloned \
             anew, delete the volume",
            lease.timeline
        ))
    }

    fn is_initialised(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.system_id.is_some())
    }

    fn own_timeline(&self) -> Option<TimelineId> {
        match &self.volume {
            Some(Volume::Data(data)) => Some(data.end.timeline),
            _ => None,
        }
    }

    /// Rules L2 and L9 in one: whether this version may be taken now.
    pub(super) fn may_take(&self, lease: &Versioned<LeaseRecord>, now: Instant) -> Result<Ground, Refusal> {
        if let Some(why) = self.went_back() {
            return Err(Refusal::WentBack { why });
        }
        let watched = self.observation.age(&lease.version, now);
        may_take(&lease.value, &self.me.holder, watched, self.timings, &self.dead)
    }

    /// A lease of an earlier term than one that is known: a late word of the watch, or one that really went back. It
    /// is not gone by either way; the next one that is not older ends it.
    pub(super) fn is_regression(&mut self, lease: &LeaseRecord) -> bool {
        let known = self.lease.as_ref().map(|known| known.value.term).unwrap_or_default();
        let back = lease.term < known;
        self.regressed = back.then(|| lease.clone());
        self.max_term = self.max_term.max(lease.term);
        back
    }

    /// What the volume remembers of earlier lives.
    pub(super) fn term_remembered(&mut self, term: Term) {
        self.max_term = self.max_term.max(term);
    }

    /// Rule L8, the holder's half: a lease that is gone is made again from memory, as the next renewal.
    pub(super) fn lease_missing(&mut self) {
        if self.hold.is_some() {
            if !self.missing {
                let why = "the Lease was deleted while this instance holds it: it is made again from memory";
                self.out.push(Command::Alarm(why.to_owned()));
            }
            self.missing = true;
        } else {
            self.lease = None;
            self.regressed = None;
        }
    }

    /// How a renewal is sent: over its version, or anew where there is nothing to renew.
    pub(super) fn renewal(&self) -> IoKind {
        if self.missing { IoKind::Create } else { IoKind::Renew }
    }

    /// Somebody else wrote our record: its version is adopted, and what only a holder decides is what we know (L4).
    pub(super) fn adopt(&mut self, stored: Versioned<LeaseRecord>) {
        let Some(hold) = &self.hold else { return };
        let known = &hold.lease.value;
        // A renewal of ours that had no answer may be what is stored.
        let ours = |is: fn(&LeaseRecord, &LeaseRecord) -> bool| {
            is(known, &stored.value) || self.unanswered.iter().any(|sent| is(sent, &stored.value))
        };
        let records = ours(|sent, stored| sent.records == stored.records);
        let edited = !records || !ours(|sent, stored| (sent.term, sent.timeline) == (stored.term, stored.timeline));
        let value = LeaseRecord {
            attempt: known.attempt.clone(),
            // Members that saw a higher one would take any lower for a lease that went back.
            term: stored.value.term.max(known.term),
            timeline: known.timeline,
            lineage: known.lineage.clone(),
            records: if records { stored.value.records } else { known.records.clone() },
            ..stored.value
        };
        if edited {
            let why = format!(
                "the lease was edited while this instance holds it (term {}, timeline {} instead of term {}, timeline \
                 {}; or its records): the next renewal puts it right",
                stored.value.term, stored.value.timeline, known.term, known.timeline
            );
            self.out.push(Command::Alarm(why));
        }
        if let Some(hold) = &mut self.hold {
            hold.lease = Versioned { version: stored.version, value };
        }
    }

    /// A standby's postgres writes: somebody promoted it, and not by the lease. It is killed at once (I1), and its
    /// directory holds a timeline that nobody reserved.
    pub(super) fn found_writing(&mut self) {
        let follows = matches!(self.phase, Phase::Standby(Standby::Running { .. }) | Phase::Candidate(_));
        if follows && self.hold.is_none() {
            let why = "postgres writes although this member is a standby: it was promoted by hand, and is killed";
            self.out.push(Command::Alarm(why.to_owned()));
            self.kill(AfterKill::Restart);
        }
    }
}
