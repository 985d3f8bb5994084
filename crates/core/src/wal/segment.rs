//! Segment numbers and sizes: WAL is cut into files of one size, chosen at initdb.

use crate::lsn::Lsn;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Bytes in a WAL segment: a power of two from 1 MiB to 1 GiB (`initdb --wal-segsize`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct SegmentSize(u64);

/// Counts the segments from LSN 0; the same number exists on each timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SegmentNo(pub u64);

/// No postgres has segments of that size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a WAL segment of {0} bytes is impossible: it is a power of two between 1 MiB and 1 GiB")]
pub struct SegmentSizeError(pub u64);

const MIB: u64 = 1 << 20;

impl SegmentSize {
    /// 16 MiB, what initdb chooses unless told otherwise.
    pub const DEFAULT: SegmentSize = SegmentSize(16 * MIB);
    /// The smallest.
    pub const MIN: SegmentSize = SegmentSize(MIB);
    /// The largest.
    pub const MAX: SegmentSize = SegmentSize(1024 * MIB);

    /// Checks a size in bytes.
    ///
    /// # Errors
    /// [`SegmentSizeError`] unless it is a power of two from 1 MiB to 1 GiB.
    pub const fn new(bytes: u64) -> Result<Self, SegmentSizeError> {
        if bytes.is_power_of_two() && bytes >= Self::MIN.0 && bytes <= Self::MAX.0 {
            Ok(Self(bytes))
        } else {
            Err(SegmentSizeError(bytes))
        }
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// How many segments make one 4 GiB "log", the middle part of a file name.
    #[must_use]
    pub const fn per_log(self) -> u64 {
        (1_u64 << 32) >> self.shift()
    }

    /// The segment that holds the byte at `lsn` (`XLByteToSeg`).
    #[must_use]
    pub const fn segment_of(self, lsn: Lsn) -> SegmentNo {
        SegmentNo(lsn.0 >> self.shift())
    }

    /// The segment that holds the byte before `lsn`: where a record that ends at `lsn` ends
    /// (`XLByteToPrevSeg`, what `pg_walfile_name` uses).
    #[must_use]
    pub const fn segment_ending_at(self, lsn: Lsn) -> SegmentNo {
        SegmentNo(lsn.0.saturating_sub(1) >> self.shift())
    }

    /// The first byte of a segment, saturating past the end of WAL.
    #[must_use]
    pub const fn start_of(self, segment: SegmentNo) -> Lsn {
        Lsn(segment.0.saturating_mul(self.0))
    }

    /// How far `lsn` lies into its segment, in bytes.
    #[must_use]
    pub const fn offset_of(self, lsn: Lsn) -> u64 {
        lsn.0 & (self.0 - 1)
    }

    const fn shift(self) -> u32 {
        self.0.trailing_zeros()
    }
}

impl Default for SegmentSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<u64> for SegmentSize {
    type Error = SegmentSizeError;

    fn try_from(bytes: u64) -> Result<Self, SegmentSizeError> {
        Self::new(bytes)
    }
}

impl From<SegmentSize> for u64 {
    fn from(size: SegmentSize) -> u64 {
        size.0
    }
}

impl SegmentNo {
    /// The segment after this one, saturating.
    #[must_use]
    pub const fn next(self) -> SegmentNo {
        SegmentNo(self.0.saturating_add(1))
    }
}

impl fmt::Display for SegmentNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sizes() -> impl Strategy<Value = SegmentSize> {
        (20_u32..=30).prop_map(|shift| SegmentSize::new(1 << shift).unwrap())
    }

    #[test]
    fn only_powers_of_two_from_1_mib_to_1_gib_are_sizes() {
        for bytes in [0, 1, MIB - 1, MIB / 2, 3 * MIB, 2048 * MIB, u64::MAX] {
            assert_eq!(SegmentSize::new(bytes), Err(SegmentSizeError(bytes)));
        }
        for shift in 20..=30 {
            assert_eq!(SegmentSize::new(1 << shift).map(SegmentSize::bytes), Ok(1 << shift));
        }
        assert!(serde_json::from_str::<SegmentSize>("5").is_err());
    }

    #[test]
    fn a_boundary_begins_one_segment_and_ends_the_one_before() {
        let size = SegmentSize::DEFAULT;
        let boundary = Lsn(3 * 16 * MIB);
        assert_eq!(size.segment_of(boundary), SegmentNo(3));
        assert_eq!(size.segment_ending_at(boundary), SegmentNo(2));
        assert_eq!(size.segment_ending_at(boundary.plus(1)), SegmentNo(3));
        assert_eq!(size.segment_ending_at(Lsn::INVALID), SegmentNo(0));
        assert_eq!(size.per_log(), 256);
        assert_eq!(size.offset_of(boundary.plus(40)), 40);
    }

    proptest! {
        #[test]
        fn a_position_is_its_segment_and_its_offset(size in sizes(), lsn: u64) {
            let segment = size.segment_of(Lsn(lsn));
            prop_assert_eq!(size.start_of(segment).plus(size.offset_of(Lsn(lsn))), Lsn(lsn));
            prop_assert!(size.offset_of(Lsn(lsn)) < size.bytes());
        }
    }
}
