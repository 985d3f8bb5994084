//! The part of cargo-deny's configuration that this check enforces. Any other key is an error, so that nothing in
//! `deny.toml` is only decoration.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    pub graph: GraphPart,
    /// For cargo-deny alone.
    #[serde(default, rename = "advisories")]
    _advisories: Option<serde_json::Value>,
    pub licenses: Licenses,
    pub bans: Bans,
    pub sources: Sources,
}

/// Which graph is judged.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GraphPart {
    pub targets: Vec<String>,
    pub all_features: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Licenses {
    pub allow: Vec<String>,
    /// How sure cargo-deny has to be of a text; here only what a crate declares counts.
    #[serde(rename = "confidence-threshold")]
    _confidence_threshold: f64,
    pub private: Private,
}

/// Crates that are never published.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Private {
    pub ignore: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Bans {
    pub multiple_versions: Level,
    pub wildcards: Level,
    /// A crate of this workspace is named by its path, without a version.
    #[serde(rename = "allow-wildcard-paths")]
    _allow_wildcard_paths: bool,
    pub deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ban {
    #[serde(rename = "crate")]
    pub name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sources {
    pub unknown_registry: Level,
    pub unknown_git: Level,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Allow,
    Warn,
    Deny,
}

impl Level {
    /// Puts `found` where this level wants it.
    pub fn sort(self, found: impl IntoIterator<Item = String>, refused: &mut Vec<String>, said: &mut Vec<String>) {
        match self {
            Self::Allow => {}
            Self::Warn => said.extend(found),
            Self::Deny => refused.extend(found),
        }
    }
}
