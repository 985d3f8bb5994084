//! `pgherd restore`: brings a cluster back in place. What would be lost is shown first, by the primary's own look at the
//! archive where there is a primary; a person types the cluster's name; the rest is the controller's.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use pgherd_core::backup::Timestamp;
use pgherd_core::restore::{Ruling, Stage, rule};
use pgherd_proto::cluster::{Cluster, RestorePreview, RestoreRequest, RestoreStatus, phase};
use pgherd_proto::labels;
use serde_json::json;

use crate::args::{ClusterArguments, Output};
use crate::cluster::{Found, find_cluster};
use crate::output;
use crate::restore_args::RestoreArguments;
use crate::restore_text::{coarse, losses, undoing};

/// The primary looks into the archive well within this; a listing of many objects takes its time.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);
/// The controller rules on an order at once.
const RULED_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Shows, asks, orders, and follows it if that is wanted.
pub async fn run(arguments: &ClusterArguments, what: &RestoreArguments, shape: Output) -> anyhow::Result<u8> {
    let found = find_cluster(arguments).await?;
    if what.drop_old {
        return drop_old(&found, what, shape).await;
    }
    let request = RestoreRequest {
        id: new_id(),
        recovery_target: what.target(),
        undo: what.undo,
        holder_is_dead: what.old_primary_is_dead,
        keep_both: what.keep_both,
    };
    request.recovery_target.asked()?;
    let kept = kept(&found).await?;
    let by: Vec<String> = kept.iter().map(|(_, by)| by.clone()).collect();
    let known = found.cluster.status.as_ref().and_then(|status| status.restore.as_ref()).map(RestoreStatus::to_fact);
    match rule(&request.to_order(), known.as_ref(), &by) {
        Ruling::Refused(why) => bail!(why),
        Ruling::Later(what) => bail!("not now: wait for {what}, and ask again"),
        Ruling::Known | Ruling::Begin(_) => {}
    }
    let (text, preview) = if what.undo { (undoing(&found.cluster), None) } else { shown(&found, &request).await? };
    eprint!("{text}");
    if what.dry_run {
        output::print(shape, &json!({"cluster": found.name, "preview": preview}), || "nothing was done".to_owned())?;
        return Ok(0);
    }
    confirmed(&found.name, what.yes)?;
    annotate(&found, labels::RESTORE, Some(&request)).await?;
    let restore = taken_on(&found, &request).await?;
    let restore = if what.wait { follow(&found, &restore.id).await? } else { restore };
    let told = json!({"cluster": found.name, "namespace": found.namespace, "restore": restore.id,
        "stage": restore.stage, "preview": preview});
    output::print(shape, &told, || match restore.stage {
        Stage::Done => format!(
            "{} is back. The volumes that were put aside are kept: `{} restore {} --drop-old` deletes them, --undo goes \
             back to them",
            found.name,
            crate::called(),
            found.name
        ),
        _ => format!("it goes on by itself: `{} status {}` shows how far it is", crate::called(), found.name),
    })?;
    Ok(0)
}

/// Fit for a label.
fn new_id() -> String {
    jiff::Timestamp::now().strftime("%Y%m%dt%H%M%S%3f").to_string()
}

/// What it comes to, or why it cannot be done: nothing has been stopped by then.
async fn shown(found: &Found, request: &RestoreRequest) -> anyhow::Result<(String, Option<RestorePreview>)> {
    let spec = &found.cluster.spec;
    if spec.object_store().is_none() {
        bail!("{} has no spec.backup.barmanObjectStore, so there is no archive to restore it from", found.name);
    }
    let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
    let target = request.recovery_target.asked()?;
    annotate(found, labels::RESTORE_PREVIEW, Some(request)).await?;
    let preview = answer(found, &request.id).await;
    annotate(found, labels::RESTORE_PREVIEW, None).await?;
    match preview? {
        Some(RestorePreview { refusal: Some(why), .. }) => bail!("refused, and nothing was stopped: {why}"),
        Some(preview) => Ok((losses(&found.cluster, &target, &preview, now), Some(preview))),
        None => {
            let text = coarse(&found.cluster, &target, now)
                .map_err(|why| anyhow!("refused, and nothing was stopped: {why}"))?;
            Ok((text, None))
        }
    }
}

