//! Pods, services and faults of the local environment, on this machine's kernel. Needs root, as `make test` has it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ContainerState, Pod};
use kube::api::{Api, DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use pgherd_localkube::daemon::{Handle, UpOptions, up};
use pgherd_localkube::fault::{FaultRequest, Target};
use pgherd_localkube::s3::S3Fault;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Environment {
    handle: Handle,
    client: kube::Client,
    directory: PathBuf,
    name: String,
}

async fn start(name: &str) -> Environment {
    assert!(
        nix::unistd::Uid::effective().is_root(),
        "this test makes namespaces and must run as root (make test does)"
    );
    let _provider = rustls::crypto::ring::default_provider().install_default();
    let directory = PathBuf::from(format!("/var/tmp/pgherd-test-{}-{name}", std::process::id()));
    let name = format!("t{}{name}", std::process::id());
    let mut options = UpOptions::new(&name, Path::new(env!("CARGO_BIN_EXE_pgherd-local")));
    options.state_dir.clone_from(&directory);
    options.controller = None;
    options.backoff_scale = 0.01;
    let handle = up(options).await.unwrap();
    let config = Kubeconfig::read_from(handle.api_kubeconfig()).unwrap();
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    let client = kube::Client::try_from(config).unwrap();
    Environment { handle, client, directory, name }
}

impl Environment {
    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn create(&self, pod: serde_json::Value) {
        self.pods().create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    }

    async fn wait(&self, name: &str, what: &str, is: impl Fn(&Pod) -> bool) -> Pod {
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

    async fn down(self) {
        let (handle, directory, name) = (self.handle.clone(), self.directory.clone(), self.name.clone());
        handle.down(true).await.unwrap();
        assert!(!directory.exists());
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

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}

fn container(pod: &Pod) -> k8s_openapi::api::core::v1::ContainerStatus {
    pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()?.first().cloned()).unwrap_or_default()
}

fn web(name: &str) -> serde_json::Value {
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

async fn service(environment: &Environment, name: &str) -> SocketAddr {
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

async fn get(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    answer.rsplit_once("\r\n\r\n").map(|(_, body)| body.to_owned()).ok_or_else(|| std::io::Error::other("no answer"))
}

async fn eventually(
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

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_runs_as_pid_1_is_reached_through_its_service_and_comes_back_when_killed() {
    let environment = start("life").await;
    environment.create(web("web")).await;
    let address = service(&environment, "web").await;
    let pod = environment.wait("web", "ready", is_ready).await;
    let ip = pod.status.clone().unwrap().pod_ip.unwrap();
    let answer = eventually(address, "the service answers", Result::is_ok).await.unwrap();
    let postgres = nix::unistd::User::from_name("postgres").unwrap().unwrap().uid;
    assert!(answer.starts_with(&format!("1 {postgres} {ip} ")), "PID 1, the mapped user, its address: {answer}");
    assert!(answer.contains("web.default.svc"), "{answer}");

    environment.handle.fault(FaultRequest::Kill { target: Target::Manager, pod: "web".to_owned() }).await.unwrap();
    let pod = environment.wait("web", "restarted", |pod| container(pod).restart_count == 1 && is_ready(pod)).await;
    let last = container(&pod).last_state.unwrap_or_default().terminated.unwrap();
    assert_eq!((last.exit_code, last.signal, last.reason.as_deref()), (137, Some(9), Some("Error")));
    assert_eq!(last.message.as_deref(), Some(format!("nonce-of-{}", pod.metadata.uid.clone().unwrap()).as_str()));
    assert_eq!(pod.status.clone().unwrap().pod_ip.unwrap(), ip, "the sandbox stays");
    eventually(address, "the service answers again", Result::is_ok).await.unwrap();
    let log = environment.pods().logs("web", &kube::api::LogParams::default()).await.unwrap();
    assert!(log.starts_with("serving\n"), "{log}");

    let began = Instant::now();
    environment.pods().delete("web", &DeleteParams::default()).await.unwrap();
    while environment.pods().get_opt("web").await.unwrap().is_some() {
        assert!(began.elapsed() < Duration::from_secs(10), "the pod is not gone");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eventually(address, "nobody answers", Result::is_err).await.unwrap_err();
    environment.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_was_cut_off_or_frozen_is_itself_again_after_heal() {
    let environment = start("cut").await;
    environment.create(web("web")).await;
    let pod = environment.wait("web", "ready", is_ready).await;
    assert!(container(&pod).started == Some(true));
    let address = environment.handle.forward("default", "pod/web", 8080).await.unwrap();
    eventually(address, "it answers", Result::is_ok).await.unwrap();
    let cut = FaultRequest::Partition { pod: "web".to_owned(), from: "all".to_owned() };
    environment.handle.fault(cut).await.unwrap();
    eventually(address, "it is cut off", Result::is_err).await.unwrap_err();
    environment.handle.fault(FaultRequest::Heal).await.unwrap();
    eventually(address, "it answers again", Result::is_ok).await.unwrap();
    environment.handle.fault(FaultRequest::Freeze { target: Target::Pod, pod: "web".to_owned() }).await.unwrap();
    eventually(address, "it is frozen", Result::is_err).await.unwrap_err();
    environment.handle.fault(FaultRequest::Heal).await.unwrap();
    eventually(address, "it runs again", Result::is_ok).await.unwrap();

    // The whole pod killed: a new sandbox with a new address, the same pod.
    let before = environment.wait("web", "ready", is_ready).await;
    environment.handle.fault(FaultRequest::Kill { target: Target::Pod, pod: "web".to_owned() }).await.unwrap();
    let ip = |pod: &Pod| pod.status.as_ref().and_then(|status| status.pod_ip.clone());
    let after = environment.wait("web", "elsewhere", |pod| is_ready(pod) && ip(pod) != ip(&before)).await;
    assert_eq!(after.metadata.uid, before.metadata.uid);
    environment.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_daemon_leaves_is_swept_and_pods_come_back_with_the_next_up() {
    let environment = start("crash").await;
    environment.create(web("web")).await;
    environment.wait("web", "ready", is_ready).await;
    let text = std::fs::read(environment.directory.join("daemon.json")).unwrap();
    let daemon: pgherd_localkube::node::process::ProcessId = serde_json::from_slice(&text).unwrap();
    let inside = environment.handle.process("default", "web", "web").await.unwrap();
    assert!(daemon.signal(nix::sys::signal::Signal::SIGKILL));
    let deadline = Instant::now() + Duration::from_secs(10);
    while inside.is_alive() {
        assert!(Instant::now() < deadline, "the container outlives its daemon");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(environment);
    let again = start("crash").await;
    let pod = again.wait("web", "ready again", |pod| is_ready(pod) && container(pod).restart_count == 1).await;
    let last: ContainerState = container(&pod).last_state.unwrap_or_default();
    assert!(last.terminated.unwrap().message.unwrap().starts_with("nonce-of-"), "the message outlives the daemon");
    again.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_can_be_turned_off_and_made_to_answer_errors() {
    let environment = start("s3").await;
    let address = environment.handle.status().await.unwrap().s3;
    eventually(address, "S3 answers", |answer| answer.as_ref().is_ok_and(|body| body.contains("AccessDenied")))
        .await
        .unwrap();
    environment.handle.fault(FaultRequest::S3 { what: S3Fault::Status(503) }).await.unwrap();
    eventually(address, "S3 is busy", |answer| answer.as_ref().is_ok_and(|body| body.contains("SlowDown")))
        .await
        .unwrap();
    environment.handle.fault(FaultRequest::S3 { what: S3Fault::Off }).await.unwrap();
    eventually(address, "S3 is off", Result::is_err).await.unwrap_err();
    environment.handle.fault(FaultRequest::Heal).await.unwrap();
    eventually(address, "S3 is back", |answer| answer.as_ref().is_ok_and(|body| body.contains("AccessDenied")))
        .await
        .unwrap();
    environment.down().await;
}
