//! `pgherd validate FILE...`: what is to be said about manifests before they are applied.

use crate::args::Output;
use crate::output;
use anyhow::Context;
use pgherd_proto::differences;
use pgherd_proto::finding::{Kind, Severity};
use pgherd_proto::validate::{Checked, for_people, manifests};
use std::path::{Path, PathBuf};

/// What to look at, and how strictly.
#[derive(Debug, Clone, clap::Args)]
pub struct ValidateArguments {
    /// Files and directories (their .yaml, .yml and .json); `-` is standard input.
    pub files: Vec<PathBuf>,
    /// The same, as kubectl takes it.
    #[arg(short = 'f', long = "file", num_args = 1..)]
    pub more: Vec<PathBuf>,
    /// Exit 1 for what is accepted and does nothing, too.
    #[arg(long)]
    pub strict: bool,
    /// Print what differs from CloudNativePG on purpose, and look at nothing.
    #[arg(long, conflicts_with_all = ["files", "more"])]
    pub differences: bool,
}

/// Checks the documents of all files and prints what is to be said: for people, or as JSON. Returns the exit code: 0 if
/// all can be applied, 1 if not, 2 if there was nothing to look at.
///
/// # Errors
/// A file cannot be read, or standard output not written.
pub fn run(arguments: &ValidateArguments, shape: Output) -> anyhow::Result<u8> {
    if arguments.differences {
        output::print(shape, &differences::rows(), || differences::TEXT.to_owned())?;
        return Ok(0);
    }
    let files: Vec<PathBuf> = arguments.files.iter().chain(&arguments.more).cloned().collect();
    let all = check(&files)?;
    output::print(shape, &all, || for_people(&all))?;
    let in_vain = |checked: &Checked| {
        let ignored = |kind| matches!(kind, Kind::Ignored | Kind::Unknown);
        checked.findings.iter().any(|finding| finding.severity == Severity::Warning && ignored(finding.kind))
    };
    Ok(match &all[..] {
        [] => 2,
        all => u8::from(all.iter().any(|checked| checked.is_broken() || (arguments.strict && in_vain(checked)))),
    })
}

/// What is to be said about the documents of all files.
///
/// # Errors
/// A file cannot be read.
pub fn check(files: &[PathBuf]) -> anyhow::Result<Vec<Checked>> {
    let mut all = Vec::new();
    for file in files {
        for file in expanded(file)? {
            let text = read(&file).with_context(|| format!("failed to read {}", file.display()))?;
            all.extend(manifests(&file, &text));
        }
    }
    Ok(all)
}

/// A directory's manifests, those of the directories in it too, by name; anything else is itself.
fn expanded(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = || format!("failed to list {}", path.display());
    let entries = std::fs::read_dir(path).with_context(failed)?;
    let mut names: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().with_context(failed)?;
    names.sort();
    let mut found = Vec::new();
    for name in names {
        let extension = name.extension().and_then(std::ffi::OsStr::to_str);
        if name.is_dir() {
            found.extend(expanded(&name)?);
        } else if matches!(extension, Some("yaml" | "yml" | "json")) {
            found.push(name);
        }
    }
    Ok(found)
}

fn read(file: &Path) -> std::io::Result<String> {
    if file == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) }
}
