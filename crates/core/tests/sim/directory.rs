//! A volume: its WAL is the list of records, each made once, so that equal records at one place mean equal prefixes.

use pgherd_core::identity::Incarnation;
use pgherd_core::instance::{Damage, Data, DataRole, Volume};
use pgherd_core::lease::{Term, WalPosition};
use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::{Lineage, TimelineId};

/// One WAL record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub timeline: u32,
    pub id: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// A half-made directory lies there.
    pub partial: bool,
    pub data: Option<Directory>,
    pub fence: Term,
    pub max_term: Term,
}

#[derive(Clone, Debug)]
pub struct Directory {
    pub incarnation: u64,
    pub role: DataRole,
    pub torn: bool,
    /// Its control file is not whole.
    pub damaged: bool,
    pub wal: Vec<Record>,
}

impl Directory {
    pub fn end(&self) -> WalPosition {
        let timeline = TimelineId(self.wal.last().map_or(1, |record| record.timeline));
        WalPosition { timeline, lsn: Lsn(self.wal.len() as u64) }
    }

    /// Which timelines its WAL went through, and where each was left.
    pub fn lineage(&self) -> Lineage {
        let left = |(at, pair): (usize, &[Record])| {
            let [before, after] = pair else { return None };
            let end = WalPosition { timeline: TimelineId(before.timeline), lsn: Lsn(at as u64 + 1) };
            (before.timeline != after.timeline).then_some(end)
        };
        let ancestors = self.wal.windows(2).enumerate().filter_map(left).collect();
        Lineage { timeline: self.end().timeline, ancestors }
    }

    /// Whether anything can be made of it.
    pub fn is_sound(&self) -> bool {
        !self.torn && !self.damaged
    }

    /// Whether all of this WAL is the beginning of `other`'s.
    pub fn is_prefix_of(&self, other: &Directory) -> bool {
        match self.wal.len().checked_sub(1) {
            None => true,
            Some(last) => other.wal.get(last) == self.wal.last(),
        }
    }

    /// Copies what is missing, as far as `to`.
    pub fn receive(&mut self, from: &Directory, to: usize) {
        let to = to.min(from.wal.len());
        if let Some(more) = from.wal.get(self.wal.len()..to) {
            self.wal.extend_from_slice(more);
        }
    }
}

impl Disk {
    pub fn inspect(&self) -> Volume {
        if self.partial {
            return Volume::Partial("half".to_owned());
        }
        self.data.as_ref().map_or(Volume::Empty, |directory| {
            if directory.damaged {
                let why = "half a control file".to_owned();
                return Volume::Damaged(Damage { why, fence: self.fence, max_term: self.max_term });
            }
            Volume::Data(Data {
                system_id: super::world::SYSTEM,
                incarnation: Incarnation(directory.incarnation.to_string()),
                role: directory.role,
                end: directory.end(),
                lineage: Some(directory.lineage()),
                torn: directory.torn,
                fence: self.fence,
                max_term: self.max_term,
            })
        })
    }
}
