//! What `pgherd restore` is asked for.

use clap::{ArgGroup, Args};
use pgherd_proto::cluster::RecoveryTarget;

/// Where to, and how.
#[derive(Debug, Clone, Default, Args)]
#[command(group(ArgGroup::new("where").required(true).multiple(false)
    .args(["to", "to_lsn", "to_xid", "to_name", "to_immediate", "to_latest", "undo", "drop_old"])))]
pub struct RestoreArguments {
    /// To this time, as '2026-11-23 10:15:00Z'; UTC where it says no offset.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// To this position in WAL.
    #[arg(long, value_name = "LSN")]
    pub to_lsn: Option<String>,
    /// To the commit of this transaction.
    #[arg(long, value_name = "XID")]
    pub to_xid: Option<String>,
    /// To this restore point (`pg_create_restore_point`).
    #[arg(long, value_name = "NAME")]
    pub to_name: Option<String>,
    /// To the end of the backup (the newest, or --backup-id).
    #[arg(long)]
    pub to_immediate: bool,
    /// To the end of the archive.
    #[arg(long)]
    pub to_latest: bool,
    /// Back to the old volumes: what was written since the restore is put aside instead.
    #[arg(long)]
    pub undo: bool,
    /// Delete the volumes that restores have put aside, for good.
    #[arg(long)]
    pub drop_old: bool,
    /// Stop just before the target and not just after it.
    #[arg(long)]
    pub exclusive: bool,
    /// Begin with this backup: its folder below base/.
    #[arg(long, value_name = "ID")]
    pub backup_id: Option<String>,
    /// Along this timeline: a number, latest or current (the backup's).
    #[arg(long, value_name = "TIMELINE")]
    pub target_tli: Option<String>,
    /// Only show what would be lost.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
    /// Go on until it is done, and show how far it is.
    #[arg(long)]
    pub wait: bool,
    /// The last primary is dead and stays dead: do not wait for it to give the lease up. Nobody can take that back.
    #[arg(long)]
    pub old_primary_is_dead: bool,
    /// Keep the volumes of an earlier restore as well: from then on they are only there to be looked at.
    #[arg(long)]
    pub keep_both: bool,
}

impl RestoreArguments {
    /// The target, as manifests write it.
    pub fn target(&self) -> RecoveryTarget {
        RecoveryTarget {
            backup_id: self.backup_id.clone(),
            target_tli: self.target_tli.clone(),
            target_xid: self.to_xid.clone(),
            target_name: self.to_name.clone(),
            target_lsn: self.to_lsn.clone(),
            target_time: self.to.clone(),
            target_immediate: self.to_immediate.then_some(true),
            exclusive: self.exclusive.then_some(true),
            ..RecoveryTarget::default()
        }
    }
}
