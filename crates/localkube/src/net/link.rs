//! Bridge and veth pairs, through iproute2.

use std::net::Ipv4Addr;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::NetError;
use super::address::{GATEWAY, NODE, SERVICE_NETWORK};
use super::namespace::NetworkNamespace;

/// The bridge's name inside the namespace.
pub const BRIDGE: &str = "cluster0";

/// Its address. By itself a bridge takes the lowest of its ports': with a pod that came or went it would have another,
/// and whoever had resolved the gateway before would talk to nobody for half a minute.
const BRIDGE_MAC: &str = "02:00:0a:d5:00:01";

/// Runs a program with a text on its standard input, and answers what it printed.
///
/// # Errors
/// If it cannot be started, or its exit status is not 0.
pub async fn run(command: &[&str], input: &str) -> Result<String, NetError> {
    let text = command.join(" ");
    let start = |source| NetError::Start { command: text.clone(), source };
    let (program, arguments) = command.split_first().ok_or(NetError::HostGone)?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(start)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it has read everything says why on stderr.
        let _unread = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(start)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(NetError::Tool { command: text, stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}

/// Loopback, bridge and the range of service addresses.
pub(super) async fn create_bridge(namespace: &NetworkNamespace) -> Result<(), NetError> {
    let batch = format!(
        "link set lo up\n\
         link add {BRIDGE} address {BRIDGE_MAC} type bridge forward_delay 0\n\
         addr add {GATEWAY}/24 dev {BRIDGE}\n\
         addr add {NODE}/24 dev {BRIDGE}\n\
         link set {BRIDGE} up\n\
         route add local {SERVICE_NETWORK} dev lo\n"
    );
    run(&["ip", "-n", namespace.name(), "-batch", "-"], &batch).await.map(drop)
}

/// Name of the bridge's end of a pod's link.
pub fn host_end(address: Ipv4Addr) -> String {
    format!("pod{}", address.octets()[3])
}

/// Joins the network namespace of process `holder` to the bridge, as `address`.
///
/// # Errors
/// If `ip` refuses, as when the process is gone.
pub async fn attach(namespace: &NetworkNamespace, holder: i32, address: Ipv4Addr) -> Result<(), NetError> {
    let end = host_end(address);
    let outside = format!(
        "link add {end} type veth peer name eth0 netns {holder}\n\
         link set {end} master {BRIDGE} up\n"
    );
    run(&["ip", "-n", namespace.name(), "-batch", "-"], &outside).await?;
    let inside = format!(
        "link set lo up\n\
         addr add {address}/24 dev eth0\n\
         link set eth0 up\n\
         route add default via {GATEWAY}\n"
    );
    let net = format!("--net=/proc/{holder}/ns/net");
    run(&["nsenter", &net, "ip", "-batch", "-"], &inside).await.map(drop)
}

/// Removes a pod's link. Not being there is no error: it goes with the pod's namespace.
pub async fn detach(namespace: &NetworkNamespace, address: Ipv4Addr) {
    let end = host_end(address);
    if let Err(error) = run(&["ip", "-n", namespace.name(), "link", "delete", &end], "").await {
        tracing::debug!(%error, "the link of a pod is gone already");
    }
}
