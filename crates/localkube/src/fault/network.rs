//! Cutting a pod's network with nftables inside its own namespace: dropped packets, both ways, as when a link is lost.

use std::net::Ipv4Addr;

use crate::net::address::{API_PORT, GATEWAY, NODE, S3_PORT};
use crate::net::{NetError, link};
use crate::node::process::ProcessId;

/// From whom a pod is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Address(Ipv4Addr),
    Api,
    S3,
    All,
}

fn rules(peer: Peer) -> [String; 2] {
    match peer {
        Peer::Address(address) => [format!("ip saddr {address} drop"), format!("ip daddr {address} drop")],
        Peer::Api => port_rules(API_PORT),
        Peer::S3 => port_rules(S3_PORT),
        Peer::All => {
            [format!("iifname \"eth0\" ip saddr != {NODE} drop"), format!("oifname \"eth0\" ip daddr != {NODE} drop")]
        }
    }
}

fn port_rules(port: u16) -> [String; 2] {
    [format!("ip saddr {GATEWAY} tcp sport {port} drop"), format!("ip daddr {GATEWAY} tcp dport {port} drop")]
}

/// Adds a cut to the namespace that `holder` holds.
pub(super) async fn cut(holder: ProcessId, peer: Peer) -> Result<(), NetError> {
    let [incoming, outgoing] = rules(peer);
    let script = format!(
        "add table inet pgherd\n\
         add chain inet pgherd incoming {{ type filter hook input priority 0; }}\n\
         add chain inet pgherd outgoing {{ type filter hook output priority 0; }}\n\
         add rule inet pgherd incoming {incoming}\n\
         add rule inet pgherd outgoing {outgoing}\n"
    );
    nft(holder, &script).await
}

/// Ends every cut in the namespace that `holder` holds.
pub(super) async fn heal(holder: ProcessId) -> Result<(), NetError> {
    nft(holder, "add table inet pgherd\ndelete table inet pgherd\n").await
}

async fn nft(holder: ProcessId, script: &str) -> Result<(), NetError> {
    let net = format!("--net=/proc/{}/ns/net", holder.pid);
    link::run(&["nsenter", &net, "nft", "-f", "-"], script).await.map(drop)
}
