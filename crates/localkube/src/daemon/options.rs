//! What `pgherd local up` is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pgherd_proto::names::WAL_CLIENT;
use serde::{Deserialize, Serialize};

/// Where environments are kept, each in a directory of its name.
pub const STATE_ROOT: &str = "/var/lib/pgherd";

/// Where the environments of whoever asks are kept: [`STATE_ROOT`] for root, `$XDG_DATA_HOME/pgherd` or
/// `~/.local/share/pgherd` for others.
#[must_use]
pub fn state_root() -> PathBuf {
    if nix::unistd::Uid::effective().is_root() {
        return PathBuf::from(STATE_ROOT);
    }
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = folder("XDG_DATA_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/share")));
    data.map_or_else(|| PathBuf::from(STATE_ROOT), |data| data.join("pgherd"))
}

/// As the node controller's default (`--node-monitor-grace-period`).
const NODE_GRACE: Duration = Duration::from_secs(40);

/// A node of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeOptions {
    /// Its name.
    pub name: String,
    /// Its zone.
    pub zone: String,
}

/// What a claim is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Volumes {
    /// A directory.
    #[default]
    Directory,
    /// A file system of its own, of at most 2 GiB, on a loop device; for faults of disks.
    Ext4,
}

/// A real API server instead of the local one. Its definitions, roles and service accounts are there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealApi {
    /// For the node's part, and for clients on the host: it may do everything.
    pub kubeconfig: PathBuf,
    /// For the controller.
    pub controller: PathBuf,
}

/// One environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpOptions {
    /// Its name: a part of file names and of the network namespace's name.
    pub name: String,
    /// Where everything of it is kept. Must not be below a directory that only root can pass.
    pub state_dir: PathBuf,
    /// Manifests to apply, in this order.
    pub files: Vec<PathBuf>,
    /// The program that has the hidden verbs; `pgherd` itself, unless a test says otherwise.
    pub helper: PathBuf,
    /// A real API server; its certificate must be good for the addresses by which pods reach it.
    #[serde(default)]
    pub api: Option<RealApi>,
    /// The manager's binary; without it, pods that bring it fail.
    pub manager: Option<PathBuf>,
    /// The controller's binary; without it nothing reconciles clusters.
    pub controller: Option<PathBuf>,
    /// The nodes.
    pub nodes: Vec<NodeOptions>,
    /// A real S3 endpoint (`http://HOST:PORT`) of the host instead of the embedded one. Its credentials are taken from
    /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` of the environment of `up`.
    pub s3_endpoint: Option<String>,
    /// Access key and secret for [`UpOptions::s3_endpoint`].
    pub s3_credentials: Option<(String, String)>,
    /// What claims are given.
    #[serde(default)]
    pub volumes: Volumes,
    /// The system user that containers run as.
    pub user: String,
    /// Multiplies the waits before restarts (1.0: as Kubernetes; 0.0: as if each were the first for a long time).
    pub backoff_scale: f64,
    /// How long a node may be silent before it is given up.
    pub node_grace: Duration,
    /// Directories of the host that containers see, beside `/usr`, `/etc` and the like.
    pub host_mounts: Vec<PathBuf>,
    /// Folders with PostgreSQL, one folder for each major, which are looked at before Debian's.
    #[serde(default)]
    pub postgres: Vec<PathBuf>,
    /// Pods have clocks of their own, so that they can be off. It wants a C compiler.
    #[serde(default)]
    pub clocks: bool,
    /// Added to the environment of every container and of the controller.
    pub env: BTreeMap<String, String>,
}

impl UpOptions {
    /// An environment with one node, the embedded S3, and the binaries that lie beside `helper`.
    pub fn new(name: &str, helper: &Path) -> Self {
        let beside = |program: &str| helper.parent().map(|dir| dir.join(program)).filter(|path| path.is_file());
        Self {
            name: name.to_owned(),
            state_dir: state_root().join(name),
            files: Vec::new(),
            helper: helper.to_owned(),
            manager: beside("manager").filter(|_| beside(WAL_CLIENT).is_some()),
            api: None,
            controller: beside("controller"),
            nodes: vec![NodeOptions { name: "local-1".to_owned(), zone: "local-a".to_owned() }],
            s3_endpoint: None,
            s3_credentials: None,
            volumes: Volumes::default(),
            user: "postgres".to_owned(),
            backoff_scale: 1.0,
            node_grace: NODE_GRACE,
            host_mounts: Vec::new(),
            postgres: fetched(helper).into_iter().collect(),
            clocks: false,
            env: BTreeMap::new(),
        }
    }
}

/// Where `tests/tools/postgres-majors.sh` puts what it fetches, if the program lies where cargo builds it.
fn fetched(helper: &Path) -> Option<PathBuf> {
    let folder = helper.parent()?.parent()?.join("tools/postgres");
    folder.is_dir().then_some(folder)
}

/// The paths of an environment.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub root: PathBuf,
}

impl Layout {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub fn options(&self) -> PathBuf {
        self.root.join("options.json")
    }

    pub fn daemon(&self) -> PathBuf {
        self.root.join("daemon.json")
    }

    pub fn log(&self) -> PathBuf {
        self.root.join("daemon.log")
    }

    /// Why the manifests of `up` were refused; it is there only until `up` has read it.
    pub fn refusal(&self) -> PathBuf {
        self.root.join("refusal.txt")
    }

    pub fn socket(&self) -> PathBuf {
        self.root.join("control.sock")
    }

    pub fn api(&self) -> PathBuf {
        self.root.join("api")
    }

    pub fn node(&self) -> PathBuf {
        self.root.join("node")
    }

    /// Without root, and where the host has no `/run/netns`, the host's `/run` is seen here.
    pub fn covered_run(&self) -> PathBuf {
        self.root.join("host-run")
    }

    pub fn events(&self) -> PathBuf {
        self.root.join("events.jsonl")
    }

    pub fn s3(&self) -> PathBuf {
        self.root.join("s3")
    }

    pub fn processes(&self) -> PathBuf {
        self.root.join("processes")
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// Of the first controller (0) or the second (1).
    pub fn controller_kubeconfig(&self, number: usize) -> PathBuf {
        self.root.join(format!("kubeconfig.controller-{number}"))
    }

    /// Of the first controller (0) or the second (1).
    pub fn controller_log(&self, number: usize) -> PathBuf {
        self.root.join(if number == 0 { "controller.log".to_owned() } else { format!("controller-{number}.log") })
    }
}
