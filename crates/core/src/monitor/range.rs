//! Ranges of server versions (`runonserver`), as CNPG reads them (the Go library blang/semver, `ParseRange`): comparators
//! that all have to hold, `||` between alternatives, `x` for any number.

/// A version of postgres: major, minor, and a third number that is always 0.
pub type Version = [u64; 3];

/// A range that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read the range of versions {0:?}: expected comparators such as \">=13.0.0 <17.0.0\"")]
pub struct RangeError(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// Longer ones first.
const OPERATORS: [(&str, Operator); 8] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("!=", Operator::IsNot),
    ("==", Operator::Is),
    (">", Operator::Above),
    ("<", Operator::Below),
    ("=", Operator::Is),
    ("!", Operator::IsNot),
];

/// Compares with the versions from `first` up to `end`, which is no part of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Comparator {
    operator: Operator,
    first: Version,
    end: Version,
}

impl Comparator {
    fn holds(&self, version: Version) -> bool {
        match self.operator {
            Operator::Is => self.first <= version && version < self.end,
            Operator::IsNot => version < self.first || self.end <= version,
            Operator::Above => self.end <= version,
            Operator::AtLeast => self.first <= version,
            Operator::Below => version < self.first,
            Operator::AtMost => version < self.end,
        }
    }
}

/// Alternatives, of each of which every comparator has to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range(Vec<Vec<Comparator>>);

impl Range {
    /// Whether a version is in it.
    #[must_use]
    pub fn contains(&self, version: Version) -> bool {
        self.0.iter().any(|all| all.iter().all(|one| one.holds(version)))
    }
}

impl core::str::FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let wrong = || RangeError(text.to_owned());
        let alternatives = text.split("||").map(|part| comparators(part).filter(|all| !all.is_empty()));
        alternatives.collect::<Option<_>>().map(Self).ok_or_else(wrong)
    }
}

fn comparators(text: &str) -> Option<Vec<Comparator>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let known = OPERATORS.iter().find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?)));
        let (operator, after) = known.unwrap_or((Operator::Is, rest));
        let after = after.trim_start();
        let end = after.find(|c: char| c.is_whitespace() || "<>=!".contains(c)).unwrap_or(after.len());
        let (version, tail) = after.split_at_checked(end)?;
        let (first, end) = span(version)?;
        found.push(Comparator { operator, first, end });
        rest = tail.trim_start();
    }
    Some(found)
}

/// The first version that a text stands for, and the first one after them: `17.x` is from 17.0.0 up to 18.0.0.
fn span(text: &str) -> Option<(Version, Version)> {
    let mut first = Version::default();
    let mut end = None;
    let mut parts = text.split('.');
    for place in 0..first.len() {
        match parts.next() {
            Some("x" | "X" | "*") if place > 0 => end = end.or_else(|| after(first, place.saturating_sub(1))),
            Some(part) if end.is_none() => *first.get_mut(place)? = part.parse().ok()?,
            // Numbers that are left out are 0.
            None => {}
            Some(_) => return None,
        }
    }
    if parts.next().is_some() {
        return None;
    }
    Some((first, end.or_else(|| after(first, 2))?))
}

/// The next version at that place.
fn after(version: Version, place: usize) -> Option<Version> {
    let mut next = version;
    let number = next.get_mut(place)?;
    *number = number.checked_add(1)?;
    Some(next)
}

/// `server_version_num` as a version (PostgreSQL documentation, "Preset Options").
#[must_use]
pub fn server_version(number: u32) -> Version {
    [u64::from(number / 10_000), u64::from(number % 10_000), 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(range: &str, version: Version) -> bool {
        range.parse::<Range>().unwrap().contains(version)
    }

    #[test]
    fn every_comparator_has_to_hold_of_one_alternative() {
        assert!(within("<17.0.0", [16, 9, 0]) && !within("<17.0.0", [17, 0, 0]));
        assert!(within(">=17.0.0", [17, 0, 0]) && !within(">17.0.0", [17, 0, 0]) && within(">17.0.0", [17, 1, 0]));
        assert!(within(">= 13.0.0 <15.0.0", [14, 3, 0]) && !within(">=13.0.0<15.0.0", [15, 0, 0]));
        assert!(within("14.2.0 || >=16.0.0", [14, 2, 0]) && !within("14.2.0 || >=16.0.0", [15, 0, 0]));
        assert!(within("!=15.3.0", [15, 4, 0]) && !within("!15.3.0", [15, 3, 0]) && within("<=15.3.0", [15, 3, 0]));
    }

    #[test]
    fn an_x_is_any_number_and_what_is_left_out_is_nought() {
        assert!(within("15.x", [15, 7, 0]) && within("=15.x.x", [15, 7, 0]) && !within("15.x", [16, 0, 0]));
        assert!(within(">15.x", [16, 0, 0]) && !within(">15.x", [15, 99, 0]) && within("<=15.x", [15, 99, 0]));
        assert!(within(">=17", [17, 0, 0]) && !within(">=17", [16, 4, 0]));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "||", ">=", "17.a.0", "1.2.3.4", "x", ">=15.x.1", "15 || "] {
            assert!(text.parse::<Range>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_servers_number_is_a_version() {
        assert_eq!((server_version(150_004), server_version(170_000)), ([15, 4, 0], [17, 0, 0]));
    }
}
