//! Rule L1: how long this process has watched one version of the lease.

use crate::time::Instant;
use core::time::Duration;

/// The timer of rule L1. It starts from zero with the process and trusts nothing that is stored: a timer that
/// survived a restart, or was read from `renewTime`, would count time in which a pledge was alive (hole 22).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Observation {
    seen: Option<(String, Instant)>,
}

impl Observation {
    /// Takes note of the version that the lease has now; another version starts the timer anew.
    pub fn observe(&mut self, version: &str, now: Instant) {
        if self.seen.as_ref().is_none_or(|(known, _)| known != version) {
            self.seen = Some((version.to_owned(), now));
        }
    }

    /// How long `version` has been seen unchanged; zero for any other version.
    #[must_use]
    pub fn age(&self, version: &str, now: Instant) -> Duration {
        match &self.seen {
            Some((known, since)) if known == version => now.since(*since),
            _ => Duration::ZERO,
        }
    }

    /// Starts the timer anew, as a pledge to a holder does (rule L7).
    pub fn restart(&mut self, now: Instant) {
        if let Some((_, since)) = &mut self.seen {
            *since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Instant = |s| Instant(s * 1_000_000_000);

    #[test]
    fn the_timer_starts_when_this_process_first_sees_a_version() {
        let mut seen = Observation::default();
        seen.observe("7", S(10));
        seen.observe("7", S(14));
        assert_eq!(seen.age("7", S(15)), Duration::from_secs(5));
        assert_eq!(seen.age("8", S(15)), Duration::ZERO);
    }

    #[test]
    fn a_new_version_or_a_pledge_starts_it_anew() {
        let mut seen = Observation::default();
        seen.observe("7", S(10));
        seen.observe("8", S(12));
        assert_eq!(seen.age("8", S(13)), Duration::from_secs(1));
        seen.restart(S(20));
        assert_eq!(seen.age("8", S(21)), Duration::from_secs(1));
    }
}
