//! Whole manifests as a user writes them, before they are applied: YAML documents against the schema of their kind, then
//! against its rules. What is said is the same wherever it is said: `pgherd validate`, and `pgherd local up`.

use super::{backup, cluster, scheduled_backup};
use crate::finding::{Finding, Kind, Severity};
use crate::{names, schema, unsupported};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Findings of one document of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Where it was read.
    pub file: PathBuf,
    /// From 1.
    pub document: usize,
    /// Its kind; empty if it could not be read.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What is to be said.
    pub findings: Vec<Finding>,
}

impl Checked {
    /// Whether it cannot be applied.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.findings.iter().any(Finding::is_error)
    }
}

/// Checks each document of a file's text; empty ones are left out. A document that is no YAML is the last one.
#[must_use]
pub fn manifests(file: &Path, text: &str) -> Vec<Checked> {
    let mut all = Vec::new();
    for (index, document) in serde_yaml_ng::Deserializer::from_str(text).enumerate() {
        let checked = |kind: &str, name: &str, findings| Checked {
            file: file.to_owned(),
            document: index.saturating_add(1),
            kind: kind.to_owned(),
            name: name.to_owned(),
            findings,
        };
        match Value::deserialize(document) {
            // `---` at the end of a file is an empty document.
            Ok(Value::Null) => {}
            Ok(object) => {
                let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                all.push(checked(text("/kind"), text("/metadata/name"), manifest(&object)));
            }
            Err(error) => {
                all.push(checked("", "", vec![Finding::new(Kind::Invalid, "", format!("this is not YAML: {error}"))]));
                break;
            }
        }
    }
    all
}

/// Everything that is to be said about one document. A field that nobody has is an error here: it is a typing error, and
/// this is the place to mend it.
#[must_use]
pub fn manifest(object: &Value) -> Vec<Finding> {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("/apiVersion"), text("/kind"));
    if !version.starts_with(&format!("{}/", names::API_GROUP)) {
        let message = format!("{kind} of {version:?} is not of {}: not looked at", names::API_GROUP);
        return vec![Finding::new(Kind::Advice, "apiVersion", message)];
    }
    if version != names::API_VERSION {
        let message = format!("{version:?} is not served");
        return vec![Finding::new(Kind::Invalid, "apiVersion", message).hint(format!("write {}", names::API_VERSION))];
    }
    let described = unsupported::schema_of(kind);
    if described.is_null() {
        let message = format!("kind {kind:?} is not supported");
        return vec![Finding::new(Kind::Refused, "kind", message).hint("Cluster, Backup and ScheduledBackup are")];
    }
    let Some(spec) = object.get("spec").filter(|spec| !spec.is_null()) else {
        return vec![Finding::new(Kind::Invalid, "spec", "is required and missing")];
    };
    let contradictions = schema::contradictions(described, spec, "spec");
    let mut findings = if contradictions.is_empty() {
        match kind {
            "Cluster" => typed(object, cluster),
            "Backup" => typed(object, backup),
            _ => typed(object, scheduled_backup),
        }
    } else {
        // It has no typed form: say what is wrong with it, and which fields do nothing.
        contradictions.into_iter().chain(unsupported::used(kind, object)).collect()
    };
    for finding in findings.iter_mut().filter(|finding| finding.kind == Kind::Unknown) {
        finding.severity = Severity::Error;
    }
    findings.sort();
    findings
}

fn typed<T: serde::de::DeserializeOwned>(object: &Value, rules: fn(&T) -> Vec<Finding>) -> Vec<Finding> {
    match serde_json::from_value(object.clone()) {
        Ok(object) => rules(&object),
        Err(error) => vec![Finding::new(Kind::Invalid, "", format!("cannot be read: {error}"))],
    }
}

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
        for Finding { severity, kind: _, path, message, hint } in findings {
            let severity = if *severity == Severity::Error { "error" } else { "warning" };
            let colon = if path.is_empty() { "" } else { ": " };
            text.push_str(&format!("  {severity}: {path}{colon}{message}\n"));
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

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../docs/examples/cluster.yaml");
    const SCHEDULE: &str = include_str!("../../../docs/examples/scheduledbackup.yaml");

    fn checked(text: &str) -> Vec<Checked> {
        manifests(Path::new("m.yaml"), text)
    }

    #[test]
    fn the_examples_can_be_applied_and_say_what_may_be_lost() {
        let all = checked(&format!("{EXAMPLE}\n---\n{SCHEDULE}---\n"));
        assert_eq!(all.len(), 2);
        assert!(!all.iter().any(Checked::is_broken), "{all:#?}");
        let text = for_people(&all);
        assert!(text.starts_with("m.yaml, document 1 (Cluster phoenix-guardian-db): can be applied\n"), "{text}");
        assert!(text.contains("replication is asynchronous"), "{text}");
    }

    #[test]
    fn a_typing_error_is_an_error_here_and_says_what_was_meant() {
        let all = checked(&EXAMPLE.replace("  instances: 3", "  instnces: 3"));
        let text = for_people(&all);
        assert!(text.contains("cannot be applied") && text.contains("did you mean spec.instances?"), "{text}");
    }

    #[test]
    fn a_number_where_text_is_wanted_says_to_quote_it() {
        let text = for_people(&checked(&EXAMPLE.replace("max_connections: \"200\"", "max_connections: 200")));
        assert!(text.contains("spec.postgresql.parameters.max_connections: expected a string, found 200"), "{text}");
        assert!(text.contains("-> write it in quotes: \"200\""), "{text}");
    }

    #[test]
    fn what_is_no_yaml_or_no_kind_of_ours_is_said() {
        assert!(for_people(&checked("a: [")).contains("this is not YAML"));
        assert!(for_people(&checked("apiVersion: v1\nkind: Secret\n")).contains("not looked at"));
        assert!(for_people(&checked("apiVersion: postgresql.cnpg.io/v1\nkind: Pooler\n")).contains("is not supported"));
        assert!(for_people(&checked("")).contains("no document"));
    }
}
