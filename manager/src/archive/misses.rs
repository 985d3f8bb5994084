//! Segments that the archive was proven not to have a moment ago.
//!
//! On its way to a promotion postgres asks for the same segment three or four times in a few tenths of a second, each time
//! before it does anything else, and each time it would cost three requests to the store, while clients wait. Within that
//! time nobody adds what is not on this disk: who archives holds the lease, or hands over what he has (rule E5). Only a
//! standby may be answered so. It asks again later; a recovery would take it for the end of the archive.

use pgherd_core::wal::{SegmentName, WalName};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Less than any standby waits before it asks for the same again by itself (`wal_retrieve_retry_interval`, 5 s).
const HOLDS_FOR: Duration = Duration::from_secs(1);

/// The last of them, and of which generation of the store's settings.
#[derive(Default)]
pub(super) struct Misses(Mutex<Vec<Miss>>);

struct Miss {
    segment: SegmentName,
    generation: u64,
    at: Instant,
}

impl Misses {
    /// The archive has none of this name.
    pub(super) fn note(&self, name: WalName, generation: u64, at: Instant) {
        let WalName::Segment(segment) = name else { return };
        let mut misses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        misses.retain(|miss| miss.segment != segment && at.duration_since(miss.at) < HOLDS_FOR);
        misses.push(Miss { segment, generation, at });
    }

    /// Whether that was said a moment ago.
    pub(super) fn holds(&self, name: WalName, generation: u64, now: Instant) -> bool {
        let WalName::Segment(segment) = name else { return false };
        let misses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        misses.iter().any(|miss| {
            miss.segment == segment && miss.generation == generation && now.duration_since(miss.at) < HOLDS_FOR
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_that_is_not_there_is_not_asked_for_again_within_a_second() {
        let (misses, began) = (Misses::default(), Instant::now());
        let name = |name: &str| name.parse::<WalName>().unwrap();
        let (segment, other) = (name("000000030000000000000001"), name("000000030000000000000002"));
        assert!(!misses.holds(segment, 7, began));
        misses.note(segment, 7, began);
        let soon = began + Duration::from_millis(999);
        assert!(misses.holds(segment, 7, soon));
        assert!(!misses.holds(other, 7, soon));
        assert!(!misses.holds(segment, 8, soon), "of another store");
        assert!(!misses.holds(segment, 7, began + HOLDS_FOR));
    }

    #[test]
    fn a_history_is_asked_for_each_time_since_whoever_promotes_is_about_to_archive_it() {
        let (misses, began) = (Misses::default(), Instant::now());
        let history = "00000003.history".parse::<WalName>().unwrap();
        misses.note(history, 7, began);
        assert!(!misses.holds(history, 7, began));
    }
}
