//! How postgres is stopped, and how long each phase of it may take (PostgreSQL documentation, "Shutting Down the Server").

use core::time::Duration;

/// A checkpoint before the shutdown, while clients are served, is worth this much and no more.
const CHECKPOINT: Duration = Duration::from_secs(30);
/// After SIGQUIT.
const IMMEDIATE: Duration = Duration::from_secs(5);
/// The same where another has been elected and waits: for sessions to be told (`57P01`). What is left then is killed
/// (ADR 20).
const TOLD: Duration = Duration::from_millis(30);
/// What is left of a pod's grace after the immediate phase: for SIGKILL, for reading the volume and the release.
const LAST: Duration = Duration::from_secs(5);
/// What a smart phase leaves to the fast one, where there is so much.
const FOR_FAST: Duration = Duration::from_secs(20);

/// How postgres is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stop {
    /// Wait this long for clients to leave.
    pub smart: Option<Duration>,
    /// Then this long for a fast shutdown; then immediate. `None` where another has been elected and waits, and comes for
    /// the end of WAL by itself: PostgreSQL 15 and later ends with a segment switch whenever it archives (`ShutdownXLOG`),
    /// and what is left of 16 MiB would be sent to every standby while nobody is served.
    pub fast: Option<Duration>,
    /// A checkpoint first, while clients are still served.
    pub checkpoint_first: bool,
    /// The pod ends, and all of it is over by then, counted from the beginning of the stop: `spec.stopDelay` is the
    /// grace after which the kubelet kills, and a kill is a crash. `None` where the pod stays.
    pub within: Option<Duration>,
}

/// The phases, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopPhase {
    /// Clients are served still.
    Checkpoint,
    /// Clients may finish, and none may come.
    Smart,
    /// Clients are sent away, and WAL to the standbys.
    Fast,
    /// As a crash, but in order.
    Immediate,
}

impl Stop {
    /// Whether another has been elected and waits: sessions are ended, and the rest is killed.
    #[must_use]
    pub fn is_handover(&self) -> bool {
        self.fast.is_none()
    }

    /// How long a phase may take that begins `elapsed` after the stop did; `None` for one that is skipped.
    ///
    /// At the end of a pod every phase leaves room for those after it. As with CNPG there is no smart phase where the
    /// grace is not longer than it was asked to be (`smartShutdownTimeout`, 180 s by default).
    #[must_use]
    pub fn bound(&self, phase: StopPhase, elapsed: Duration) -> Option<Duration> {
        let immediate = if self.is_handover() { TOLD } else { IMMEDIATE };
        let Some(grace) = self.within else {
            return match phase {
                StopPhase::Checkpoint => self.checkpoint_first.then_some(CHECKPOINT),
                StopPhase::Smart => self.smart,
                StopPhase::Fast => self.fast,
                StopPhase::Immediate => Some(immediate),
            };
        };
        let last = LAST.min(grace / 6);
        let immediate_ends = grace.saturating_sub(last);
        let fast_ends = immediate_ends.saturating_sub(last);
        let smart_ends = fast_ends.saturating_sub(FOR_FAST.min(fast_ends / 2));
        let until = |end: Duration, most: Duration| most.min(end.saturating_sub(elapsed));
        match phase {
            StopPhase::Checkpoint => self.checkpoint_first.then(|| until(fast_ends / 2, CHECKPOINT)),
            StopPhase::Smart => {
                let asked = self.smart.filter(|asked| *asked < grace);
                asked.map(|asked| until(smart_ends, asked)).filter(|bound| !bound.is_zero())
            }
            StopPhase::Fast => self.fast.map(|fast| until(fast_ends, fast)),
            StopPhase::Immediate => Some(until(immediate_ends, immediate)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn leaving(grace: u64, smart: Option<u64>) -> Stop {
        Stop { smart: smart.map(S), fast: Some(S(grace)), checkpoint_first: true, within: Some(S(grace)) }
    }

    /// Checkpoint, smart, fast, immediate, in milliseconds, each taking all the time it is given.
    fn at_worst(stop: Stop) -> [Option<u128>; 4] {
        let mut elapsed = Duration::ZERO;
        [StopPhase::Checkpoint, StopPhase::Smart, StopPhase::Fast, StopPhase::Immediate].map(|phase| {
            let bound = stop.bound(phase, elapsed);
            elapsed += bound.unwrap_or_default();
            bound.map(|bound| bound.as_millis())
        })
    }

    #[test]
    fn every_phase_at_the_end_of_a_pod_leaves_room_for_those_after_it() {
        for (grace, smart, expected) in [
            // The defaults of a primary that somebody follows up, and of one that nobody does.
            (1800, None, [Some(30_000), None, Some(1_760_000), Some(5_000)]),
            (1800, Some(180), [Some(30_000), Some(180_000), Some(1_580_000), Some(5_000)]),
            // The smart phase is cut short by the fast one's room.
            (200, Some(180), [Some(30_000), Some(140_000), Some(20_000), Some(5_000)]),
            // It would fill the grace: skipped, as by CNPG.
            (180, Some(180), [Some(30_000), None, Some(140_000), Some(5_000)]),
            (60, Some(180), [Some(25_000), None, Some(25_000), Some(5_000)]),
            (60, Some(30), [Some(25_000), Some(5_000), Some(20_000), Some(5_000)]),
            // The checkpoint took all that a smart phase could have had.
            (30, Some(10), [Some(10_000), None, Some(10_000), Some(5_000)]),
            (6, None, [Some(2_000), None, Some(2_000), Some(1_000)]),
            (0, Some(180), [Some(0), None, Some(0), Some(0)]),
        ] {
            assert_eq!(at_worst(leaving(grace, smart)), expected, "stopDelay {grace}, smart {smart:?}");
        }
    }

    #[test]
    fn whatever_is_asked_for_the_phases_end_before_the_kubelet_kills() {
        for grace in 1..400 {
            for smart in [None, Some(0), Some(1), Some(grace - 1), Some(grace), Some(180)] {
                let worst: u128 = at_worst(leaving(grace, smart)).into_iter().flatten().sum();
                assert!(worst < u128::from(grace) * 1000, "stopDelay {grace}, smart {smart:?}: {worst} ms");
            }
        }
    }

    #[test]
    fn a_smart_phase_that_ends_early_leaves_its_time_to_the_fast_one() {
        let stop = leaving(1800, Some(180));
        assert_eq!(stop.bound(StopPhase::Fast, S(31)), Some(S(1759)));
    }

    #[test]
    fn where_the_pod_stays_each_phase_has_what_was_asked_for() {
        let handover = Stop { smart: Some(S(60)), fast: Some(S(3600)), checkpoint_first: true, within: None };
        assert_eq!(at_worst(handover), [Some(30_000), Some(60_000), Some(3_600_000), Some(5_000)]);
        let plain = Stop { smart: None, checkpoint_first: false, ..handover };
        assert_eq!(at_worst(plain), [None, None, Some(3_600_000), Some(5_000)]);
        let awaited = Stop { smart: None, fast: None, ..handover };
        assert_eq!(at_worst(awaited), [Some(30_000), None, None, Some(30)]);
    }

    #[test]
    fn a_standby_that_leaves_has_its_own_bound_or_its_pods_whichever_is_less() {
        let standby = |grace| Stop { smart: None, fast: Some(S(20)), checkpoint_first: false, within: Some(S(grace)) };
        assert_eq!(at_worst(standby(1800)), [None, None, Some(20_000), Some(5_000)]);
        assert_eq!(at_worst(standby(12)), [None, None, Some(8_000), Some(2_000)]);
    }
}
