//! A ScheduledBackup's `schedule`.
//!
//! Six fields, seconds first, as CNPG reads them (robfig/cron v1); or five, minutes first, as every other cron
//! does. CNPG would take the first of five fields for seconds, and run a daily backup every hour: a difference
//! on purpose (`docs/reference/differences.md`). `@hourly` and the like, and `@every 90m`, too.

use core::str::FromStr;
use core::time::Duration;

/// When to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At every second whose parts are all in their fields.
    Fields(Fields),
    /// `@every`: this long after the last.
    Every(Duration),
}

/// The values of each field, as bits: bit n is set if n matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// 0 to 59.
    pub second: u64,
    /// 0 to 59.
    pub minute: u64,
    /// 0 to 23.
    pub hour: u64,
    /// 1 to 31.
    pub day_of_month: u64,
    /// 1 to 12.
    pub month: u64,
    /// 0 (Sunday) to 6.
    pub day_of_week: u64,
    /// Both day fields restrict: then a day matches if either does (crontab(5)).
    pub either_day: bool,
}

/// Not a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not five or six fields.
    #[error(
        "schedule {schedule:?} has {count} fields: write 5 (minute hour day month weekday) or 6 (second first), as \"0 0 2 * * *\" for two o'clock every day"
    )]
    Count {
        /// The schedule.
        schedule: String,
        /// How many it has.
        count: usize,
    },
    /// A field that cannot be read.
    #[error(
        "schedule has {text:?} for the {field}: use values from {least} to {most}, lists with ',', ranges with '-', steps with '/' or '*'"
    )]
    Field {
        /// Which.
        field: &'static str,
        /// What it says.
        text: String,
        /// The least value.
        least: u32,
        /// The most.
        most: u32,
    },
    /// Not a descriptor.
    #[error(
        "schedule {0:?} is not known: use @yearly, @monthly, @weekly, @daily, @hourly or @every DURATION, as @every 1h30m"
    )]
    Descriptor(String),
    /// A day that no month has.
    #[error("schedule {0:?} never comes: none of its months has such a day")]
    Never(String),
}

struct Kind {
    name: &'static str,
    least: u32,
    most: u32,
    words: &'static [&'static str],
}

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const SECOND: Kind = Kind { name: "second", least: 0, most: 59, words: &[] };
const MINUTE: Kind = Kind { name: "minute", least: 0, most: 59, words: &[] };
const HOUR: Kind = Kind { name: "hour", least: 0, most: 23, words: &[] };
const DAY: Kind = Kind { name: "day of the month", least: 1, most: 31, words: &[] };
const MONTH: Kind = Kind { name: "month", least: 1, most: 12, words: MONTHS };
const WEEKDAY: Kind = Kind { name: "day of the week", least: 0, most: 7, words: DAYS };

impl Kind {
    fn value(&self, text: &str) -> Option<u32> {
        let word = self.words.iter().zip(self.least..).find(|(word, _)| word.eq_ignore_ascii_case(text));
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let value = word.map(|(_, n)| n).or_else(|| digits.then(|| text.parse().ok()).flatten())?;
        (self.least..=self.most).contains(&value).then_some(value)
    }

    /// `*`, `a`, `a-b`, each with an optional `/step`.
    fn part(&self, text: &str) -> Option<u64> {
        let (range, step) = match text.split_once('/') {
            None => (text, None),
            Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|n| (1..=self.most).contains(n))?)),
        };
        let (first, last) = match (range, range.split_once('-')) {
            ("*" | "?", _) => (self.least, self.most),
            (_, Some((first, last))) => (self.value(first)?, self.value(last)?),
            (single, None) => (self.value(single)?, if step.is_some() { self.most } else { self.value(single)? }),
        };
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        (first <= last).then(|| (first..=last).step_by(step).fold(0, |bits, n| bits | 1 << n))
    }

    fn read(&self, text: &str) -> Result<u64, CronError> {
        let wrong = || CronError::Field { field: self.name, text: text.to_owned(), least: self.least, most: self.most };
        text.split(',').try_fold(0, |bits, part| Some(bits | self.part(part)?)).ok_or_else(wrong)
    }
}

fn fields(schedule: &str) -> Result<Fields, CronError> {
    let parts: Vec<&str> = schedule.split_whitespace().collect();
    let (second, rest) = match parts.as_slice() {
        [second, rest @ ..] if rest.len() == 5 => (*second, rest),
        rest => ("0", rest),
    };
    let [minute, hour, day, month, weekday] = rest else {
        return Err(CronError::Count { schedule: schedule.to_owned(), count: parts.len() });
    };
    let weekdays = WEEKDAY.read(weekday)?;
    let open = |text: &str| text.starts_with(['*', '?']);
    let read = Fields {
        second: SECOND.read(second)?,
        minute: MINUTE.read(minute)?,
        hour: HOUR.read(hour)?,
        day_of_month: DAY.read(day)?,
        month: MONTH.read(month)?,
        // 7 is Sunday too.
        day_of_week: (weekdays | weekdays >> 7) & 0x7F,
        either_day: !open(day) && !open(weekday),
    };
    if !read.either_day && !read.has_a_day() {
        return Err(CronError::Never(schedule.to_owned()));
    }
    Ok(read)
}

impl Fields {
    /// Whether some month of these has some day of these.
    fn has_a_day(&self) -> bool {
        let days = [31_u32, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        (1_u32..).zip(days).any(|(month, days)| {
            self.month & 1 << month != 0 && (1..=days).any(|day| self.day_of_month & 1 << day != 0)
        })
    }
}

/// A duration of Go's: `1h30m`, `90s`. Whole units of at least a second.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0_u64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (digits, after) = rest.split_at_checked(end)?;
        let (unit, after) = after.split_at_checked(1)?;
        let each = match unit {
            "h" => 3_600,
            "m" if !after.starts_with('s') => 60,
            "s" => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(digits.parse::<u64>().ok()?.checked_mul(each)?)?;
        rest = after;
    }
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

impl FromStr for Schedule {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let schedule = text.trim();
        let six = match schedule {
            "@yearly" | "@annually" => "0 0 0 1 1 *",
            "@monthly" => "0 0 0 1 * *",
            "@weekly" => "0 0 0 * * 0",
            "@daily" | "@midnight" => "0 0 0 * * *",
            "@hourly" => "0 0 * * * *",
            other => other,
        };
        match six.strip_prefix('@') {
            None => fields(six).map(Schedule::Fields),
            Some(descriptor) => descriptor
                .strip_prefix("every ")
                .and_then(|every| duration(every.trim()))
                .map(Schedule::Every)
                .ok_or_else(|| CronError::Descriptor(text.to_owned())),
        }
    }
}

#[cfg(test)]
#[path = "cron_tests.rs"]
mod tests;
