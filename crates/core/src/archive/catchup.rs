//! How far the archive is behind, and when it will have caught up.

use crate::time::Instant;
use core::time::Duration;
use serde::Serialize;
use std::collections::VecDeque;

/// Rates over the last minute of samples.
#[derive(Clone, Debug, Default)]
pub struct CatchUp {
    samples: VecDeque<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    ready: u64,
    archived: u64,
}

/// Where archiving stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Progress {
    /// Files that wait.
    pub ready: u64,
    /// Files archived, per second.
    pub archived_per_second: f64,
    /// Files that postgres made ready, per second.
    pub produced_per_second: f64,
    /// Until nothing waits, if the rates stay: nothing while it does not get less, or is not known yet.
    pub eta: Option<Duration>,
}

impl Progress {
    /// So many files that wait are a backlog, and not just what a moment's load has left.
    pub const BACKLOG: u64 = 16;

    /// What people are told while a backlog is archived; nothing where there is none.
    #[must_use]
    pub fn backlog(&self) -> Option<String> {
        let waiting = Some(self.ready).filter(|ready| *ready >= Self::BACKLOG)?;
        let left = match self.eta {
            Some(left) => format!("about {} s are left", left.as_secs_f64().ceil()),
            None => "they do not become fewer yet".to_owned(),
        };
        Some(format!("{waiting} WAL files wait, {:.1} a second are archived, {left}", self.archived_per_second))
    }
}

impl CatchUp {
    /// Samples older than this do not count.
    pub const WINDOW: Duration = Duration::from_secs(60);
    /// Samples kept at most, whatever their rate.
    const MOST: usize = 128;

    /// Takes in how many files wait now, and how many this process has archived since it started.
    pub fn observe(&mut self, at: Instant, ready: u64, archived: u64) -> Progress {
        // A counter that went back belongs to another life.
        if self.samples.back().is_some_and(|last| last.archived > archived || last.at > at) {
            self.samples.clear();
        }
        while self.samples.len() >= Self::MOST || self.samples.front().is_some_and(|s| at.since(s.at) > Self::WINDOW) {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { at, ready, archived });
        self.progress()
    }

    /// Where archiving stands, by the samples so far.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return Progress { ready: 0, archived_per_second: 0.0, produced_per_second: 0.0, eta: None };
        };
        let seconds = last.at.since(first.at).as_secs_f64();
        let per_second = |count: f64| if seconds > 0.0 { count / seconds } else { 0.0 };
        let archived = (last.archived - first.archived) as f64;
        let drained = first.ready as f64 - last.ready as f64;
        let drain = per_second(drained);
        let eta = match last.ready {
            0 => Some(Duration::ZERO),
            ready if drain > 0.0 => Duration::try_from_secs_f64(ready as f64 / drain).ok(),
            _ => None,
        };
        Progress {
            ready: last.ready,
            archived_per_second: per_second(archived),
            produced_per_second: per_second((archived - drained).max(0.0)),
            eta,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(n: u64) -> Instant {
        Instant(n * 1_000_000_000)
    }

    #[test]
    fn a_backlog_that_shrinks_has_an_end() {
        let mut catch_up = CatchUp::default();
        assert_eq!(catch_up.observe(second(0), 100, 0).eta, None, "one sample is no rate");
        let progress = catch_up.observe(second(10), 80, 30);
        assert_eq!(progress.eta, Some(Duration::from_secs(40)));
        assert_eq!((progress.archived_per_second, progress.produced_per_second), (3.0, 1.0));
    }

    #[test]
    fn a_backlog_is_told_with_its_rate_and_what_is_left_and_a_few_files_are_none() {
        let of = |ready, eta| Progress { ready, archived_per_second: 3.0, produced_per_second: 1.0, eta };
        let told = of(80, Some(Duration::from_millis(39_500))).backlog().unwrap();
        assert_eq!(told, "80 WAL files wait, 3.0 a second are archived, about 40 s are left");
        assert!(of(80, None).backlog().unwrap().ends_with("they do not become fewer yet"));
        assert_eq!(of(Progress::BACKLOG - 1, None).backlog(), None);
    }

    #[test]
    fn a_backlog_that_grows_has_none_and_an_empty_one_is_done() {
        let mut catch_up = CatchUp::default();
        catch_up.observe(second(0), 10, 0);
        assert_eq!(catch_up.observe(second(10), 20, 5).eta, None);
        assert_eq!(catch_up.observe(second(20), 0, 40).eta, Some(Duration::ZERO));
    }

    #[test]
    fn old_samples_and_other_lives_do_not_count() {
        let mut catch_up = CatchUp::default();
        catch_up.observe(second(0), 1_000, 0);
        catch_up.observe(second(100), 20, 1_000);
        assert_eq!(catch_up.observe(second(110), 10, 1_010).eta, Some(Duration::from_secs(10)));
        assert_eq!(catch_up.observe(second(120), 5, 2).eta, None, "the counter went back: a restart");
        for n in 0..1_000 {
            catch_up.observe(second(120), 5, 2 + n);
        }
        assert!(catch_up.samples.len() <= CatchUp::MOST);
    }
}
