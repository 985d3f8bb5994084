//! Which of several controllers does the work. It is for order and not for safety: two that work at once are harmless,
//! since every write of theirs names what it was decided from. So that nobody waits long, the lease is short.

use crate::lease::Observation;
use crate::time::Instant;
use core::time::Duration;

/// The lease's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// Another one may take the lease once it has stood still for so long.
    pub lease: Duration,
    /// Whoever has not renewed it for so long stops to work.
    pub renew_deadline: Duration,
    /// Between two looks at it.
    pub retry: Duration,
}

/// A second of API calls each, and a dead leader is replaced in nine: kube-controller-manager's 15 s, 10 s and 2 s are
/// for a work that two must not do.
pub const TIMINGS: Timings =
    Timings { lease: Duration::from_secs(8), renew_deadline: Duration::from_secs(5), retry: Duration::from_secs(1) };

/// The lease as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// `metadata.resourceVersion`.
    pub version: String,
    /// Whose it is; nobody's if it was released.
    pub holder: Option<String>,
}

/// What to do about it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is none: make it.
    Create,
    /// Write it over the version that was read.
    Write,
    /// It is another's.
    Wait,
}

/// One of the controllers.
#[derive(Clone, Debug)]
pub struct Candidate {
    name: String,
    timings: Timings,
    seen: Observation,
    renewed: Option<Instant>,
}

impl Candidate {
    /// `name` is another one in each process, so that a restarted one does not take its predecessor's lease for its own.
    #[must_use]
    pub fn new(name: String, timings: Timings) -> Self {
        Self { name, timings, seen: Observation::default(), renewed: None }
    }

    /// What to do about the lease as it was just read.
    #[must_use]
    pub fn next(&mut self, stored: Option<&Stored>, now: Instant) -> Next {
        let Some(stored) = stored else { return Next::Create };
        self.seen.observe(&stored.version, now);
        let mine = stored.holder.as_ref() == Some(&self.name);
        let still = self.seen.age(&stored.version, now) >= self.timings.lease;
        if !mine {
            self.renewed = None;
        }
        if mine || still || stored.holder.is_none() { Next::Write } else { Next::Wait }
    }

    /// A write that was sent at `sent` has succeeded.
    pub fn written(&mut self, sent: Instant) {
        self.renewed = Some(sent);
    }

    /// Whether this one works.
    #[must_use]
    pub fn leads(&self, now: Instant) -> bool {
        self.renewed.is_some_and(|sent| now.since(sent) < self.timings.renew_deadline)
    }

    /// Its name in the lease.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Instant = |s| Instant(s * 1_000_000_000);

    fn stored(version: &str, holder: &str) -> Stored {
        Stored { version: version.to_owned(), holder: (!holder.is_empty()).then(|| holder.to_owned()) }
    }

    fn candidate() -> Candidate {
        Candidate::new("b".to_owned(), TIMINGS)
    }

    #[test]
    fn a_lease_that_is_absent_or_released_is_taken_at_once() {
        assert_eq!(candidate().next(None, S(0)), Next::Create);
        assert_eq!(candidate().next(Some(&stored("1", "")), S(0)), Next::Write);
    }

    #[test]
    fn anothers_lease_is_taken_once_it_has_stood_still_for_its_time() {
        let mut me = candidate();
        assert_eq!(me.next(Some(&stored("1", "a")), S(100)), Next::Wait);
        assert_eq!(me.next(Some(&stored("1", "a")), S(107)), Next::Wait);
        assert_eq!(me.next(Some(&stored("2", "a")), S(108)), Next::Wait, "it was renewed");
        assert_eq!(me.next(Some(&stored("2", "a")), S(116)), Next::Write);
    }

    #[test]
    fn a_leader_that_could_not_renew_stops_before_another_may_begin() {
        let mut me = candidate();
        assert!(!me.leads(S(0)));
        me.written(S(1));
        assert!(me.leads(S(5)) && !me.leads(S(6)));
        assert_eq!(me.next(Some(&stored("1", "b")), S(7)), Next::Write, "it is still its own");
        assert!(TIMINGS.renew_deadline + 2 * TIMINGS.retry < TIMINGS.lease);
    }

    #[test]
    fn a_leader_that_sees_anothers_name_stops_at_once() {
        let mut me = candidate();
        me.written(S(1));
        assert_eq!(me.next(Some(&stored("9", "a")), S(2)), Next::Wait);
        assert!(!me.leads(S(2)));
    }
}
