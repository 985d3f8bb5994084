//! Sizes, switches and durations in texts: parameters of postgres that CNPG's webhook reads, and Go's durations.

use std::collections::BTreeMap;

/// A value cannot be read, or contradicts another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Not a size.
    #[error("{name} is {value:?}: write a number with one of the units B, kB, MB, GB, TB")]
    Size {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// Not a switch.
    #[error("{name} is {value:?}: write on or off")]
    Switch {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// The lower bound is above the upper one.
    #[error("min_wal_size (default 80MB) should be smaller than max_wal_size (default 1GB)")]
    WalSizes,
    /// It does not fit into the volume.
    #[error("{0} should be smaller than the volume that WAL is on")]
    WalVolume(&'static str),
    /// Postgres could not start.
    #[error("shared_buffers is {buffers:?}, more than the memory request {memory:?}")]
    Buffers {
        /// The parameter.
        buffers: String,
        /// `resources.requests.memory`.
        memory: String,
    },
    /// Not a duration.
    #[error("{0:?} is no duration: write 30s, 5m or 1h30m")]
    Duration(String),
}

/// Bytes of a size as postgres reads it; `unit` bytes where it names none.
#[must_use]
pub fn bytes(value: &str, unit: u64) -> Option<u64> {
    let value = value.trim();
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (digits, given) = value.split_at_checked(end)?;
    let factor: u64 = match given.trim() {
        "" => unit,
        "B" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// Postgres takes any unambiguous beginning of a word (`parse_bool`).
#[must_use]
pub fn switch(value: &str) -> Option<bool> {
    let value = value.trim().to_ascii_lowercase();
    let begins = |word: &str| !value.is_empty() && word.starts_with(&value);
    match value.as_str() {
        "on" | "1" => Some(true),
        "of" | "off" | "0" => Some(false),
        _ if begins("true") || begins("yes") => Some(true),
        _ if begins("false") || begins("no") => Some(false),
        _ => None,
    }
}

fn find<'a>(parameters: &'a BTreeMap<String, String>, wanted: &str) -> Option<&'a str> {
    let found = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// `hot_standby_feedback`, `sync_replication_slots`, `wal_log_hints`: whether each is a switch.
#[must_use]
pub fn switches(parameters: &BTreeMap<String, String>) -> Vec<SizeError> {
    let names = ["hot_standby_feedback", "sync_replication_slots", "wal_log_hints"];
    let given = names.into_iter().filter_map(|name| Some((name, find(parameters, name)?)));
    let wrong = given.filter(|(_, value)| switch(value).is_none());
    wrong.map(|(name, value)| SizeError::Switch { name, value: value.to_owned() }).collect()
}

/// Whether a switch is on; `default` where it is not given.
#[must_use]
pub fn is_on(parameters: &BTreeMap<String, String>, name: &str, default: bool) -> bool {
    find(parameters, name).and_then(switch).unwrap_or(default)
}

/// `min_wal_size`, `max_wal_size` and the volume that WAL is on, in bytes.
#[must_use]
pub fn wal(parameters: &BTreeMap<String, String>, volume: Option<u64>) -> Vec<SizeError> {
    const MB: u64 = 1 << 20;
    let mut wrong = Vec::new();
    let mut size = |name: &'static str, default: u64| match find(parameters, name) {
        None => (false, Some(default)),
        Some(value) => {
            let size = bytes(value, MB);
            if size.is_none() {
                wrong.push(SizeError::Size { name, value: value.to_owned() });
            }
            (true, size)
        }
    };
    let (least, most) = (size("min_wal_size", 80 * MB), size("max_wal_size", 1024 * MB));
    if let ((_, Some(least)), (_, Some(most))) = (least, most)
        && least >= most
    {
        wrong.push(SizeError::WalSizes);
    }
    for (name, (given, size)) in [("min_wal_size", least), ("max_wal_size", most)] {
        if given && size.zip(volume).is_some_and(|(size, volume)| size >= volume) {
            wrong.push(SizeError::WalVolume(name));
        }
    }
    wrong
}

/// `shared_buffers`, and the memory that the container asks for (the text, and bytes): hugepages are memory too.
///
/// # Errors
/// [`SizeError::Size`] and [`SizeError::Buffers`].
pub fn buffers(
    parameters: &BTreeMap<String, String>,
    memory: Option<(&str, u64)>,
    hugepages: u64,
) -> Result<(), SizeError> {
    let Some(value) = find(parameters, "shared_buffers") else { return Ok(()) };
    // CNPG takes a bare number for megabytes, postgres for blocks of 8 kB: it is postgres that reads it here.
    let buffers =
        bytes(value, 8 << 10).ok_or_else(|| SizeError::Size { name: "shared_buffers", value: value.to_owned() })?;
    match memory {
        Some((text, memory)) if memory > 0 && buffers > memory && buffers > hugepages => {
            Err(SizeError::Buffers { buffers: value.to_owned(), memory: text.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Milliseconds of a duration as Go writes it: `30s`, `1h30m`, `1.5h`, `250ms`, `0`.
///
/// # Errors
/// [`SizeError::Duration`].
pub fn duration(text: &str) -> Result<u64, SizeError> {
    let wrong = || SizeError::Duration(text.to_owned());
    if text == "0" {
        return Ok(0);
    }
    let (mut rest, mut total) = (text, 0_f64);
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at_checked(end).ok_or_else(wrong)?;
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let units = [("ms", 1.0), ("us", 0.001), ("ns", 0.000_001), ("h", 3_600_000.0), ("m", 60_000.0), ("s", 1000.0)];
        let (unit, factor) = units.into_iter().find(|(unit, _)| tail.starts_with(unit)).ok_or_else(wrong)?;
        total += number * factor;
        rest = tail.strip_prefix(unit).ok_or_else(wrong)?;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is not negative, and bounded here")]
    let whole = total.clamp(0.0, 1e15) as u64;
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn sizes_and_switches_are_read_as_postgres_does() {
        assert_eq!(bytes("128MB", 1), Some(128 << 20));
        assert_eq!(bytes("16 kB", 1), Some(16 << 10));
        assert_eq!(bytes("16", 8192), Some(131_072));
        assert!(["", "MB", "1Mi", "1mb", "-1MB"].iter().all(|value| bytes(value, 1).is_none()));
        assert!(["on", "t", "yes", "1", "TRUE"].iter().all(|value| switch(value) == Some(true)));
        assert!(["off", "f", "no", "0", "of"].iter().all(|value| switch(value) == Some(false)));
        assert!(["", "o", "maybe"].iter().all(|value| switch(value).is_none()));
        assert_eq!(switches(&parameters(&[("wal_log_hints", "maybe"), ("hot_standby_feedback", "on")])).len(), 1);
    }

    #[test]
    fn wal_sizes_fit_each_other_and_the_volume() {
        assert_eq!(wal(&parameters(&[]), Some(1)), []);
        assert_eq!(wal(&parameters(&[("min_wal_size", "2GB")]), None), [SizeError::WalSizes]);
        assert_eq!(wal(&parameters(&[("max_wal_size", "4GB")]), Some(1 << 30)), [SizeError::WalVolume("max_wal_size")]);
        assert!(matches!(wal(&parameters(&[("max_wal_size", "lots")]), None)[..], [SizeError::Size { .. }]));
    }

    #[test]
    fn buffers_fit_into_the_memory_that_is_asked_for() {
        let given = parameters(&[("shared_buffers", "256MB")]);
        assert!(buffers(&given, None, 0).is_ok() && buffers(&given, Some(("1Gi", 1 << 30)), 0).is_ok());
        assert!(matches!(buffers(&given, Some(("64Mi", 64 << 20)), 0), Err(SizeError::Buffers { .. })));
        assert!(buffers(&given, Some(("64Mi", 64 << 20)), 512 << 20).is_ok());
        assert!(buffers(&parameters(&[("shared_buffers", "256Mi")]), None, 0).is_err());
    }

    #[test]
    fn a_duration_is_gos() {
        assert_eq!(duration("30s"), Ok(30_000));
        assert_eq!(duration("1h30m"), Ok(5_400_000));
        assert_eq!(duration("1.5h"), Ok(5_400_000));
        assert_eq!(duration("250ms"), Ok(250));
        assert_eq!(duration("0"), Ok(0));
        assert!(["", "30", "s", "1d", "-1s", "1h m"].iter().all(|text| duration(text).is_err()));
    }
}
