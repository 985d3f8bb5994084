//! How soon a broken watch is taken up again. The client's own way waits half a minute in the end, and once more where the
//! server has forgotten the version that was seen last: a controller would be deaf for a minute after an API server came
//! back, and elect nobody.

use core::time::Duration;
use kube::runtime::utils::Backoff;

const FIRST: Duration = Duration::from_millis(200);
/// A controller has a dozen watches: a few requests a second at most, for as long as the server is away.
const LONGEST: Duration = Duration::from_secs(3);

/// Waits that double, each with up to a half of chance on top: not all come at once.
#[derive(Clone, Debug)]
pub struct Retry {
    next: Duration,
    chance: fn() -> f64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { next: FIRST, chance: rand::random }
    }
}

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(LONGEST);
        Some(wait.mul_f64(1.0 + (self.chance)() / 2.0))
    }
}

impl Backoff for Retry {
    fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_seconds_and_begin_anew_after_an_answer() {
        let mut retry = Retry { chance: || 0.0, ..Retry::default() };
        let millis: Vec<u128> = retry.by_ref().take(7).map(|wait| wait.as_millis()).collect();
        assert_eq!(millis, [200, 400, 800, 1600, 3000, 3000, 3000]);
        retry.reset();
        assert_eq!(retry.next(), Some(FIRST));
        let mut late = Retry { chance: || 1.0, next: LONGEST };
        assert_eq!(late.next(), Some(Duration::from_millis(4500)));
    }
}
