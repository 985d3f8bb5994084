//! Where the programs are that this one runs; the scripts of `tests/tools` fetch or build what is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The path that a script of `tests/tools` prints in the end.
fn printed(script: &str, arguments: &[&str]) -> PathBuf {
    let mut command = Command::new(root().join("tests/tools").join(script));
    let said = command.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
    assert!(said.status.success(), "{script} failed");
    let text = String::from_utf8(said.stdout).unwrap();
    PathBuf::from(text.trim().lines().last().unwrap())
}

/// The folders of programs.
#[derive(Clone, Debug)]
pub struct Tools {
    /// etcd, kubectl and all of Kubernetes.
    pub kube: PathBuf,
    /// containerd, runc, CNI plugins and iptables, as Debian's packages have them.
    pub node: PathBuf,
    /// helm itself.
    pub helm: PathBuf,
    /// A Python environment with SeaweedFS and an S3 client.
    pub store: PathBuf,
}

impl Tools {
    /// Finds all of them; what is missing is fetched, or built for minutes.
    /// kind brings its own Kubernetes.
    pub fn find(machine: &str) -> Self {
        let node = ["kubelet", "kube-scheduler", "kube-proxy"];
        Self {
            kube: printed("kube-assets.sh", if machine == "node" { &node } else { &[] }),
            node: printed("node-assets.sh", &[]),
            helm: printed("layer.sh", &["helm"]),
            store: printed("interop.sh", &[]),
        }
    }

    /// What programs of a node have in their environment.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        let under = |name: &str| self.node.join(name).display().to_string();
        let (own, libraries) = (std::env::var("PATH").unwrap_or_default(), under("usr/lib/x86_64-linux-gnu"));
        let path = format!("{}:{}:{}:{own}", under("links"), under("usr/bin"), under("usr/sbin"));
        [("PATH", path), ("XTABLES_LIBDIR", format!("{libraries}/xtables")), ("LD_LIBRARY_PATH", libraries)]
    }
}
