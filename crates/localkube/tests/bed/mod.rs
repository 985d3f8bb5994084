//! An environment without a controller, and pods that answer what they are asked; gone with the test however it ends.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use pgherd_localkube::daemon::{DaemonError, Handle, UpOptions, up};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Environment {
    pub handle: Handle,
    pub client: kube::Client,
    pub directory: PathBuf,
    name: String,
}

pub async fn start(name: &str) -> Environment {
    start_with(name, |_| {}).await
}

pub async fn start_with(name: &str, edit: impl FnOnce(&mut UpOptions)) -> Environment {
    try_start(name, edit).await.unwrap()
}

/// What is refused leaves nothing up; its directory stays.
pub async fn try_start(name: &str, edit: impl FnOnce(&mut UpOptions)) -> Result<Environment, DaemonError> {
    assert!(
        nix::unistd::Uid::effective().is_root(),
        "this test makes namespaces and must run as root (make test does)"
    );
    let _provider = rustls::crypto::ring::default_provider().install_default();
    let directory = directory_of(name);
    let name = format!("t{}{name}", std::process::id());
    let mut options = UpOptions::new(&name, Path::new(env!("CARGO_BIN_EXE_pgherd-local")));
    options.state_dir.clone_from(&directory);
    options.controller = None;
    options.backoff_scale = 0.01;
    options.node_grace = Duration::from_millis(400);
    edit(&mut options);
    let handle = up(options).await?;
    let config = Kubeconfig::read_from(handle.api_kubeconfig()).unwrap();
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    let client = kube::Client::try_from(config).unwrap();
    Ok(Environment { handle, client, directory, name })
}

/// Where the environment of a test of this process is.
pub fn directory_of(name: &str) -> PathBuf {
    PathBuf::from(format!("/var/tmp/pgherd-test-{}-{name}", std::process::id()))
}

/// Nothing of an environment is up any more.
pub fn assert_nothing_is_up(directory: &Path, name: &str) {
    assert!(!Path::new("/run/netns").join(format!("pgherd-{name}")).exists(), "the namespace is left");
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    assert!(!mounts.contains(directory.to_str().unwrap()), "a mount is left");
    let processes = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&command).into_owned())
    });
    let left: Vec<String> = processes.filter(|command| command.contains(directory.to_str().unwrap())).collect();
    assert!(left.is_empty(), "processes are left: {left:?}");
}

impl Environment {
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    pub async fn create(&self, pod: serde_json::Value) {
        self.pods().create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    }

    pub async fn wait(&self, name: &str, what: &str, is: impl Fn(&Pod) -> bool) -> Pod {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let pod = self.pods().get_opt(name).await.unwrap();
            if let Some(pod) = pod.as_ref().filter(|pod| is(pod)) {
                return pod.clone();
            }
            assert!(Instant::now() < deadline, "{name} is not {what}: {:#?}", pod.map(|pod| pod.status));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn down(self) {
        let (handle, directory, name) = (self.handle.clone(), self.directory.clone(), self.name.clone());
        handle.down(true).await.unwrap();
        assert!(!directory.exists());
        assert_nothing_is_up(&directory, &name);
    }
}

/// A test that fails leaves nothing either.
impl Drop for Environment {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let directory = self.directory.clone();
        let sweeping = std::thread::spawn(move || {
            let log = std::fs::read_to_string(directory.join("daemon.log")).unwrap_or_default();
            eprintln!("the daemon said:\n{log}");
            let found = std::process::Command::new("grep")
                .args(["-r", "", "--include=*.log"])
                .arg(directory.join("node"))
                .output();
            eprintln!("the containers said:\n{}", String::from_utf8_lossy(&found.unwrap().stdout));
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(pgherd_localkube::daemon::sweep(&directory)).unwrap();
            std::fs::remove_dir_all(directory).unwrap();
        });
        sweeping.join().unwrap();
    }
}

pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}

pub fn container(pod: &Pod) -> k8s_openapi::api::core::v1::ContainerStatus {
    pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()?.first().cloned()).unwrap_or_default()
}

pub fn web(name: &str) -> serde_json::Value {
    let script = "import os, signal, sys, http.server\n\
        open('/dev/termination-log', 'w').write('nonce-of-' + os.environ['POD_UID'])\n\
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n\
        class H(http.server.BaseHTTPRequestHandler):\n\
        \x20   def do_GET(self):\n\
        \x20       self.send_response(200); self.end_headers()\n\
        \x20       self.wfile.write(f\"{os.getpid()} {os.getuid()} {os.environ['POD_IP']} {open('/etc/hosts').read()}\".encode())\n\
        print('serving', flush=True)\n\
        http.server.ThreadingHTTPServer(('', 8080), H).serve_forever()\n";
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [{
                "name": "web", "image": "none", "command": ["/usr/bin/python3", "-c", script],
                "env": [field("POD_UID", "metadata.uid"), field("POD_IP", "status.podIP")],
                "ports": [{"name": "http", "containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
                "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}, {"name": "scratch", "mountPath": "/scratch"}],
            }],
            "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory"}}, {"name": "scratch", "emptyDir": {}}],
        },
    })
}

pub async fn service(environment: &Environment, name: &str) -> SocketAddr {
    let services = Api::namespaced(environment.client.clone(), "default");
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": "http"}]}});
    services
        .create(&PostParams::default(), &serde_json::from_value(service).unwrap())
        .await
        .map(|_: k8s_openapi::api::core::v1::Service| ())
        .unwrap();
    environment.handle.forward("default", name, 80).await.unwrap()
}

pub async fn get(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    answer.rsplit_once("\r\n\r\n").map(|(_, body)| body.to_owned()).ok_or_else(|| std::io::Error::other("no answer"))
}

pub async fn eventually(
    address: SocketAddr,
    what: &str,
    is: impl Fn(&std::io::Result<String>) -> bool,
) -> std::io::Result<String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = tokio::time::timeout(Duration::from_secs(2), get(address)).await;
        let answer = answer.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        if is(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
