//! The control plane: etcd, kube-apiserver with RBAC and the node authorizer, kube-controller-manager and kube-scheduler,
//! in this namespace, with the ports that they have anywhere.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pgherd_pki::{Authority, Leaf, Usage};
use pgherd_testkit::wait;
use serde_json::json;
use tokio::process::{Child, Command};

use crate::network::{API_SERVICE, PLANE, SERVICES};
use crate::process::{run, start};
use crate::tools::Tools;

/// Where the API server is.
pub const API_PORT: u16 = 6443;
/// Until it answers.
const READY: Duration = Duration::from_secs(180);

pub struct Plane {
    directory: PathBuf,
    tools: Tools,
    authority: Authority,
    tokens: Vec<String>,
    running: Vec<Child>,
}

impl Plane {
    /// Starts all of it, for nodes of these names.
    pub async fn start(directory: &Path, tools: &Tools, nodes: &[String]) -> Self {
        let _provider = rustls::crypto::ring::default_provider().install_default();
        let now = jiff::Timestamp::now();
        let authority = Authority::generate("kubernetes", now).unwrap();
        let names =
            ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", "127.0.0.1", API_SERVICE];
        let names = names.map(str::to_owned).into_iter().chain([PLANE.to_string()]).collect();
        let server = authority.sign("kube-apiserver", &Usage::Server { names }, now).unwrap();
        let accounts = authority.sign("service-accounts", &Usage::Client, now).unwrap();
        let kubelets = authority.sign("kube-apiserver-kubelet-client", &Usage::Client, now).unwrap();
        let folder = directory.join("plane");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("ca.crt"), authority.certificate_pem()).unwrap();
        for (name, leaf) in [("server", &server), ("accounts", &accounts), ("kubelets", &kubelets)] {
            write(&folder, name, leaf);
        }
        let mut plane = Self {
            directory: directory.to_owned(),
            tools: tools.clone(),
            authority,
            tokens: Vec::new(),
            running: Vec::new(),
        };
        plane.user("admin", "admin", "system:masters");
        for program in ["kube-controller-manager", "kube-scheduler", "kube-proxy"] {
            plane.user(program, &format!("system:{program}"), "");
        }
        for node in nodes {
            plane.user(node, &format!("system:node:{node}"), "system:nodes");
        }
        std::fs::write(folder.join("tokens"), plane.tokens.concat()).unwrap();
        plane.start_etcd();
        plane.start_api().await;
        plane.start_controllers();
        plane
    }

    /// A kubeconfig for whoever is called so.
    pub fn kubeconfig(&self, name: &str) -> PathBuf {
        self.directory.join(format!("plane/{name}.kubeconfig"))
    }

    /// Whose certificates are believed.
    pub fn ca(&self) -> PathBuf {
        self.directory.join("plane/ca.crt")
    }

    /// One more who is known, with a kubeconfig.
    fn user(&mut self, name: &str, user: &str, groups: &str) {
        use base64::Engine as _;
        let token = format!("{:032x}", rand::random::<u128>());
        self.tokens.push(format!("{token},{user},{user},\"{groups}\"\n"));
        let ca = base64::engine::general_purpose::STANDARD.encode(self.authority.certificate_pem());
        let file = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "e2e",
            "clusters": [{"name": "e2e", "cluster": {
                "server": format!("https://{PLANE}:{API_PORT}"), "certificate-authority-data": ca}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": name}}],
        });
        std::fs::write(self.kubeconfig(name), file.to_string()).unwrap();
    }

    fn start_etcd(&mut self) {
        let data = format!("--data-dir={}", self.directory.join("plane/etcd").display());
        // What a disk shared with builds needs for one fsync is no sign of a lost leader.
        self.run("etcd", &[data, "--heartbeat-interval=500".to_owned(), "--election-timeout=5000".to_owned()]);
    }

    async fn start_api(&mut self) {
        let folder = self.directory.join("plane");
        let file = |name: &str| folder.join(name).display().to_string();
        let arguments = [
            "--etcd-servers=http://127.0.0.1:2379".to_owned(),
            format!("--advertise-address={PLANE}"),
            format!("--secure-port={API_PORT}"),
            format!("--tls-cert-file={}", file("server.crt")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--client-ca-file={}", file("ca.crt")),
            format!("--token-auth-file={}", file("tokens")),
            format!("--kubelet-client-certificate={}", file("kubelets.crt")),
            format!("--kubelet-client-key={}", file("kubelets.key")),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            format!("--service-cluster-ip-range={SERVICES}"),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", file("accounts.crt")),
            format!("--service-account-signing-key-file={}", file("accounts.key")),
        ];
        self.run("kube-apiserver", &arguments);
        let ready = wait::until("a ready API server", READY, async || {
            let mut command = Command::new(self.tools.kube.join("kubectl"));
            command.args(["get", "--raw", "/readyz"]).env("KUBECONFIG", self.kubeconfig("admin"));
            run(command).await
        });
        ready.await.unwrap();
    }

    fn start_controllers(&mut self) {
        let folder = self.directory.join("plane");
        let file = |name: &str| folder.join(name).display().to_string();
        let arguments = [
            format!("--kubeconfig={}", file("kube-controller-manager.kubeconfig")),
            format!("--root-ca-file={}", file("ca.crt")),
            format!("--service-account-private-key-file={}", file("accounts.key")),
            "--use-service-account-credentials=true".to_owned(),
            "--leader-elect=false".to_owned(),
        ];
        self.run("kube-controller-manager", &arguments);
        let arguments =
            [format!("--kubeconfig={}", file("kube-scheduler.kubeconfig")), "--leader-elect=false".to_owned()];
        self.run("kube-scheduler", &arguments);
    }

    fn run(&mut self, program: &str, arguments: &[String]) {
        let mut command = Command::new(self.tools.kube.join(program));
        command.args(arguments).current_dir(self.directory.join("plane"));
        self.running.push(start(command, &self.directory.join("logs").join(program)));
    }
}

fn write(folder: &Path, name: &str, leaf: &Leaf) {
    std::fs::write(folder.join(format!("{name}.crt")), &leaf.certificate_pem).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), &leaf.key_pem).unwrap();
}
