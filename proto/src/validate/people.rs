//! What is to be said about manifests, as text for people.

use super::Checked;
use crate::finding::{Finding, Place, Severity};

/// The findings as text: one paragraph a document, with what to do.
#[must_use]
pub fn for_people(all: &[Checked]) -> String {
    let mut text = String::new();
    for Checked { file, document, kind, name, findings } in all {
        let at = format!("{}, document {document}", file.display());
        let what = if kind.is_empty() { String::new() } else { format!(" ({kind} {name})") };
        let errors = findings.iter().filter(|finding| finding.is_error()).count();
        let verdict = if errors == 0 { "can be applied" } else { "cannot be applied" };
        text.push_str(&format!("{at}{what}: {verdict}\n"));
        for Finding { severity, kind: _, path, message, hint, place } in findings {
            let severity = if *severity == Severity::Error { "error" } else { "warning" };
            let colon = if path.is_empty() { "" } else { ": " };
            let at = place.map(|Place { line, column }| format!("{line}:{column}: ")).unwrap_or_default();
            text.push_str(&format!("  {at}{severity}: {path}{colon}{message}\n"));
            if let Some(hint) = hint {
                text.push_str(&format!("    -> {hint}\n"));
            }
        }
    }
    if all.is_empty() {
        text.push_str("there is no document to look at\n");
    }
    text
}
