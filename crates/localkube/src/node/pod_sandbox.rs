//! A pod's namespaces, address and directory.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use super::NodeError;
use super::context::NodeContext;
use super::process::ProcessId;
use crate::net::{hosts, link};

/// How long the holder of the namespaces may take to come up.
const COMES_UP: Duration = Duration::from_secs(10);

/// The namespaces of one pod; gone when [`PodSandbox::destroy`] is called, at the latest with the daemon.
#[derive(Debug)]
pub(super) struct PodSandbox {
    pub address: Ipv4Addr,
    pub directory: PathBuf,
    pub holder: ProcessId,
    child: Child,
}

impl PodSandbox {
    /// Makes the namespaces and joins them to the bridge.
    pub async fn create(context: &NodeContext, uid: &str, name: &str) -> Result<Self, NodeError> {
        let directory = context.directory.join("pods").join(uid);
        std::fs::create_dir_all(&directory).map_err(NodeError::file(&directory))?;
        let address = context.addresses.take()?;
        match Self::start(context, name, address, directory).await {
            Ok(sandbox) => Ok(sandbox),
            Err(error) => {
                link::detach(&context.network, address).await;
                context.addresses.give_back(address);
                Err(error)
            }
        }
    }

    async fn start(
        context: &NodeContext,
        name: &str,
        address: Ipv4Addr,
        directory: PathBuf,
    ) -> Result<Self, NodeError> {
        let mut command = Command::new(&context.helper);
        command.args(["local-pause", name]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = context.spawner.spawn(command).await.map_err(NodeError::Process)?;
        let mut ready = [0_u8; 1];
        let stdout = child.stdout.as_mut().ok_or(NodeError::Sandbox)?;
        let read = tokio::time::timeout(COMES_UP, stdout.read_exact(&mut ready)).await;
        read.map_err(|_| NodeError::Sandbox)?.map_err(|_| NodeError::Sandbox)?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or(NodeError::Sandbox)?;
        let holder = ProcessId::of(pid).ok_or(NodeError::Sandbox)?;
        context.records.add(holder).map_err(NodeError::Process)?;
        link::attach(&context.network, pid, address).await?;
        Ok(Self { address, directory, holder, child })
    }

    /// Writes `/etc/hosts`, in place: the containers have the file itself mounted.
    pub fn write_hosts(&self, context: &NodeContext, name: &str, namespace: &str) -> Result<(), NodeError> {
        let text = hosts::render(name, self.address, namespace, &context.names.borrow());
        let path = self.hosts_file();
        // Written in place: a new file would not be the one that is mounted.
        std::fs::write(&path, text).map_err(NodeError::file(path))
    }

    /// The file that containers see as `/etc/hosts`.
    pub fn hosts_file(&self) -> PathBuf {
        self.directory.join("hosts")
    }

    /// The namespaces' holder is still there.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the namespaces; whoever is still in them loses the network.
    pub async fn destroy(mut self, context: &Arc<NodeContext>) {
        // An error means that it is dead already.
        let _dead = self.child.kill().await;
        context.records.remove(self.holder);
        link::detach(&context.network, self.address).await;
        context.addresses.give_back(self.address);
    }
}
