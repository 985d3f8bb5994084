//! Install, upgrade, rollback, uninstall and install again, by the real Helm; what is somebody's data stays.
//!
//! Against the small API server of this repository, or, with `CHART_KUBECONFIG`, against any other one. There the test
//! makes the namespaces `pgherd-system` and `chart-test`, and takes away what it made.

use crate::helm::{HELM, KUBECTL, chart, good, root};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgherd_localkube::api::{ApiConfig, ApiServer, ClusterIps, FaultSwitch, Identity};
use pgherd_pki::{Authority, ClientIdentity, Usage, server_config};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const DEADLINE: Duration = Duration::from_secs(30);
const CRD: &str = "crd/clusters.postgresql.cnpg.io";
const WEBHOOK: &str = "validatingwebhookconfiguration/pgherd-system-pgherd";

struct OneIp;

impl ClusterIps for OneIp {
    fn allocate(&self, _: &str, _: &str, wanted: Option<&str>) -> Result<String, String> {
        Ok(wanted.unwrap_or("10.9.0.1").to_owned())
    }

    fn release(&self, _: &str) {}
}

/// An API server, and the way to it.
struct Server {
    directory: tempfile::TempDir,
    kubeconfig: PathBuf,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Server {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        if let Some(given) = std::env::var_os("CHART_KUBECONFIG") {
            return Self { directory, kubeconfig: PathBuf::from(given), stop, tasks };
        }
        let config = ApiConfig {
            state_dir: directory.path().join("api"),
            tokens: BTreeMap::from([("t".to_owned(), Identity::admin("test"))]),
            rbac: false,
            cluster_ips: Arc::new(OneIp),
            pod_logs: None,
            root_ca: String::new(),
            faults: FaultSwitch::default(),
        };
        let api = tokio::task::spawn_blocking(|| ApiServer::new(config)).await.unwrap().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        // No client of Go's sends a token without TLS.
        let now = jiff::Timestamp::now();
        let authority = Authority::generate("test", now).unwrap();
        let leaf = authority.sign("api", &Usage::Server { names: vec!["127.0.0.1".to_owned()] }, now).unwrap();
        let identity = ClientIdentity { certificate_pem: &leaf.certificate_pem, key_pem: &leaf.key_pem };
        let tls = Arc::new(server_config(identity, None).unwrap());
        let believed = STANDARD.encode(authority.certificate_pem());
        let (served, kept, until, end) = (api.clone(), api, stop.clone(), stop.clone());
        tasks.spawn(async move { served.serve(listener, Some(tls), until).await });
        tasks.spawn(async move { kept.run_housekeeping(end).await });
        let kubeconfig = directory.path().join("kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: '{url}', \
             certificate-authority-data: {believed}}}}}]\n\
             users: [{{name: u, user: {{token: t}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
        );
        std::fs::write(&kubeconfig, text).unwrap();
        Self { directory, kubeconfig, stop, tasks }
    }

