//! Walks from record to record until one is not valid (`XLogDecodeNextRecord` in `xlogreader.c`).

use std::fmt;

use pgherd_core::lease::WalPosition;
use pgherd_core::lsn::Lsn;

use super::page::{PAGE_BYTES, PageHeader, aligned, u32_at, u64_at};
use super::segments::Segments;
use super::{LocalWal, WalTailError};

/// `SizeOfXLogRecord`.
const RECORD_HEADER: usize = 24;
/// Where `xl_crc` stands in it; the CRC covers what follows the header, then the header up to here.
const CRC_OFFSET: usize = 20;
/// Above `XLogRecordMaxSize` (1020 MiB).
const LONGEST_RECORD: u32 = 1 << 30;
/// `RM_XLOG_ID` and `XLOG_SWITCH`: the rest of the segment is unused.
const XLOG_SWITCH: (u8, u8) = (0, 0x40);

/// The end of valid WAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalTail {
    /// Where the last valid record ends, and its timeline.
    pub position: WalPosition,
    /// Where that record starts; the next one's back link.
    pub last_record: Lsn,
    /// What stands there instead of another record.
    pub stop: Stop,
}

/// Where and why reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The record that was tried.
    pub at: Lsn,
    /// What was wrong with it.
    pub reason: StopReason,
}

/// What stood in the place of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// No segment holds the page.
    NoSegment,
    /// The page was never written since the segment was recycled, or is damaged.
    PageHeader,
    /// A length that no record has; zero is the usual end.
    Length(u32),
    /// The record does not link back to the one before.
    BackLink,
    /// The page does not continue the record.
    NotContinued,
    /// The checksum is wrong: a torn record.
    Checksum,
    /// The next timeline begins here, and none of its WAL is here.
    TimelineEnds,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at;
        match self.reason {
            StopReason::NoSegment => write!(f, "no segment holds {at}"),
            StopReason::PageHeader => write!(f, "page of {at} is not written"),
            StopReason::Length(length) => write!(f, "record length {length} at {at}"),
            StopReason::BackLink => write!(f, "record at {at} does not follow the one before"),
            StopReason::NotContinued => write!(f, "record at {at} is not continued"),
            StopReason::Checksum => write!(f, "wrong checksum at {at}"),
            StopReason::TimelineEnds => write!(f, "the timeline ends at {at}"),
        }
    }
}

/// A step that failed: the end of WAL, or a disk that cannot be read.
enum Halt {
    Stop(Stop),
    Error(WalTailError),
}

struct Record {
    start: Lsn,
    end: Lsn,
}

struct Page {
    address: Lsn,
    header: PageHeader,
    file_timeline: u32,
    bytes: Vec<u8>,
}

struct Scan<'a> {
    wal: &'a LocalWal,
    segments: Segments<'a>,
    page: Option<Page>,
    highest_timeline: u32,
}

pub fn end(wal: &LocalWal, from: Lsn) -> Result<WalTail, WalTailError> {
    let mut scan = Scan { wal, segments: Segments::new(wal), page: None, highest_timeline: 0 };
    let mut last: Option<Record> = None;
    let mut next = scan.first_record(from);
    loop {
        let halt = match next {
            Ok(at) => match scan.record(at, last.as_ref().map(|record| record.start)) {
                Ok(record) => {
                    next = Ok(record.end);
                    last = Some(record);
                    continue;
                }
                Err(halt) => halt,
            },
            Err(halt) => halt,
        };
        return match (halt, last) {
            (Halt::Error(error), _) => Err(error),
            (Halt::Stop(stop), None) => Err(WalTailError::NothingValid { from, stop }),
            (Halt::Stop(stop), Some(record)) => Ok(WalTail {
                position: WalPosition { timeline: wal.history.timeline_at(record.start), lsn: record.end },
                last_record: record.start,
                stop,
            }),
        };
    }
}

