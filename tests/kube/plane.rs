//! A real control plane for a test: etcd, kube-apiserver with RBAC, and of kube-controller-manager what pods, Endpoints and
//! owners need (what else it does is the local node's here: scheduling, volumes, pods). On loopback, on free ports, in a
//! directory of its own, and gone with the test's process however that ends.

use std::fs::OpenOptions;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use pgherd_localkube::net::address::{API_SERVICE, GATEWAY, SERVICE_NETWORK};
use pgherd_localkube::node::spawner::Spawner;
use pgherd_pki::{Authority, Usage};
use pgherd_testkit::wait;
use serde_json::json;
use tokio::process::{Child, Command};

#[path = "plane_store.rs"]
mod store;

/// Of what the controller-manager does; `serviceaccount` makes each namespace's `default`, as pods of others need it.
const CONTROLLERS: &str = "endpoint,garbagecollector,namespace,serviceaccount,root-ca-cert-publisher,pv-protection";
/// Until a program of it answers.
const READY: Duration = Duration::from_secs(60);

pub struct Plane {
    pub directory: PathBuf,
    assets: PathBuf,
    spawner: Spawner,
    ca: String,
    admin: String,
    port: u16,
    services: String,
    /// For clients, and for others of its kind.
    etcd_urls: [String; 2],
    etcd: Child,
    api: Option<Child>,
    manager: Option<Child>,
}

impl Plane {
    pub async fn start(directory: &Path) -> Self {
        Self::start_with(directory, AUDIT, SERVICE_NETWORK).await
    }

    /// One that writes down what this policy of audits says, with room for as many Services as this network has.
    pub async fn start_with(directory: &Path, audit: &str, services: &str) -> Self {
        let _provider = rustls::crypto::ring::default_provider().install_default();
        let _old = std::fs::remove_dir_all(directory);
        std::fs::create_dir_all(directory).unwrap();
        let assets = assets().await;
        let now = jiff::Timestamp::now();
        let authority = Authority::generate("kube", now).unwrap();
        let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(str::to_owned);
        let addresses = [Ipv4Addr::LOCALHOST, GATEWAY, API_SERVICE].map(|address| address.to_string());
        let usage = Usage::Server { names: names.into_iter().chain(addresses).collect() };
        let server = authority.sign("kube-apiserver", &usage, now).unwrap();
        let accounts = authority.sign("service-accounts", &Usage::Client, now).unwrap();
        let admin = uuid();
        let files = [
            ("ca.crt", authority.certificate_pem().to_owned()),
            ("server.crt", server.certificate_pem),
            ("server.key", server.key_pem),
            ("accounts.crt", accounts.certificate_pem),
            ("accounts.key", accounts.key_pem),
            ("tokens", format!("{admin},admin,admin,system:masters\n")),
            ("audit.yaml", audit.to_owned()),
        ];
        for (name, text) in files {
            std::fs::write(directory.join(name), text).unwrap();
        }
        let spawner = Spawner::start(tokio::runtime::Handle::current(), || Ok(())).unwrap();
        let [port, client, peer] = free_ports();
        let etcd_urls = [client, peer].map(|port| format!("http://127.0.0.1:{port}"));
        let etcd = store::run(&spawner, &assets, directory, &etcd_urls).await;
        let ca = authority.certificate_pem().to_owned();
        let directory = directory.to_owned();
        let services = services.to_owned();
        let mut plane =
            Self { directory, assets, spawner, ca, admin, port, services, etcd_urls, etcd, api: None, manager: None };
        plane.write_kubeconfig("admin", &plane.admin.clone());
        plane.start_api(&[]).await;
        plane
    }

    /// Starts the API server, or starts it again, with `more` arguments.
    pub async fn start_api(&mut self, more: &[&str]) {
        let file = |name: &str| self.directory.join(name).display().to_string();
        let mut arguments = vec![
            format!("--etcd-servers={}", self.etcd_urls[0]),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.port),
            format!("--tls-cert-file={}", file("server.crt")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--token-auth-file={}", file("tokens")),
            "--authorization-mode=RBAC".to_owned(),
            format!("--service-cluster-ip-range={}", self.services),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", file("accounts.crt")),
            format!("--service-account-signing-key-file={}", file("accounts.key")),
            "--endpoint-reconciler-type=none".to_owned(),
            // Which nodes take pods is the local node's word.
            "--disable-admission-plugins=TaintNodesByCondition".to_owned(),
            format!("--audit-policy-file={}", file("audit.yaml")),
            format!("--audit-log-path={}", file("audit.jsonl")),
            "--audit-log-mode=blocking".to_owned(),
        ];
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        let log = self.directory.join("apiserver.log");
        self.api = Some(run(&self.spawner, &self.assets.join("kube-apiserver"), &arguments, &log).await);
        let ready = wait::until("a ready API server", READY, async || {
            let said = self.kubectl("admin", &["get", "--raw", "/readyz"]).await;
            if said.status.success() { Ok(()) } else { Err(text(&said.stderr)) }
        });
        ready.await.unwrap();
    }

