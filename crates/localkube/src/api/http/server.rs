//! The server: what it is given, and how it is run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::super::builtin::ClusterIps;
use super::super::error::ApiError;
use super::super::fault::FaultSwitch;
use super::super::store::{JournalError, Store};
use super::super::token::{Identity, TokenKey};
use super::listener;

/// The bytes of a container's log, as they come.
pub type LogStream = BoxStream<'static, Bytes>;

/// What `kubectl logs` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Container; empty means the only or first one.
    pub container: String,
    /// Keep the stream open for what comes.
    pub follow: bool,
    /// The instance before the last restart.
    pub previous: bool,
    /// Only so many lines from the end.
    pub tail_lines: Option<u64>,
    /// Only what was written in the last so many seconds.
    pub since_seconds: Option<u64>,
    /// Each line begins with its time.
    pub timestamps: bool,
}

/// Logs of pods: the node knows them.
pub trait PodLogs: Send + Sync {
    /// The log of one container of a pod that exists in the store.
    fn logs(
        &self,
        namespace: String,
        pod: String,
        options: LogOptions,
    ) -> BoxFuture<'static, Result<LogStream, ApiError>>;
}

/// What the server needs from its caller.
pub struct ApiConfig {
    /// Journal and token key live here. Created if absent.
    pub state_dir: PathBuf,
    /// Static bearer tokens and who they are.
    pub tokens: BTreeMap<String, Identity>,
    /// Whether RBAC is enforced; without, everything is allowed to whoever is known.
    pub rbac: bool,
    /// Cluster IPs of Services.
    pub cluster_ips: Arc<dyn ClusterIps>,
    /// Logs of pods; without it `/log` answers 404.
    pub pod_logs: Option<Arc<dyn PodLogs>>,
    /// The certificate (PEM) that pods verify this server by: published as ConfigMap `kube-root-ca.crt`.
    pub root_ca: String,
    /// Faults that a test bed injects.
    pub faults: FaultSwitch,
}

/// The server could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Not retried: the state directory is not usable.
    #[error("failed to open the store")]
    Store(#[from] JournalError),
    /// Not retried: the state directory is not usable.
    #[error("failed to read or write the token key in {path}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// May be retried.
    #[error("failed to store what every cluster has")]
    Furnish(#[from] ApiError),
}

/// A small Kubernetes API server. Clones share everything.
#[derive(Clone)]
pub struct ApiServer {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub store: Store,
    pub tokens: BTreeMap<String, Identity>,
    pub rbac: bool,
    pub key: TokenKey,
    pub pod_logs: Option<Arc<dyn PodLogs>>,
    pub faults: FaultSwitch,
}

impl ApiServer {
    /// Opens the store and makes the namespaces `default` and `kube-system` if they are absent. Reads and writes files:
    /// call it before the runtime is busy.
    ///
    /// # Errors
    /// If the state directory cannot be used.
    pub fn new(config: ApiConfig) -> Result<Self, ServerError> {
        let store = Store::open(&config.state_dir, config.cluster_ips)?;
        let path = config.state_dir.join("token.key");
        let key = token_key(&path).map_err(|source| ServerError::Key { path, source })?;
        store.publish_root_ca(&config.root_ca)?;
        for name in ["default", "kube-system"] {
            match store.create("namespaces", "", json!({"metadata": {"name": name}})) {
                Err(error) if error.reason != "AlreadyExists" => return Err(error.into()),
                _ => {}
            }
        }
        let (tokens, rbac, pod_logs, faults) = (config.tokens, config.rbac, config.pod_logs, config.faults);
        Ok(Self { inner: Arc::new(Inner { store, tokens, rbac, key, pod_logs, faults }) })
    }

    /// The in-process client.
    pub fn store(&self) -> Store {
        self.inner.store.clone()
    }

    /// The switch for faults.
    pub fn faults(&self) -> FaultSwitch {
        self.inner.faults.clone()
    }

    /// Accepts connections on a listener until `stop`, then closes them. Several listeners may be served at once, each
    /// with or without TLS. Run it as a task; it owns the tasks of its connections.
    pub async fn serve(&self, listener: TcpListener, tls: Option<Arc<rustls::ServerConfig>>, stop: CancellationToken) {
        listener::run(self.clone(), listener, tls, stop).await;
    }

    /// Forces the journal to the disk ten times a second, settles deletions and removes old events, until `stop`.
    /// Run exactly one of these per server.
    pub async fn run_housekeeping(&self, stop: CancellationToken) {
        let mut ticks: u64 = 0;
        let mut interval = tokio::time::interval(Duration::from_millis(100));
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let last = tokio::select! {
                _ = interval.tick() => false,
                () = stop.cancelled() => true,
            };
            ticks = ticks.wrapping_add(1);
            let store = self.store();
            let work = tokio::task::spawn_blocking(move || {
                if ticks.is_multiple_of(50) {
                    store.settle_all();
                    store.expire_events(jiff::Timestamp::now());
                }
                store.sync()
            });
            match work.await {
                Ok(Err(error)) => tracing::error!(%error, "the journal of the local API cannot be forced to disk"),
                Err(error) => tracing::error!(%error, "housekeeping of the local API failed"),
                Ok(Ok(())) => {}
            }
            if last {
                return;
            }
        }
    }
}

/// The key that signs service-account tokens, made on first use.
fn token_key(path: &std::path::Path) -> std::io::Result<TokenKey> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    match std::fs::read(path) {
        Ok(bytes) if bytes.len() >= 32 => return Ok(TokenKey::new(bytes)),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let secret: [u8; 32] = rand::random();
    let fresh = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    Ok(TokenKey::new(secret.to_vec()))
}
