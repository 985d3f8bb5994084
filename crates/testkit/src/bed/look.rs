//! The cluster as its status, its pods and its instances show it.

use super::Bed;
use crate::wait::{self, Timeout};
use anyhow::{Context as _, bail, ensure};
use core::time::Duration;
use kube::api::ListParams;
pub use pgherd_proto::cluster::phase::HEALTHY;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// CNPG's port for metrics.
const METRICS: u16 = 9187;
const SYSTEM: &str = "SELECT system_identifier FROM pg_control_system()";
/// How many standbys stream from whoever is asked, if that is a primary.
pub const STREAMING: &str = "SELECT count(DISTINCT application_name) FROM pg_stat_replication \
                         WHERE state = 'streaming' AND NOT pg_is_in_recovery()";

impl Bed {
    /// The Cluster, as JSON.
    ///
    /// # Errors
    /// Of the API.
    pub async fn cluster(&self) -> anyhow::Result<Value> {
        let clusters = self.objects("postgresql.cnpg.io", "Cluster");
        let found = clusters.get(&self.place.cluster).await.context("failed to read the Cluster")?;
        Ok(serde_json::to_value(found)?)
    }

    /// Who is the primary by the status.
    ///
    /// # Errors
    /// Of the API.
    pub async fn primary(&self) -> anyhow::Result<String> {
        Ok(text(&self.cluster().await?, "/status/currentPrimary"))
    }

    /// The cluster's pods, by name.
    ///
    /// # Errors
    /// Of the API.
    pub async fn members(&self) -> anyhow::Result<Vec<String>> {
        let pods = self.pods().list(&ListParams::default()).await.context("failed to list the pods")?.items;
        let prefix = format!("{}-", self.place.cluster);
        let mut names: Vec<String> = pods.into_iter().filter_map(|pod| pod.metadata.name).collect();
        // A restore drill's pod is called after its cluster too, and is no member.
        names.retain(|name| name.strip_prefix(&prefix).is_some_and(|serial| serial.parse::<u32>().is_ok()));
        names.sort();
        Ok(names)
    }

    /// The standbys: every pod of the cluster that is not the primary.
    ///
    /// # Errors
    /// Of the API.
    pub async fn standbys(&self) -> anyhow::Result<Vec<String>> {
        let primary = self.primary().await?;
        Ok(self.members().await?.into_iter().filter(|name| *name != primary).collect())
    }

    /// What tells one run of a pod's container from the next: the pod's UID and its restarts.
    ///
    /// # Errors
    /// Of the API, or while there is no such pod.
    pub async fn run_of(&self, pod: &str) -> anyhow::Result<String> {
        let found = self.pods().get(pod).await.context("failed to read the pod")?;
        let status = found.status.as_ref().and_then(|status| status.container_statuses.as_ref()?.first());
        let restarts = status.map_or(0, |container| container.restart_count);
        Ok(format!("{}/{restarts}", found.metadata.uid.unwrap_or_default()))
    }

    /// Whether the cluster lacks nothing, by its own word and by what its instances say; answers the primary.
    ///
    /// # Errors
    /// What it lacks.
    pub async fn look(&self) -> anyhow::Result<String> {
        let cluster = self.cluster().await?;
        let wanted = cluster.pointer("/spec/instances").and_then(Value::as_u64).unwrap_or(1);
        let ready = cluster.pointer("/status/readyInstances").and_then(Value::as_u64).unwrap_or(0);
        let phase = text(&cluster, "/status/phase");
        let (primary, target) = (text(&cluster, "/status/currentPrimary"), text(&cluster, "/status/targetPrimary"));
        ensure!(
            phase == HEALTHY && ready == wanted && primary == target,
            "{ready} of {wanted} ready, primary {primary}, target {target}, phase {phase:?}"
        );
        let streaming = self.ask(&primary, STREAMING).await?;
        let standbys = wanted.saturating_sub(1);
        ensure!(streaming == standbys.to_string(), "{streaming} of {standbys} standbys stream from {primary}");
        let system = self.ask(&primary, SYSTEM).await?;
        for standby in self.standbys().await? {
            let other = self.ask(&standby, &format!("{SYSTEM} WHERE pg_is_in_recovery()")).await?;
            ensure!(other == system, "{standby} is of system {other:?}, the primary of {system}");
        }
        Ok(primary)
    }

    /// Waits until the cluster lacks nothing; answers the primary.
    ///
    /// # Errors
    /// [`Timeout`] with what it lacks still.
    pub async fn healthy(&self, within: Duration) -> Result<String, Timeout> {
        let look = async || self.look().await.map_err(|error| format!("{error:#}"));
        wait::until("a healthy cluster", within, look).await
    }

    /// One page of an instance's metrics.
    ///
    /// # Errors
    /// If it does not answer within two seconds.
    pub async fn metrics(&self, pod: &str) -> anyhow::Result<String> {
        let address = self.handle.forward(&self.place.namespace, &format!("pod/{pod}"), METRICS).await?;
        let asked = async {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: metrics\r\nConnection: close\r\n\r\n").await?;
            let mut page = String::new();
            stream.read_to_string(&mut page).await?;
            Ok::<_, std::io::Error>(page)
        };
        let page = timeout(Duration::from_secs(2), asked).await.context("no metrics within 2 s")??;
        match page.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200") || head.starts_with("HTTP/1.0 200") => {
                Ok(body.to_owned())
            }
            _ => bail!("failed to read the metrics of {pod}"),
        }
    }
}

/// A text field, empty if it is not there.
#[must_use]
pub fn text(object: &Value, path: &str) -> String {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}
