//! The environment that the demo runs in: starting it, and looking at it from the host as any client would.

use anyhow::{Context as _, bail};
use core::time::Duration;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind};
use kube::config::{KubeConfigOptions, Kubeconfig};
use pgherd_localkube::daemon::{self, Handle, UpOptions};
use pgherd_localkube::fault::{FaultRequest, Target};
use pgherd_objectstore::{Location, S3Config, S3Credentials, S3Store, list_all};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_postgres::Config;

/// CNPG's port for metrics.
const METRICS: u16 = 9187;
/// CNPG's port for postgres.
const POSTGRES: u16 = 5432;

/// Where the cluster of the manifest is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub cluster: String,
}

/// An environment that is up.
pub struct Bed {
    handle: Handle,
    client: kube::Client,
    place: Place,
}

impl Bed {
    /// Starts one from nothing: what an earlier run left under that name is removed first.
    ///
    /// # Errors
    /// If the machine lacks something, or a manifest is refused.
    pub async fn up(options: UpOptions, place: Place) -> anyhow::Result<Self> {
        if let Ok(old) = daemon::find(&options.state_dir) {
            old.down(true).await.context("failed to end the environment of an earlier run")?;
        } else if options.state_dir.exists() {
            daemon::sweep(&options.state_dir).await.context("failed to sweep what an earlier run left")?;
            std::fs::remove_dir_all(&options.state_dir).context("failed to remove what an earlier run left")?;
        }
        let handle = daemon::up(options).await.context("failed to start the local environment")?;
        let file = Kubeconfig::read_from(handle.api_kubeconfig()).context("failed to read the kubeconfig")?;
        let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        Ok(Self { client: kube::Client::try_from(config)?, handle, place })
    }

