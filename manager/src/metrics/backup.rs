//! Our own families of what can be recovered, and of what a restore drill has proven; on the primary's page alone.

use crate::http::{ProvenFacts, Role, View};
use crate::metrics::text::{Exposition, Kind};

/// `pgherd_backup_*`. What is not known is left out.
pub fn backups(page: &mut Exposition, view: &View) {
    let Some(cluster) = view.instance.cluster.as_ref().filter(|_| view.instance.role == Role::Primary) else { return };
    page.gauge(
        "pgherd_backup_first_recoverable_timestamp_seconds",
        "The first moment that can be recovered from the archive.",
        cluster.first_recoverable_at,
    );
    page.gauge(
        "pgherd_backup_last_recoverable_timestamp_seconds",
        "The last moment that can be recovered from the archive, when it was last looked through.",
        cluster.last_recoverable_at,
    );
    let proven = cluster.proven.as_ref();
    page.gauge(
        "pgherd_backup_last_proven_restorable_timestamp_seconds",
        "The moment that the last restore drill restored.",
        proven.map(|proven| proven.instant),
    );
    let parts = proven.map(|ProvenFacts { fetch, replay, checks, total, .. }| {
        [("fetch", *fetch), ("replay", *replay), ("checks", *checks), ("total", *total)]
            .map(|(part, seconds)| ([("part", part)], seconds))
    });
    page.family(
        "pgherd_backup_last_proven_restorable_duration_seconds",
        Kind::Gauge,
        "How long that drill took, by its parts.",
        parts.iter().flatten().map(|(label, seconds)| (&label[..], *seconds)),
    );
    page.gauge(
        "pgherd_backup_last_failed_drill_timestamp_seconds",
        "When a restore drill last failed.",
        cluster.last_failed_drill_at,
    );
}