/// What the primary says; nothing where there is none that answers.
async fn answer(found: &Found, id: &str) -> anyhow::Result<Option<RestorePreview>> {
    let clusters: Api<Cluster> = Api::namespaced(found.client.clone(), &found.namespace);
    let deadline = Instant::now() + ANSWERED_WITHIN;
    loop {
        let cluster = clusters.get(&found.name).await?;
        let status = cluster.status.unwrap_or_default();
        if let Some(preview) = status.restore_preview.filter(|preview| preview.id == id) {
            return Ok(Some(preview));
        }
        // Without one that is ready there is nobody to wait for.
        if status.ready_instances.unwrap_or_default() == 0 || Instant::now() >= deadline {
            return Ok(None);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn confirmed(name: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    eprint!("Type the name of the cluster to go on: ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if line.trim() != name {
        bail!("nothing was done: {:?} is not {name}", line.trim());
    }
    Ok(())
}

async fn annotate(found: &Found, name: &str, request: Option<&RestoreRequest>) -> anyhow::Result<()> {
    let clusters: Api<Cluster> = Api::namespaced(found.client.clone(), &found.namespace);
    let text = request.map(serde_json::to_string).transpose()?;
    let patch = json!({"metadata": {"annotations": {name: text}}});
    clusters.patch(&found.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    Ok(())
}

/// Waits until the controller has taken it on, or said no.
async fn taken_on(found: &Found, request: &RestoreRequest) -> anyhow::Result<RestoreStatus> {
    let clusters: Api<Cluster> = Api::namespaced(found.client.clone(), &found.namespace);
    let deadline = Instant::now() + RULED_WITHIN;
    loop {
        let cluster = clusters.get(&found.name).await?;
        let waits = cluster.restore_request(labels::RESTORE).is_some_and(|waiting| waiting.id == request.id);
        let restore = cluster.status.unwrap_or_default().restore;
        match restore.filter(|restore| restore.order == request.id) {
            Some(restore) => return Ok(restore),
            None if !waits => bail!("the controller refused it: the events of the cluster say why"),
            None if Instant::now() >= deadline => {
                bail!("the controller has not taken it on yet: is it running? The order stays")
            }
            None => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

/// One line for each change, until it is done.
async fn follow(found: &Found, id: &str) -> anyhow::Result<RestoreStatus> {
    let clusters: Api<Cluster> = Api::namespaced(found.client.clone(), &found.namespace);
    let mut shown = String::new();
    loop {
        let status = clusters.get(&found.name).await?.status.unwrap_or_default();
        let Some(restore) = status.restore.filter(|restore| restore.id == id) else {
            bail!("another restore has taken its place")
        };
        let line = status.phase_reason.filter(|reason| !reason.is_empty()).or(status.phase).unwrap_or_default();
        if line != shown {
            eprintln!("{line}");
            shown = line;
        }
        if restore.stage == Stage::Done {
            return Ok(restore);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The volumes that were put aside, and by which restore.
async fn kept(found: &Found) -> anyhow::Result<Vec<(String, String)>> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(found.client.clone(), &found.namespace);
    let selector = format!("{}={},{}", labels::CLUSTER, found.name, labels::KEPT_BY);
    let listed = claims.list(&ListParams::default().labels(&selector)).await?.items;
    let label = |claim: &PersistentVolumeClaim| claim.metadata.labels.as_ref()?.get(labels::KEPT_BY).cloned();
    Ok(listed.iter().filter_map(|claim| Some((claim.metadata.name.clone()?, label(claim)?))).collect())
}

/// For good: the cluster has to be well without them (I7).
async fn drop_old(found: &Found, what: &RestoreArguments, shape: Output) -> anyhow::Result<u8> {
    let kept = kept(found).await?;
    let status = found.cluster.status.clone().unwrap_or_default();
    let healthy = status.phase.as_deref() == Some(phase::HEALTHY);
    let restore = status.restore.as_ref().map(RestoreStatus::to_fact).unwrap_or_default();
    if let Some(why) = restore.keeps_old(healthy).filter(|_| !kept.is_empty()) {
        bail!("nothing was deleted: {why}");
    }
    for (name, by) in &kept {
        eprintln!("{name}, put aside by restore {by}, and everything on it");
    }
    if !what.dry_run && !kept.is_empty() {
        confirmed(&found.name, what.yes)?;
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(found.client.clone(), &found.namespace);
        for (name, _) in &kept {
            claims.delete(name, &DeleteParams::default()).await?;
        }
    }
    let names: Vec<&String> = kept.iter().map(|(name, _)| name).collect();
    let dropped = if what.dry_run { 0 } else { names.len() };
    output::print(shape, &json!({"cluster": found.name, "volumes": names, "deleted": dropped}), || {
        format!("{dropped} volumes are deleted")
    })?;
    Ok(0)
}
