//! `bootstrap.initdb.walSegmentSize` and the parameters that are counted in segments.

use crate::wal::{SegmentSize, SegmentSizeError};
use std::collections::BTreeMap;

/// Something does not fit to the segments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalSizeError {
    /// No such segments.
    #[error("walSegmentSize is {0}: it must be a power of two from 1 to 1024, in MB")]
    Segment(i64),
    /// Postgres would not start (`ReadControlFile` in `access/transam/xlog.c`).
    #[error("the parameter {name:?} is {value:?}: with segments of {segment} MB it must be at least {} MB", segment.saturating_mul(2))]
    TooFew {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: String,
        /// A segment, in MB.
        segment: u64,
    },
}

/// A segment of so many MB.
///
/// # Errors
/// [`WalSizeError::Segment`].
pub fn segment(megabytes: i64) -> Result<SegmentSize, WalSizeError> {
    let bytes = u64::try_from(megabytes).unwrap_or(0).saturating_mul(1 << 20);
    SegmentSize::new(bytes).map_err(|SegmentSizeError(_)| WalSizeError::Segment(megabytes))
}

/// `min_wal_size` and `max_wal_size`, if given, are at least two segments.
#[must_use]
pub fn check(parameters: &BTreeMap<String, String>, size: SegmentSize) -> Vec<WalSizeError> {
    let segment = size.bytes() >> 20;
    let too_few = |name: &'static str| {
        let (_, value) = parameters.iter().find(|(given, _)| given.eq_ignore_ascii_case(name))?;
        let few = megabytes(value).is_some_and(|megabytes| megabytes < segment.saturating_mul(2));
        few.then(|| WalSizeError::TooFew { name, value: value.clone(), segment })
    };
    ["min_wal_size", "max_wal_size"].into_iter().filter_map(too_few).collect()
}

/// Whole MB of a parameter whose unit is MB; nothing for what postgres itself has to judge.
fn megabytes(value: &str) -> Option<u64> {
    let value = value.trim();
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let number: u64 = digits.parse().ok()?;
    match value.strip_prefix(digits)?.trim() {
        "" | "MB" => Some(number),
        "kB" => Some(number >> 10),
        "GB" => number.checked_mul(1 << 10),
        "TB" => number.checked_mul(1 << 20),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_a_power_of_two_of_megabytes() {
        for fine in [1, 2, 16, 64, 1024] {
            assert_eq!(segment(fine).unwrap().bytes(), fine.unsigned_abs() << 20);
        }
        for wrong in [-16, -1, 0, 3, 2048, i64::MAX] {
            assert_eq!(segment(wrong), Err(WalSizeError::Segment(wrong)));
        }
    }

    #[test]
    fn a_server_would_not_start_with_less_than_two_segments() {
        let of = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let large = segment(64).unwrap();
        for fine in ["128", "128MB", "1GB", "1 TB", "131072kB", "a lot"] {
            assert_eq!(check(&of("min_wal_size", fine), large), [], "{fine}");
        }
        for few in ["80MB", "127", "1024kB"] {
            assert_eq!(check(&of("Max_Wal_Size", few), large).len(), 1, "{few}");
        }
        assert_eq!(check(&of("min_wal_size", "80MB"), SegmentSize::DEFAULT), []);
        let said = check(&of("min_wal_size", "80MB"), large).remove(0).to_string();
        assert!(said.contains("at least 128 MB"), "{said}");
    }
}
