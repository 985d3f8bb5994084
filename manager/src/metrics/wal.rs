//! `cnpg_collector_pg_wal*` and `cnpg_collector_wal_*`: what lies in `pg_wal`, its bounds, and what was written.

use crate::http::View;
use crate::metrics::text::{Exposition, Kind, float};
use crate::sampler::WalCounters;

/// The families of WAL.
pub fn wal(page: &mut Exposition, view: &View) {
    files(page, view);
    if let Some(wal) = view.fresh().ok().and_then(|look| look.wal.as_ref()) {
        counters(page, wal);
    }
}

/// The directory is counted while postgres is down too; its bounds are settings, and are in segments.
fn files(page: &mut Exposition, view: &View) {
    let Some(sampled) = view.sample.as_deref() else { return };
    let (files, own) = (sampled.files, sampled.rooms.wal);
    let look = view.fresh().ok();
    let limits = look.and_then(|look| look.limits.map(|limits| (limits, float(look.segment_size.bytes()))));
    let mut values = vec![("count", float(files.segments)), ("size", float(files.bytes))];
    if let Some((limits, segment)) = limits {
        let bounds = [("min", Some(limits.min)), ("max", Some(limits.max)), ("keep", Some(limits.keep))];
        let bounds = bounds.into_iter().chain([("slots_max", limits.slots_max)]);
        values.extend(bounds.filter_map(|(name, bytes)| Some((name, float(bytes?) / segment))));
    }
    // As with CNPG: of a volume of WAL's own only.
    values.extend(own.map(|room| ("volume_size", float(room.size))));
    let fit = own.zip(look).and_then(|(room, look)| room.size.checked_div(look.segment_size.bytes()));
    values.extend(fit.map(|segments| ("volume_max", float(segments))));
    let labelled: Vec<_> = values.iter().map(|(name, value)| ([("value", *name)], *value)).collect();
    page.family(
        "cnpg_collector_pg_wal",
        Kind::Gauge,
        "WAL segments in pg_wal: their number, their bytes (size), the bytes of a volume of their own (volume_size), and \
         the bounds set and that volume's (volume_max), in segments.",
        labelled.iter().map(|(label, value)| (&label[..], *value)),
    );
    page.family(
        "cnpg_collector_pg_wal_archive_status",
        Kind::Gauge,
        "Number of WAL segments in the pg_wal/archive_status directory (ready, done).",
        [(&[("value", "ready")][..], float(files.ready)), (&[("value", "done")][..], float(files.done))],
    );
}

/// `pg_stat_wal`. Gauges, as CNPG has them: they start anew with the label.
fn counters(page: &mut Exposition, wal: &WalCounters) {
    let label = [("stats_reset", wal.stats_reset.as_str())];
    for (name, help, value) in [
        ("wal_records", "Total number of WAL records generated.", Some(float(wal.records))),
        ("wal_fpi", "Total number of WAL full page images generated.", Some(float(wal.full_page_images))),
        ("wal_bytes", "Total amount of WAL generated in bytes.", Some(float(wal.bytes))),
        (
            "wal_buffers_full",
            "Number of times WAL data was written to disk because WAL buffers became full.",
            Some(float(wal.buffers_full)),
        ),
        ("wal_write", "Number of times WAL buffers were written out to disk.", wal.writes),
        ("wal_sync", "Number of times WAL files were synced to disk.", wal.syncs),
        ("wal_write_time", "Time spent writing WAL, in milliseconds.", wal.write_millis),
        ("wal_sync_time", "Time spent syncing WAL, in milliseconds.", wal.sync_millis),
    ] {
        let name = format!("cnpg_collector_{name}");
        page.family(&name, Kind::Gauge, help, value.map(|value| (&label[..], value)));
    }
}
