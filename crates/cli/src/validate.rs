//! `pgherd validate -f FILE...`: what is to be said about manifests before they are applied.

use anyhow::Context;
use pgherd_proto::backup::Backup;
use pgherd_proto::cluster::Cluster;
use pgherd_proto::finding::{Finding, Kind, Severity};
use pgherd_proto::scheduled_backup::ScheduledBackup;
use pgherd_proto::{names, schema, unsupported, validate};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Findings of one document of one file.
#[derive(Debug, Serialize)]
struct Checked {
    file: PathBuf,
    /// From 1.
    document: usize,
    kind: String,
    name: String,
    findings: Vec<Finding>,
}

/// Checks the documents of all files (`-` is standard input) and prints what is to be said: for people, or as JSON.
/// Returns the exit code: 0 if all can be applied, 1 if not.
///
/// # Errors
/// A file cannot be read, or standard output not written.
pub fn run(files: &[PathBuf], json: bool) -> anyhow::Result<u8> {
    let mut all = Vec::new();
    for file in files {
        let text = read(file).with_context(|| format!("failed to read {}", file.display()))?;
        all.extend(check_text(file, &text));
    }
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &all)?;
        writeln!(out)?;
    } else {
        out.write_all(for_people(&all).as_bytes())?;
    }
    let broken = all.iter().flat_map(|checked| &checked.findings).any(Finding::is_error);
    Ok(u8::from(broken))
}

fn read(file: &Path) -> std::io::Result<String> {
    if file == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) }
}

fn check_text(file: &Path, text: &str) -> Vec<Checked> {
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
                all.push(checked(text("/kind"), text("/metadata/name"), check(&object)));
            }
            Err(error) => {
                all.push(checked("", "", vec![Finding::new(Kind::Invalid, "", format!("this is not YAML: {error}"))]));
                break;
            }
        }
    }
    all
}

fn check(object: &Value) -> Vec<Finding> {
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
            "Cluster" => typed::<Cluster>(object, validate::cluster),
            "Backup" => typed::<Backup>(object, validate::backup),
            _ => typed::<ScheduledBackup>(object, validate::scheduled_backup),
        }
    } else {
        // It has no typed form: say what is wrong with it, and which fields do nothing.
        contradictions.into_iter().chain(unsupported::used(kind, object)).collect()
    };
    for finding in findings.iter_mut().filter(|finding| finding.kind == Kind::Unknown) {
        // A field that nobody has is a typing error, and here is the place to mend it.
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

fn for_people(all: &[Checked]) -> String {
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
        check_text(Path::new("m.yaml"), text)
    }

    #[test]
    fn the_examples_can_be_applied_and_say_what_may_be_lost() {
        let all = checked(&format!("{EXAMPLE}\n---\n{SCHEDULE}---\n"));
        assert_eq!(all.len(), 2);
        assert!(all.iter().flat_map(|checked| &checked.findings).all(|finding| !finding.is_error()), "{all:#?}");
        let text = for_people(&all);
        assert!(text.starts_with("m.yaml, document 1 (Cluster phoenix-guardian-db): can be applied\n"), "{text}");
        assert!(text.contains("replication is asynchronous") && text.contains("spec.backup.retentionPolicy"), "{text}");
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
