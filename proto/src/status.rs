//! GET `/pg/status`: what an instance says about its postgres, in CNPG's JSON names.

use pgherd_core::lsn::Lsn;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The answer. A field that is absent is not known or does not apply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PostgresqlStatus {
    /// The data directory (ours): what synchronous replication counts by, since names come back on other volumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<String>,
    /// Primary: the end of WAL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub current_lsn: Option<Lsn>,
    /// Standby: the end of what was received and flushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub received_lsn: Option<Lsn>,
    /// Standby: the end of what was replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub replay_lsn: Option<Lsn>,
    /// The database system identifier.
    #[serde(rename = "systemID")]
    pub system_id: String,
    /// Whether it writes.
    pub is_primary: bool,
    /// `pg_is_wal_replay_paused`.
    pub replay_paused: bool,
    /// Some parameter waits for a restart.
    pub pending_restart: bool,
    /// And one of those is a decrease that the primary must have first.
    pub pending_restart_for_decrease: bool,
    /// A WAL receiver runs.
    pub is_wal_receiver_active: bool,
    /// pg_rewind or a new clone is at work.
    pub is_pg_rewind_running: bool,
    /// postgres may be down for a while, with good reason.
    pub might_be_unavailable: bool,
    /// The error that this hid.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub might_be_unavailable_masked_error: String,
    /// The last WAL file was archived, not refused.
    #[serde(rename = "isArchivingWAL")]
    pub is_archiving_wal: bool,
    /// The node.
    pub node: String,
    /// The pod.
    pub pod: PodReference,
    /// Size of the instance on disk, for people.
    pub total_instance_size: String,
    /// Hash of the configuration that postgres loaded.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub loaded_configuration_hash: String,
    /// `pg_stat_archiver.last_archived_wal`.
    #[serde(rename = "lastArchivedWAL", skip_serializing_if = "String::is_empty")]
    pub last_archived_wal: String,
    /// `pg_stat_archiver.last_archived_time`.
    #[serde(rename = "lastArchivedWALTime", skip_serializing_if = "String::is_empty")]
    pub last_archived_wal_time: String,
    /// `pg_stat_archiver.last_failed_wal`.
    #[serde(rename = "lastFailedWAL", skip_serializing_if = "String::is_empty")]
    pub last_failed_wal: String,
    /// `pg_stat_archiver.last_failed_time`.
    #[serde(rename = "lastFailedWALTime", skip_serializing_if = "String::is_empty")]
    pub last_failed_wal_time: String,
    /// The WAL file that is written.
    #[serde(rename = "currentWAL", skip_serializing_if = "String::is_empty")]
    pub current_wal: String,
    /// WAL files that wait to be archived.
    pub ready_wal_files: i64,
    /// The timeline.
    #[serde(rename = "timeLineID")]
    pub timeline_id: i64,
    /// `pg_stat_replication`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replication_info: Vec<PgStatReplication>,
    /// `pg_replication_slots`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replication_slots_info: Vec<PgReplicationSlot>,
    /// `pg_stat_progress_basebackup`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pg_stat_basebackups_info: Vec<PgStatBasebackup>,
    /// Hash of the manager's binary.
    pub executable_hash: String,
    /// Version of the manager.
    pub instance_manager_version: String,
    /// Its architecture, in Go's names (`amd64`, `arm64`).
    pub instance_arch: String,
    /// Always false: the manager is not replaced in place.
    pub is_instance_manager_upgrading: bool,
    /// The manager process: its nonce.
    #[serde(rename = "sessionID", skip_serializing_if = "String::is_empty")]
    pub session_id: String,
    /// The kubelet's view; filled in by who asks.
    pub is_pod_ready: bool,
    /// How old the answer is, in milliseconds (ours): no probe runs SQL while it is asked.
    pub sample_age_millis: u64,
}

/// The part of a Pod that CNPG's tools read from `/pg/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PodReference {
    /// Its metadata.
    pub metadata: PodMetadata,
}

/// The part of a Pod's metadata that CNPG's tools read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PodMetadata {
    /// The pod's name.
    pub name: String,
}

/// One row of `pg_stat_replication`, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PgStatReplication {
    /// The standby's pod.
    pub application_name: String,
    /// `streaming`, `catchup`, ...
    pub state: String,
    /// `sent_lsn`, under the name that CNPG gives it.
    #[serde(rename = "receivedLsn", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub sent_lsn: Option<Lsn>,
    /// `write_lsn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub write_lsn: Option<Lsn>,
    /// `flush_lsn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub flush_lsn: Option<Lsn>,
    /// `replay_lsn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub replay_lsn: Option<Lsn>,
    /// `write_lag`, an interval.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub write_lag: String,
    /// `flush_lag`, an interval.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub flush_lag: String,
    /// `replay_lag`, an interval.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub replay_lag: String,
    /// `async`, `sync`, `quorum`, `potential`.
    pub sync_state: String,
    /// A number, as text.
    pub sync_priority: String,
}

