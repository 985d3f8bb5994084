//! The controller's clock: `CLOCK_BOOTTIME` for timers, the wall clock only for people.

use nix::time::{ClockId, clock_gettime};
use pgherd_core::time::Instant;

/// Now, for timers.
#[must_use]
pub fn now() -> Instant {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap_or_else(|_| nix::sys::time::TimeSpec::new(0, 0));
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    Instant(part(time.tv_sec()).saturating_mul(1_000_000_000).saturating_add(part(time.tv_nsec())))
}

/// Now, for people: RFC 3339 with microseconds, so that two elections differ.
#[must_use]
pub fn wall() -> String {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Microsecond).unwrap_or(now).to_string()
}

/// Now, as Kubernetes stores it.
#[must_use]
pub fn stamp() -> k8s_openapi::apimachinery::pkg::apis::meta::v1::Time {
    k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::now())
}
