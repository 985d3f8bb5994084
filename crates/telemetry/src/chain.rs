//! An error and all its causes on one line.

use std::error::Error;
use std::fmt::Write;

/// `failed to X: failed to Y: reason`; a cause that its effect already told is not told again.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let told = next.to_string();
        if !text.ends_with(&told) {
            // Writing to a String cannot fail.
            let _ = write!(text, ": {told}");
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to start postgres")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn every_cause_is_told_once() {
        assert_eq!(chain(&Outer(std::io::Error::other("disk on fire"))), "failed to start postgres: disk on fire");
    }
}
