//! How far a backup is, as its status shows it.

use pgherd_backup::base::Progress;
use pgherd_proto::backup::BackupProgress;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// A rate is that of the last so many seconds.
const LATELY: Duration = Duration::from_secs(20);

/// Looks at the counters now and then, and remembers the last looks.
#[derive(Debug, Default)]
pub struct Meter {
    looks: VecDeque<(Instant, u64)>,
}

impl Meter {
    /// A look, at `now`; `wall` is for people.
    pub fn look(&mut self, progress: &Progress, now: Instant, wall: jiff::Timestamp) -> BackupProgress {
        let (done, total) = (progress.bytes_read(), progress.total());
        self.looks.push_back((now, done));
        while self.looks.len() > 2 && self.looks.front().is_some_and(|(at, _)| now.duration_since(*at) > LATELY) {
            self.looks.pop_front();
        }
        let rate = self.looks.front().map_or(0, |(since, before)| {
            let millis = u64::try_from(now.duration_since(*since).as_millis()).unwrap_or(u64::MAX);
            done.saturating_sub(*before).saturating_mul(1000).checked_div(millis).unwrap_or_default()
        });
        // Files grow while they are copied: there may be more than was counted.
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or_default().min(100);
        BackupProgress {
            bytes_done: signed(done),
            bytes_total: signed(total),
            bytes_stored: signed(progress.bytes_stored()),
            percent: i32::try_from(percent).unwrap_or(100),
            bytes_per_second: signed(rate),
            eta_seconds: total.saturating_sub(done).checked_div(rate).map(signed),
            updated_at: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(wall)),
            moved_at: None,
            waits_for: None,
        }
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