/// One row of `pg_replication_slots`, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PgReplicationSlot {
    /// `slot_name`.
    pub slot_name: String,
    /// `plugin`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub plugin: String,
    /// `physical` or `logical`.
    pub slot_type: String,
    /// `datoid`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub datoid: String,
    /// `database`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub database: String,
    /// `xmin`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub xmin: String,
    /// `catalog_xmin`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub catalog_xmin: String,
    /// `restart_lsn`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub restart_lsn: String,
    /// `wal_status`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub wal_status: String,
    /// `safe_wal_size`, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safe_wal_size: Option<i64>,
    /// `active`.
    pub active: bool,
}

/// One row of `pg_stat_progress_basebackup` (CNPG's names, which are not camelCase here).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PgStatBasebackup {
    /// Who takes it.
    pub usename: String,
    /// Its application_name.
    pub application_name: String,
    /// Since when.
    pub backend_start: String,
    /// What it does.
    pub phase: String,
    /// Bytes, estimated.
    pub backup_total: i64,
    /// Bytes sent.
    pub backup_streamed: i64,
    /// For people.
    pub backup_total_pretty: String,
    /// For people.
    pub backup_streamed_pretty: String,
    /// Count.
    pub tablespaces_total: i64,
    /// Count.
    pub tablespaces_streamed: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_names_are_cnpgs() {
        let status = PostgresqlStatus {
            current_lsn: Some(Lsn(0x300_0148)),
            replication_info: vec![PgStatReplication { sent_lsn: Some(Lsn(1)), ..Default::default() }],
            ..Default::default()
        };
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(json["currentLsn"], "0/3000148");
        assert_eq!(json["replicationInfo"][0]["receivedLsn"], "0/1");
        for name in ["systemID", "isPrimary", "isArchivingWAL", "timeLineID", "readyWalFiles", "instanceArch", "pod"] {
            assert!(json.get(name).is_some(), "{name} is missing in {json}");
        }
        assert_eq!(serde_json::from_value::<PostgresqlStatus>(json).unwrap(), status);
    }

    /// As `kubectl cnpg status` reads them (CNPG's `pkg/postgres/status.go`).
    #[test]
    fn every_name_that_cnpgs_plugin_reads_is_served() {
        let text = String::from("x");
        let standby = PgStatReplication {
            sent_lsn: Some(Lsn(1)),
            write_lsn: Some(Lsn(1)),
            flush_lsn: Some(Lsn(1)),
            replay_lsn: Some(Lsn(1)),
            write_lag: text.clone(),
            flush_lag: text.clone(),
            replay_lag: text.clone(),
            ..Default::default()
        };
        let slot = PgReplicationSlot { restart_lsn: text.clone(), wal_status: text.clone(), ..Default::default() };
        let status = PostgresqlStatus {
            current_lsn: Some(Lsn(1)),
            received_lsn: Some(Lsn(1)),
            replay_lsn: Some(Lsn(1)),
            last_archived_wal: text.clone(),
            last_archived_wal_time: text.clone(),
            last_failed_wal: text.clone(),
            last_failed_wal_time: text.clone(),
            current_wal: text,
            replication_info: vec![standby],
            replication_slots_info: vec![PgReplicationSlot { safe_wal_size: Some(1), ..slot }],
            pg_stat_basebackups_info: vec![PgStatBasebackup::default()],
            ..Default::default()
        };
        let json = serde_json::to_value(&status).unwrap();
        let names = "currentLsn receivedLsn replayLsn systemID isPrimary replayPaused pendingRestart \
            pendingRestartForDecrease isWalReceiverActive isPgRewindRunning mightBeUnavailable isArchivingWAL node \
            totalInstanceSize lastArchivedWAL lastArchivedWALTime lastFailedWAL lastFailedWALTime currentWAL \
            readyWalFiles timeLineID executableHash instanceManagerVersion instanceArch isInstanceManagerUpgrading \
            isPodReady";
        let of_standby = "applicationName state receivedLsn writeLsn flushLsn replayLsn writeLag flushLag replayLag \
            syncState syncPriority";
        let of_copy = "usename application_name backend_start phase backup_total backup_streamed backup_total_pretty \
            backup_streamed_pretty tablespaces_total tablespaces_streamed";
        for (place, names) in [
            ("", names),
            ("/pod/metadata", "name"),
            ("/replicationInfo/0", of_standby),
            ("/replicationSlotsInfo/0", "slotName slotType restartLsn walStatus safeWalSize active"),
            ("/pgStatBasebackupsInfo/0", of_copy),
        ] {
            for name in names.split_whitespace() {
                assert!(json.pointer(place).unwrap().get(name).is_some(), "{place} has no {name}");
            }
        }
    }
}
