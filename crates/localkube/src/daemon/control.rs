//! The control socket: one JSON line asks, one JSON line answers.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::DaemonError;
use super::events::EventLog;
use crate::api::Store;
use crate::api::object::text;
use crate::fault::{ApiFault, Controllers, FaultRequest, Faults};
use crate::net::address::{API_PORT, GATEWAY, S3_PORT};
use crate::net::forward::Forwards;
use crate::node::{RunningPod, RunningPods};
use crate::s3::S3Fault;

/// What can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// [`Status`].
    Status,
    /// An address of the host that leads to a service's port, or to a pod's (`pod/NAME`).
    Forward {
        /// Namespace.
        namespace: String,
        /// Service, or `pod/NAME`.
        name: String,
        /// Its port.
        port: u16,
    },
    /// Puts a fault on.
    Fault {
        /// Which.
        request: FaultRequest,
    },
    /// PID 1 of a container, on the host.
    Process {
        /// Namespace.
        namespace: String,
        /// Pod.
        pod: String,
        /// Container.
        container: String,
    },
    /// Applies manifests; answers what was done.
    Apply {
        /// Absolute paths.
        files: Vec<PathBuf>,
    },
    /// Faults that last.
    Faults,
    /// Ends the environment; the answer comes before the end.
    Down {
        /// Pods are killed instead of being given their time to end.
        at_once: bool,
    },
}

/// What is up.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Its name.
    pub name: String,
    /// For kubectl on the host.
    pub kubeconfig: PathBuf,
    /// The API server, on the host.
    pub api: SocketAddr,
    /// S3, on the host.
    pub s3: SocketAddr,
    /// S3 as pods see it.
    pub s3_inner: String,
    /// Pods with a sandbox: `NAMESPACE/NAME` and address.
    pub pods: Vec<(String, String)>,
    /// The controller runs.
    pub controller: bool,
    /// Faults that last.
    pub faults: Vec<String>,
    /// What was made for the manifests.
    pub made: Vec<String>,
}

/// Applies manifests; answers what was done.
pub(super) type Apply = Box<dyn Fn(&[PathBuf]) -> Result<Vec<String>, DaemonError> + Send + Sync>;

/// What the socket answers from.
pub(super) struct Control {
    pub name: String,
    pub kubeconfig: PathBuf,
    pub store: Store,
    pub forwards: Forwards,
    pub pods: RunningPods,
    pub faults: Faults,
    pub controllers: Controllers,
    pub events: EventLog,
    pub made: Vec<String>,
    pub apply: Apply,
    pub stop: CancellationToken,
    /// Whether pods are to be killed then.
    pub at_once: CancellationToken,
}

impl Control {
    /// Serves the socket until `stop`.
    pub async fn run(self: Arc<Self>, listener: UnixListener) {
        let mut live = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                    live.spawn(Arc::clone(&self).one(stream));
                },
                Some(_) = live.join_next() => {}
                () = self.stop.cancelled() => break,
            }
        }
        // The answer to `Down` is still to be written.
        while live.join_next().await.is_some() {}
    }

    async fn one(self: Arc<Self>, stream: UnixStream) {
        let (read, mut write) = stream.into_split();
        let Ok(Some(line)) = BufReader::new(read).lines().next_line().await else { return };
        let answer = match serde_json::from_str::<Request>(&line) {
            Ok(request) => self.answer(request).await,
            Err(error) => Err(error.to_string()),
        };
        let answer = match answer {
            Ok(value) => json!({ "ok": value }),
            Err(error) => json!({ "error": error }),
        };
        // Whoever asked may have gone.
        let _told = write.write_all(format!("{answer}\n").as_bytes()).await;
    }

    async fn answer(&self, request: Request) -> Result<Value, String> {
        let text = |error: &dyn std::error::Error| pgherd_telemetry::chain(error);
        match request {
            Request::Status => serde_json::to_value(self.status().await?).map_err(|error| error.to_string()),
            Request::Forward { namespace, name, port } => {
                let target = self.target(&namespace, &name, port)?;
                let address = self.forwards.to(target).await.map_err(|error| text(&error))?;
                Ok(json!(address))
            }
            Request::Fault { request } => {
                let done = self.faults.apply(&request).await.map_err(|error| text(&error))?;
                let what = match request {
                    FaultRequest::Heal | FaultRequest::HealOne { .. } | FaultRequest::HealPod { .. } => "healed",
                    FaultRequest::Resume { .. } | FaultRequest::S3 { what: S3Fault::None } => "healed",
                    FaultRequest::Api { what: ApiFault::None } => "healed",
                    _ => "put",
                };
                self.events.note("fault", what, "", &done.text);
                tracing::info!(fault = ?request, done = done.text, "a fault was put on");
                Ok(json!(done))
            }
            Request::Process { namespace, pod, container } => {
                let found =
                    self.pods.find(&namespace, &pod).ok_or_else(|| format!("pod {namespace}/{pod} does not run"))?;
                let container =
                    found.containers.get(&container).ok_or_else(|| format!("container {container} does not run"))?;
                Ok(json!(container.process))
            }
            Request::Apply { files } => (self.apply)(&files).map(|done| json!(done)).map_err(|error| text(&error)),
            Request::Faults => Ok(json!(self.faults.lasting())),
            Request::Down { at_once } => {
                if at_once {
                    self.at_once.cancel();
                }
                self.stop.cancel();
                Ok(Value::Null)
            }
        }
    }

    fn target(&self, namespace: &str, name: &str, port: u16) -> Result<SocketAddr, String> {
        if let Some(pod) = name.strip_prefix("pod/") {
            let found = self.pods.find(namespace, pod).and_then(|pod| pod.address);
            return found.map(|ip| (ip, port).into()).ok_or_else(|| format!("pod {namespace}/{pod} has no address"));
        }
        let service = self.store.get("services", namespace, name).map_err(|error| error.to_string())?;
        let address = text(&service, "/spec/clusterIP");
        let address: std::net::Ipv4Addr =
            address.parse().map_err(|_| format!("service {namespace}/{name} has no cluster IP"))?;
        Ok((address, port).into())
    }

    async fn status(&self) -> Result<Status, String> {
        let forward =
            async |port: u16| self.forwards.to((GATEWAY, port).into()).await.map_err(|error| error.to_string());
        let pod = |pod: RunningPod| {
            let address = pod.address.map(|address| address.to_string()).unwrap_or_default();
            (format!("{}/{}", pod.namespace, pod.name), address)
        };
        Ok(Status {
            name: self.name.clone(),
            kubeconfig: self.kubeconfig.clone(),
            api: forward(API_PORT).await?,
            s3: forward(S3_PORT).await?,
            s3_inner: format!("http://{GATEWAY}:{S3_PORT}"),
            pods: self.pods.all().into_iter().map(pod).collect(),
            controller: self.controllers.first.borrow().is_some(),
            faults: self.faults.lasting().into_iter().map(|fault| format!("{}: {}", fault.id, fault.what)).collect(),
            made: self.made.clone(),
        })
    }
}

/// Listens on a socket that only root can use.
pub(super) fn listen(path: &Path) -> Result<UnixListener, DaemonError> {
    use std::os::unix::fs::PermissionsExt;
    let _stale = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).map_err(DaemonError::file(path))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(DaemonError::file(path))?;
    Ok(listener)
}
