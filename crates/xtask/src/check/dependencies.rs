//! Who may depend on whom. A crate may use what stands to its right, and nothing else of the workspace.

use anyhow::Context;
use serde_json::Value;
use std::path::Path;

/// Crate, and the crates of the workspace that it may use outside of its tests.
const MAY_USE: &[(&str, &[&str])] = &[
    ("pgherd-core", &[]),
    ("pgherd-proto", &["pgherd-core"]),
    ("pgherd-telemetry", &["pgherd-core"]),
    ("pgherd-pki", &["pgherd-core"]),
    ("pgherd-dial", &[]),
    ("pgherd-wal-client", &[]),
    ("pgherd-objectstore", &["pgherd-core"]),
    ("pgherd-postgres", &["pgherd-core"]),
    ("pgherd-backup", &["pgherd-core", "pgherd-objectstore"]),
    (
        "pgherd-manager",
        &[
            "pgherd-core",
            "pgherd-proto",
            "pgherd-telemetry",
            "pgherd-pki",
            "pgherd-dial",
            "pgherd-wal-client",
            "pgherd-objectstore",
            "pgherd-postgres",
            "pgherd-backup",
        ],
    ),
    ("pgherd-controller", &["pgherd-core", "pgherd-proto", "pgherd-telemetry", "pgherd-pki", "pgherd-dial"]),
    ("pgherd-localkube", &["pgherd-core", "pgherd-proto", "pgherd-telemetry", "pgherd-pki", "pgherd-objectstore"]),
    ("pgherd-testkit", &["pgherd-core", "pgherd-proto", "pgherd-telemetry", "pgherd-objectstore", "pgherd-localkube"]),
    (
        "pgherd-cli",
        &["pgherd-core", "pgherd-proto", "pgherd-telemetry", "pgherd-pki", "pgherd-controller", "pgherd-localkube"],
    ),
    ("xtask", &["pgherd-proto"]),
];
/// Crates that may use all of the workspace: nothing uses them.
const ABOVE_ALL: &[&str] = &["pgherd-tests", "pgherd-model"];
/// All that the decisions may use from outside.
const CORE_MAY_USE: &[&str] = &["serde", "thiserror"];

pub fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let output = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .context("failed to run cargo metadata")?;
    anyhow::ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("cargo metadata without packages")?;
    Ok(packages.iter().flat_map(wrong).collect())
}

fn wrong(package: &Value) -> Vec<String> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = text(package, "name");
    let dependencies = package.get("dependencies").and_then(Value::as_array);
    // Tests may reach up: the kind of theirs is `dev`.
    let real: Vec<_> = dependencies.into_iter().flatten().filter(|used| text(used, "kind") != "dev").collect();
    let mut wrong = Vec::new();
    if !ABOVE_ALL.contains(&name.as_str()) {
        match MAY_USE.iter().find(|(user, _)| *user == name) {
            None => wrong.push(format!("{name} has no place in crates/xtask/src/check/dependencies.rs")),
            Some((_, allowed)) => {
                let inner = real.iter().filter(|used| used.get("path").is_some_and(Value::is_string));
                let outside = inner.map(|used| text(used, "name")).filter(|used| !allowed.contains(&used.as_str()));
                wrong.extend(outside.map(|used| format!("{name} uses {used}: that points up or sideways")));
            }
        }
    }
    if name == "pgherd-core" {
        let outside = real.iter().map(|used| text(used, "name")).filter(|used| !CORE_MAY_USE.contains(&used.as_str()));
        wrong
            .extend(outside.map(|used| format!("{name} uses {used}: only {} are allowed", CORE_MAY_USE.join(" and "))));
    }
    wrong
}
