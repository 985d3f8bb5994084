//! Postgres' configuration files: rendered by `core`, written crash-safe where they changed.

use crate::alter_system;
use crate::config::POSTGRES_PORT;
use crate::context::Context;
use kube::ResourceExt;
use pgherd_core::pgconf::{self, ArchiveMode, Facts, Inputs, Paths, Role, Upstream};
use pgherd_core::slots::{cap_megabytes, slot_name};
use pgherd_core::sync::streaming_name;
use pgherd_postgres::files::{FileError, write_durable_if_changed, write_for_now_if_changed};
use pgherd_proto::cluster::{Cluster, ClusterSpec};
use pgherd_proto::labels::RELOADED_AT;
use pgherd_proto::names::WAL_CLIENT;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

/// The configuration could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// A parameter of the Cluster cannot be put into a file.
    #[error("failed to render the configuration")]
    Render(#[from] pgconf::RenderError),
    /// The disk.
    #[error("failed to write the configuration")]
    Write(#[from] FileError),
    /// A configuration file cannot be read.
    #[error("failed to read a configuration file")]
    Read(#[source] std::io::Error),
    /// The Cluster was never seen.
    #[error("failed to render the configuration: the Cluster has not been read yet")]
    NoCluster,
}

/// Changes with everything of the Cluster that ends up in a configuration file, and whenever somebody asks for a reload.
#[must_use]
pub fn fingerprint(cluster: &Cluster) -> String {
    let mut hasher = DefaultHasher::new();
    if let Some(postgresql) = &cluster.spec.postgresql {
        postgresql.parameters.hash(&mut hasher);
        postgresql.pg_hba.hash(&mut hasher);
        postgresql.pg_ident.hash(&mut hasher);
        // Plain data with string keys: it always has a JSON.
        serde_json::to_string(&postgresql.ldap).unwrap_or_default().hash(&mut hasher);
        postgresql.enable_alter_system.hash(&mut hasher);
        postgresql.shared_preload_libraries.hash(&mut hasher);
    }
    let slots = cluster.spec.replication_slots().high_availability;
    let caps = (slot_cap(cluster, false), slot_cap(cluster, true));
    (slots.enabled, slots.slot_prefix, caps).hash(&mut hasher);
    cluster.annotations().get(RELOADED_AT).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// What a running or starting instance is configured as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    /// It writes.
    Primary,
    /// It follows the leader that is noted in [`Context::following`], or nobody.
    Standby,
}

/// The largest number of megabytes that the parameter takes: restartpoints of a standby remove WAL that is not archived
/// otherwise (see `leftovers`).
const KEEP_ALL_WAL: &str = "wal_keep_size = 2147483647\n";

/// One at a time: whoever comes later writes what is known later.
static TURN: Mutex<()> = Mutex::new(());

/// Writes whatever changed. Blocks; true when a file is another than before.
///
/// A standby's leader is the one that is noted when its turn comes: another task may have been told of a later one
/// meanwhile, and what it wrote must not be taken back.
///
/// # Errors
/// [`ConfigurationError`]; what was written before the error stays, each file whole.
pub fn write(context: &Context, role: As) -> Result<bool, ConfigurationError> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let leader = context.following.borrow().clone();
    let cluster = context.cluster_now().ok_or(ConfigurationError::NoCluster)?;
    let postgresql = cluster.spec.postgresql.clone().unwrap_or_default();
    let traits = context.major.traits();
    let facts = Facts {
        cluster_name: context.config.cluster.clone(),
        port: POSTGRES_PORT,
        archive_mode: ArchiveMode::On,
        allow_alter_system: traits.forbids_alter_system.then_some(postgresql.enable_alter_system),
        slot_cap_megabytes: slot_cap(&cluster, context.config.wal_mount.is_some()),
        paths: paths(context),
    };
    let slots = cluster.spec.replication_slots().high_availability;
    let role = match role {
        As::Primary => Role::Primary,
        As::Standby => Role::Standby {
            upstream: leader.as_ref().map(|l| Upstream {
                application_name: streaming_name(&context.config.me.name, l.counts_me),
                ..upstream(context, &l.address)
            }),
            slot: slots.enabled.then(|| slot_name(&slots.slot_prefix, &context.config.me.name)),
        },
    };
    let inputs = Inputs {
        user: &postgresql.parameters,
        preload: &postgresql.shared_preload_libraries,
        facts: &facts,
        role: &role,
    };
    let mut rendered = pgconf::render(inputs)?;
    if matches!(role, Role::Standby { .. }) {
        let raised = pgconf::floor::raised(&pgconf::render::parameters(inputs)?, &context.sensitive.borrow());
        rendered.override_conf.push_str(&raised);
        context.raised.store(!raised.is_empty(), Ordering::Relaxed);
        if context.archiving.waiting() {
            rendered.override_conf.push_str(KEEP_ALL_WAL);
        }
    }
    let user = system_user();
    let pgdata = &context.config.pgdata;
    let mut changed = alter_system::keep(pgdata, postgresql.enable_alter_system)?;
    changed |= context.synchrony.write(pgdata, &standby_names(context, &cluster))?;
    changed |= write_hba_file(context, &cluster)?;
    changed |= write_files(
        pgdata,
        &BTreeMap::from([
            ("custom.conf", rendered.custom_conf),
            ("override.conf", rendered.override_conf),
            ("pg_ident.conf", pgconf::ident::render(&user, &postgresql.pg_ident)),
        ]),
    )?;
    Ok(changed)
}

/// Writes `pg_hba.conf` alone, as the gate is now: that is on the way of a failover. Blocks; true when it was another.
///
/// # Errors
/// As [`write`].
pub fn write_hba(context: &Context) -> Result<bool, ConfigurationError> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    write_hba_file(context, &*context.cluster_now().ok_or(ConfigurationError::NoCluster)?)
}

