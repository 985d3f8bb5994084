//! Finds the file that holds a WAL page, along a history, and reads it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::{SegmentName, SegmentNo};

use super::page::PAGE_BYTES;
use super::{LocalWal, WalTailError};

/// The open segment.
#[derive(Debug)]
pub struct Segments<'a> {
    wal: &'a LocalWal,
    open: Option<(SegmentNo, TimelineId, File)>,
}

/// A page as it is on disk.
#[derive(Debug)]
pub struct RawPage {
    /// The timeline in the file's name.
    pub file_timeline: TimelineId,
    pub bytes: Vec<u8>,
}

impl<'a> Segments<'a> {
    pub fn new(wal: &'a LocalWal) -> Self {
        Self { wal, open: None }
    }

    /// None where no segment of this history holds the page, or it is cut off before its end.
    pub fn page(&mut self, address: Lsn) -> Result<Option<RawPage>, WalTailError> {
        let number = self.wal.segment.segment_of(address);
        if self.open.as_ref().is_none_or(|(present, ..)| *present != number) {
            self.open = self.find(number)?;
        }
        let Some((_, file_timeline, file)) = &self.open else { return Ok(None) };
        let mut bytes = vec![0_u8; usize::try_from(PAGE_BYTES).unwrap_or_default()];
        match file.read_exact_at(&mut bytes, self.wal.segment.offset_of(address)) {
            Ok(()) => Ok(Some(RawPage { file_timeline: *file_timeline, bytes })),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(source) => {
                let name = SegmentName::new(*file_timeline, number, self.wal.segment).to_string();
                Err(WalTailError::Io { path: self.wal.dir.join(name), source })
            }
        }
    }

    /// The newest timeline's file first: it begins with a copy of what its parent wrote before the switch.
    fn find(&self, number: SegmentNo) -> Result<Option<(SegmentNo, TimelineId, File)>, WalTailError> {
        let size = self.wal.segment;
        let ancestors = self.wal.history.ancestors().iter().rev().map(|ancestor| ancestor.timeline);
        for timeline in std::iter::once(self.wal.history.timeline()).chain(ancestors) {
            let begins = self.wal.history.begin_of(timeline).unwrap_or(Lsn(0));
            if size.segment_of(begins) > number {
                continue;
            }
            let path = self.wal.dir.join(SegmentName::new(timeline, number, size).to_string());
            match File::open(&path) {
                Ok(file) => return Ok(Some((number, timeline, file))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(WalTailError::Io { path, source }),
            }
        }
        Ok(None)
    }
}
