//! `primaryLease` of the clusters: the default, or what SCALE_LEASE=DURATION/DEADLINE/PERIOD (seconds) says, for more clusters
//! than this machine's API server could store the renewals of.

use std::time::Duration;

use serde_json::{Value, json};

/// Duration, deadline and period.
type Seconds = [u64; 3];

/// As it is by default.
const DEFAULT: Seconds = [8, 5, 2];
/// Whose cost is measured where nothing else is asked for: ours, CNPG's, and a slower one.
const COMPARED: [Seconds; 3] = [DEFAULT, [15, 10, 2], [30, 20, 5]];

fn asked() -> Option<Seconds> {
    let text = std::env::var("SCALE_LEASE").ok().filter(|text| !text.is_empty())?;
    let seconds: Vec<u64> = text.split('/').map(|part| part.parse().expect("SCALE_LEASE=8/5/2")).collect();
    Some(seconds.try_into().expect("SCALE_LEASE=8/5/2"))
}

fn seconds() -> Seconds {
    asked().unwrap_or(DEFAULT)
}

/// `primaryLease.leaseDurationSeconds`.
pub fn duration() -> Duration {
    Duration::from_secs(seconds()[0])
}

/// Between two renewals.
pub fn period() -> Duration {
    Duration::from_secs(seconds()[2])
}

/// What a Cluster's spec says of it.
pub fn spec() -> Value {
    let [duration, deadline, period] = seconds();
    json!({"leaseDurationSeconds": duration, "renewDeadlineSeconds": deadline, "retryPeriodSeconds": period})
}

/// What is measured while nothing happens: the setting in words, and its period in seconds. The clusters' own is the first.
pub fn measured() -> Vec<(String, u64)> {
    let all = asked().map_or_else(|| COMPARED.to_vec(), |one| vec![one]);
    all.into_iter().map(|[duration, deadline, period]| (format!("{duration}/{deadline}/{period}"), period)).collect()
}
