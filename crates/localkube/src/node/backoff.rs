//! When a container that ended is started again, as the kubelet does it: at once the first time, then after 10 s,
//! doubling to 300 s; forgotten once it ran for 10 minutes.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// The back-off of one container.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    next: Duration,
    /// 1.0 is the kubelet's own pace; tests are in more of a hurry.
    scale: f64,
}

impl Backoff {
    /// `scale` multiplies every wait.
    pub fn new(scale: f64) -> Self {
        Self { next: Duration::ZERO, scale }
    }

    /// How long to wait after an end; `ran` is how long the container ran.
    pub fn after_exit(&mut self, ran: Duration) -> Duration {
        if ran >= FORGOTTEN_AFTER {
            self.next = Duration::ZERO;
        }
        let wait = self.next;
        self.next = wait.saturating_mul(2).clamp(FIRST, LONGEST);
        wait.mul_f64(self.scale)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Backoff;

    #[test]
    fn waits_double_up_to_five_minutes_and_start_over_after_a_long_run() {
        let mut backoff = Backoff::new(1.0);
        let waits: Vec<u64> = (0..8).map(|_| backoff.after_exit(Duration::from_secs(1)).as_secs()).collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff.after_exit(Duration::from_secs(600)), Duration::ZERO);
        assert_eq!(backoff.after_exit(Duration::from_secs(1)).as_secs(), 10);
    }
}
