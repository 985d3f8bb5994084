//! Which `archive_status/*.ready` file is uploaded next.
//!
//! Postgres asks for one file at a time, the oldest; the queue goes ahead of it, `width` uploads at once, so
//! that the file is usually in the store by the time it is asked for. History files go first: they are tiny,
//! and a standby that lacks one cannot follow a promotion. Then comes what postgres waits for, then the oldest.
//!
//! Nothing here is needed after a restart: a file that was archived, but not yet asked for, is put again, and
//! the store answers that it holds the same content (I5, I9).

use crate::time::Instant;
use crate::timeline::TimelineId;
use crate::wal::{SegmentName, WalName};
use core::cmp::Reverse;
use core::num::NonZeroUsize;
use std::collections::{BTreeMap, BTreeSet};

/// How an upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// The store acknowledged it, or holds the same content already.
    Archived,
    /// It failed, and may be tried again then.
    Retry {
        /// Not before.
        at: Instant,
    },
    /// The store holds other content under this name; looked at again then, in case somebody has moved it.
    Refused {
        /// Not before.
        at: Instant,
    },
}

/// Where a file that postgres asks for stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Safe in the store: answer success.
    Archived,
    /// On its way: wait for its end.
    Uploading,
    /// Among the next to be started.
    Queued,
    /// Its last upload failed.
    Waiting {
        /// When it is tried again.
        until: Instant,
    },
    /// The store holds other content under this name: answer failure, and alarm.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Failed(Instant),
    Refused(Instant),
}

impl Trouble {
    fn until(self) -> Instant {
        match self {
            Self::Failed(at) | Self::Refused(at) => at,
        }
    }
}

/// The files to archive, by state: ready, in flight, archived but not yet asked for, in trouble.
#[derive(Clone, Debug)]
pub struct Queue {
    width: NonZeroUsize,
    ready: BTreeSet<WalName>,
    requested: Option<WalName>,
    in_flight: BTreeSet<WalName>,
    archived: BTreeSet<WalName>,
    trouble: BTreeMap<WalName, Trouble>,
}

impl Queue {
    /// An empty queue that uploads `width` files at once (`wal.maxParallel`).
    #[must_use]
    pub fn new(width: NonZeroUsize) -> Self {
        Self {
            width,
            ready: BTreeSet::new(),
            requested: None,
            in_flight: BTreeSet::new(),
            archived: BTreeSet::new(),
            trouble: BTreeMap::new(),
        }
    }

    /// Changes how many uploads run at once; those that run go on.
    pub fn set_width(&mut self, width: NonZeroUsize) {
        self.width = width;
    }

    /// Takes in a listing of `archive_status`: every file that is `.ready` now.
    pub fn observe(&mut self, ready: impl IntoIterator<Item = WalName>) {
        self.ready = ready.into_iter().collect();
        let Self { ready, requested, archived, trouble, .. } = self;
        let wanted = |name: &WalName| ready.contains(name) || requested.as_ref() == Some(name);
        archived.retain(wanted);
        trouble.retain(|name, _| wanted(name));
    }

    /// Postgres asks for this file; it asks for no other until it has an answer.
    pub fn request(&mut self, name: WalName) -> Standing {
        self.requested = Some(name);
        self.standing(name)
    }

    /// Where a file stands.
    #[must_use]
    pub fn standing(&self, name: WalName) -> Standing {
        match self.trouble.get(&name) {
            _ if self.archived.contains(&name) => Standing::Archived,
            _ if self.in_flight.contains(&name) => Standing::Uploading,
            Some(Trouble::Refused(_)) => Standing::Refused,
            Some(Trouble::Failed(until)) => Standing::Waiting { until: *until },
            None => Standing::Queued,
        }
    }

    /// The uploads to start now, in this order; each is in flight until [`Queue::finished`] is told of it.
    #[must_use = "these count as in flight from now on"]
    pub fn start_uploads(&mut self, now: Instant) -> Vec<WalName> {
        let room = self.width.get().saturating_sub(self.in_flight.len());
        let held_back = |name: &WalName| self.trouble.get(name).is_some_and(|t| t.until() > now);
        let mut candidates: Vec<WalName> = self
            .ready
            .union(&self.requested.into_iter().collect())
            .filter(|name| !self.in_flight.contains(name) && !self.archived.contains(name) && !held_back(name))
            .copied()
            .collect();
        candidates.sort_by_key(|name| turn(*name, self.requested));
        candidates.truncate(room);
        self.in_flight.extend(&candidates);
        candidates
    }

    /// An upload ended.
    pub fn finished(&mut self, name: WalName, outcome: Finished) {
        self.in_flight.remove(&name);
        self.trouble.remove(&name);
        match outcome {
            Finished::Archived => {
                self.archived.insert(name);
            }
            Finished::Retry { at } => {
                self.trouble.insert(name, Trouble::Failed(at));
            }
            Finished::Refused { at } => {
                self.trouble.insert(name, Trouble::Refused(at));
            }
        }
    }

    /// Postgres was answered, or hung up: the file has no claim to go first any more.
    pub fn answered(&mut self, name: WalName) {
        if self.requested == Some(name) {
            self.requested = None;
        }
    }

    /// When a file that waits may be tried again: the shell sleeps no longer than until then.
    #[must_use]
    pub fn next_wake(&self) -> Option<Instant> {
        self.trouble.iter().filter(|(name, _)| !self.in_flight.contains(name)).map(|(_, t)| t.until()).min()
    }

    /// How many files are not safe in the store yet.
    #[must_use]
    pub fn backlog(&self) -> usize {
        let requested = self.requested.iter().filter(|name| !self.ready.contains(name));
        self.ready.iter().chain(requested).filter(|name| !self.archived.contains(name)).count()
    }

    /// The files that the store refused, whose content differs from what it holds.
    pub fn refused(&self) -> impl Iterator<Item = WalName> + '_ {
        self.trouble.iter().filter(|(_, t)| matches!(t, Trouble::Refused(_))).map(|(name, _)| *name)
    }

    /// The data directory is another one now (clone, rewind): nothing that was known about its files holds.
    /// Uploads in flight must have been ended before.
    pub fn forget(&mut self) {
        *self = Self::new(self.width);
    }
}

/// History files, the newest first: one that only stands in for an id is of use together with the newer one, and
/// misleads without it. Then the requested file, then the others as postgres takes them: by timeline, position, kind.
fn turn(name: WalName, requested: Option<WalName>) -> (u8, Reverse<TimelineId>, Option<SegmentName>, u8, WalName) {
    let (class, newest) = match name {
        WalName::History(timeline) => (0, timeline),
        _ if requested == Some(name) => (1, TimelineId::FIRST),
        _ => (2, TimelineId::FIRST),
    };
    let kind = match name {
        WalName::History(_) | WalName::Segment(_) => 0,
        WalName::Backup { .. } => 1,
        WalName::Partial(_) => 2,
    };
    (class, Reverse(newest), name.segment_name(), kind, name)
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
