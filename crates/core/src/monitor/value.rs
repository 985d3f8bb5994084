//! Texts of postgres' as the numbers that samples are.

use crate::backup::Timestamp;

/// A number as it is, a truth as 1 or 0, a moment (ISO 8601, with its zone) as seconds since 1970. Nothing else is a number.
#[must_use]
pub fn number(text: &str) -> Option<f64> {
    match text.trim() {
        "t" | "true" | "on" => Some(1.0),
        "f" | "false" | "off" => Some(0.0),
        // Rust reads names of numbers in more ways than postgres writes them; each means the same.
        text => text.parse().ok().or_else(|| seconds(text.parse().ok()?)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a sample is a double: microseconds of this century fit")]
fn seconds(time: Timestamp) -> Option<f64> {
    Some(time.micros() as f64 / 1e6)
}

/// An array of them, such as `{1,2.5}`, each of which has to be one.
#[must_use]
pub fn numbers(text: &str) -> Option<Vec<f64>> {
    let inside = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inside.is_empty() {
        return Some(Vec::new());
    }
    inside.split(',').map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_truths_and_moments_are_numbers_and_nothing_else_is() {
        assert_eq!((number("12"), number("-1.5e3"), number(" 7 ")), (Some(12.0), Some(-1500.0), Some(7.0)));
        assert_eq!((number("t"), number("off")), (Some(1.0), Some(0.0)));
        assert_eq!(number("1970-01-01 00:00:01.5+00"), Some(1.5));
        assert!(number("Infinity").is_some_and(f64::is_infinite) && number("NaN").is_some_and(f64::is_nan));
        assert!(["", "on the way", "12 MB", "{1}"].iter().all(|text| number(text).is_none()));
    }

    #[test]
    fn an_array_is_one_of_numbers_alone() {
        assert_eq!(numbers("{1,2.5,3}"), Some(vec![1.0, 2.5, 3.0]));
        assert_eq!((numbers("{}"), numbers("{1,x}"), numbers("1")), (Some(vec![]), None, None));
    }
}
