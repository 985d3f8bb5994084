//! `spec.primaryLease`: how long a primary may go unheard before another may write.

use super::Extra;
use core::time::Duration;
use pgherd_core::lease::Timings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Timings of the primary's lease, in seconds. Ours default to 8/5/2, CNPG's to 15/10/2: here the lease is a fence,
/// and its holder stops by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PrimaryLease {
    /// How long the lease must be seen unchanged before another instance may take it.
    #[schemars(range(min = 1))]
    pub lease_duration_seconds: i32,
    /// How long after sending its last good renewal a primary may write. At its end everything is killed.
    #[schemars(range(min = 1))]
    pub renew_deadline_seconds: i32,
    /// How often the primary renews.
    #[schemars(range(min = 1))]
    pub retry_period_seconds: i32,
    /// The duration that is written into a lease when it is released, for tools that read it. Here a released lease
    /// may be taken at once.
    #[schemars(range(min = 1))]
    pub released_lease_duration_seconds: i32,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for PrimaryLease {
    fn default() -> Self {
        Self {
            lease_duration_seconds: 8,
            renew_deadline_seconds: 5,
            retry_period_seconds: 2,
            released_lease_duration_seconds: 1,
            extra: Extra::default(),
        }
    }
}

impl From<&PrimaryLease> for Timings {
    fn from(lease: &PrimaryLease) -> Self {
        Self {
            lease_duration: seconds(lease.lease_duration_seconds),
            renew_deadline: seconds(lease.renew_deadline_seconds),
            retry_period: seconds(lease.retry_period_seconds),
        }
    }
}

/// A count of seconds from a manifest; what is below zero counts as zero, which validation refuses.
pub(crate) fn seconds(count: i32) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(0))
}