fn write_hba_file(context: &Context, cluster: &Cluster) -> Result<bool, ConfigurationError> {
    let rules = cluster.spec.postgresql.as_ref().map(|postgresql| postgresql.pg_hba.as_slice()).unwrap_or_default();
    let ldap = crate::ldap::wanted(cluster, context.bind_password.borrow().as_deref());
    let text = if context.synchrony.gated() { pgconf::hba::gated() } else { pgconf::hba::render(rules, ldap.as_ref()) };
    // As the others: a start writes it anew.
    Ok(write_for_now_if_changed(&context.config.pgdata.join("pg_hba.conf"), text.as_bytes(), 0o600)?)
}

/// `synchronous_standby_names` as it is to be now.
#[must_use]
pub fn standby_names(context: &Context, cluster: &Cluster) -> String {
    context.synchrony.text(&context.config.cluster, synchronous(&cluster.spec))
}

/// Whether commits are to wait for standbys at all, once there are any.
fn synchronous(spec: &ClusterSpec) -> bool {
    spec.max_sync_replicas > 0 || spec.postgresql.as_ref().is_some_and(|postgresql| postgresql.synchronous.is_some())
}

/// The WAL that a slot may keep of the volume that it is on, its own or that of the data; nothing where its size cannot be
/// read.
fn slot_cap(cluster: &Cluster, apart: bool) -> Option<u64> {
    let (data, own) = (cluster.spec.storage.as_ref(), cluster.spec.wal_storage.as_deref());
    let storage = if apart { own.or(data) } else { data };
    let bytes = pgherd_core::rules::quantity::storage_size(storage?.requested()).ok()?;
    Some(cap_megabytes(bytes))
}

fn write_files(pgdata: &Path, files: &BTreeMap<&str, String>) -> Result<bool, ConfigurationError> {
    let mut changed = false;
    for (name, text) in files {
        // On the way of every failover, and each start writes them anew, whatever a power failure has left of them.
        changed |= write_for_now_if_changed(&pgdata.join(name), text.as_bytes(), 0o600)?;
    }
    let main = pgdata.join("postgresql.conf");
    let present = std::fs::read_to_string(&main).map_err(ConfigurationError::Read)?;
    changed |= write_durable_if_changed(&main, pgconf::render::with_includes(&present).as_bytes(), 0o600)?;
    Ok(changed)
}

/// Takes the archive_command away from a postgres that is about to stop. Its last act is to archive, and a command
/// that fails costs it three pauses of a second each (pgarch.c); one that is not configured costs nothing. What is
/// left is archived by the manager, and the next start writes the file anew. Blocks.
///
/// # Errors
/// [`ConfigurationError::Write`] or [`ConfigurationError::Read`]; postgres then stops more slowly.
pub fn silence_archiver(context: &Context) -> Result<(), ConfigurationError> {
    let path = context.config.pgdata.join("override.conf");
    let present = std::fs::read_to_string(&path).map_err(ConfigurationError::Read)?;
    write_for_now_if_changed(&path, format!("{present}archive_command = ''\n").as_bytes(), 0o600)?;
    Ok(())
}

fn paths(context: &Context) -> Paths {
    let at = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    Paths {
        wal_client: at(context.config.controller_dir.join(WAL_CLIENT)),
        certificates: at(context.config.certificates_dir()),
        sockets: at(context.config.socket_dir()),
        log: at(context.config.log_dir()),
    }
}

/// How this instance reaches another one.
#[must_use]
pub fn upstream(context: &Context, host: &str) -> Upstream {
    Upstream {
        host: host.to_owned(),
        port: POSTGRES_PORT,
        application_name: context.config.me.name.clone(),
        certificates: paths(context).certificates,
    }
}

/// The name of the user that this process runs as, which peer authentication sees.
#[must_use]
pub fn system_user() -> String {
    match nix::unistd::User::from_uid(nix::unistd::geteuid()) {
        Ok(Some(user)) => user.name,
        _ => "postgres".to_owned(),
    }
}
