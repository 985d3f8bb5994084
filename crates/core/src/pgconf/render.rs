//! The texts of `custom.conf` and `override.conf`.
//!
//! A user's value wins over a default, and what the manager needs wins over both. Each text is sorted by name,
//! so that equal configurations are equal texts.

use super::conninfo::Upstream;
use super::quote::conf_value;
use super::{defaults, fixed, preload};
use crate::rules::parameters::{ParameterError, parameter_name, parameter_value};
use std::collections::BTreeMap;

/// Everything that the configuration depends on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// `spec.postgresql.parameters`.
    pub user: &'a BTreeMap<String, String>,
    /// `spec.postgresql.shared_preload_libraries`.
    pub preload: &'a [String],
    /// What the manager knows.
    pub facts: &'a Facts,
    /// What this instance is.
    pub role: &'a Role,
}

/// What the manager knows, and nobody may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `metadata.name` of the Cluster.
    pub cluster_name: String,
    /// Where postgres listens.
    pub port: u16,
    /// Whether WAL is archived.
    pub archive_mode: ArchiveMode,
    /// `spec.postgresql.enableAlterSystem`; nothing where postgres cannot forbid it.
    pub allow_alter_system: Option<bool>,
    /// The WAL that a slot may keep, in megabytes, unless the user says otherwise.
    pub slot_cap_megabytes: Option<u64>,
    /// Where things lie.
    pub paths: Paths,
}

/// Paths inside the container; the default is CNPG's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The program that postgres runs for each WAL file.
    pub wal_client: String,
    /// Certificates and keys.
    pub certificates: String,
    /// The UNIX socket.
    pub sockets: String,
    /// The log collector's files.
    pub log: String,
}

/// `archive_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveMode {
    /// Nothing is archived.
    Off,
    /// The primary archives.
    On,
    /// A standby archives as well (replica clusters).
    Always,
}

/// What this instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It writes.
    Primary,
    /// It follows; nobody as long as no primary is known, and then it replays what the archive has.
    Standby {
        /// The elected pod.
        upstream: Option<Upstream>,
        /// Its replication slot there.
        slot: Option<String>,
    },
}

/// The two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Parameters.
    pub custom_conf: String,
    /// Replication; included last, so that it wins.
    pub override_conf: String,
}

/// A parameter cannot be written to a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to render the configuration")]
pub struct RenderError(#[from] pub ParameterError);

impl Default for Paths {
    fn default() -> Self {
        let at = |name: &str| format!("/controller/{name}");
        Self { wal_client: at("wal-client"), certificates: at("certificates"), sockets: at("run"), log: at("log") }
    }
}

impl ArchiveMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Always => "always",
        }
    }
}

/// Renders both files. Parameters that are not the user's ([`fixed::reserved`]) are left out, as in CNPG:
/// the API refuses them before.
///
/// # Errors
/// [`RenderError`] if a name is no parameter name, or a value cannot be written; nothing is rendered then.
pub fn render(inputs: Inputs<'_>) -> Result<Rendered, RenderError> {
    Ok(Rendered { custom_conf: text(&parameters(inputs)?), override_conf: text(&replication(inputs)) })
}

/// The parameters of `custom.conf`, by lower-case name.
///
/// # Errors
/// As [`render`].
pub fn parameters(inputs: Inputs<'_>) -> Result<BTreeMap<String, String>, RenderError> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let defaults = defaults::CNPG.iter().chain(defaults::OURS);
    all.extend(defaults.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    all.extend(inputs.facts.slot_cap_megabytes.map(|cap| ("max_slot_wal_keep_size".to_owned(), format!("{cap}MB"))));
    for (name, value) in inputs.user {
        parameter_name(name)?;
        parameter_value(name, value)?;
        if fixed::reserved(name).is_none() {
            all.insert(name.to_ascii_lowercase(), value.clone());
        }
    }
    all.extend(mandatory(inputs));
    Ok(all)
}

fn mandatory(inputs: Inputs<'_>) -> Vec<(String, String)> {
    let Facts { cluster_name, port, archive_mode, allow_alter_system, slot_cap_megabytes: _, paths } = inputs.facts;
    let on = |yes: bool| if yes { "on" } else { "off" }.to_owned();
    let certificate = |name: &str| format!("{}/{name}", paths.certificates);
    let mut out = vec![
        ("archive_command", format!("{} wal-archive %p", paths.wal_client)),
        ("archive_mode", archive_mode.as_str().to_owned()),
        ("cluster_name", cluster_name.clone()),
        ("hot_standby", on(true)),
        ("listen_addresses", "*".to_owned()),
        ("log_directory", paths.log.clone()),
        ("port", port.to_string()),
        ("restart_after_crash", on(false)),
        ("shared_preload_libraries", preload::libraries(inputs.preload, inputs.user).join(",")),
        ("ssl", on(true)),
        ("ssl_ca_file", certificate("client-ca.crt")),
        ("ssl_cert_file", certificate("server.crt")),
        ("ssl_key_file", certificate("server.key")),
        ("unix_socket_directories", paths.sockets.clone()),
    ];
    out.extend(defaults::LOGGING.iter().map(|(name, value)| (*name, (*value).to_owned())));
    out.extend(allow_alter_system.map(|allowed| ("allow_alter_system", on(allowed))));
    out.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A primary keeps its `restore_command`: it is idle there, and pg_rewind needs it when the primary comes back
/// as a standby. `latest` is what makes a standby follow a promotion.
fn replication(inputs: Inputs<'_>) -> BTreeMap<String, String> {
    let restore = format!("{} wal-restore %f %p", inputs.facts.paths.wal_client);
    let mut out = vec![("restore_command", restore), ("recovery_target_timeline", "latest".to_owned())];
    if let Role::Standby { upstream, slot } = inputs.role {
        out.push(("primary_conninfo", upstream.as_ref().map(Upstream::conninfo).unwrap_or_default()));
        out.push(("primary_slot_name", slot.clone().unwrap_or_default()));
    }
    out.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn text(parameters: &BTreeMap<String, String>) -> String {
    parameters.iter().map(|(name, value)| format!("{name} = {}\n", conf_value(value))).collect()
}

/// `postgresql.conf` with the three includes at its end; unchanged if it ends with them already.
#[must_use]
pub fn with_includes(postgresql_conf: &str) -> String {
    const INCLUDES: &str = "include 'custom.conf'\ninclude 'override.conf'\ninclude 'synchronous.conf'\n";
    if postgresql_conf.ends_with(INCLUDES) {
        return postgresql_conf.to_owned();
    }
    let gap = if postgresql_conf.is_empty() || postgresql_conf.ends_with('\n') { "" } else { "\n" };
    format!(
        "{postgresql_conf}{gap}# written by the manager: parameters, replication, who acknowledges commits\n{INCLUDES}"
    )
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
