//! Carrying out what was decided about the Backups of one cluster: each write is over the version that was seen.

use super::silence::Silences;
use super::waits::Wait;
use super::{of_cluster, summary};
use crate::caches::{Caches, Key};
use crate::clock;
use crate::conditions::write_status;
use crate::news::tell;
use crate::observe::{Around, pod_view};
use core::time::Duration;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt};
use pgherd_core::backup::{BackupFrom, BackupState, BackupStep, BackupView, CutOff, plan_backups};
use pgherd_core::cluster::PodView;
use pgherd_core::identity::Nonce;
use pgherd_core::plan::EventKind;
use pgherd_proto::backup::{Backup, BackupStatus, FailedAttempt, InstanceId, phase, tried_again};
use pgherd_proto::cluster::condition::archiving_failure;
use pgherd_proto::cluster::{BackupTarget, BarmanObjectStore, Cluster};
use pgherd_proto::event::News;
use pgherd_proto::names::POSTGRES_CONTAINER;
use pgherd_proto::validate;
use serde_json::{Value, json};
use std::sync::Arc;

/// While one is under way, or waits for a moment that nobody tells of, it is looked at this often.
const WATCHED: Duration = Duration::from_secs(2);

/// Looks after the Backups of a cluster; how soon to look again.
pub async fn attend(client: &Client, caches: &Caches, silences: &Silences, key: &Key) -> Option<Duration> {
    let backups = of_cluster(caches, key);
    if backups.is_empty() {
        return None;
    }
    let Some(cluster) = caches.cluster(key) else {
        for backup in backups.iter().filter(|backup| is_pending(backup)) {
            wait(client, backup, &format!("there is no Cluster {} in this namespace", key.name)).await;
        }
        return None;
    };
    let store = cluster.spec.object_store();
    let pods: Vec<PodView> =
        caches.pods.of(key).iter().filter_map(|pod| pod_view(&key.name, pod, &Around::default())).collect();
    let failing = cluster.status.as_ref().and_then(|status| archiving_failure(&status.conditions));
    let mut views = Vec::new();
    let mut watched = false;
    for backup in &backups {
        if is_pending(backup) && refused(client, backup, store).await {
            continue;
        }
        let state = state(client, silences, backup, failing.is_some()).await;
        let view = view(backup, &cluster, state);
        watched |= match view.state {
            BackupState::UnderWay { .. } => true,
            BackupState::Pending { .. } => failing.is_some() || view.earlier > 0,
            BackupState::Done => false,
        };
        views.push(view);
    }
    for step in plan_backups(&views, &pods, failing) {
        carry_out(client, caches, (&cluster, store, key), &backups, step).await;
    }
    summary::write(client, &cluster, &backups).await;
    watched.then_some(WATCHED)
}

fn is_pending(backup: &Backup) -> bool {
    backup.metadata.deletion_timestamp.is_none()
        && !backup.status.as_ref().is_some_and(|status: &BackupStatus| status.is_done() || status.is_under_way())
}

/// One that can never be taken is told so at once.
async fn refused(client: &Client, backup: &Backup, store: Option<&BarmanObjectStore>) -> bool {
    let findings = validate::backup(backup);
    let errors: Vec<String> = findings
        .iter()
        .filter(|finding| finding.is_error())
        .map(|finding| format!("{}: {}", finding.path, finding.message))
        .collect();
    let (phase, why) = match store {
        _ if !errors.is_empty() => (phase::INVALID, errors.join("; ")),
        None => {
            let why = "cannot proceed with the backup as the cluster has no backup section".to_owned();
            (phase::FAILED, why)
        }
        Some(_) => return false,
    };
    write_status(client, backup, json!({ "phase": phase, "error": why, "stoppedAt": clock::stamp() })).await;
    true
}

async fn state(client: &Client, silences: &Silences, backup: &Backup, failing: bool) -> BackupState {
    let status = backup.status.clone().unwrap_or_default();
    if status.is_done() || backup.metadata.deletion_timestamp.is_some() {
        return BackupState::Done;
    }
    if !status.is_under_way() {
        let uid = backup.uid().unwrap_or_default();
        return BackupState::Pending {
            waited: silences.waits().of(&uid, Wait::Attempt(status.failed_attempts.len()), true).await,
            held: silences.waits().of(&uid, Wait::Archiving, failing).await,
        };
    }
    let instance = status.instance_id.unwrap_or_default();
    let backups = Api::<Backup>::namespaced(client.clone(), &backup.namespace().unwrap_or_default());
    BackupState::UnderWay {
        pod: instance.pod_name,
        nonce: Nonce(instance.session_id.unwrap_or_default()),
        silent: silences.of(&backups, backup).await,
    }
}

fn view(backup: &Backup, cluster: &Cluster, state: BackupState) -> BackupView {
    let target = backup.spec.target.or_else(|| cluster.spec.backup.as_ref().map(|backup| backup.target));
    BackupView {
        name: backup.name_any(),
        created: backup.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second()),
        from: match target.unwrap_or_default() {
            BackupTarget::Primary => BackupFrom::Primary,
            BackupTarget::PreferStandby => BackupFrom::PreferStandby,
        },
        earlier: backup.status.as_ref().map_or(0, |status| status.failed_attempts.len()),
        state,
    }
}

