//! The small API server in this process, the controller's program against it, and stand-ins for the managers.
#![allow(dead_code, reason = "each test program uses a part of it")]

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, Client, Config, ResourceExt};
use pgherd_core::identity::PodUid;
use pgherd_core::lease::{Holder, HolderState, LeaseRecord, Term};
use pgherd_core::timeline::TimelineId;
use pgherd_localkube::api::{ApiConfig, ApiServer, ClusterIps, FaultSwitch, Identity};
use std::collections::BTreeMap;
use std::future::Future;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The example's cluster.
pub const NS: &str = "phoenix-guardian";
pub const NAME: &str = "phoenix-guardian-db";
/// Where the chart puts the controller.
pub const RELEASE_NS: &str = "pgherd-system";
/// What the controller is told; no default of any program.
pub const MANAGER_IMAGE: &str = "registry.example/pgherd:of-the-test";
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Ips(AtomicU8);

impl ClusterIps for Ips {
    fn allocate(&self, _: &str, _: &str, wanted: Option<&str>) -> Result<String, String> {
        let next = self.0.fetch_add(1, Ordering::Relaxed);
        Ok(wanted.map_or_else(|| format!("10.9.0.{next}"), str::to_owned))
    }

    fn release(&self, _: &str) {}
}

/// The lease as the first primary has it, whose manager's nonce is `n1`.
pub fn opened_by(first: &Pod) -> LeaseRecord {
    let (name, pod_uid) = (first.name_any(), PodUid(first.uid().unwrap()));
    LeaseRecord {
        holder: Some(Holder { name, pod_uid, nonce: "n1".into(), address: "127.0.0.1".into() }),
        attempt: "a1".into(),
        state: HolderState::Open,
        term: Term(1),
        timeline: TimelineId(1),
        ..LeaseRecord::default()
    }
}

/// Objects of the cluster's namespace.
pub fn api<K>(client: &Client) -> Api<K>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(client.clone(), NS)
}

pub struct Rig {
    pub client: Client,
    controller: Child,
    arguments: Vec<String>,
    kubeconfig: std::path::PathBuf,
    url: String,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    _directory: tempfile::TempDir,
}

impl Rig {
    pub async fn start(status_port: u16) -> Self {
        Self::start_with(&["--status-port", &status_port.to_string()]).await
    }

    /// The controller has the rights that the chart gives it, and no others.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = ApiConfig {
            state_dir: directory.path().join("api"),
            tokens: BTreeMap::from([
                ("t".to_owned(), Identity::admin("test")),
                ("c".to_owned(), Identity::service_account(RELEASE_NS, "pgherd")),
            ]),
            rbac: true,
            cluster_ips: Arc::new(Ips::default()),
            pod_logs: None,
            root_ca: String::new(),
            faults: FaultSwitch::default(),
        };
        let api = tokio::task::spawn_blocking(|| ApiServer::new(config)).await.unwrap().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let (served, kept, until, end) = (api.clone(), api, stop.clone(), stop.clone());
        tasks.spawn(async move { served.serve(listener, None, until).await });
        tasks.spawn(async move { kept.run_housekeeping(end).await });
        let kubeconfig = directory.path().join("kubeconfig");
        let text = |token: &str| {
            format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: '{url}'}}}}]\n\
             users: [{{name: u, user: {{token: {token}}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
            )
        };
        tokio::fs::write(&kubeconfig, text("c")).await.unwrap();
        let read = kube::config::Kubeconfig::from_yaml(&text("t")).unwrap();
        let config = Config::from_custom_kubeconfig(read, &kube::config::KubeConfigOptions::default()).await.unwrap();
        let client = Client::try_from(config).unwrap();
        let definitions = Api::<CustomResourceDefinition>::all(client.clone());
        for definition in pgherd_proto::definitions::definitions() {
            definitions.create(&PostParams::default(), &definition).await.unwrap();
        }
        install_rights(&client).await;
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        let controller = run_controller("first", &arguments, &kubeconfig);
        Self { client, controller, arguments, kubeconfig, url, stop, tasks, _directory: directory }
    }

    /// The controller ends, `meanwhile` happens, and another one begins, which remembers nothing.
    pub async fn between_two_controllers(&mut self, meanwhile: impl AsyncFnOnce()) {
        self.controller.kill().await.unwrap();
        meanwhile().await;
        self.controller = run_controller("first", &self.arguments, &self.kubeconfig);
    }

    /// Somebody with this token.
    pub fn client_of(&self, token: &str) -> Client {
        let mut config = Config::new(self.url.parse().unwrap());
        config.auth_info.token = Some(token.to_owned().into());
        Client::try_from(config).unwrap()
    }

    /// One more of them, in a pod of that name.
    pub fn another(&self, pod: &str) -> Child {
        run_controller(pod, &self.arguments, &self.kubeconfig)
    }

    /// The first one is told to end.
    pub async fn end_first(&mut self) {
        let pid = i32::try_from(self.controller.id().unwrap()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(self.controller.wait().await.unwrap().success());
    }

    /// What `controller plan` prints in a shell that knows where the API server is, and nothing else.
    pub async fn plan(&self, cluster: &str, namespace: &str, more: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_controller"))
            .args(["plan", "--dry-run", cluster, "-n", namespace])
            .args(more)
            .env_remove("OPERATOR_IMAGE_NAME")
            .env("KUBECONFIG", &self.kubeconfig)
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub async fn end(mut self) {
        self.controller.kill().await.ok();
        self.stop.cancel();
        self.tasks.shutdown().await;
    }
}

/// What of the chart says what the controller may do.
async fn install_rights(client: &Client) {
    let chart = include_str!("../../../charts/pgherd.yaml");
    for document in serde_yaml_ng::Deserializer::from_str(chart) {
        let object: serde_json::Value = serde::Deserialize::deserialize(document).unwrap();
        let kind = object["kind"].as_str().unwrap_or_default();
        if !(kind.contains("Role") || kind == "ValidatingWebhookConfiguration" || kind == "Namespace") {
            continue;
        }
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let types = object.types.clone().unwrap();
        let (group, version) = types.api_version.split_once('/').unwrap_or(("", &types.api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &types.kind));
        let api = match &object.metadata.namespace {
            Some(namespace) => Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        api.create(&PostParams::default(), &object).await.unwrap();
    }
}

fn run_controller(pod: &str, arguments: &[String], kubeconfig: &std::path::Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_controller"))
        .args(["run", "--manager-image", MANAGER_IMAGE, "--operator-namespace", RELEASE_NS])
        .args(arguments)
        .env("POD_NAME", pod)
        .env_remove("OPERATOR_IMAGE_NAME")
        .env("KUBECONFIG", kubeconfig)
        .stdout(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Waits until `probe` finds something, and says how long that took.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> (T, Duration) {
    let start = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return (found, start.elapsed());
        }
        assert!(start.elapsed() < DEADLINE, "gave up waiting for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
