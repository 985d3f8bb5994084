//! What is to be said about a manifest.

use serde::Serialize;

/// Whether the manifest can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, and somebody should know something.
    Warning,
}

/// What kind of thing is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A rule is broken.
    Invalid,
    /// The field is CNPG's, nothing here implements it, and ignoring it would be unsafe.
    Refused,
    /// No such field. It does nothing.
    Unknown,
    /// The field is known, and does nothing yet.
    Ignored,
    /// Works as written; the consequence should be known.
    Advice,
}

/// Where in a file: both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// One thing to be said about a manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Whether the manifest can be used.
    pub severity: Severity,
    /// What kind of thing it is.
    pub kind: Kind,
    /// The field, as in `spec.storage.size`.
    pub path: String,
    /// What is wrong, or what will happen.
    pub message: String,
    /// What to do, where the message does not say it.
    pub hint: Option<String>,
    /// Where it stands, if it was read from a file.
    #[serde(flatten)]
    pub place: Option<Place>,
}

impl Finding {
    /// A finding without a hint. Broken rules and refused fields are errors, the rest are warnings.
    #[must_use]
    pub fn new(kind: Kind, path: impl Into<String>, message: impl Into<String>) -> Self {
        let severity = match kind {
            Kind::Invalid | Kind::Refused => Severity::Error,
            Kind::Unknown | Kind::Ignored | Kind::Advice => Severity::Warning,
        };
        Self { severity, kind, path: path.into(), message: message.into(), hint: None, place: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether the manifest cannot be used because of this.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