impl Scan<'_> {
    /// Where the first record begins on the page of `from` or after it: behind the rest of an earlier one.
    fn first_record(&mut self, from: Lsn) -> Result<Lsn, Halt> {
        let mut address = page_of(from);
        loop {
            let header = self.page(address, from)?.header;
            let rest = if header.is_continuation { aligned(u64::from(header.remaining)) } else { 0 };
            if header.bytes().saturating_add(rest) < PAGE_BYTES {
                return Ok(plus(address, header.bytes().saturating_add(rest)));
            }
            address = plus(address, PAGE_BYTES);
        }
    }

    fn record(&mut self, at: Lsn, previous: Option<Lsn>) -> Result<Record, Halt> {
        let page = self.page(page_of(at), at)?;
        let header_bytes = page.header.bytes();
        let offset = offset_in_page(at).max(header_bytes);
        let start = plus(page.address, offset);
        let stop = |reason| Halt::Stop(Stop { at: start, reason });
        if page.header.is_continuation && offset == header_bytes {
            return Err(stop(StopReason::NotContinued));
        }
        let file_timeline = page.file_timeline;
        let total = u32_at(&page.bytes, index(offset)).unwrap_or(0);
        let first = page.bytes.get(index(offset)..).unwrap_or_default();
        let mut body = Body::new(total);
        body.take(first);
        if file_timeline < self.wal.history.timeline_at(start).0 {
            return Err(stop(StopReason::TimelineEnds));
        }
        if !(24..=LONGEST_RECORD).contains(&total) {
            return Err(stop(StopReason::Length(total)));
        }
        // The length and the back link lie on the first page unless the header itself is split.
        if body.header.len() == RECORD_HEADER && !body.links_to(previous, start) {
            return Err(stop(StopReason::BackLink));
        }
        let mut end = plus(start, aligned(u64::from(total)));
        let mut address = page_of(at);
        while body.missing > 0 {
            address = plus(address, PAGE_BYTES);
            let missing = body.missing;
            let page = self.page(address, start)?;
            if page.header.overwrites_continuation {
                return self.record(address, previous);
            }
            if !page.header.is_continuation || page.header.remaining != missing {
                return Err(stop(StopReason::NotContinued));
            }
            let data = page.bytes.get(index(page.header.bytes())..).unwrap_or_default();
            body.take(data);
            end = plus(address, page.header.bytes().saturating_add(aligned(u64::from(missing))));
        }
        if !body.links_to(previous, start) {
            return Err(stop(StopReason::BackLink));
        }
        if !body.checksum_is_right() {
            return Err(stop(StopReason::Checksum));
        }
        if body.switches_segment() {
            let size = self.wal.segment;
            end = size.start_of(size.segment_of(start).next());
        }
        Ok(Record { start, end })
    }

    /// The page, its header checked as `XLogReaderValidatePageHeader` does.
    fn page(&mut self, address: Lsn, record: Lsn) -> Result<&Page, Halt> {
        let stop = |reason| Halt::Stop(Stop { at: record, reason });
        if self.page.as_ref().is_none_or(|page| page.address != address) {
            self.page = None;
            let raw = self.segments.page(address).map_err(Halt::Error)?.ok_or(stop(StopReason::NoSegment))?;
            let header = PageHeader::parse(&raw.bytes).filter(|header| self.is_plausible(header, address));
            let header = header.ok_or(stop(StopReason::PageHeader))?;
            self.highest_timeline = header.timeline;
            let page = Page { address, header, file_timeline: raw.file_timeline.0, bytes: raw.bytes };
            return Ok(self.page.insert(page));
        }
        self.page.as_ref().ok_or(stop(StopReason::NoSegment))
    }

    fn is_plausible(&self, header: &PageHeader, address: Lsn) -> bool {
        let first_of_segment = self.wal.segment.offset_of(address) == 0;
        let long_is_right = header.long.is_none_or(|long| {
            long.system_id == self.wal.system_id.0
                && u64::from(long.segment_bytes) == self.wal.segment.bytes()
                && u64::from(long.page_bytes) == PAGE_BYTES
        });
        header.magic == self.wal.magic
            && header.address == address
            && header.long.is_some() == first_of_segment
            && long_is_right
            && header.timeline >= self.highest_timeline
            && header.timeline <= self.wal.history.timeline().0
    }
}

/// A record while its pieces are collected: the header is kept, the rest only goes through the CRC.
struct Body {
    header: Vec<u8>,
    crc: u32,
    missing: u32,
}

impl Body {
    fn new(total: u32) -> Self {
        Self { header: Vec::with_capacity(RECORD_HEADER), crc: 0, missing: total }
    }

    fn take(&mut self, page_rest: &[u8]) {
        let count = page_rest.len().min(usize::try_from(self.missing).unwrap_or(usize::MAX));
        let piece = page_rest.get(..count).unwrap_or_default();
        self.missing = self.missing.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        let (header, rest) = piece.split_at(piece.len().min(RECORD_HEADER.saturating_sub(self.header.len())));
        self.header.extend_from_slice(header);
        self.crc = crc32c::crc32c_append(self.crc, rest);
    }

    fn links_to(&self, previous: Option<Lsn>, start: Lsn) -> bool {
        let link = u64_at(&self.header, 8).map(Lsn);
        match previous {
            Some(_) => link == previous,
            None => link.is_some_and(|link| link < start),
        }
    }

    fn checksum_is_right(&self) -> bool {
        let stored = u32_at(&self.header, CRC_OFFSET);
        let covered = self.header.get(..CRC_OFFSET).unwrap_or_default();
        stored == Some(crc32c::crc32c_append(self.crc, covered))
    }

    fn switches_segment(&self) -> bool {
        let (info, manager) = (self.header.get(16).copied(), self.header.get(17).copied());
        (manager, info.map(|info| info & 0xF0)) == (Some(XLOG_SWITCH.0), Some(XLOG_SWITCH.1))
    }
}

fn page_of(lsn: Lsn) -> Lsn {
    Lsn(lsn.0 & !(PAGE_BYTES - 1))
}

fn offset_in_page(lsn: Lsn) -> u64 {
    lsn.0 & (PAGE_BYTES - 1)
}

fn plus(lsn: Lsn, bytes: u64) -> Lsn {
    Lsn(lsn.0.saturating_add(bytes))
}

/// An offset below the page size.
fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
