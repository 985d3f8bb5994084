//! `pgherd maintenance`: says that nodes are worked on, so that no budget keeps one from being drained.

use std::io::Write;

use anyhow::bail;
use clap::{Args, Subcommand};
use kube::Api;
use kube::api::ListParams;
use pgherd_proto::cluster::Cluster;
use serde_json::json;

use crate::annotate::patch;
use crate::args::{ClusterArguments, Output};
use crate::cluster::{client_for, find_cluster, full_name};
use crate::output;

/// Set or unset.
#[derive(Debug, Subcommand)]
pub enum MaintenanceVerb {
    /// Begin: the disruption budgets go.
    Set {
        #[command(flatten)]
        which: Which,
        /// Instances wait for their volumes' nodes (they always do; the budgets stay where this is false).
        #[arg(long = "reusePVC", num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true",
              action = clap::ArgAction::Set)]
        reuse_pvc: bool,
    },
    /// End: the disruption budgets come back.
    Unset {
        #[command(flatten)]
        which: Which,
    },
}

/// Which clusters.
#[derive(Debug, Clone, Args)]
pub struct Which {
    #[command(flatten)]
    cluster: ClusterArguments,
    /// All clusters of all namespaces.
    #[arg(short = 'A', long, conflicts_with_all = ["cluster", "namespace"])]
    all_namespaces: bool,
    /// Do not ask, where it is more than one cluster.
    #[arg(short, long)]
    yes: bool,
}

/// Changes `spec.nodeMaintenanceWindow` of one cluster or of all.
pub async fn run(verb: &MaintenanceVerb, shape: Output) -> anyhow::Result<u8> {
    let (which, window) = match verb {
        MaintenanceVerb::Set { which, reuse_pvc } => (which, json!({"inProgress": true, "reusePVC": reuse_pvc})),
        MaintenanceVerb::Unset { which } => (which, json!({"inProgress": false})),
    };
    let (client, clusters) = if which.all_namespaces {
        let (client, _) = client_for(&which.cluster.place).await?;
        let all = Api::<Cluster>::all(client.clone()).list(&ListParams::default()).await?.items;
        (client, all)
    } else {
        let found = find_cluster(&which.cluster).await?;
        (found.client, vec![found.cluster])
    };
    let names: Vec<String> = clusters.iter().map(full_name).collect();
    if clusters.len() > 1 && !which.yes && !agreed(&names)? {
        bail!("nothing was done");
    }
    for cluster in &clusters {
        patch(&client, cluster, &json!({"spec": {"nodeMaintenanceWindow": window}})).await?;
    }
    let begun = window.get("inProgress") == Some(&json!(true));
    output::print(shape, &json!({"clusters": names, "nodeMaintenanceWindow": window}), || {
        let word = if begun { "maintenance has begun for" } else { "maintenance is over for" };
        format!("{word} {}", names.join(", "))
    })?;
    Ok(0)
}

fn agreed(names: &[String]) -> anyhow::Result<bool> {
    eprint!("{}\nDo it for all of them? [y/n] ", names.join("\n"));
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "yes"))
}
