//! Log sequence number: a byte position in the write-ahead log, written `X/X` in hexadecimal.

use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A byte position in WAL (PostgreSQL documentation, "pg_lsn Type").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

/// The text was not an LSN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read {0:?} as an LSN: expected two hexadecimal numbers of at most 8 digits, as in 16/B374D848")]
pub struct LsnError(pub String);

impl Lsn {
    /// `0/0`, which postgres calls invalid: no record starts there. It stands for "none yet".
    pub const INVALID: Lsn = Lsn(0);
    /// The last position there is.
    pub const MAX: Lsn = Lsn(u64::MAX);

    /// Whether it is a position at all, and not [`Lsn::INVALID`].
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.0 != 0
    }

    /// The position `bytes` further on, saturating at [`Lsn::MAX`].
    #[must_use]
    pub const fn plus(self, bytes: u64) -> Lsn {
        Lsn(self.0.saturating_add(bytes))
    }

    /// Bytes from `earlier` to here; zero when `earlier` lies ahead (`pg_wal_lsn_diff`, without the sign).
    #[must_use]
    pub const fn bytes_since(self, earlier: Lsn) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl FromStr for Lsn {
    type Err = LsnError;

    fn from_str(text: &str) -> Result<Self, LsnError> {
        let bad = || LsnError(text.to_owned());
        let half = |part: &str| {
            let digits = !part.is_empty() && part.len() <= 8 && part.bytes().all(|b| b.is_ascii_hexdigit());
            digits.then(|| u64::from_str_radix(part, 16).ok()).flatten()
        };
        let (high, low) = text.split_once('/').ok_or_else(bad)?;
        Ok(Self(half(high).ok_or_else(bad)? << 32 | half(low).ok_or_else(bad)?))
    }
}

impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_postgres_prints() {
        for (text, value) in
            [("0/0", 0), ("0/3000148", 0x300_0148), ("16/B374D848", 0x16_B374_D848), ("FFFFFFFF/FFFFFFFF", u64::MAX)]
        {
            assert_eq!(text.parse(), Ok(Lsn(value)));
            assert_eq!(Lsn(value).to_string(), text);
        }
        assert_eq!("a/0b".parse(), Ok(Lsn(0xA_0000_000B)));
    }

    #[test]
    fn refuses_what_is_not_an_lsn() {
        for text in [
            "",
            "/",
            "0",
            "0/",
            "/0",
            "0/0/0",
            "0/+1",
            "-1/0",
            " 0/0",
            "0/0 ",
            "0/123456789",
            "123456789/0",
            "0/G",
            "é/0",
        ] {
            assert_eq!(text.parse::<Lsn>(), Err(LsnError(text.to_owned())));
        }
    }

    #[test]
    fn distance_never_goes_below_zero_nor_past_the_end() {
        assert_eq!(Lsn(10).bytes_since(Lsn(4)), 6);
        assert_eq!(Lsn(4).bytes_since(Lsn(10)), 0);
        assert_eq!(Lsn::MAX.plus(1), Lsn::MAX);
        assert!(!Lsn::INVALID.is_valid());
    }

    #[test]
    fn is_a_string_in_json() {
        assert_eq!(serde_json::to_string(&Lsn(0x300_0148)).unwrap(), "\"0/3000148\"");
        assert_eq!(serde_json::from_str::<Lsn>("\"0/3000148\"").unwrap(), Lsn(0x300_0148));
        assert!(serde_json::from_str::<Lsn>("\"nonsense\"").is_err());
    }

    proptest! {
        #[test]
        fn every_lsn_survives_being_printed(value: u64) {
            prop_assert_eq!(Lsn(value).to_string().parse(), Ok(Lsn(value)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = text.parse::<Lsn>();
        }
    }
}
