//! The corpus: manifests that are right, or wrong in known ways, each with what must be said of it (`proto/corpus`).
//!
//! Before each document stand its purpose and lines such as `# -> error spec.instances: it must be` (severity, path, a
//! part of the message). No other errors may be said; other warnings may.

use super::*;
use crate::finding::Severity;
use std::path::{Path, PathBuf};

pub(super) struct Manifest {
    pub at: String,
    pub text: String,
    expected: Vec<(Severity, String, String)>,
}

fn expectation(line: &str) -> Option<(Severity, String, String)> {
    let rest = line.strip_prefix("# -> ")?;
    let (severity, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let severity = if severity == "error" { Severity::Error } else { Severity::Warning };
    let (path, message) = rest.split_once(": ").unwrap_or((rest, ""));
    Some((severity, path.to_owned(), message.to_owned()))
}

pub(super) fn corpus() -> Vec<Manifest> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        for document in text.split("---\n").skip(1) {
            let title = document.lines().next().unwrap_or_default().trim_start_matches("# ");
            let expected = document.lines().filter_map(expectation).collect();
            all.push(Manifest { at: format!("{name}: {title}"), text: document.to_owned(), expected });
        }
    }
    all
}

#[test]
fn each_manifest_of_the_corpus_has_its_verdict() {
    let all = corpus();
    assert!(all.len() >= 150, "only {} manifests", all.len());
    let mut wrong = Vec::new();
    for Manifest { at, text, expected } in &all {
        let checked = manifests(Path::new("m.yaml"), text);
        let found = &checked.first().unwrap_or_else(|| panic!("{at}: no document")).findings;
        let is = |finding: &Finding, (severity, path, message): &(Severity, String, String)| {
            finding.severity == *severity && finding.path == *path && finding.message.contains(message)
        };
        for expected in expected.iter().filter(|expected| !found.iter().any(|finding| is(finding, expected))) {
            wrong.push(format!("{at}: not said: {expected:?}"));
        }
        for error in found.iter().filter(|finding| finding.is_error()) {
            if !expected.iter().any(|expected| is(error, expected)) {
                wrong.push(format!("{at}: {}: {}", error.path, error.message));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

#[test]
fn each_finding_of_the_corpus_has_its_place() {
    for Manifest { at, text, .. } in corpus() {
        for finding in manifests(Path::new("m.yaml"), &text).into_iter().flat_map(|checked| checked.findings) {
            // What is missing stands nowhere, unless the object that it is missing in does.
            let missing = finding.path.is_empty() || !finding.path.contains('.');
            assert!(finding.place.is_some() || missing, "{at}: {finding:?}");
        }
    }
}
