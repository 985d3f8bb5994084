//! No dependency is built twice: a build for the programs asks of each what a build for the tests does.
//!
//! Cargo adds the features that `dev-dependencies` want as soon as tests are built, and builds whatever these touch
//! anew. `crates/testkit` asks for the same features, for everybody.

use anyhow::Context;
use std::collections::BTreeSet;
use std::path::Path;

pub fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    Ok(twice(&features(root, "normal,build")?, &features(root, "normal,build,dev")?))
}

/// Each dependency with the features that it is built with, a line each.
fn features(root: &Path, edges: &str) -> anyhow::Result<BTreeSet<String>> {
    let output = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--offline", "--workspace", "--prefix", "none", "--format", "{p} with {f}", "--edges", edges])
        .current_dir(root)
        .output()
        .context("failed to run cargo tree")?;
    anyhow::ensure!(output.status.success(), "cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).context("failed to read what cargo tree says")?;
    Ok(text.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect())
}

fn twice(programs: &BTreeSet<String>, tests: &BTreeSet<String>) -> Vec<String> {
    let why = "is built for the tests with other features: name these in crates/testkit/Cargo.toml";
    programs.difference(tests).map(|line| format!("{line} {why}")).collect()
}

#[cfg(test)]
mod tests {
    use super::twice;

    #[test]
    fn what_only_tests_use_is_no_matter_and_what_both_use_differently_is() {
        let set = |lines: &[&str]| lines.iter().map(ToString::to_string).collect();
        let (a, b, more) = ("a v1 with std", "b v1 with std", "b v1 with std,test-util");
        assert!(twice(&set(&[a]), &set(&[a, b])).is_empty());
        assert_eq!(twice(&set(&[a, b]), &set(&[a, more])).len(), 1);
    }
}
