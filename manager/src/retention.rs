//! `backup.retentionPolicy`, carried out by the primary's manager: every hour, and after each backup. What can be
//! recovered is written into the Cluster's status on the way, with or without a policy.

use crate::context::Context;
use crate::events::tell;
use crate::http::{InstanceSnapshot, Role};
use crate::store_settings::store_settings;
use core::time::Duration;
use kube::api::DeleteParams;
use kube::{Api, Resource};
use pgherd_backup::{Catalog, Patience, Pruned, Survey, preview};
use pgherd_core::archive::OwnBackups;
use pgherd_core::backup::retention::Plan;
use pgherd_core::backup::{BackupId, Timestamp, Window, window};
use pgherd_core::identity::SystemId;
use pgherd_core::plan::EventKind;
use pgherd_core::rules::retention::Retention;
use pgherd_core::timeline::TimelineId;
use pgherd_proto::backup::{Backup, BackupStatus};
use pgherd_proto::cluster::{Cluster, Recoverability};
use pgherd_proto::event::News;
use pgherd_telemetry::chain;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

/// Between two runs.
const EVERY: Duration = Duration::from_secs(3600);
/// After one that failed.
const TRY_AGAIN: Duration = Duration::from_secs(60);
/// An outage is nothing to hold on to: there will be another run.
const PATIENCE: Patience = Patience(Duration::from_secs(30));

/// What the last run was about: with anything else, the next one is due at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct About {
    policy: Option<String>,
    last_backup: Option<String>,
    dry: bool,
}

/// Runs while this instance is the primary.
pub async fn keep(context: Arc<Context>, mut snapshots: watch::Receiver<Arc<InstanceSnapshot>>) {
    let mut seen = context.cluster.clone();
    let mut last: Option<(About, Instant)> = None;
    loop {
        let (primary, own) = {
            let now = snapshots.borrow_and_update();
            (now.role == Role::Primary, now.system_id)
        };
        let cluster = seen.borrow_and_update().clone();
        let cluster = cluster.filter(|cluster| primary && cluster.spec.object_store().is_some());
        last = match cluster {
            Some(cluster) => Some(looked_after(&context, &cluster, own, last).await),
            None => None,
        };
        let due = async {
            match &last {
                Some((_, again)) => tokio::time::sleep_until(*again).await,
                None => std::future::pending().await,
            }
        };
        let role_changes = snapshots.wait_for(|now| (now.role == Role::Primary) != primary);
        tokio::select! {
            () = due => {}
            changed = role_changes => if changed.is_err() { return },
            changed = seen.changed() => if changed.is_err() { return },
        }
    }
}

/// Runs if it is due; answers with what that was about, and when it is due again.
async fn looked_after(
    context: &Context,
    cluster: &Cluster,
    own: Option<SystemId>,
    last: Option<(About, Instant)>,
) -> (About, Instant) {
    let about = About::of(cluster);
    if let Some(last) = last.filter(|(known, again)| *known == about && Instant::now() < *again) {
        return last;
    }
    let pause = match run(context, cluster, own).await {
        Ok(()) => EVERY,
        Err(why) => {
            tracing::warn!(%why, "what can be recovered is not known, and nothing is deleted from the archive");
            TRY_AGAIN
        }
    };
    (about, Instant::now() + pause)
}

impl About {
    fn of(cluster: &Cluster) -> Self {
        let policy = cluster.spec.backup.as_ref().and_then(|backup| backup.retention_policy.clone());
        let last_backup = cluster.status.as_ref().and_then(|status| status.last_successful_backup.clone());
        Self { policy: policy.filter(|policy| !policy.is_empty()), last_backup, dry: cluster.retention_is_dry() }
    }
}

async fn run(context: &Context, cluster: &Cluster, own: Option<SystemId>) -> Result<(), String> {
    let Some(settings) = store_settings(cluster, &context.api).await? else { return Ok(()) };
    let store = settings.open(|name| std::env::var(name).ok()).map_err(|e| chain(&e))?;
    let own = own.ok_or("which database system this is, is not known yet")?;
    store.archive.patient(PATIENCE).admit(own).await.map_err(|e| chain(&e))?;
    let catalog = store.archive.catalog(PATIENCE);
    let timeline = *context.timeline.borrow();
    let survey = catalog.survey().await.map_err(|e| chain(&e))?;
    let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
    let backups = survey.of(own);
    if let Some(other) = backups.others().first() {
        let others = backups.others().len();
        tracing::warn!(others, first = %other.id, "base backups of another database system are kept, and not counted");
    }
    let mut found = found(&survey, &backups, &window(backups.own(), &survey.archived, timeline), now);
    if let Some(policy) = About::of(cluster).policy {
        let policy: Retention = policy.parse().map_err(|e| chain(&e))?;
        let plan = backups.plan(&survey.archived, policy, now, timeline);
        if cluster.retention_is_dry() {
            let would = preview(&survey, &plan);
            found.redundant_backups = would.backups.iter().map(ToString::to_string).collect();
            found.redundant_wal_files = Some(number(would.wal_objects));
            return report(context, &found).await;
        }
        let pruned = prune(context, cluster, &catalog, (&survey, &plan), timeline).await?;
        found.first_recoverable = plan.first.map(Timestamp::rfc3339);
        found.backups = number(plan.stay.len());
        found.wal_files = number(survey.wal.len().saturating_sub(pruned.wal_objects));
        if !pruned.is_empty() {
            let deleted = pruned.backups.iter().map(ToString::to_string);
            found.deleted_backups = deleted.collect();
            found.deleted_wal_files = number(pruned.wal_objects);
            found.deleted_at = Some(now.rfc3339());
        }
    }
    report(context, &found).await
}

