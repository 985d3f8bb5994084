//! When to try again: exponential, capped, and jittered so that a fleet does not come back in step.

use core::time::Duration;

/// Pauses that double from `first` up to `cap`; each is drawn from the upper half of its span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The span of the first pause.
    pub first: Duration,
    /// The span that no pause exceeds.
    pub cap: Duration,
}

impl Backoff {
    /// For puts to an object store: 200 ms to 15 s, so that an outage's end is noticed within 15 s.
    pub const STORE: Backoff = Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(15) };

    /// The pause after `failures` failures in a row (from 1); `random` is any uniform 64-bit number.
    #[must_use]
    pub fn pause(self, failures: u32, random: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let span = self.first.saturating_mul(1 << doublings).min(self.cap);
        let half = span / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        half.saturating_add(Duration::from_nanos(random % nanos.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_double_up_to_the_cap() {
        let most = |failures| Backoff::STORE.pause(failures, 100_000_000 * (1 << (failures - 1)));
        assert_eq!([most(1), most(2), most(3)].map(|d| d.as_millis()), [200, 400, 800]);
        assert_eq!(Backoff::STORE.pause(u32::MAX, 0).as_millis(), 7_500);
        assert_eq!(Backoff::STORE.pause(0, 0), Backoff::STORE.pause(1, 0));
    }

    proptest! {
        #[test]
        fn a_pause_is_never_nothing_and_never_above_the_cap(failures: u32, random: u64) {
            let pause = Backoff::STORE.pause(failures, random);
            prop_assert!(pause >= Backoff::STORE.first / 2 && pause <= Backoff::STORE.cap);
        }
    }
}
