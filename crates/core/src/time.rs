//! Time as the decisions see it: an argument, read from `CLOCK_BOOTTIME` by the shells.

use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Nanoseconds of `CLOCK_BOOTTIME` (clock_gettime(2)): monotonic, and it goes on counting while a machine
/// is suspended, so that a lease cannot outlive a sleep. Only comparable within one boot of one machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instant(pub u64);

impl Instant {
    /// Time passed since `earlier`; zero when `earlier` lies ahead.
    #[must_use]
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This instant plus `by`, saturating.
    #[must_use]
    pub fn plus(self, by: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}
