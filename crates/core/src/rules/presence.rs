//! Which fields may stand together.

/// At most one of them is given.
#[must_use]
pub fn at_most_one(given: &[bool]) -> bool {
    given.iter().filter(|given| **given).count() <= 1
}

/// All of them are given, or none.
#[must_use]
pub fn all_or_none(given: &[bool]) -> bool {
    given.iter().all(|given| *given) || !given.iter().any(|given| *given)
}

/// Each name is there once.
#[must_use]
pub fn each_once<T: Ord>(names: impl IntoIterator<Item = T>) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    names.into_iter().all(|name| seen.insert(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted() {
        assert!(at_most_one(&[]) && at_most_one(&[true, false]) && !at_most_one(&[true, true]));
        assert!(all_or_none(&[]) && all_or_none(&[false, false]) && all_or_none(&[true, true]));
        assert!(!all_or_none(&[true, false]));
        assert!(each_once(["a", "b"]) && !each_once(["a", "b", "a"]));
    }
}
