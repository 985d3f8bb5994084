//! `cnpg_pg_replication_*`, `cnpg_pg_stat_replication_*`, `cnpg_pg_replication_slots_*`: who follows, and how far behind.

use crate::http::View;
use crate::metrics::text::{Exposition, Kind, flag, float, usize_float};
use crate::sampler::Look;
use pgherd_core::lsn::Lsn;
use pgherd_postgres::sample::Replica;

/// `cnpg_pg_replication_*` and the postmaster's start.
pub fn replication(page: &mut Exposition, view: &View) {
    let Ok(sample) = view.fresh() else { return };
    page.gauge("cnpg_pg_replication_lag", "Replication lag behind primary in seconds", Some(sample.lag_seconds()));
    page.gauge(
        "cnpg_pg_replication_in_recovery",
        "Whether the instance is in recovery",
        Some(flag(sample.in_recovery())),
    );
    page.gauge(
        "cnpg_pg_replication_is_wal_receiver_up",
        "Whether the instance wal_receiver is up",
        Some(flag(sample.receiver().is_some())),
    );
    page.gauge(
        "cnpg_pg_replication_streaming_replicas",
        "Number of streaming replicas connected to the instance",
        Some(usize_float(sample.streaming_standbys())),
    );
    page.gauge(
        "cnpg_pg_postmaster_start_time",
        "Time at which postgres started (based on epoch)",
        Some(sample.sample.started_at),
    );
    if let Some(end) = sample.written() {
        standbys(page, sample, end);
    }
    slots(page, sample);
}

/// How far `at` is behind `end`.
fn behind(end: Lsn, at: Option<Lsn>) -> Option<f64> {
    at.map(|at| float(end.0.saturating_sub(at.0)))
}

/// One line per row of `pg_stat_replication`, on whom the standbys follow.
fn standbys(page: &mut Exposition, look: &Look, end: Lsn) {
    type Value<'a> = &'a dyn Fn(&Replica) -> Option<f64>;
    let rows = &look.sample.replication;
    let ports: Vec<_> =
        rows.iter().map(|row| row.client_port.map(|port| port.to_string()).unwrap_or_default()).collect();
    let families: [(&str, &str, Value<'_>); 9] = [
        ("backend_start", "Time when this process was started", &|row| Some(row.started_at)),
        ("backend_xmin_age", "The age of this standby's xmin horizon", &|row| {
            Some(row.xmin_age.map_or(0.0, f64::from))
        }),
        ("sent_diff_bytes", "Bytes of WAL not yet sent on this connection", &|row| behind(end, row.sent)),
        ("write_diff_bytes", "Bytes of WAL not yet written by this standby", &|row| behind(end, row.written)),
        ("flush_diff_bytes", "Bytes of WAL not yet flushed by this standby", &|row| behind(end, row.flushed)),
        ("replay_diff_bytes", "Bytes of WAL not yet replayed by this standby", &|row| {
            Some(behind(end, row.replayed).unwrap_or(0.0))
        }),
        ("write_lag_seconds", "Time until this standby has said that it wrote recent WAL", &|row| {
            Some(row.write_lag.unwrap_or(0.0))
        }),
        ("flush_lag_seconds", "Time until this standby has said that it flushed recent WAL", &|row| {
            Some(row.flush_lag.unwrap_or(0.0))
        }),
        ("replay_lag_seconds", "Time until this standby has said that it replayed recent WAL", &|row| {
            Some(row.replay_lag.unwrap_or(0.0))
        }),
    ];
    for (name, help, value) in families {
        let lines = rows.iter().zip(&ports).filter_map(|(row, port)| {
            let labels = [
                ("usename", row.user.as_str()),
                ("application_name", row.application_name.as_str()),
                ("client_addr", row.client_address.as_deref().unwrap_or_default()),
                ("client_port", port.as_str()),
            ];
            Some((labels, value(row)?))
        });
        let lines: Vec<_> = lines.collect();
        let name = format!("cnpg_pg_stat_replication_{name}");
        page.family(&name, Kind::Gauge, help, lines.iter().map(|(labels, value)| (&labels[..], *value)));
    }
}

/// One line per slot: what it keeps from being removed.
fn slots(page: &mut Exposition, look: &Look) {
    let end = look.written().or_else(|| look.received());
    let slots = &look.sample.slots;
    let labels = slots.iter().map(|slot| {
        [
            ("slot_name", slot.name.as_str()),
            ("slot_type", slot.kind.as_str()),
            ("database", slot.database.as_deref().unwrap_or_default()),
        ]
    });
    let labels: Vec<_> = labels.collect();
    let lines = || labels.iter().zip(slots);
    page.family(
        "cnpg_pg_replication_slots_active",
        Kind::Gauge,
        "Flag indicating whether the slot is active",
        lines().map(|(labels, slot)| (&labels[..], flag(slot.active))),
    );
    page.family(
        "cnpg_pg_replication_slots_pg_wal_lsn_diff",
        Kind::Gauge,
        "Replication lag in bytes",
        lines().filter_map(|(labels, slot)| Some((&labels[..], behind(end?, slot.restart)?))),
    );
}
