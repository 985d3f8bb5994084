//! `pgherd validate -f FILE...`: what is to be said about manifests before they are applied.

use anyhow::Context;
use pgherd_proto::validate::{Checked, for_people, manifests};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Checks the documents of all files (`-` is standard input) and prints what is to be said: for people, or as JSON.
/// Returns the exit code: 0 if all can be applied, 1 if not.
///
/// # Errors
/// A file cannot be read, or standard output not written.
pub fn run(files: &[PathBuf], json: bool) -> anyhow::Result<u8> {
    let all = check(files)?;
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &all)?;
        writeln!(out)?;
    } else {
        out.write_all(for_people(&all).as_bytes())?;
    }
    Ok(u8::from(all.iter().any(Checked::is_broken)))
}

/// What is to be said about the documents of all files.
///
/// # Errors
/// A file cannot be read.
pub fn check(files: &[PathBuf]) -> anyhow::Result<Vec<Checked>> {
    let mut all = Vec::new();
    for file in files {
        let text = read(file).with_context(|| format!("failed to read {}", file.display()))?;
        all.extend(manifests(file, &text));
    }
    Ok(all)
}

fn read(file: &Path) -> std::io::Result<String> {
    if file == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) }
}
