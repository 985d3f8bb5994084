//! `pgherd backup verify`: asks for a restore drill, and follows it if that is wanted.

use std::time::Duration;

use anyhow::{Context, bail};
use kube::Api;
use kube::api::{Patch, PatchParams};
use pgherd_proto::cluster::{Cluster, Drill, DrillOrder, Proven, drill_phase};
use pgherd_proto::labels;
use serde_json::{Value, json};

use crate::args::{ClusterArguments, Output};
use crate::cluster::find_cluster;
use crate::output;

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Puts the request on the Cluster; with `wait`, goes on until it has been carried out. The exit code is 1 if nothing was
/// proven.
pub async fn run(cluster: &ClusterArguments, order: DrillOrder, wait: bool, shape: Output) -> anyhow::Result<u8> {
    // Better now than by a pod.
    order.target().context("this is no moment to restore to, or no backup")?;
    let found = find_cluster(cluster).await?;
    let stamp = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    let order = DrillOrder { id: Some(stamp.clone()), ..order };
    let clusters: Api<Cluster> = Api::namespaced(found.client.clone(), &found.namespace);
    let patch = json!({"metadata": {"annotations": {labels::VERIFY: asked(&order)}}});
    clusters
        .patch(&found.name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .context("failed to put the request on the Cluster")?;
    if !wait {
        let told = json!({"cluster": found.name, "namespace": found.namespace, "request": stamp});
        output::print(shape, &told, || {
            format!("asked for a restore drill; `{} status {}` shows how it went", crate::called(), found.name)
        })?;
        return Ok(0);
    }
    let (drill, proven) = follow(&clusters, &found.name, &stamp, shape).await?;
    let good = drill.phase.as_deref() == Some(drill_phase::PROVEN);
    let proven = proven.filter(|_| good);
    output::print(shape, &json!({"drill": drill, "proven": proven}), || ended(&drill, proven.as_ref()))?;
    Ok(if good { 0 } else { 1 })
}

/// The annotation: only what was said.
fn asked(order: &DrillOrder) -> String {
    let mut value = json!(order);
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| *field != Value::Null);
    }
    value.to_string()
}

/// Waits until the request was taken up and is over.
async fn follow(
    clusters: &Api<Cluster>,
    name: &str,
    request: &str,
    shape: Output,
) -> anyhow::Result<(Drill, Option<Proven>)> {
    let mut shown = String::new();
    loop {
        let Some(cluster) = clusters.get_opt(name).await? else { bail!("the Cluster was deleted") };
        let drill = cluster.drill().cloned().unwrap_or_default();
        let ours = drill.order.as_ref().and_then(|order| order.id.as_deref()) == Some(request);
        let phase = drill.phase.clone().unwrap_or_default();
        if ours && [drill_phase::PROVEN, drill_phase::FAILED].contains(&phase.as_str()) {
            return Ok((drill, cluster.last_proven().cloned()));
        }
        let asked = cluster.drill_request().and_then(|order| order.id);
        if !ours && asked.as_deref() != Some(request) {
            bail!("another drill was asked for before this one was taken up");
        }
        let line = if ours {
            format!("{phase}: pod {}", drill.pod.unwrap_or_default())
        } else if drill.pod.is_some() && drill.stopped_at.is_none() {
            "waiting for the drill before it".to_owned()
        } else {
            "waiting for the controller".to_owned()
        };
        if !shape.is_for_programs() && line != shown {
            eprintln!("{line}");
            shown = line;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn ended(drill: &Drill, proven: Option<&Proven>) -> String {
    let Some(proven) = proven else {
        return format!("nothing was proven: {}", drill.error.as_deref().unwrap_or("nobody says why"));
    };
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let seconds = |milliseconds: i64| format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100);
    format!(
        "proven restorable up to {} ({} on timeline {}), from backup {}: fetched {} MiB in {}, replayed {} MiB of WAL in \
         {}, checked in {}\nchecksums: {}\namcheck: {}\nquery: {}",
        text(&proven.instant),
        text(&proven.lsn),
        proven.timeline_id,
        text(&proven.backup_id),
        proven.fetched_bytes >> 20,
        seconds(proven.fetch_milliseconds),
        proven.replayed_bytes >> 20,
        seconds(proven.replay_milliseconds),
        seconds(proven.check_milliseconds),
        text(&proven.checksums),
        text(&proven.amcheck),
        text(&proven.query),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_said_is_asked_for_and_it_is_read_back() {
        let order = DrillOrder { id: Some("a".into()), query: Some("SELECT true".into()), ..DrillOrder::default() };
        let text = asked(&order);
        assert_eq!(text, r#"{"id":"a","query":"SELECT true"}"#);
        assert_eq!(DrillOrder::parse(&text), Some(order));
    }

    #[test]
    fn how_it_ended_names_what_is_wrong() {
        let drill = Drill { error: Some("failed to read data.tar.gz".into()), ..Drill::default() };
        assert_eq!(ended(&drill, None), "nothing was proven: failed to read data.tar.gz");
        let proven = Proven { instant: Some("2026-11-28T02:59:00Z".into()), ..Proven::default() };
        assert!(ended(&drill, Some(&proven)).starts_with("proven restorable up to 2026-11-28T02:59:00Z"));
    }
}
