//! The example's Cluster, as it is or with changes.

use anyhow::Context as _;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Where the example is, from the root of the sources.
pub const EXAMPLE: &str = "docs/examples/cluster.yaml";

/// Writes the Cluster of `example` with `edit` made to it into `directory`; answers the path of the new manifest.
///
/// # Errors
/// If the example cannot be read, or the new one not be written.
pub fn edited(example: &Path, directory: &Path, edit: impl FnOnce(&mut Value)) -> anyhow::Result<PathBuf> {
    let text = std::fs::read_to_string(example).with_context(|| format!("failed to read {}", example.display()))?;
    let mut cluster: Value = serde_yaml_ng::from_str(&text)?;
    edit(&mut cluster);
    let path = std::path::absolute(directory.join("cluster.yaml"))?;
    // JSON is YAML with every text in quotes: `on` and `off` would be booleans to kubectl.
    std::fs::write(&path, serde_json::to_string_pretty(&cluster)?)
        .with_context(|| format!("failed to write {}", path.display()))?;
    Ok(path)
}