type Of<'a> = (&'a Cluster, Option<&'a BarmanObjectStore>, &'a Key);

async fn carry_out(client: &Client, caches: &Caches, of_it: Of<'_>, backups: &[Arc<Backup>], step: BackupStep) {
    let find = |name: &str| backups.iter().find(|backup| backup.name_any() == name);
    match step {
        BackupStep::Start { backup, pod, nonce } => {
            let Some(found) = find(&backup) else { return };
            tracing::info!(%backup, %pod, cluster = %of_it.2.name, namespace = %of_it.2.namespace, "a backup is ordered");
            write_status(client, &**found, order(caches, of_it, found, &pod, &nonce)).await;
        }
        BackupStep::Fail { backup, why } => {
            let Some(found) = find(&backup) else { return };
            tracing::warn!(%backup, cluster = %of_it.2.name, namespace = %of_it.2.namespace, %why, "a backup failed");
            let failed = json!({ "phase": phase::FAILED, "error": why, "stoppedAt": clock::stamp() });
            if write_status(client, &**found, failed).await {
                warn(client, found, "BackupFailed", &why).await;
            }
        }
        BackupStep::Again { backup, by, why } => {
            let Some(found) = find(&backup) else { return };
            tracing::warn!(%backup, cluster = %of_it.2.name, namespace = %of_it.2.namespace, %why,
                "a backup is tried again");
            if write_status(client, &**found, again(found, &by, &why)).await {
                warn(client, found, "BackupRetried", &why).await;
            }
        }
        BackupStep::Hold { backup, why } => {
            let Some(found) = find(&backup) else { return };
            if says(found, phase::WAL_ARCHIVING_FAILING, &why) {
                return;
            }
            let held = found.status.as_ref().is_some_and(|status| is_phase(status, phase::WAL_ARCHIVING_FAILING));
            let status = json!({ "phase": phase::WAL_ARCHIVING_FAILING, "error": why });
            if write_status(client, &**found, status).await && !held {
                warn(client, found, "WALArchivingFailing", &why).await;
            }
        }
        BackupStep::Wait { backup, why } => {
            if let Some(found) = find(&backup) {
                wait(client, found, &why).await;
            }
        }
    }
}

/// The reason stands where an error would: nobody has to look elsewhere for why nothing happens.
async fn wait(client: &Client, backup: &Backup, why: &str) {
    if !says(backup, phase::PENDING, why) {
        write_status(client, backup, json!({ "phase": phase::PENDING, "error": why })).await;
    }
}

async fn warn(client: &Client, backup: &Backup, reason: &str, message: &str) {
    tell(client, backup, News { kind: EventKind::Warning, reason, message }).await;
}

fn is_phase(status: &BackupStatus, phase: &str) -> bool {
    status.phase.as_deref() == Some(phase)
}

fn says(backup: &Backup, phase: &str, why: &str) -> bool {
    backup.status.as_ref().is_some_and(|status| is_phase(status, phase) && status.error.as_deref() == Some(why))
}

fn again(backup: &Backup, by: &CutOff, why: &str) -> Value {
    let status = backup.status.clone().unwrap_or_default();
    let this = FailedAttempt {
        backup_id: status.backup_id,
        pod_name: status.instance_id.map(|instance| instance.pod_name),
        error: by.to_string(),
        stopped_at: Some(clock::stamp()),
    };
    tried_again(&status.failed_attempts, this, why)
}

/// What the manager is told, and what the Backup keeps for whoever restores it.
fn order(caches: &Caches, of_it: Of<'_>, backup: &Backup, pod: &str, nonce: &Nonce) -> Value {
    let (cluster, store, key) = of_it;
    let store = store.cloned().unwrap_or_default();
    let pods = caches.pods.of(key);
    let container = pods.iter().find(|found| found.name_any() == pod).and_then(|pod| container(pod));
    let status = BackupStatus {
        phase: Some(phase::STARTED.to_owned()),
        method: Some(backup.spec.method),
        instance_id: Some(InstanceId {
            pod_name: pod.to_owned(),
            container_id: container.unwrap_or_default(),
            session_id: Some(nonce.0.clone()),
        }),
        destination_path: Some(store.destination_path),
        server_name: store.server_name.filter(|name| !name.is_empty()).or_else(|| Some(cluster.name_any())),
        endpoint_url: store.endpoint_url.filter(|url| !url.is_empty()),
        endpoint_ca: store.endpoint_ca,
        s3_credentials: store.s3_credentials,
        encryption: store.data.and_then(|data| data.encryption).map(|encryption| encryption.as_str().to_owned()),
        started_at: Some(clock::stamp()),
        ..BackupStatus::default()
    };
    let mut status = serde_json::to_value(status).unwrap_or_default();
    if let Some(fields) = status.as_object_mut() {
        // What it waited for.
        fields.insert("error".to_owned(), Value::Null);
    }
    status
}

fn container(pod: &Pod) -> Option<String> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == POSTGRES_CONTAINER)?.container_id.clone()
}
