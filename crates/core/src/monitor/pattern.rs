//! Patterns of database names (`target_databases`), as CNPG matches them (Go's `path.Match`): `*`, `?`, `[a-z]`, `[^a-z]`,
//! and a backslash before what is meant as it is. None of them matches a slash.

/// Whether a name of a database is a pattern.
#[must_use]
pub fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '[', ']'])
}

/// Whether the pattern is that of the whole name. One that cannot be read matches nothing.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    matched(&pattern, &name)
}

fn matched(pattern: &[char], name: &[char]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return name.is_empty() };
    if *first == '*' {
        // As little as will do: names are short.
        let most = name.iter().position(|c| *c == '/').unwrap_or(name.len());
        return (0..=most).any(|taken| name.get(taken..).is_some_and(|left| matched(rest, left)));
    }
    let Some((c, left)) = name.split_first() else { return false };
    match first {
        '?' => *c != '/' && matched(rest, left),
        '[' => of_class(rest, *c).is_some_and(|(is, rest)| is && matched(rest, left)),
        '\\' => rest.split_first().is_some_and(|(meant, rest)| meant == c && matched(rest, left)),
        plain => plain == c && matched(rest, left),
    }
}

/// Whether a character is one of those in brackets, and what follows them.
fn of_class(class: &[char], c: char) -> Option<(bool, &[char])> {
    let (negated, mut rest) = match class.split_first() {
        Some(('^', rest)) => (true, rest),
        _ => (false, class),
    };
    let (mut is, mut seen) = (false, 0_usize);
    loop {
        let (first, after) = rest.split_first()?;
        if *first == ']' && seen > 0 {
            return Some(((is != negated) && c != '/', after));
        }
        let (low, after) = literal(rest)?;
        let (high, after) = match after.split_first() {
            Some(('-', after)) => literal(after)?,
            _ => (low, after),
        };
        is |= low <= c && c <= high;
        seen = seen.saturating_add(1);
        rest = after;
    }
}

fn literal(text: &[char]) -> Option<(char, &[char])> {
    match text.split_first()? {
        ('\\', rest) => rest.split_first().map(|(c, rest)| (*c, rest)),
        ('-' | ']', _) => None,
        (c, rest) => Some((*c, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_marks_and_classes_match_as_in_a_shell() {
        for (pattern, name) in [
            ("*", "app"),
            ("*", ""),
            ("a*", "app"),
            ("*p", "app"),
            ("?pp", "app"),
            ("[a-c]pp", "app"),
            ("[^x]*", "app"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "app"), ("?", ""), ("[x-z]*", "app"), ("*", "a/b"), ("[a", "a"), ("[]a]", "a")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        assert!(matches("a\\*", "a*") && !matches("a\\*", "ab") && matches("[\\]x]", "]"));
    }

    #[test]
    fn a_plain_name_is_no_pattern() {
        assert!(!is_pattern("app_1") && is_pattern("app_*") && is_pattern("app_[0-9]"));
    }
}
