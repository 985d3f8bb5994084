//! Whether a backup still gets somewhere, and what it waits for where it does not.

use crate::time::Instant;
use core::fmt;
use core::time::Duration;

/// A local disk that gives nothing for so long hangs.
pub const READ_WITHIN: Duration = Duration::from_secs(60);

/// A store that takes no part for so long hangs. A slow one may take five minutes for a part, and until it has taken the
/// whole of it nobody can tell: what was handed to the network may lie in its buffers.
pub const STORE_WITHIN: Duration = Duration::from_secs(330);

/// One look counts for no more: a machine that stood still was no hung disk.
const MOST_OF_A_LOOK: Duration = Duration::from_secs(20);

/// What a backup is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Whose archive it is, and what earlier backups left there, is looked up; postgres begins its backup mode, with a
    /// checkpoint. Each has a bound of its own.
    Preparing,
    /// Postgres ends its backup mode. That has a bound of its own.
    Server,
    /// A file or a directory is read.
    Reading(String),
    /// The store is to take an object.
    Storing {
        /// Its key.
        key: String,
        /// The last answer that was a refusal, since when none was not.
        refusal: Option<String>,
    },
    /// The next part waits, to keep to the bandwidth that was set.
    Pacing,
    /// All is copied; its WAL has to be archived. That has a bound of its own.
    Archiving,
}

impl Activity {
    fn bound(&self) -> Option<Duration> {
        match self {
            Self::Reading(_) => Some(READ_WITHIN),
            Self::Storing { .. } => Some(STORE_WITHIN),
            Self::Preparing | Self::Server | Self::Pacing | Self::Archiving => None,
        }
    }

    fn same_kind(&self, other: &Self) -> bool {
        core::mem::discriminant(self) == core::mem::discriminant(other)
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preparing => f.write_str("the store to say what it has, and postgres to begin the backup"),
            Self::Server => f.write_str("postgres to end the backup"),
            Self::Reading(path) => write!(f, "the disk to give {path}"),
            Self::Storing { key, refusal: None } => write!(f, "the store to take {key}"),
            Self::Storing { key, refusal: Some(refusal) } => {
                write!(f, "the store to take {key}, which it answered last with: {refusal}")
            }
            Self::Pacing => f.write_str("its turn, by the bandwidth that was set"),
            Self::Archiving => f.write_str("its WAL to be archived"),
        }
    }
}

/// For how long nothing has moved, from one look to the next.
#[derive(Clone, Debug, Default)]
pub struct Stillness {
    last: Option<(Activity, u64, Instant)>,
    still: Duration,
}

impl Stillness {
    /// A look at `now`: `moves` is a number that grows with every byte that is read, every part that is stored, every
    /// file that is passed.
    pub fn look(&mut self, activity: &Activity, moves: u64, now: Instant) -> Duration {
        let rests = |(before, seen, at): &(Activity, u64, Instant)| {
            (before.same_kind(activity) && *seen == moves).then(|| now.since(*at).min(MOST_OF_A_LOOK))
        };
        let more = self.last.as_ref().and_then(rests);
        self.still = more.map_or(Duration::ZERO, |more| self.still.saturating_add(more));
        self.last = Some((activity.clone(), moves, now));
        self.still
    }
}

/// Why a backup in which nothing has moved for so long is given up, if it is.
#[must_use]
pub fn stalled(activity: &Activity, still: Duration) -> Option<String> {
    let bound = activity.bound().filter(|bound| still >= *bound)?;
    Some(format!("nothing has moved for {} s: it waited for {activity}", bound.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading() -> Activity {
        Activity::Reading("base/5/16384".into())
    }

    fn storing() -> Activity {
        Activity::Storing { key: "base/20261128T020000/data.tar.gz".into(), refusal: None }
    }

    /// Looks every two seconds; when it is given up, and why.
    fn given_up(activity: &Activity, moves: impl Fn(u64) -> u64, seconds: u64) -> Option<(u64, String)> {
        let mut stillness = Stillness::default();
        (0..=seconds / 2).map(|look| look * 2).find_map(|second| {
            let now = Instant(second * 1_000_000_000);
            let why = stalled(activity, stillness.look(activity, moves(second), now))?;
            Some((second, why))
        })
    }

    #[test]
    fn a_disk_that_gives_nothing_for_a_minute_ends_the_backup_and_the_file_is_named() {
        let (second, why) = given_up(&reading(), |_| 7, 600).unwrap();
        assert_eq!(
            (second, why.as_str()),
            (60, "nothing has moved for 60 s: it waited for the disk to give base/5/16384")
        );
    }

    #[test]
    fn a_store_may_be_as_slow_as_one_part_in_five_minutes_and_no_slower() {
        assert_eq!(given_up(&storing(), |second| second / 300, 36_000), None);
        let (second, why) = given_up(&storing(), |_| 7, 600).unwrap();
        assert!(second == 330 && why.contains("data.tar.gz"), "{second}: {why}");
    }

    #[test]
    fn whatever_moves_goes_on_however_slowly_and_so_does_a_wait_that_has_its_own_bound() {
        assert_eq!(given_up(&reading(), |second| second / 58, 36_000), None);
        for waits in [Activity::Preparing, Activity::Server, Activity::Pacing, Activity::Archiving] {
            assert_eq!(given_up(&waits, |_| 7, 36_000), None);
        }
    }

    #[test]
    fn a_wait_for_the_store_is_not_held_against_the_disk() {
        let mut stillness = Stillness::default();
        let mut look = |activity: &Activity, second: u64| stillness.look(activity, 7, Instant(second * 1_000_000_000));
        look(&storing(), 0);
        assert_eq!(look(&storing(), 10), Duration::from_secs(10));
        assert_eq!(look(&reading(), 20), Duration::ZERO);
        assert_eq!(look(&Activity::Reading("another".into()), 25), Duration::from_secs(5));
    }

    #[test]
    fn a_machine_that_stood_still_for_an_hour_did_not_hang_for_an_hour() {
        let mut stillness = Stillness::default();
        stillness.look(&reading(), 7, Instant(0));
        let still = stillness.look(&reading(), 7, Instant(3_600_000_000_000));
        assert_eq!(stalled(&reading(), still), None);
    }
}