    /// The controllers, which learn of new kinds only now and then: so after the definitions.
    pub async fn start_controllers(&mut self) {
        let file = |name: &str| self.directory.join(name).display().to_string();
        let program = self.assets.join("kube-controller-manager");
        let help = Command::new(&program).arg("--help").output().await.unwrap();
        let mut arguments = vec![
            format!("--kubeconfig={}", file("admin.kubeconfig")),
            format!("--controllers={CONTROLLERS}"),
            format!("--root-ca-file={}", file("ca.crt")),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
        ];
        // Older ones have a second port, on all addresses.
        if text(&help.stdout).contains("--port int") {
            arguments.push("--port=0".to_owned());
        }
        let log = self.directory.join("controller-manager.log");
        self.manager = Some(run(&self.spawner, &program, &arguments, &log).await);
    }

    /// Kills the API server, as when its machine is lost.
    pub async fn kill_api(&mut self) {
        if let Some(mut api) = self.api.take() {
            api.kill().await.unwrap();
        }
    }

    /// The processes that run, by name.
    #[allow(dead_code, reason = "only the benchmark of many clusters measures them")]
    pub fn pids(&self) -> Vec<(&'static str, u32)> {
        let all =
            [("etcd", Some(&self.etcd)), ("api_server", self.api.as_ref()), ("controllers", self.manager.as_ref())];
        all.into_iter().filter_map(|(name, child)| Some((name, child?.id()?))).collect()
    }

    /// Ends all of it. Dropped, it ends too, but nobody waits.
    pub async fn stop(mut self) {
        for mut child in [self.manager.take(), self.api.take(), Some(self.etcd)].into_iter().flatten() {
            child.kill().await.unwrap();
        }
        std::fs::remove_dir_all(&self.directory).unwrap();
    }

    /// A kubeconfig for whoever has this token; answers its path.
    pub fn write_kubeconfig(&self, name: &str, token: &str) -> PathBuf {
        use base64::Engine as _;
        let ca = base64::engine::general_purpose::STANDARD.encode(&self.ca);
        let file = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "real",
            "clusters": [{"name": "real", "cluster": {
                "server": format!("https://127.0.0.1:{}", self.port), "certificate-authority-data": ca}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": name}}],
        });
        let path = self.kubeconfig(name);
        std::fs::write(&path, file.to_string()).unwrap();
        path
    }

    pub fn kubeconfig(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.kubeconfig"))
    }

    /// A client with the kubeconfig of that name, which hands on what it is answered: nothing is asked again.
    pub async fn client(&self, name: &str) -> Client {
        let file = Kubeconfig::read_from(self.kubeconfig(name)).unwrap();
        let mut config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
        config.default_retry = false;
        config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(AGENT)));
        Client::try_from(config).unwrap()
    }

    /// kubectl with the kubeconfig of that name.
    pub async fn kubectl(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.assets.join("kubectl"));
        command.arg("--request-timeout=20s").args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        command.env("KUBECONFIG", self.kubeconfig(name)).env("HOME", &self.directory);
        tokio::time::timeout(READY, command.output()).await.expect("kubectl ends").unwrap()
    }

    /// The same, which has to succeed; answers what it says.
    pub async fn must(&self, name: &str, arguments: &[&str]) -> String {
        let said = self.kubectl(name, arguments).await;
        assert!(said.status.success(), "kubectl {arguments:?}: {}", text(&said.stderr));
        text(&said.stdout)
    }
}

/// What this test's clients call themselves.
pub const AGENT: &str = "pgherd-test";
/// Who asked for what, and what became of it.
const AUDIT: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived, ResponseStarted]\n\
                     rules:\n- level: Metadata\n";

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn uuid() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Ports that nobody has at the moment.
fn free_ports<const N: usize>() -> [u16; N] {
    let kept = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    kept.map(|listener| listener.local_addr().unwrap().port())
}

/// The folder with the programs: as `KUBEBUILDER_ASSETS` says, or built on first use.
async fn assets() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/kube-assets.sh");
    let said = Command::new(script).stdin(Stdio::null()).stderr(Stdio::inherit()).output().await.unwrap();
    assert!(said.status.success(), "make kube-assets failed");
    PathBuf::from(text(&said.stdout).trim())
}

/// Starts one program that goes when this process does.
async fn run(spawner: &Spawner, program: &Path, arguments: &[String], log: &Path) -> Child {
    let log = OpenOptions::new().create(true).append(true).open(log).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    spawner.spawn(command).await.unwrap()
}
