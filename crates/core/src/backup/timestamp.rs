//! Instants of the wall clock with the zone in which they were written, for people and for barman.

use core::fmt;
use core::str::FromStr;

/// Microseconds of a second.
const SECOND: i64 = 1_000_000;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// An instant, and the offset from UTC in which it is printed. Ordered and compared by the instant alone.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp {
    micros: i64,
    offset: i32,
}

/// The text is no timestamp.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read {0:?} as a time: expected a date and a time, as 2026-11-23 20:21:08.239371+00:00")]
pub struct TimestampError(pub String);

/// The parts of a date and a time as people read them.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    second_of_day: i64,
}

impl Timestamp {
    /// An instant in UTC, from microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self { micros, offset: 0 }
    }

    /// An instant in UTC, from seconds since the Unix epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_micros(seconds.saturating_mul(SECOND))
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.micros
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.micros.div_euclid(SECOND)
    }

    /// The same instant, printed in UTC.
    #[must_use]
    pub const fn utc(self) -> Self {
        Self::from_micros(self.micros)
    }

    /// `2026-11-23T20:21:08Z`: RFC 3339 in UTC without fractions, as Kubernetes writes times.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let civil = self.utc().civil();
        let (hour, minute, second) = civil.time();
        format!("{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", civil.year, civil.month, civil.day)
    }

    /// `20261123T202108`: the name that barman gives to a backup of this second.
    #[must_use]
    pub fn compact(self) -> String {
        let civil = self.civil();
        let (hour, minute, second) = civil.time();
        format!("{:04}{:02}{:02}T{hour:02}{minute:02}{second:02}", civil.year, civil.month, civil.day)
    }

    fn civil(self) -> Civil {
        let seconds = self.seconds().saturating_add(i64::from(self.offset));
        let (year, month, day) = civil_from_days(seconds.div_euclid(DAY));
        Civil { year, month, day, second_of_day: seconds.rem_euclid(DAY) }
    }
}

/// Year, month and day of a day since the Unix epoch: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

impl Civil {
    fn time(&self) -> (i64, i64, i64) {
        (self.second_of_day / 3_600, self.second_of_day / 60 % 60, self.second_of_day % 60)
    }

    fn seconds(&self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let shifted = if self.month > 2 { self.month - 3 } else { self.month + 9 };
        let of_year = (153 * shifted + 2) / 5 + self.day - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        (era * 146_097 + of_era - 719_468) * DAY + self.second_of_day
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.micros == other.micros
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.micros.cmp(&other.micros)
    }
}

/// `str(datetime)`: without a fraction where it is zero.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = self.civil();
        let (hour, minute, second) = civil.time();
        write!(f, "{:04}-{:02}-{:02} {hour:02}:{minute:02}:{second:02}", civil.year, civil.month, civil.day)?;
        match self.micros.rem_euclid(SECOND) {
            0 => {}
            fraction => write!(f, ".{fraction:06}")?,
        }
        let (sign, offset) = (if self.offset < 0 { '-' } else { '+' }, self.offset.unsigned_abs());
        write!(f, "{sign}{:02}:{:02}", offset / 3_600, offset / 60 % 60)?;
        match offset % 60 {
            0 => Ok(()),
            seconds => write!(f, ":{seconds:02}"),
        }
    }
}

/// Digits only, and as many as there have to be.
fn number(text: &str, digits: usize, most: i64) -> Option<i64> {
    let plain = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten().filter(|n| *n <= most)
}

/// `HH`, `HHMM`, `HH:MM` or `HH:MM:SS`, in seconds.
fn clock(text: &str) -> Option<i64> {
    let parts: Vec<&str> = match text.len() {
        4 => text.split_at_checked(2).map(|(hours, minutes)| vec![hours, minutes])?,
        _ => text.split(':').collect(),
    };
    let part = |at: usize, most| parts.get(at).map_or(Some(0), |text| number(text, 2, most));
    (parts.len() <= 3).then_some(())?;
    Some(part(0, 23)? * 3_600 + part(1, 59)? * 60 + part(2, 59)?)
}

/// Reads `2026-11-23 20:21:08.239371+00:00`, with a `T` in between, `Z` for UTC, fewer or no digits of a fraction;
/// without a zone it is in UTC.
impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        read(text.trim()).ok_or_else(|| TimestampError(text.to_owned()))
    }
}

