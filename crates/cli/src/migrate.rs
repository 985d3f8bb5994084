//! `pgherd migrate`: what taking a CloudNativePG cluster over comes to; and, if that is asked for, taking it over.

use std::fmt::Write;

use anyhow::{Context, bail};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::Api;
use kube::api::ListParams;
use pgherd_proto::labels;
use serde_json::json;

use crate::annotate::annotate;
use crate::args::{ClusterArguments, Output};
use crate::cluster::{Found, find_cluster, full_name, only};
use crate::migrate_look::{Line, Seen, Verdict, foreign_lease, look, may_go};
use crate::output;

/// The label of CloudNativePG's operator.
const OPERATOR: &str = "app.kubernetes.io/name=cloudnative-pg";

/// Looks, and says so. Exit code 2 where something stands in the way.
pub async fn run(wanted: &ClusterArguments, take_over: bool, shape: Output) -> anyhow::Result<u8> {
    let found = find_cluster(wanted).await?;
    let seen = seen(&found).await?;
    let lines = look(&seen);
    let free = may_go(&lines);
    if take_over && !free {
        eprint!("{}", said(&lines));
        bail!("nothing was done: see what is refused, or has to be done first");
    }
    if take_over {
        go(&found, &seen).await?;
    }
    let told = json!({"cluster": found.name, "namespace": found.namespace, "findings": lines, "ready": free,
        "taken": take_over, "steps": steps(&found.name), "back": back(&found.name)});
    output::print(shape, &told, || {
        let rest = if take_over {
            format!("{} wakes up; `{} status {0}` shows how it goes\n", found.name, crate::called())
        } else {
            format!("The steps:\n{}The way back:\n{}", numbered(&steps(&found.name)), numbered(&back(&found.name)))
        };
        format!("{}{rest}", said(&lines))
    })?;
    Ok(if free { 0 } else { 2 })
}

async fn seen(found: &Found) -> anyhow::Result<Seen> {
    let of_cluster = ListParams::default().labels(&format!("{}={}", labels::CLUSTER, found.name));
    let pods: Api<Pod> = Api::namespaced(found.client.clone(), &found.namespace);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(found.client.clone(), &found.namespace);
    let secrets: Api<Secret> = Api::namespaced(found.client.clone(), &found.namespace);
    let leases: Api<Lease> = Api::namespaced(found.client.clone(), &found.namespace);
    // Whoever may not list pods of all namespaces has to know about the operator without us.
    let operators = Api::<Pod>::all(found.client.clone()).list(&ListParams::default().labels(OPERATOR)).await;
    Ok(Seen {
        cluster: Some(found.cluster.clone()),
        pods: pods.list(&of_cluster).await.context("failed to list the pods")?.items,
        claims: claims.list(&of_cluster).await.context("failed to list the volumes")?.items,
        secrets: secrets.list(&ListParams::default()).await.context("failed to list the Secrets")?.items,
        lease: leases.get_opt(&found.name).await.context("failed to read the lease")?,
        operators: operators.map(|list| list.items.iter().map(full_name).collect()).unwrap_or_default(),
    })
}

/// The lease first: as it is, the controller would touch nothing.
async fn go(found: &Found, seen: &Seen) -> anyhow::Result<()> {
    if let Some(lease) = foreign_lease(seen) {
        let leases: Api<Lease> = Api::namespaced(found.client.clone(), &found.namespace);
        leases
            .delete(&found.name, &only(lease.metadata.uid.clone()))
            .await
            .context("failed to delete CloudNativePG's lease")?;
    }
    annotate(found, labels::HIBERNATION, Some("off")).await
}

fn steps(cluster: &str) -> Vec<String> {
    let program = crate::called();
    vec![
        "take a Backup and see that it is completed; try these steps on a copy first".to_owned(),
        format!("kubectl annotate cluster {cluster} --overwrite cnpg.io/hibernation=on; wait until no pod is left"),
        "scale CloudNativePG's operator to zero, and keep its definitions: every Cluster would go with them".to_owned(),
        "install pgherd: its definitions over the others, its controller; the cluster stays as it is meanwhile"
            .to_owned(),
        format!("{program} migrate {cluster}, until nothing stands in the way"),
        format!("{program} migrate {cluster} --take-over: the old lease goes, the cluster wakes up"),
        format!("{program} status {cluster}; then {program} backup {cluster} --wait"),
    ]
}

fn back(cluster: &str) -> Vec<String> {
    let program = crate::called();
    vec![
        format!("{program} hibernate on {cluster} --wait: every volume stays, the primary stops last"),
        "scale pgherd's controller to zero".to_owned(),
        format!("kubectl delete lease {cluster}, after taking its finalizer {} off", labels::LEASE_FINALIZER),
        format!("start CloudNativePG's operator, and annotate {cluster} with cnpg.io/hibernation=off"),
        "if that operator does not take the volumes: recover from the archive (docs/how-to/migrate.md)".to_owned(),
    ]
}

fn numbered(lines: &[String]) -> String {
    lines.iter().enumerate().map(|(at, line)| format!("  {}. {line}\n", at + 1)).collect()
}

fn said(lines: &[Line]) -> String {
    let mut text = String::new();
    for (verdict, title) in [
        (Verdict::Refused, "Refused:"),
        (Verdict::First, "To be done first:"),
        (Verdict::Ignored, "Accepted, and does nothing:"),
        (Verdict::Changes, "Changes:"),
        (Verdict::Stays, "Stays:"),
    ] {
        let mut of_it = lines.iter().filter(|line| line.verdict == verdict).peekable();
        if of_it.peek().is_some() {
            // Writing to a String cannot fail.
            let _ok = writeln!(text, "{title}");
        }
        for line in of_it {
            let _ok = writeln!(text, "  - {}", line.what);
        }
    }
    text
}
