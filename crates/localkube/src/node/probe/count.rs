//! From single answers to a verdict, by thresholds.

use std::time::Duration;

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Enough good answers in a row.
    Passing,
    /// Enough bad answers in a row.
    Failing,
}

/// Counts the answers of one probe.
#[derive(Debug, Clone)]
pub struct Counter {
    success_threshold: u32,
    failure_threshold: u32,
    period: Duration,
    successes: u32,
    failures: u32,
    counted_failure_at: Option<Duration>,
}

impl Counter {
    /// With thresholds of at least 1.
    pub fn new(success_threshold: u32, failure_threshold: u32, period: Duration) -> Self {
        Self {
            success_threshold: success_threshold.max(1),
            failure_threshold: failure_threshold.max(1),
            period,
            successes: 0,
            failures: 0,
            counted_failure_at: None,
        }
    }

    /// Takes one answer at `now` (any clock that only goes forward). While nothing has passed yet the node asks oftener
    /// than the period says; bad answers still count only once per period.
    pub fn answer(&mut self, good: bool, now: Duration) -> Option<Verdict> {
        if good {
            self.failures = 0;
            self.counted_failure_at = None;
            self.successes = self.successes.saturating_add(1);
            return (self.successes >= self.success_threshold).then_some(Verdict::Passing);
        }
        self.successes = 0;
        let due = self.counted_failure_at.is_none_or(|last| now.saturating_sub(last) >= self.period);
        if due {
            self.counted_failure_at = Some(now);
            self.failures = self.failures.saturating_add(1);
        }
        (self.failures >= self.failure_threshold).then_some(Verdict::Failing)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Counter, Verdict};

    #[test]
    fn bad_answers_count_once_per_period_however_often_is_asked() {
        let mut counter = Counter::new(1, 2, Duration::from_secs(10));
        for tenth in 0..100 {
            assert_eq!(counter.answer(false, Duration::from_millis(tenth * 100)), None);
        }
        assert_eq!(counter.answer(false, Duration::from_secs(10)), Some(Verdict::Failing));
    }

    #[test]
    fn one_good_answer_forgets_the_bad_ones() {
        let mut counter = Counter::new(2, 2, Duration::from_secs(1));
        assert_eq!(counter.answer(false, Duration::from_secs(0)), None);
        assert_eq!(counter.answer(true, Duration::from_secs(1)), None);
        assert_eq!(counter.answer(false, Duration::from_secs(2)), None);
        assert_eq!(counter.answer(true, Duration::from_secs(3)), None);
        assert_eq!(counter.answer(true, Duration::from_secs(4)), Some(Verdict::Passing));
    }
}
