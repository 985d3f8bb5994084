//! "Did you mean": which name is meant by one that does not exist.

/// The candidate that `name` most likely is: equal but for case and separators, or at most two typing errors away
/// (one, for names of up to four letters).
#[must_use]
pub fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(name);
    let allowed = if wanted.chars().count() <= 4 { 1 } else { 2 };
    candidates
        .map(|candidate| (distance(&wanted, &folded(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Levenshtein's distance, by two rows.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((b, above_left), above) in right.iter().zip(&row).zip(row.iter().skip(1)) {
            let substituted = above_left + usize::from(a != *b);
            let before = next.last().copied().unwrap_or(i + 1);
            next.push(substituted.min(above + 1).min(before + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_recognised_and_a_stranger_is_not() {
        let names = ["instances", "imageName", "storage", "env"];
        assert_eq!(closest("instnces", names.into_iter()), Some("instances"));
        assert_eq!(closest("image_name", names.into_iter()), Some("imageName"));
        assert_eq!(closest("Storage", names.into_iter()), Some("storage"));
        assert_eq!(closest("envs", names.into_iter()), Some("env"));
        assert_eq!(closest("replicas", names.into_iter()), None);
    }

    #[test]
    fn distances_are_levenshteins() {
        for (left, right, expected) in [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3)] {
            assert_eq!(distance(left, right), expected);
        }
    }
}
