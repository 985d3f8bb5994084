//! The dependency graph, as `cargo metadata` tells it from the lock file. A registry is asked only for a crate that
//! is in the lock file and was never built here.

use super::policy::GraphPart;
use anyhow::Context;
use serde::Deserialize;
use std::path::Path;
use std::process::Command;

#[derive(Debug, Deserialize)]
pub struct Graph {
    pub packages: Vec<Package>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub license: Option<String>,
    /// None for a crate of this workspace.
    pub source: Option<String>,
    /// Empty: never published.
    pub publish: Option<Vec<String>>,
    pub dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Dependency {
    pub name: String,
    pub req: String,
    pub path: Option<String>,
}

impl Package {
    pub fn is_private(&self) -> bool {
        self.publish.as_ref().is_some_and(Vec::is_empty)
    }
}

impl Graph {
    /// Who names `package` as a dependency.
    pub fn users_of(&self, package: &Package) -> impl Iterator<Item = &str> {
        let uses = |user: &&Package| user.dependencies.iter().any(|used| used.name == package.name);
        self.packages.iter().filter(uses).map(|user| user.name.as_str())
    }
}

pub fn read(root: &Path, part: &GraphPart) -> anyhow::Result<Graph> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--format-version", "1", "--locked"]).current_dir(root);
    for target in &part.targets {
        cargo.args(["--filter-platform", target]);
    }
    if part.all_features {
        cargo.arg("--all-features");
    }
    let output = cargo.output().context("failed to run cargo metadata")?;
    anyhow::ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("cargo metadata says something unknown")
}

/// Whether `source` is the index that cargo uses where nothing else is named. What a mirror of it is called on some
/// machine does not show in the lock file.
pub fn is_the_public_registry(source: &str) -> bool {
    // Put together here: no file names a registry's host.
    let index = ["crates", "io-index"].join(".");
    source == format!("registry+https://github.com/rust-lang/{index}")
}
