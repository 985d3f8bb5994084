//! `deny.toml` against the dependency graph: licences, banned crates, sources.
//!
//! The same file as `cargo deny check licenses bans sources` reads, enforced from `cargo metadata`: that tool
//! would have to be built first on every new machine. Where it is installed, `make lint` runs it as well;
//! advisories and yanked versions are its part alone, since both have to be asked of somebody.

mod graph;
mod license;
mod policy;

use anyhow::Context;
use graph::{Graph, Package};
use policy::{Level, Policy};
use std::collections::BTreeMap;
use std::path::Path;

pub fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(root.join("deny.toml")).context("failed to read deny.toml")?;
    let policy: Policy = basic_toml::from_str(&text).context("deny.toml says what this check does not enforce")?;
    let graph = graph::read(root, &policy.graph)?;
    let (refused, said) = judge(&policy, &graph);
    for line in said {
        println!("note  {line}");
    }
    Ok(refused)
}

/// What is refused, and what is only said.
fn judge(policy: &Policy, graph: &Graph) -> (Vec<String>, Vec<String>) {
    let (mut refused, mut said) = (Vec::new(), Vec::new());
    for package in &graph.packages {
        refused.extend(license_of(policy, package));
        refused.extend(source_of(policy, package));
        if let Some(ban) = policy.bans.deny.iter().find(|ban| ban.name == package.name) {
            let users: Vec<_> = graph.users_of(package).collect();
            refused.push(format!("{} is banned, and {} uses it", ban.name, users.join(", ")));
        }
        let wild = package.dependencies.iter().filter(|used| used.req == "*" && used.path.is_none());
        let wild = wild.map(|used| format!("{} takes any version of {}", package.name, used.name));
        policy.bans.wildcards.sort(wild, &mut refused, &mut said);
    }
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in &graph.packages {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    let several: Vec<_> = versions.into_iter().filter(|(_, versions)| versions.len() > 1).collect();
    let names: Vec<_> = several.iter().map(|(name, versions)| format!("{name} ({})", versions.join(", "))).collect();
    let line = (!names.is_empty()).then(|| format!("several versions of: {}", names.join(", ")));
    policy.bans.multiple_versions.sort(line, &mut refused, &mut said);
    (refused, said)
}

fn license_of(policy: &Policy, package: &Package) -> Option<String> {
    if package.is_private() && policy.licenses.private.ignore {
        return None;
    }
    let Some(text) = &package.license else {
        return Some(format!("{} {} names no licence", package.name, package.version));
    };
    match license::is_allowed(text, &policy.licenses.allow) {
        Ok(true) => None,
        Ok(false) => Some(format!("{} {} is under {text}: not allowed", package.name, package.version)),
        Err(why) => Some(format!("{} {}: licence {text:?}: {why}", package.name, package.version)),
    }
}

fn source_of(policy: &Policy, package: &Package) -> Option<String> {
    let source = package.source.as_deref()?;
    let level = if source.starts_with("git+") { policy.sources.unknown_git } else { policy.sources.unknown_registry };
    let known = graph::is_the_public_registry(source);
    (!known && level == Level::Deny).then(|| format!("{} comes from {source}", package.name))
}

#[cfg(test)]
mod tests;
