//! One WAL page's header (`XLogPageHeaderData`, `XLogLongPageHeaderData` in `access/xlog_internal.h`).

use pgherd_core::lsn::Lsn;

/// `XLOG_BLCKSZ`; every distribution builds with 8 KiB, and the long header is checked for it.
pub const PAGE_BYTES: u64 = 8192;

const FIRST_IS_CONTRECORD: u16 = 0x0001;
const LONG_HEADER: u16 = 0x0002;
const FIRST_IS_OVERWRITE_CONTRECORD: u16 = 0x0008;
const ALL_FLAGS: u16 = 0x000F;

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageHeader {
    pub magic: u16,
    pub timeline: u32,
    pub address: Lsn,
    /// Bytes that a record begun on an earlier page still needs, from here on.
    pub remaining: u32,
    /// The page begins with the rest of a record.
    pub is_continuation: bool,
    /// The record that began before was given up by a recovery; a new one begins here.
    pub overwrites_continuation: bool,
    /// Only on a segment's first page.
    pub long: Option<LongHeader>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongHeader {
    pub system_id: u64,
    pub segment_bytes: u32,
    pub page_bytes: u32,
}

impl PageHeader {
    /// None where flags are set that no version knows; the page is garbage then.
    pub fn parse(page: &[u8]) -> Option<Self> {
        let info = u16_at(page, 2)?;
        if info & !ALL_FLAGS != 0 {
            return None;
        }
        let long = if info & LONG_HEADER == 0 {
            None
        } else {
            Some(LongHeader {
                system_id: u64_at(page, 24)?,
                segment_bytes: u32_at(page, 32)?,
                page_bytes: u32_at(page, 36)?,
            })
        };
        Some(Self {
            magic: u16_at(page, 0)?,
            timeline: u32_at(page, 4)?,
            address: Lsn(u64_at(page, 8)?),
            remaining: u32_at(page, 16)?,
            is_continuation: info & FIRST_IS_CONTRECORD != 0,
            overwrites_continuation: info & FIRST_IS_OVERWRITE_CONTRECORD != 0,
            long,
        })
    }

    /// Bytes of the header itself.
    pub fn bytes(&self) -> u64 {
        if self.long.is_some() { 40 } else { 24 }
    }
}

/// Rounded up to where the next record may begin (`MAXALIGN`).
pub fn aligned(bytes: u64) -> u64 {
    bytes.saturating_add(7) & !7
}

pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}

pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}
