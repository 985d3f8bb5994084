//! `backup.retentionPolicy`: `^[1-9][0-9]*[dwm]$`.

use core::fmt;
use core::str::FromStr;

/// How long a recovery window reaches back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How many.
    pub count: u32,
    /// Of what.
    pub unit: RetentionUnit,
}

/// A unit of [`Retention`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionUnit {
    /// `d`
    Days,
    /// `w`
    Weeks,
    /// `m`: a month of barman's, 31 days.
    Months,
}

/// Not a retention policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("retentionPolicy is {0:?}: write a number above zero and d, w or m, as 30d for thirty days")]
pub struct RetentionError(pub String);

impl Retention {
    /// The window in days, as barman counts them.
    #[must_use]
    pub fn days(self) -> u64 {
        let each = match self.unit {
            RetentionUnit::Days => 1,
            RetentionUnit::Weeks => 7,
            RetentionUnit::Months => 31,
        };
        u64::from(self.count) * each
    }
}

impl FromStr for Retention {
    type Err = RetentionError;

    fn from_str(text: &str) -> Result<Self, RetentionError> {
        let bad = || RetentionError(text.to_owned());
        let (unit, digits) = [('d', RetentionUnit::Days), ('w', RetentionUnit::Weeks), ('m', RetentionUnit::Months)]
            .into_iter()
            .find_map(|(letter, unit)| Some((unit, text.strip_suffix(letter)?)))
            .ok_or_else(bad)?;
        if digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        Ok(Self { count: digits.parse().map_err(|_| bad())?, unit })
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.unit {
            RetentionUnit::Days => 'd',
            RetentionUnit::Weeks => 'w',
            RetentionUnit::Months => 'm',
        };
        write!(f, "{}{letter}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_days_weeks_and_months() {
        let days = |text: &str| text.parse::<Retention>().map(Retention::days);
        assert_eq!([days("30d"), days("4w"), days("2m")], [Ok(30), Ok(28), Ok(62)]);
        for text in ["", "d", "0d", "01d", "-1d", "+1d", "1", "1y", "1 d", "1D", "1dd", "99999999999d", "١d"] {
            assert_eq!(days(text), Err(RetentionError(text.to_owned())), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_policy_survives_being_printed(text in "[1-9][0-9]{0,8}[dwm]") {
            prop_assert_eq!(text.parse::<Retention>().unwrap().to_string(), text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = text.parse::<Retention>();
        }
    }
}
