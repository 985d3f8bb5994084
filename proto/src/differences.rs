//! What differs from CloudNativePG on purpose: one list, for people and for the program.

use serde::Serialize;

/// `docs/reference/differences.md`.
pub const TEXT: &str = include_str!("../../docs/reference/differences.md");

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is about.
    pub what: &'static str,
    /// What CloudNativePG does.
    pub cloudnativepg: &'static str,
    /// What is done here.
    pub pgherd: &'static str,
    /// Why.
    pub why: &'static str,
}

/// The rows of the table.
#[must_use]
pub fn rows() -> Vec<Difference> {
    let cells = |line: &'static str| {
        let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        let cells: Vec<&'static str> = inner.split(" | ").map(str::trim).collect();
        match cells[..] {
            [what, cloudnativepg, pgherd, why] => Some(Difference { what, cloudnativepg, pgherd, why }),
            _ => None,
        }
    };
    // After the head and the line below it.
    TEXT.lines().filter(|line| line.starts_with('|')).skip(2).filter_map(cells).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_read() {
        let lines = TEXT.lines().filter(|line| line.starts_with('|')).count();
        assert_eq!(rows().len() + 2, lines);
        assert!(rows().iter().any(|row| row.what == "`primaryLease` defaults"));
        assert!(rows().iter().all(|row| !row.why.is_empty()));
    }
}
