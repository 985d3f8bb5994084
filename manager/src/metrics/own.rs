//! Our own families: what CNPG has no name for.

use crate::http::{Role, View, phase_name};
use crate::metrics::Registry;
use crate::metrics::text::{Exposition, Kind, float};
use crate::sampler::Room;

/// `pgherd_*`.
pub fn instance(page: &mut Exposition, view: &View, registry: &Registry) {
    let instance = &view.instance;
    let role = |wanted: Role| if instance.role == wanted { 1.0 } else { 0.0 };
    page.family(
        "pgherd_instance_role",
        Kind::Gauge,
        "1 for the role that this instance has by the lease.",
        [
            (&[("role", "primary")][..], role(Role::Primary)),
            (&[("role", "standby")][..], role(Role::Standby)),
            (&[("role", "none")][..], role(Role::None)),
        ],
    );
    let phase = phase_name(instance.phase);
    page.family(
        "pgherd_instance_phase",
        Kind::Gauge,
        "1 for the phase of the instance machine.",
        [(&[("phase", phase)][..], 1.0)],
    );
    page.gauge("pgherd_lease_term", "Term of the lease as last seen.", Some(float(instance.lease.term.0)));
    page.gauge(
        "pgherd_lease_age_seconds",
        "Time since the last good renewal was sent, or since the lease was last seen to change.",
        instance.lease.renewed_at.map(|at| view.now.since(at).as_secs_f64()),
    );
    page.gauge(
        "pgherd_lease_remaining_seconds",
        "Time until this instance must have renewed or be dead; only while it holds the lease.",
        instance.lease.deadline.map(|deadline| deadline.since(view.now).as_secs_f64()),
    );
    page.gauge(
        "pgherd_manager_loop_age_seconds",
        "Time since the manager's loop turned.",
        Some(view.loop_age().as_secs_f64()),
    );
    page.gauge(
        "pgherd_sample_age_seconds",
        "Age of the last look at postgres.",
        view.age().map(|age| age.as_secs_f64()),
    );
    replication(page, view);
    volumes(page, view);
    page.counter(
        "pgherd_checksum_failures_total",
        "Damaged pages that postgres read; only with data checksums.",
        view.fresh().ok().and_then(|look| look.sample.checksum_failures),
    );
    page.counter(
        "pgherd_backup_damaged_pages_total",
        "Damaged pages that base backups from this instance came upon, each of which failed its backup.",
        Some(registry.backup_damaged_pages()),
    );
    let archive = &instance.archive;
    page.counter("pgherd_archive_files_total", "WAL files archived by this process.", Some(archive.archived));
    page.counter(
        "pgherd_archive_bytes_total",
        "Bytes of WAL archived by this process, before compression.",
        Some(archive.archived_bytes),
    );
    page.counter("pgherd_archive_failures_total", "Failed attempts to archive by this process.", Some(archive.failed));
    page.gauge(
        "pgherd_archive_waiting_files",
        "WAL files that wait to be archived.",
        view.sample.as_deref().map(|sampled| float(sampled.files.ready)),
    );
    page.gauge(
        "pgherd_archive_caught_up_in_seconds",
        "Until no WAL file waits, by the rates of the last minute; left out while the queue does not get shorter.",
        archive.caught_up_in.map(|left| left.as_secs_f64()),
    );
    page.gauge(
        "pgherd_archive_failing",
        "1 while the last attempt to archive failed.",
        Some(if archive.error.is_some() { 1.0 } else { 0.0 }),
    );
    let why = archive.error_kind.map(|kind| [("reason", kind)]);
    page.family(
        "pgherd_archive_failing_reason",
        Kind::Gauge,
        "1 for the kind of failure while the last attempt to archive failed.",
        why.iter().map(|label| (&label[..], 1.0)),
    );
    page.counter(
        "pgherd_log_lines_total",
        "Lines of postgres' log written to stdout.",
        Some(registry.log_lines_written()),
    );
    page.counter(
        "pgherd_log_lines_dropped_total",
        "Lines of postgres' log dropped because stdout was slow.",
        Some(registry.log_lines_dropped()),
    );
}

/// What is free of the volumes: what a kubelet tells of claims, from inside and where nothing reads the kubelet.
fn volumes(page: &mut Exposition, view: &View) {
    let Some(rooms) = view.sample.as_deref().map(|sampled| sampled.rooms) else { return };
    let there = [("data", rooms.data), ("wal", rooms.wal)].into_iter();
    let known: Vec<_> = there.filter_map(|(name, room)| Some(([("volume", name)], room?))).collect();
    let family = |page: &mut Exposition, name: &str, help: &str, of: fn(&Room) -> u64| {
        page.family(name, Kind::Gauge, help, known.iter().map(|(label, room)| (&label[..], float(of(room)))));
    };
    family(page, "pgherd_volume_size_bytes", "Size of a volume.", |room| room.size);
    family(page, "pgherd_volume_free_bytes", "What is free of a volume for postgres.", |room| room.free);
}

/// Where this instance is in WAL, and who streams from it.
fn replication(page: &mut Exposition, view: &View) {
    let Ok(look) = view.fresh() else { return };
    page.gauge("pgherd_timeline", "Timeline that is written or followed.", Some(f64::from(look.timeline().0)));
    let rows = look.sample.replication.iter();
    let labels: Vec<_> =
        rows.map(|row| ([("application_name", row.application_name.as_str())], row.state == "streaming")).collect();
    page.family(
        "pgherd_replication_streaming",
        Kind::Gauge,
        "1 for a standby that streams from this instance, 0 while it catches up or is cloned.",
        labels.iter().map(|(label, streams)| (&label[..], if *streams { 1.0 } else { 0.0 })),
    );
}
