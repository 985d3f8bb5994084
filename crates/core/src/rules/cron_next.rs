//! When a schedule comes next, in UTC.

use super::cron::{Fields, Schedule};
use crate::backup::{Timestamp, civil_from_days};

/// The rarest day is a 29th of February, eight years apart around a century that is no leap year.
const FURTHEST_DAYS: i64 = 9 * 366;
const DAY: i64 = 86_400;

/// Looks back so far for the last slot, one after another: each is only tried where the one before had none.
const BACK: [i64; 6] = [60, 3_600, DAY, 32 * DAY, 367 * DAY, FURTHEST_DAYS * DAY];

impl Schedule {
    /// The first slot after `after`, in whole seconds; nothing if none comes.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(every) => {
                let every = i64::try_from(every.as_secs()).ok()?.max(1);
                Some(Timestamp::from_seconds(after.seconds().saturating_add(every)))
            }
            Self::Fields(fields) => fields.next_after(after.seconds()).map(Timestamp::from_seconds),
        }
    }

    /// The last slot after `after` that is not later than `now`: those before it were missed, and are one with it.
    #[must_use]
    pub fn last_due(&self, after: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let first = self.next_after(after).filter(|slot| *slot <= now)?;
        if matches!(self, Self::Every(_)) {
            return Some(first);
        }
        let since = |back: i64| after.max(Timestamp::from_seconds(now.seconds().saturating_sub(back)));
        let mut last = BACK.iter().find_map(|back| self.next_after(since(*back)).filter(|slot| *slot <= now))?;
        while let Some(next) = self.next_after(last).filter(|slot| *slot <= now) {
            last = next;
        }
        Some(last)
    }
}

impl Fields {
    fn next_after(&self, after: i64) -> Option<i64> {
        let from = after.saturating_add(1);
        let (today, second) = (from.div_euclid(DAY), from.rem_euclid(DAY));
        let days = today..today.saturating_add(FURTHEST_DAYS);
        days.filter(|day| self.has_day(*day)).find_map(|day| {
            let from = if day == today { second } else { 0 };
            Some(day * DAY + self.second_of_day(from)?)
        })
    }

    fn has_day(&self, day: i64) -> bool {
        let (_, month, of_month) = civil_from_days(day);
        // The first of January 1970 was a Thursday.
        let of_week = day.saturating_add(4).rem_euclid(7);
        let (by_month, by_week) = (has(self.day_of_month, of_month), has(self.day_of_week, of_week));
        has(self.month, month) && if self.either_day { by_month || by_week } else { by_month && by_week }
    }

    fn second_of_day(&self, from: i64) -> Option<i64> {
        let (hour, minute, second) = (from / 3_600, from / 60 % 60, from % 60);
        (hour..24).filter(|h| has(self.hour, *h)).find_map(|h| {
            let minute = if h == hour { minute } else { 0 };
            (minute..60).filter(|m| has(self.minute, *m)).find_map(|m| {
                let second = if (h, m) == (hour, from / 60 % 60) { second } else { 0 };
                (second..60).find(|s| has(self.second, *s)).map(|s| h * 3_600 + m * 60 + s)
            })
        })
    }
}

fn has(bits: u64, value: i64) -> bool {
    u32::try_from(value).is_ok_and(|value| value < 64 && bits & 1 << value != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn next(schedule: &str, after: &str) -> String {
        let schedule: Schedule = schedule.parse().unwrap();
        schedule.next_after(after.parse().unwrap()).unwrap().rfc3339()
    }

    fn last(schedule: &str, after: &str, now: &str) -> Option<String> {
        let schedule: Schedule = schedule.parse().unwrap();
        schedule.last_due(after.parse().unwrap(), now.parse().unwrap()).map(Timestamp::rfc3339)
    }

    #[test]
    fn slots_come_when_cron_says() {
        for (schedule, after, expected) in [
            ("0 2 * * *", "2026-11-28 13:00:00", "2026-11-29T02:00:00Z"),
            ("0 2 * * *", "2026-11-28 01:59:59.5", "2026-11-28T02:00:00Z"),
            ("0 2 * * *", "2026-11-28 02:00:00", "2026-11-29T02:00:00Z"),
            ("0 0 2 * * *", "2026-12-31 02:00:00", "2027-01-01T02:00:00Z"),
            ("*/10 * * * * *", "2026-11-28 13:00:09", "2026-11-28T13:00:10Z"),
            ("59 59 23 31 12 *", "2026-11-28 13:00:00", "2026-12-31T23:59:59Z"),
            ("0 0 29 2 *", "2096-03-01 00:00:00", "2104-02-29T00:00:00Z"),
            ("0 0 * * 0", "2026-11-28 13:00:00", "2026-11-29T00:00:00Z"),
            ("0 0 13 * 5", "2026-11-28 13:00:00", "2026-12-04T00:00:00Z"),
            ("@hourly", "2026-11-28 13:00:00", "2026-11-28T14:00:00Z"),
            ("@every 90m", "2026-11-28 13:00:01.7", "2026-11-28T14:30:01Z"),
        ] {
            assert_eq!(next(schedule, after), expected, "{schedule} after {after}");
        }
    }

    #[test]
    fn of_missed_slots_the_last_one_counts() {
        let since = "2026-11-20 03:00:00";
        assert_eq!(last("0 2 * * *", since, "2026-11-21 01:59:59"), None);
        assert_eq!(last("0 2 * * *", since, "2026-11-28 13:00:00").unwrap(), "2026-11-28T02:00:00Z");
        assert_eq!(last("0 2 * * *", since, "2026-11-28 02:00:00").unwrap(), "2026-11-28T02:00:00Z");
        assert_eq!(last("0 2 1 1 *", since, "2030-11-28 02:00:00").unwrap(), "2030-01-01T02:00:00Z");
        assert_eq!(last("* * * * * *", since, "2030-11-28 02:00:00").unwrap(), "2030-11-28T02:00:00Z");
        assert_eq!(last("@every 1h", since, "2026-11-28 02:00:00").unwrap(), "2026-11-20T04:00:00Z");
    }

    proptest! {
        #[test]
        fn a_slot_is_later_and_none_lies_between(
            fields in ("[0-5]?[0-9]|\\*/7", "[01]?[0-9]|\\*", "[1-9]|\\*", "[1-9]|\\*", "[0-6]|\\*"),
            after in 0_i64..4_000_000_000,
        ) {
            let text = format!("{} {} {} {} {}", fields.0, fields.1, fields.2, fields.3, fields.4);
            let schedule: Schedule = text.parse().unwrap();
            let after = Timestamp::from_seconds(after);
            if let Some(next) = schedule.next_after(after) {
                prop_assert!(next > after);
                let before = Timestamp::from_seconds(next.seconds() - 1);
                prop_assert_eq!(schedule.next_after(before), Some(next));
                prop_assert_eq!(schedule.last_due(after, before), None);
                prop_assert_eq!(schedule.last_due(after, next), Some(next));
            }
        }
    }
}
