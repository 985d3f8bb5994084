//! The families that CNPG's dashboards and alerts key on.

use crate::http::{ClusterFacts, Role, View};
use crate::metrics::text::{Exposition, Kind, flag, float, usize_float};
use crate::sampler::Look;
use pgherd_core::wal::{SegmentSize, WalName};

/// Where the named segment starts; -1 where no segment is named, as CNPG's query has it.
fn start_lsn(name: Option<&str>, size: SegmentSize) -> f64 {
    let segment = name.and_then(|name| name.parse::<WalName>().ok()).and_then(WalName::segment_name);
    segment.and_then(|segment| segment.start(size)).map_or(-1.0, |lsn| float(lsn.0))
}

/// `cnpg_collector_*`.
pub fn collector(page: &mut Exposition, view: &View) {
    let instance = &view.instance;
    let sample = view.fresh().ok();
    let cluster = instance.identity.cluster.as_str();
    page.family(
        "cnpg_collector_up",
        Kind::Gauge,
        "1 if PostgreSQL is up, 0 otherwise.",
        [(&[("cluster", cluster)][..], flag(sample.is_some()))],
    );
    if let Some(sample) = sample {
        version(page, cluster, sample);
        page.family(
            "cnpg_collector_sync_replicas",
            Kind::Gauge,
            "Number of requested synchronous replicas (synchronous_standby_names).",
            [
                (&[("value", "expected")][..], float(sample.expected_sync())),
                (&[("value", "observed")][..], usize_float(sample.observed_sync())),
            ],
        );
    }
    page.gauge("cnpg_collector_replica_mode", "1 if the cluster is in replica mode, 0 otherwise.", Some(0.0));
    page.gauge("cnpg_collector_fencing_on", "1 if the instance is fenced, 0 otherwise.", Some(flag(instance.fenced)));
    page.gauge(
        "cnpg_collector_manual_switchover_required",
        "1 if a manual switchover is required, 0 otherwise.",
        Some(flag(instance.switchover_required)),
    );
    page.gauge(
        "cnpg_collector_nodes_used",
        "Number of distinct nodes that the instances are on; -1 while it is not known.",
        instance.cluster.as_ref().map(|cluster| cluster.nodes_used.map_or(-1.0, float)),
    );
    backups(page, view);
    let sampled = view.sample.as_deref();
    page.gauge(
        "cnpg_collector_last_collection_error",
        "1 if the last collection ended with error, 0 otherwise.",
        sampled.map(|sampled| flag(sampled.postgres.is_err())),
    );
    page.family(
        "cnpg_collector_collection_duration_seconds",
        Kind::Gauge,
        "Collection time duration in seconds.",
        sampled.map(|sampled| (&[("collector", "Collect.up")][..], sampled.took.as_secs_f64())),
    );
    page.counter(
        "cnpg_collector_collections_total",
        "Total number of times PostgreSQL was accessed for metrics.",
        sampled.map(|sampled| sampled.count),
    );
    page.family(
        "cnpg_collector_collection_errors_total",
        Kind::Counter,
        "Total errors occurred accessing PostgreSQL for metrics.",
        sampled.map(|sampled| (&[("collector", "Collect.up")][..], float(sampled.errors))),
    );
}

/// What the Cluster says of backups; only the primary's page has it. 0: there is none.
fn backups(page: &mut Exposition, view: &View) {
    let cluster = view.instance.cluster.as_ref().filter(|_| view.instance.role == Role::Primary);
    let known = |of: fn(&ClusterFacts) -> Option<f64>| cluster.map(|cluster| of(cluster).unwrap_or(0.0));
    page.gauge(
        "cnpg_collector_first_recoverability_point",
        "The first point of recoverability for the cluster as a unix timestamp.",
        known(|cluster| cluster.first_recoverable_at),
    );
    page.gauge(
        "cnpg_collector_last_available_backup_timestamp",
        "The last available backup as a unix timestamp.",
        known(|cluster| cluster.last_backup_at),
    );
    page.gauge(
        "cnpg_collector_last_failed_backup_timestamp",
        "The last failed backup as a unix timestamp.",
        known(|cluster| cluster.last_failed_backup_at),
    );
}

/// 15.18 for 150018, with the full text as a label.
fn version(page: &mut Exposition, cluster: &str, look: &Look) {
    let number = look.sample.version;
    let full = format!("{}.{}", number / 10_000, number % 10_000);
    let value = full.parse().unwrap_or(f64::NAN);
    page.family(
        "cnpg_collector_postgres_version",
        Kind::Gauge,
        "Postgres version",
        [(&[("cluster", cluster), ("full", &full)][..], value)],
    );
}

/// `cnpg_pg_stat_archiver_*`; only the primary archives.
pub fn archiver(page: &mut Exposition, view: &View) {
    let Ok(sample) = view.fresh() else { return };
    if view.instance.role != Role::Primary {
        return;
    }
    let archiver = &sample.sample.archiver;
    let count = |value: i64| Some(u64::try_from(value).unwrap_or(0));
    let name = |what: &str| format!("cnpg_pg_stat_archiver_{what}");
    page.counter(
        &name("archived_count"),
        "Number of WAL files that have been successfully archived",
        count(archiver.archived_count),
    );
    page.counter(
        &name("failed_count"),
        "Number of failed attempts for archiving WAL files",
        count(archiver.failed_count),
    );
    let age = |at: Option<f64>| Some(at.map_or(-1.0, |at| view.wall_seconds - at));
    page.gauge(
        &name("seconds_since_last_archival"),
        "Seconds since the last successful archival operation",
        age(archiver.last_archived_at),
    );
    page.gauge(
        &name("seconds_since_last_failure"),
        "Seconds since the last failed archival operation",
        age(archiver.last_failed_at),
    );
    let epoch = |at: Option<f64>| Some(at.unwrap_or(-1.0));
    page.gauge(
        &name("last_archived_time"),
        "Epoch of the last time WAL archiving succeeded",
        epoch(archiver.last_archived_at),
    );
    page.gauge(
        &name("last_failed_time"),
        "Epoch of the last time WAL archiving failed",
        epoch(archiver.last_failed_at),
    );
    page.gauge(
        &name("last_archived_wal_start_lsn"),
        "Archived WAL start LSN",
        Some(start_lsn(archiver.last_archived_wal.as_deref(), sample.segment_size)),
    );
    page.gauge(
        &name("last_failed_wal_start_lsn"),
        "Last failed WAL LSN",
        Some(start_lsn(archiver.last_failed_wal.as_deref(), sample.segment_size)),
    );
    page.gauge(&name("stats_reset_time"), "Time at which these statistics were last reset", archiver.stats_reset_at);
}
