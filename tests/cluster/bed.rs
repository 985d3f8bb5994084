//! One environment of the local kind per test, in a directory of its own, gone with the test however it ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::config::{KubeConfigOptions, Kubeconfig};
use pgherd_localkube::daemon::{Handle, UpOptions, sweep, up};
use pgherd_localkube::fault::{FaultRequest, Target};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

/// Where the example puts its cluster.
pub const NAMESPACE: &str = "phoenix-guardian";
/// What the example calls it.
pub const CLUSTER: &str = "phoenix-guardian-db";

const PREFIX: &str = "pgherd-cluster-";
/// Two clusters at once would starve each other, and their timings would say nothing.
static ALONE: Mutex<()> = Mutex::const_new(());

/// An environment with the example's cluster in it.
pub struct Bed {
    pub handle: Handle,
    pub client: kube::Client,
    pub directory: PathBuf,
    name: String,
    finished: bool,
    _alone: MutexGuard<'static, ()>,
}

impl Bed {
    /// The example as it is, with `edit` made to its Cluster.
    pub async fn start(name: &str, edit: impl FnOnce(&mut Value)) -> Self {
        assert!(nix::unistd::Uid::effective().is_root(), "these tests make namespaces and must run as root");
        let alone = ALONE.lock().await;
        let _provider = rustls::crypto::ring::default_provider().install_default();
        sweep_the_dead().await;
        let directory = PathBuf::from(format!("/var/tmp/{PREFIX}{}-{name}", std::process::id()));
        std::fs::create_dir_all(directory.join("bin")).unwrap();
        let mut options = UpOptions::new(&format!("c{}{name}", std::process::id()), &binaries(&directory.join("bin")));
        options.state_dir.clone_from(&directory);
        options.files = vec![manifest(&directory, edit)];
        let handle = up(options).await.unwrap();
        let config = Kubeconfig::read_from(handle.api_kubeconfig()).unwrap();
        let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        let client = kube::Client::try_from(config).unwrap();
        Self { handle, client, directory, name: name.to_owned(), finished: false, _alone: alone }
    }

    /// Objects of a kind in the cluster's namespace.
    pub fn objects(&self, group: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        Api::namespaced_with(self.client.clone(), NAMESPACE, &resource)
    }

    /// SIGKILL to a process of a pod.
    pub async fn kill(&self, target: Target, pod: &str) {
        self.fault(FaultRequest::Kill { target, pod: format!("{NAMESPACE}/{pod}") }).await;
    }

    /// Any fault.
    pub async fn fault(&self, request: FaultRequest) {
        let done = self.handle.fault(request).await.unwrap();
        self.say(&done);
    }

    /// One line of progress, with the time, so that logs can be read beside it.
    pub fn say(&self, line: &str) {
        println!("{} {}: {line}", jiff::Timestamp::now().strftime("%H:%M:%S%.3f"), self.name);
    }

    /// Ends the environment in good order, and looks whether anything is left.
    pub async fn down(mut self) {
        self.finished = true;
        self.handle.clone().down(true).await.unwrap();
        assert!(!self.directory.exists(), "{} is left", self.directory.display());
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        assert!(!mounts.contains(self.directory.to_str().unwrap()), "a mount is left");
    }

    /// What the failed test leaves to read.
    fn keep_logs(&self) {
        let to = target().join("test").join("cluster").join(&self.name);
        let _old = std::fs::remove_dir_all(&to);
        if std::fs::create_dir_all(&to).is_ok() {
            copy_logs(&self.directory, &self.directory, &to, 0);
            let _none = std::fs::copy(self.directory.join("journal"), to.join("journal"));
            eprintln!("logs of {} are in {}", self.name, to.display());
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        self.keep_logs();
        let directory = self.directory.clone();
        // A runtime cannot be entered from within another one's thread.
        let sweeping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(remove(&directory));
        });
        let _told = sweeping.join();
    }
}

async fn remove(directory: &Path) {
    if let Err(error) = sweep(directory).await {
        eprintln!("failed to sweep {}: {error}", directory.display());
    }
    // Killed processes let go of their mounts when they are gone, not when they are told to go.
    for _ in 0..100 {
        if std::fs::remove_dir_all(directory).is_ok() || !directory.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    eprintln!("failed to remove {}", directory.display());
}

/// Environments whose test was killed: their names carry its process id.
async fn sweep_the_dead() {
    for entry in std::fs::read_dir("/var/tmp").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            remove(&entry.path()).await;
        }
    }
}

/// `target/debug`, where cargo puts the binaries that tests of other packages need.
fn built() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().and_then(Path::parent).unwrap().to_owned()
}

fn target() -> PathBuf {
    built().parent().unwrap().to_owned()
}

/// The binaries, under names that a build during the test does not replace; answers the one with the hidden verbs.
fn binaries(to: &Path) -> PathBuf {
    for program in ["pgherd", "manager", "controller"] {
        let from = built().join(program);
        assert!(from.is_file(), "{} is missing: run `cargo build --workspace --bins` first", from.display());
        if std::fs::hard_link(&from, to.join(program)).is_err() {
            std::fs::copy(&from, to.join(program)).unwrap();
        }
    }
    to.join("pgherd")
}

fn manifest(directory: &Path, edit: impl FnOnce(&mut Value)) -> PathBuf {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/cluster.yaml");
    let mut cluster: Value = serde_yaml_ng::from_str(&std::fs::read_to_string(example).unwrap()).unwrap();
    edit(&mut cluster);
    let path = directory.join("cluster.yaml");
    std::fs::write(&path, serde_yaml_ng::to_string(&cluster).unwrap()).unwrap();
    path
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
            let _unread = std::fs::copy(&path, to.join(name));
        }
    }
}
