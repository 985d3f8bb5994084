//! `pgherd logs`: what the instances say.

use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, LogParams};
use pgherd_proto::{labels, names};
use serde_json::{Value, json};

use crate::args::{ClusterArguments, Output};
use crate::cluster::find_cluster;

/// Prints the lines of one instance or of all, each with the instance's name before it.
pub async fn run(
    cluster: &ClusterArguments,
    pod: Option<String>,
    follow: bool,
    tail: i64,
    shape: Output,
) -> anyhow::Result<u8> {
    let found = find_cluster(cluster).await?;
    let pods: Api<Pod> = Api::namespaced(found.client.clone(), &found.namespace);
    let names = match pod {
        Some(pod) => vec![pod],
        None => {
            let selector = ListParams::default().labels(&format!("{}={}", labels::CLUSTER, found.name));
            pods.list(&selector).await?.items.into_iter().filter_map(|pod| pod.metadata.name).collect()
        }
    };
    let wanted = LogParams {
        container: Some(names::POSTGRES_CONTAINER.to_owned()),
        follow,
        tail_lines: Some(tail),
        ..LogParams::default()
    };
    let read = names.into_iter().map(|name| {
        let (pods, wanted) = (pods.clone(), wanted.clone());
        async move {
            let mut lines = pods.log_stream(&name, &wanted).await?.lines();
            while let Some(line) = lines.try_next().await? {
                if shape.is_for_programs() {
                    let record = serde_json::from_str::<Value>(&line).unwrap_or(Value::String(line));
                    println!("{}", json!({"pod": name, "record": record}));
                } else {
                    println!("{name} {line}");
                }
            }
            anyhow::Ok(())
        }
    });
    futures::future::try_join_all(read).await?;
    Ok(0)
}
