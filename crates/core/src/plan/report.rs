//! Why a plan is what it is, and why it is not more.

use core::fmt;
use serde::{Deserialize, Serialize};

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    /// It is done.
    Does {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// It is not done.
    DoesNot {
        /// What.
        what: String,
        /// Why not.
        why: String,
    },
    /// It waits.
    Waits {
        /// For what.
        what: String,
    },
    /// Worth knowing.
    Notes {
        /// What.
        what: String,
    },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Does { what, why } => write!(f, "{what}: {why}"),
            Line::DoesNot { what, why } => write!(f, "not: {what}, since {why}"),
            Line::Waits { what } => write!(f, "waits for {what}"),
            Line::Notes { what } => f.write_str(what),
        }
    }
}

/// All reasons, in the order of the decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Report(pub Vec<Line>);

impl Report {
    pub(super) fn does(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.0.push(Line::Does { what: what.into(), why: why.into() });
    }

    pub(super) fn does_not(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.0.push(Line::DoesNot { what: what.into(), why: why.into() });
    }

    pub(super) fn waits(&mut self, what: impl Into<String>) {
        self.0.push(Line::Waits { what: what.into() });
    }

    pub(super) fn notes(&mut self, what: impl Into<String>) {
        self.0.push(Line::Notes { what: what.into() });
    }
}