async fn report(context: &Context, found: &Recoverability) -> Result<(), String> {
    context.announcer.report_recoverability(found).await.map_err(|e| chain(&e))
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn found(survey: &Survey, backups: &OwnBackups, window: &Window, now: Timestamp) -> Recoverability {
    Recoverability {
        checked_at: Some(now.rfc3339()),
        first_recoverable: window.first.map(Timestamp::rfc3339),
        last_recoverable: window.last.map(Timestamp::rfc3339),
        last_backup: window.last_backup.map(Timestamp::rfc3339),
        last_recoverable_lsn: window.last_lsn.map(|lsn| lsn.to_string()),
        missing_wal: window.hole.map(|name| name.to_string()),
        backups: number(backups.own().iter().filter(|entry| entry.span().is_some()).count()),
        wal_files: number(survey.wal.len()),
        ..Recoverability::default()
    }
}

/// Deletes what is redundant, says so, and removes the Backups whose data went.
async fn prune(
    context: &Context,
    cluster: &Cluster,
    catalog: &Catalog,
    (survey, plan): (&Survey, &Plan),
    timeline: TimelineId,
) -> Result<Pruned, String> {
    if let Some(why) = &plan.blocked {
        tracing::warn!(why, "nothing is deleted from the archive");
        return Ok(Pruned::default());
    }
    if preview(survey, plan).is_empty() {
        return Ok(Pruned::default());
    }
    // Somebody else may have been elected while the archive was looked through: then it is his to tidy.
    if *context.timeline.borrow() != timeline {
        return Err("the timeline has changed meanwhile".to_owned());
    }
    let pruned = catalog.prune(survey, plan).await.map_err(|e| chain(&e))?;
    if !pruned.is_empty() {
        let names: Vec<&str> = pruned.backups.iter().map(BackupId::as_str).collect();
        let message = format!(
            "deleted {} redundant base backups ({} MiB){}{} and {} WAL files ({} MiB)",
            pruned.backups.len(),
            pruned.backup_bytes >> 20,
            if names.is_empty() { "" } else { ": " },
            names.join(", "),
            pruned.wal_objects,
            pruned.wal_bytes >> 20,
        );
        tracing::info!(
            backups = pruned.backups.len(),
            wal_files = pruned.wal_objects,
            bytes = pruned.backup_bytes.saturating_add(pruned.wal_bytes),
            names = names.join(","),
            "retention deleted what was redundant"
        );
        let news = News { kind: EventKind::Normal, reason: "RetentionPolicyApplied", message: &message };
        tell(&context.api, cluster.object_ref(&()), news).await;
        forget(context, &pruned.backups).await;
    }
    Ok(pruned)
}

/// Removes the Backups of this cluster whose data are gone, as CNPG does.
async fn forget(context: &Context, gone: &[BackupId]) {
    let gone: BTreeSet<&str> = gone.iter().map(BackupId::as_str).collect();
    let backups: Api<Backup> = Api::namespaced(context.api.client.clone(), &context.api.namespace);
    let listed = match backups.list(&kube::api::ListParams::default()).await {
        Ok(listed) => listed.items,
        Err(error) => {
            tracing::warn!(error = %chain(&error), "Backups whose data are gone are still there");
            return;
        }
    };
    let is_gone = |status: &BackupStatus| status.backup_id.as_deref().is_some_and(|id| gone.contains(id));
    for backup in listed {
        let ours = backup.spec.cluster.name == context.api.name;
        let Some(name) = backup.metadata.name.filter(|_| ours && backup.status.as_ref().is_some_and(is_gone)) else {
            continue;
        };
        if let Err(error) = backups.delete(&name, &DeleteParams::default()).await {
            tracing::warn!(name, error = %chain(&error), "a Backup whose data are gone is still there");
        }
    }
}
