//! `CLOCK_BOOTTIME`: the one clock of leases and deadlines, read here and passed on as a value; the wall clock only for
//! people.

use nix::time::{ClockId, clock_gettime};
use pgherd_core::time::Instant;

/// Now. A clock that cannot be read (there is no such Linux) counts as far in the future: every deadline has
/// passed, and nothing is written.
#[must_use]
pub fn now() -> Instant {
    let Ok(time) = clock_gettime(ClockId::CLOCK_BOOTTIME) else { return Instant(u64::MAX) };
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
    Instant(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// Now, for people: to the second, as conditions and statuses have it.
#[must_use]
pub fn wall() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