fn read(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_once(['T', ' '])?;
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4, 9_999)?;
    let month = number(parts.next()?, 2, 12)?;
    let day = number(parts.next()?, 2, 31)?;
    if parts.next().is_some() || month == 0 || day == 0 {
        return None;
    }
    let end = rest.find(|c: char| !c.is_ascii_digit() && !matches!(c, ':' | '.')).unwrap_or(rest.len());
    let (time, zone) = rest.split_at_checked(end)?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let second_of_day = if time.split(':').count() >= 2 { clock(time)? } else { return None };
    let micros = (1..=9).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit());
    let micros: i64 = micros.then(|| format!("{fraction:0<6}").get(..6)?.parse().ok()).flatten()?;
    let zone = zone.trim();
    let offset = match zone.split_at_checked(1) {
        None => 0,
        Some(("Z" | "z", "")) => 0,
        Some(("+", offset)) => clock(offset)?,
        Some(("-", offset)) => -clock(offset)?,
        Some(_) if zone == "UTC" => 0,
        Some(_) => return None,
    };
    let civil = Civil { year, month, day, second_of_day };
    let read = Timestamp { micros: (civil.seconds() - offset) * SECOND + micros, offset: i32::try_from(offset).ok()? };
    // The thirtieth of February would have become the second of March.
    (read.civil().day == day).then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_and_writes_what_barman_writes() {
        for (text, micros) in [
            ("2026-11-23 20:21:08.239371+00:00", 1_795_465_268_239_371),
            ("2026-11-23 20:21:08+00:00", 1_795_465_268_000_000),
            ("2026-11-24 01:51:08.000001+05:30", 1_795_465_268_000_001),
            ("2026-11-23 19:21:08-01:00", 1_795_465_268_000_000),
            ("1970-01-01 00:00:00+00:00", 0),
            ("2024-02-29 23:59:59.999999+00:00", 1_709_251_199_999_999),
            ("1969-12-31 23:59:59.500000+00:00", -500_000),
        ] {
            let read: Timestamp = text.parse().unwrap();
            assert_eq!((read.micros(), read.to_string().as_str()), (micros, text));
        }
        for (text, printed) in [
            ("2026-11-23T20:21:08Z", "2026-11-23 20:21:08+00:00"),
            ("2026-11-23 20:21:08", "2026-11-23 20:21:08+00:00"),
            ("2026-11-23 20:21", "2026-11-23 20:21:00+00:00"),
            ("2026-11-23 20:21:08.0 UTC", "2026-11-23 20:21:08+00:00"),
            ("2026-11-23 20:21:08.120000999Z", "2026-11-23 20:21:08.120000+00:00"),
            ("2026-11-23 21:21:08.5+01", "2026-11-23 21:21:08.500000+01:00"),
            ("2026-11-23 21:21:08-0130", "2026-11-23 21:21:08-01:30"),
            (" 2026-11-23 20:21:08 +00:00 ", "2026-11-23 20:21:08+00:00"),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), printed, "{text}");
        }
        let time = Timestamp::from_seconds(1_795_465_268);
        assert_eq!((time.rfc3339().as_str(), time.compact().as_str()), ("2026-11-23T20:21:08Z", "20261123T202108"));
    }

    #[test]
    fn an_instant_is_the_same_in_every_zone() {
        let here: Timestamp = "2026-11-23 20:21:08+00:00".parse().unwrap();
        let there: Timestamp = "2026-11-24 01:51:08+05:30".parse().unwrap();
        assert_eq!(here, there);
        assert_eq!(there.utc().to_string(), here.to_string());
        assert_eq!(there.rfc3339(), here.rfc3339());
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "2026-11-23",
            "2026-11-23 20",
            "2026-13-01 00:00:00",
            "2026-00-01 00:00:00",
            "2026-02-30 00:00:00",
            "2026-11-23 24:00:00",
            "2026-11-23 20:60:00",
            "2026-11-23 20:21:08.",
            "2026-11-23 20:21:08+25:00",
            "2026-11-23 20:21:08 CET",
            "26-11-23 20:21:08",
            "2026-11-23 20:21:08:09",
            "2026-11-23é20:21:08",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_time_survives_being_printed(micros in -62_000_000_000_000_000_i64..253_000_000_000_000_000, offset in -86_399..86_400_i32) {
            let time = Timestamp { micros, offset };
            let read: Timestamp = time.to_string().parse().unwrap();
            prop_assert_eq!((read.micros, read.offset), (micros, offset));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9T: .+-]{0,40}|\\PC*") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
