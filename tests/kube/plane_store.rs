//! What the API server keeps its objects in, and that put back to what it was.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgherd_localkube::node::spawner::Spawner;
use tokio::process::{Child, Command};

use super::Plane;

/// Starts etcd on what `directory` has of it.
pub(super) async fn run(spawner: &Spawner, assets: &Path, directory: &Path, [client, peer]: &[String; 2]) -> Child {
    let arguments = [
        format!("--data-dir={}", directory.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
    ];
    super::run(spawner, &assets.join("etcd"), &arguments, &directory.join("etcd.log")).await
}

#[allow(dead_code, reason = "only one of the programs that have a plane puts its store back")]
impl Plane {
    /// Copies all of etcd, which stands still for that long: the copy is of one moment, as after a crash.
    pub async fn copy_store(&self) {
        let etcd = Pid::from_raw(self.etcd.id().unwrap().try_into().unwrap());
        kill(etcd, Signal::SIGSTOP).unwrap();
        copy(&self.directory.join("etcd"), &self.directory.join("etcd.copy")).await;
        kill(etcd, Signal::SIGCONT).unwrap();
    }

    /// Puts the copy back, as Kubernetes' own page on etcd has it: with every API server stopped, and what works for the
    /// control plane itself started anew. Our programs are not.
    pub async fn put_store_back(&mut self) {
        self.kill_api().await;
        if let Some(mut manager) = self.manager.take() {
            manager.kill().await.unwrap();
        }
        self.etcd.kill().await.unwrap();
        tokio::fs::remove_dir_all(self.directory.join("etcd")).await.unwrap();
        copy(&self.directory.join("etcd.copy"), &self.directory.join("etcd")).await;
        self.etcd = run(&self.spawner, &self.assets, &self.directory, &self.etcd_urls).await;
        self.start_api(&[]).await;
        self.start_controllers().await;
    }
}

async fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().await.unwrap();
    assert!(done.success(), "{} is not copied", from.display());
}