    /// A tool beside the server, which runs in this process's own threads.
    async fn run(&self, tool: &Path, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(tool);
        command.args(arguments).env("KUBECONFIG", &self.kubeconfig).env("HOME", self.directory.path());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    async fn helm(&self, arguments: &[&str]) -> String {
        let all = [arguments, &["--namespace", "pgherd-system"]].concat();
        self.run(&HELM, &all).await.unwrap_or_else(|error| panic!("helm {arguments:?}: {error}"))
    }

    async fn kubectl(&self, arguments: &[&str]) -> String {
        self.run(&KUBECTL, arguments).await.unwrap_or_else(|error| panic!("kubectl {arguments:?}: {error}"))
    }

    /// A field of an object, empty if either is absent.
    async fn field(&self, object: &str, path: &str) -> String {
        let arguments = ["-n", "pgherd-system", "get", object, "-o", &format!("jsonpath={{{path}}}")];
        self.run(&KUBECTL, &arguments).await.unwrap_or_default()
    }

    async fn until_gone(&self, object: &str) {
        let start = Instant::now();
        while !self.field(object, ".metadata.name").await.is_empty() {
            assert!(start.elapsed() < DEADLINE, "{object} is still there");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn cluster(&self) -> String {
        self.kubectl(&["-n", "chart-test", "get", "cluster", "phoenix-guardian-db", "-o", "jsonpath={.metadata.uid}"])
            .await
    }

    async fn end(mut self) {
        self.stop.cancel();
        self.tasks.shutdown().await;
    }
}

/// The chart, as the next release would have it; and without its lower bound, which an old test server is below.
fn next_release(directory: &Path) -> PathBuf {
    let copy = directory.join("next");
    good(Command::new("cp").arg("-r").arg(chart()).arg(&copy));
    let file = copy.join("Chart.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let kept = text.lines().filter(|line| !line.starts_with("kubeVersion:"));
    let next: Vec<_> = kept.map(|line| if line.starts_with("version:") { "version: 99.0.0" } else { line }).collect();
    std::fs::write(&file, next.join("\n")).unwrap();
    copy
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_installs_upgrades_rolls_back_and_uninstalls_and_no_cluster_is_lost() {
    let server = Server::start().await;
    let next = next_release(server.directory.path());
    let (now, next) = (chart().display().to_string(), next.display().to_string());
    // An old server is given the chart without its lower bound from the beginning.
    let first = if std::env::var_os("CHART_KUBECONFIG").is_some() { &next } else { &now };
    server.helm(&["install", "pgherd", first, "--create-namespace"]).await;
    assert_eq!(server.field("deployment/pgherd", ".spec.replicas").await, "2");
    assert_eq!(server.field(CRD, ".metadata.annotations.helm\\.sh/resource-policy").await, "keep");
    server.kubectl(&["create", "namespace", "chart-test"]).await;
    let example = root().join("docs/examples/cluster.yaml").display().to_string();
    let manifest = std::fs::read_to_string(&example).unwrap();
    let moved = server.directory.path().join("cluster.yaml");
    let without: Vec<_> = manifest.lines().filter(|line| !line.trim_start().starts_with("namespace:")).collect();
    std::fs::write(&moved, without.join("\n")).unwrap();
    server.kubectl(&["-n", "chart-test", "apply", "-f", &moved.display().to_string()]).await;
    let uid = server.cluster().await;

    // The controller says whom to believe; no upgrade takes that away. The small server applies without field ownership:
    // there it does, and the controller's next look, within a minute, puts it back.
    let bundle = STANDARD.encode("-----BEGIN CERTIFICATE-----\nA\n");
    let (of_webhook, path) = (".webhooks[0].clientConfig.caBundle", "/webhooks/0/clientConfig/caBundle");
    let given = std::env::var_os("CHART_KUBECONFIG").is_some();
    if given {
        let patch = format!(r#"[{{"op":"add","path":"{path}","value":"{bundle}"}}]"#);
        server.kubectl(&["patch", WEBHOOK, "--type=json", "-p", &patch]).await;
    }
    let believed = server.field(WEBHOOK, of_webhook).await;

    server.helm(&["upgrade", "pgherd", &next, "--set", "replicaCount=3,logLevel=debug"]).await;
    assert_eq!(server.field("deployment/pgherd", ".spec.replicas").await, "3");
    assert_eq!(
        server.field(CRD, ".metadata.labels.helm\\.sh/chart").await,
        "pgherd-99.0.0",
        "definitions are upgraded"
    );
    assert_eq!(server.field(WEBHOOK, of_webhook).await, believed);
    server.helm(&["rollback", "pgherd", "1"]).await;
    assert_eq!(server.field("deployment/pgherd", ".spec.replicas").await, "2");
    assert_eq!(server.field(WEBHOOK, of_webhook).await, believed);
    assert_eq!(server.cluster().await, uid);

    server.helm(&["uninstall", "pgherd"]).await;
    for gone in ["deployment/pgherd", WEBHOOK, "clusterrole/pgherd-system-pgherd", "serviceaccount/pgherd"] {
        server.until_gone(gone).await;
    }
    assert_eq!(server.cluster().await, uid, "the definitions stay, and with them the cluster");
    server.helm(&["install", "pgherd", first]).await;
    assert_eq!(server.cluster().await, uid);

    server.helm(&["uninstall", "pgherd"]).await;
    if given {
        server.kubectl(&["delete", "namespace", "chart-test", "pgherd-system", "--wait=false"]).await;
    }
    server.end().await;
}