    /// What was made that the manifests take for granted.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub async fn made(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.handle.status().await?.made)
    }

    /// For people who go on with kubectl.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.handle.api_kubeconfig()
    }

    /// The Cluster, as JSON.
    ///
    /// # Errors
    /// Of the API.
    pub async fn cluster(&self) -> anyhow::Result<Value> {
        self.object("postgresql.cnpg.io", "Cluster", &self.place.cluster.clone()).await
    }

    async fn object(&self, group: &str, kind: &str, name: &str) -> anyhow::Result<Value> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.place.namespace, &resource);
        let found = api.get(name).await.with_context(|| format!("failed to read {kind} {name}"))?;
        Ok(serde_json::to_value(found)?)
    }

    async fn secret(&self, name: &str, key: &str) -> anyhow::Result<String> {
        let api: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(self.client.clone(), &self.place.namespace);
        let secret = api.get(name).await.with_context(|| format!("failed to read Secret {name}"))?;
        let data = secret.data.unwrap_or_default();
        let value = data.get(key).with_context(|| format!("failed to find {key} in Secret {name}"))?;
        Ok(String::from_utf8(value.0.clone())?)
    }

    /// How the application connects to `target`: a service's name, or `pod/NAME`.
    ///
    /// # Errors
    /// If it does not exist, or the application's Secret is missing.
    pub async fn application(&self, target: &str) -> anyhow::Result<Config> {
        let secret = format!("{}-app", self.place.cluster);
        let address = self.handle.forward(&self.place.namespace, target, POSTGRES).await?;
        let mut config = Config::new();
        config
            .host(address.ip().to_string())
            .port(address.port())
            .user(self.secret(&secret, "username").await?)
            .password(self.secret(&secret, "password").await?)
            .dbname(self.secret(&secret, "dbname").await?)
            .application_name("pgherd-demo")
            .connect_timeout(Duration::from_secs(2));
        Ok(config)
    }

    /// The same as a connection string, for another program's environment.
    ///
    /// # Errors
    /// As [`Bed::application`].
    pub async fn application_dsn(&self, target: &str) -> anyhow::Result<String> {
        let secret = format!("{}-app", self.place.cluster);
        let address = self.handle.forward(&self.place.namespace, target, POSTGRES).await?;
        let quoted = |text: String| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        Ok(format!(
            "host={} port={} user={} password={} dbname={}",
            address.ip(),
            address.port(),
            quoted(self.secret(&secret, "username").await?),
            quoted(self.secret(&secret, "password").await?),
            quoted(self.secret(&secret, "dbname").await?),
        ))
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
            let mut text = String::new();
            stream.read_to_string(&mut text).await?;
            Ok::<_, std::io::Error>(text)
        };
        let text = timeout(Duration::from_secs(2), asked).await.context("no metrics within 2 s")??;
        match text.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200") || head.starts_with("HTTP/1.0 200") => {
                Ok(body.to_owned())
            }
            _ => bail!("failed to read the metrics of {pod}"),
        }
    }

    /// Kills the postmaster of a pod with SIGKILL.
    ///
    /// # Errors
    /// If there is none.
    pub async fn kill_postmaster(&self, pod: &str) -> anyhow::Result<String> {
        self.kill(Target::Postmaster, pod).await
    }

    /// SIGKILL to a process of a pod.
    ///
    /// # Errors
    /// If there is none.
    pub async fn kill(&self, target: Target, pod: &str) -> anyhow::Result<String> {
        let pod = format!("{}/{pod}", self.place.namespace);
        Ok(self.handle.fault(FaultRequest::Kill { target, pod }).await?)
    }

    /// Deletes a pod, with its grace period.
    ///
    /// # Errors
    /// Of the API.
    pub async fn delete_pod(&self, pod: &str) -> anyhow::Result<()> {
        self.pods().delete(pod, &DeleteParams::default()).await.context("failed to delete the pod")?;
        Ok(())
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

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.place.namespace)
    }

    /// The WAL segments that the archive has, by the names in S3.
    ///
    /// # Errors
    /// Of S3, or if the Cluster has no archive.
    pub async fn archived_segments(&self) -> anyhow::Result<Vec<String>> {
        let cluster = self.cluster().await?;
        let store =
            cluster.pointer("/spec/backup/barmanObjectStore").context("the Cluster has no barmanObjectStore")?;
        let text = |path: &str| {
            let found = store.pointer(path).and_then(Value::as_str);
            found.with_context(|| format!("failed to find barmanObjectStore{path}"))
        };
        let location = Location::parse(text("/destinationPath")?, &self.place.cluster)?;
        let key = async |which: &str| {
            let name = text(&format!("/s3Credentials/{which}/name"))?;
            self.secret(name, text(&format!("/s3Credentials/{which}/key"))?).await
        };
        let config = S3Config {
            endpoint_url: Some(format!("http://{}", self.handle.status().await?.s3)),
            region: Some("us-east-1".to_owned()),
            credentials: S3Credentials::Given {
                access_key_id: key("accessKeyId").await?,
                secret_access_key: key("secretAccessKey").await?,
                session_token: None,
            },
            ..S3Config::new(&location.bucket)
        };
        let objects = list_all(&S3Store::new(config), &location.key("wals/")).await?;
        Ok(objects.iter().filter_map(|object| segment_name(&object.key)).collect())
    }

    /// Copies the logs of the environment to where they outlive it.
    pub fn keep_logs(&self, to: &Path) {
        let _ = std::fs::create_dir_all(to);
        copy_logs(self.handle.state_dir(), self.handle.state_dir(), to, 0);
    }

    /// Ends it and removes its data.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub async fn down(self) -> anyhow::Result<()> {
        Ok(self.handle.down(true).await?)
    }
}

/// The segment's name in an archive key, if it is one's: `.../000000010000000000000001.gz`.
fn segment_name(key: &str) -> Option<String> {
    let name = key.rsplit('/').next()?;
    let stem = name.split('.').next()?;
    let suffix = name.strip_prefix(stem)?;
    let whole = stem.len() == 24 && stem.bytes().all(|digit| digit.is_ascii_hexdigit());
    (whole && matches!(suffix, "" | ".gz" | ".bz2" | ".zst" | ".lz4" | ".snappy" | ".xz")).then(|| stem.to_owned())
}

fn copy_logs(root: &Path, directory: &Path, to: &Path, depth: u32) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < 6 {
            copy_logs(root, &path, to, depth + 1);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "log") {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('/', "_");
            let _ = std::fs::copy(&path, to.join(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::segment_name;

    #[test]
    fn only_whole_segments_count_as_archived() {
        let name = "000000010000000000000001";
        assert_eq!(segment_name(&format!("db/c/wals/0000000100000000/{name}.gz")).as_deref(), Some(name));
        assert_eq!(segment_name(&format!("db/c/wals/0000000100000000/{name}")).as_deref(), Some(name));
        for other in
            ["00000002.history.gz", "000000010000000000000001.00000028.backup.gz", "000000010000000000000001.partial"]
        {
            assert_eq!(segment_name(&format!("db/c/wals/{other}")), None, "{other}");
        }
    }
}
