//! CNPG's PostgresqlStatus from a view.

use crate::http::probes::accepts_connections;
use crate::http::snapshot::{InstanceSnapshot, PostgresState, Role, View};
use crate::sampler::Look;
use core::time::Duration;
use jiff::Timestamp;
use pgherd_core::wal::SegmentName;
use pgherd_postgres::sample::{Archiver, Replica, Slot};
use pgherd_proto::status::{PgReplicationSlot, PgStatReplication, PodMetadata, PodReference, PostgresqlStatus};

/// What is known, also while postgres does not answer: then without what only it could say.
#[must_use]
pub fn status_of(view: &View) -> PostgresqlStatus {
    let instance = &*view.instance;
    let mut status = known_without_postgres(instance);
    status.ready_wal_files = view.sample.as_deref().map_or(0, |sampled| signed(sampled.files.ready));
    status.sample_age_millis = view.age().map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    match accepts_connections(view) {
        Err(reason) => {
            status.might_be_unavailable = true;
            status.might_be_unavailable_masked_error = reason;
        }
        Ok(()) => {
            if let Ok(look) = view.fresh() {
                fill_from_look(&mut status, look);
            }
        }
    }
    status.is_archiving_wal &= instance.archive.error.is_none();
    status
}

fn known_without_postgres(instance: &InstanceSnapshot) -> PostgresqlStatus {
    PostgresqlStatus {
        system_id: instance.system_id.map(|id| id.to_string()).unwrap_or_default(),
        is_primary: instance.role == Role::Primary && instance.postgres == PostgresState::Running,
        is_pg_rewind_running: instance.rejoining,
        incarnation: instance.incarnation.as_ref().map(|incarnation| incarnation.0.clone()),
        node: instance.identity.node.clone(),
        pod: PodReference { metadata: PodMetadata { name: instance.identity.pod.clone() } },
        loaded_configuration_hash: instance.config_hash.clone(),
        timeline_id: i64::from(instance.timeline.0),
        instance_manager_version: env!("CARGO_PKG_VERSION").to_owned(),
        instance_arch: architecture().to_owned(),
        session_id: instance.identity.nonce.0.clone(),
        ..PostgresqlStatus::default()
    }
}

fn fill_from_look(status: &mut PostgresqlStatus, look: &Look) {
    status.current_lsn = look.written();
    status.received_lsn = look.received();
    status.replay_lsn = look.replayed();
    status.is_primary = !look.in_recovery();
    status.replay_paused = look.replay_paused();
    status.pending_restart = !look.sample.pending_restart.is_empty();
    status.pending_restart_for_decrease = look.sample.pending_decrease;
    status.is_wal_receiver_active = look.receiver().is_some();
    status.timeline_id = i64::from(look.timeline().0);
    status.system_id = look.sample.system_id.to_string();
    if let Some(written) = look.written() {
        let number = look.segment_size.segment_ending_at(written);
        status.current_wal = SegmentName::new(look.timeline(), number, look.segment_size).to_string();
    }
    fill_archiver(status, &look.sample.archiver);
    status.replication_info = look.sample.replication.iter().map(sender).collect();
    status.replication_slots_info = look.sample.slots.iter().map(slot).collect();
}

fn fill_archiver(status: &mut PostgresqlStatus, archiver: &Archiver) {
    status.is_archiving_wal = archiver.last_archived_at > archiver.last_failed_at;
    status.last_archived_wal = archiver.last_archived_wal.clone().unwrap_or_default();
    status.last_archived_wal_time = time(archiver.last_archived_at);
    status.last_failed_wal = archiver.last_failed_wal.clone().unwrap_or_default();
    status.last_failed_wal_time = time(archiver.last_failed_at);
}

/// RFC 3339, which is what CNPG's tools parse.
fn time(seconds: Option<f64>) -> String {
    let since = |seconds: f64| jiff::SignedDuration::try_from_secs_f64(seconds).ok();
    let stamp = seconds.and_then(since).and_then(|since| Timestamp::from_duration(since).ok());
    stamp.map(|stamp| stamp.to_string()).unwrap_or_default()
}

fn sender(row: &Replica) -> PgStatReplication {
    PgStatReplication {
        application_name: row.application_name.clone(),
        state: row.state.clone(),
        sent_lsn: row.sent,
        write_lsn: row.written,
        flush_lsn: row.flushed,
        replay_lsn: row.replayed,
        write_lag: interval(row.write_lag),
        flush_lag: interval(row.flush_lag),
        replay_lag: interval(row.replay_lag),
        sync_state: row.sync_state.clone(),
        sync_priority: row.sync_priority.to_string(),
    }
}

/// As postgres prints an interval of less than a day: `00:00:00.000123`.
fn interval(seconds: Option<f64>) -> String {
    let Some(lag) = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) else { return String::new() };
    let whole = lag.as_secs();
    format!("{:02}:{:02}:{:02}.{:06}", whole / 3600, whole / 60 % 60, whole % 60, lag.subsec_micros())
}

fn slot(row: &Slot) -> PgReplicationSlot {
    PgReplicationSlot {
        slot_name: row.name.clone(),
        slot_type: row.kind.clone(),
        database: row.database.clone().unwrap_or_default(),
        restart_lsn: row.restart.map(|lsn| lsn.to_string()).unwrap_or_default(),
        wal_status: row.wal_status.clone().unwrap_or_default(),
        active: row.active,
        ..PgReplicationSlot::default()
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// In Go's names, which CNPG's tools print.
const fn architecture() -> &'static str {
    if cfg!(target_arch = "x86_64") {
        "amd64"
    } else if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        std::env::consts::ARCH
    }
}
