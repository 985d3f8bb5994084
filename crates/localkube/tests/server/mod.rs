//! A running API server for tests: TLS on an ephemeral port, a kubeconfig, and kubectl.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's own scaffolding

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use pgherd_localkube::api::{ApiConfig, ApiServer, ClusterIps, Credentials, FaultSwitch, Identity, load_or_create};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A definition with what the project's own have: status, scale, columns, defaults, validation.
pub const THINGS: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.a.io}
spec:
  group: a.io
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing, shortNames: [tng]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Note, type: string, jsonPath: .spec.note}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1, default: 1, description: how large it is}
              note: {type: string}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
"#;

/// How long anything may take; a test that waits longer fails.
const DEADLINE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Ips(AtomicU8);

impl ClusterIps for Ips {
    fn allocate(&self, _: &str, _: &str, wanted: Option<&str>) -> Result<String, String> {
        let next = self.0.fetch_add(1, Ordering::Relaxed);
        Ok(wanted.map_or_else(|| format!("10.9.0.{next}"), str::to_owned))
    }

    fn release(&self, _: &str) {}
}

pub struct Running {
    directory: tempfile::TempDir,
    api: ApiServer,
    port: u16,
    credentials: Credentials,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    pub async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), 0).await
    }

    async fn start_in(directory: tempfile::TempDir, port: u16) -> Self {
        let addresses = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
        let credentials = load_or_create(&directory.path().join("pki"), &["localhost".into()], &addresses).unwrap();
        let api = ApiServer::new(ApiConfig {
            state_dir: directory.path().join("state"),
            tokens: BTreeMap::from([("secret".to_owned(), Identity::admin("tester"))]),
            rbac: false,
            cluster_ips: Arc::new(Ips::default()),
            pod_logs: None,
            root_ca: credentials.ca.clone(),
            faults: FaultSwitch::default(),
        })
        .unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (server, tls, token) = (api.clone(), Arc::clone(&credentials.server), stop.clone());
        tasks.spawn(async move { server.serve(listener, Some(tls), token).await });
        let (server, token) = (api.clone(), stop.clone());
        tasks.spawn(async move { server.run_housekeeping(token).await });
        let running = Self { directory, api, port, credentials, stop, tasks };
        running.write_kubeconfig();
        running
    }

    /// Stops the server and starts another one on the same state and port.
    pub async fn restart(mut self) -> Self {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        drop(self.api);
        Self::start_in(self.directory, self.port).await
    }

    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }

    pub fn faults(&self) -> FaultSwitch {
        self.api.faults()
    }

    fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    fn write_kubeconfig(&self) {
        let write = |name: &str, text: &str| {
            let path = self.directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let ca = write("ca.crt", &self.credentials.ca);
        let certificate = write("admin.crt", &self.credentials.admin_certificate);
        let key = write("admin.key", &self.credentials.admin_key);
        let config = serde_json::json!({"apiVersion": "v1", "kind": "Config", "current-context": "t",
            "clusters": [{"name": "t", "cluster": {"server": format!("https://127.0.0.1:{}", self.port),
                "certificate-authority": ca}}],
            "users": [{"name": "t", "user": {"client-certificate": certificate, "client-key": key}}],
            "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t", "namespace": "default"}}]});
        write("kubeconfig", &config.to_string());
    }

    pub async fn client(&self) -> kube::Client {
        let kubeconfig = kube::config::Kubeconfig::read_from(self.kubeconfig()).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        kube::Client::try_from(config).unwrap()
    }

    pub fn client_with_token(&self, token: &str) -> kube::Client {
        use rustls_pki_types::pem::PemObject as _;
        let ca = rustls_pki_types::CertificateDer::from_pem_slice(self.credentials.ca.as_bytes()).unwrap();
        let mut config = kube::Config::new(format!("https://127.0.0.1:{}", self.port).parse().unwrap());
        config.root_cert = Some(vec![ca.to_vec()]);
        config.auth_info.token = Some(token.to_owned().into());
        kube::Client::try_from(config).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(kubectl_path());
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.directory.path())
            .env("KUBECONFIG", self.kubeconfig())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str], input: &str) -> std::process::Output {
        let mut child = self.command(arguments).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        timeout(DEADLINE, child.wait_with_output()).await.expect("kubectl hangs").unwrap()
    }

    /// Runs kubectl, which must succeed; answers its standard output.
    pub async fn kubectl(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {errors}");
        assert!(!errors.contains("rror"), "kubectl {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs kubectl, which must fail; answers its standard error.
    pub async fn refused(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input).await;
        assert!(!output.status.success(), "kubectl {arguments:?} should have failed");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Runs a script with kubectl and `root` as its arguments; answers its standard output.
    pub async fn script(&self, script: &Path, root: &Path) -> String {
        let mut command = Command::new(script);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.arg(kubectl_path()).arg(root).env_clear().env("PATH", path).stdin(Stdio::null()).kill_on_drop(true);
        command.env("HOME", self.directory.path()).env("KUBECONFIG", self.kubeconfig());
        let output = timeout(5 * DEADLINE, command.output()).await.expect("the script hangs").unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// Reads lines of a running kubectl until one contains the text.
    pub async fn until_line(&self, child: &mut Child, text: &str) {
        let stdout = child.stdout.as_mut().unwrap();
        let reading = async {
            let mut lines = BufReader::with_capacity(1, stdout).lines();
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains(text) {
                    return;
                }
            }
            panic!("kubectl ended without {text}");
        };
        timeout(DEADLINE, reading).await.unwrap_or_else(|_| panic!("kubectl never said {text}"));
    }

    /// Waits until a condition holds.
    pub async fn until(&self, condition: impl Fn() -> bool) {
        self.until_async(async || condition()).await;
    }

    pub async fn until_async(&self, condition: impl AsyncFn() -> bool) {
        let polling = async {
            while !condition().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(DEADLINE, polling).await.expect("the condition never held");
    }
}

/// kubectl 1.35, fetched once by the project's own script.
fn kubectl_path() -> &'static Path {
    static PATH: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    PATH.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tools/kubectl.sh");
        let output = std::process::Command::new(script).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}
