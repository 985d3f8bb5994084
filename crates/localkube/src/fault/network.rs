//! Cutting a pod's network with nftables inside its own namespace: dropped packets, as when a link is lost. Each cut has
//! a table of its own, so that it can end without the others. Slow links are tc's.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::request::Way;
use crate::net::address::{API_PORT, API_SERVICE, GATEWAY, NODE, S3_PORT};
use crate::net::link::BRIDGE;
use crate::net::namespace::NetworkNamespace;
use crate::net::relay::Relay;
use crate::net::{NetError, link};
use crate::node::process::ProcessId;

/// The port that clients of a database use.
const POSTGRES_PORT: u16 = 5432;
/// The port of the manager, which the controller asks.
const STATUS_PORT: u16 = 8000;

/// From whom a pod is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Address(Ipv4Addr),
    Api,
    S3,
    Pods,
    Clients,
    Controller,
    All,
}

/// What an incoming and an outgoing packet is matched by.
fn matches(peer: Peer) -> Vec<(String, String)> {
    let serves = |address: Ipv4Addr, port: u16| {
        (format!("ip saddr {address} tcp sport {port}"), format!("ip daddr {address} tcp dport {port}"))
    };
    let asks =
        |port: u16| (format!("ip saddr {GATEWAY} tcp dport {port}"), format!("ip daddr {GATEWAY} tcp sport {port}"));
    match peer {
        Peer::Address(address) => vec![(format!("ip saddr {address}"), format!("ip daddr {address}"))],
        Peer::Api => vec![serves(GATEWAY, API_PORT), serves(API_SERVICE, 443)],
        Peer::S3 => vec![serves(GATEWAY, S3_PORT)],
        // Pods have the addresses from 10 on; so those that come later are meant too.
        Peer::Pods => {
            vec![("ip saddr 10.213.0.10-10.213.0.254".to_owned(), "ip daddr 10.213.0.10-10.213.0.254".to_owned())]
        }
        Peer::Clients => vec![asks(POSTGRES_PORT)],
        Peer::Controller => vec![asks(STATUS_PORT)],
        Peer::All => vec![(format!("ip saddr != {NODE}"), format!("ip daddr != {NODE}"))],
    }
}

/// The script that makes table `table` drop what the peers send or are sent.
pub(super) fn script(table: &str, peers: &[Peer], way: Way, percent: Option<u8>) -> String {
    let mut script = format!(
        "add table inet {table}\n\
         add chain inet {table} incoming {{ type filter hook input priority 0; }}\n\
         add chain inet {table} outgoing {{ type filter hook output priority 0; }}\n"
    );
    let some = match percent {
        Some(percent) if percent < 100 => format!(" numgen random mod 100 < {percent}"),
        _ => String::new(),
    };
    for (incoming, outgoing) in peers.iter().copied().flat_map(matches) {
        if way != Way::Out {
            script.push_str(&format!("add rule inet {table} incoming iifname \"eth0\" {incoming}{some} drop\n"));
        }
        if way != Way::In {
            script.push_str(&format!("add rule inet {table} outgoing oifname \"eth0\" {outgoing}{some} drop\n"));
        }
    }
    script
}

/// Runs a script in the namespace that `holder` holds. A pod that is gone has nothing to cut.
pub(super) async fn cut(holder: ProcessId, script: &str) -> Result<(), NetError> {
    nft(holder, script).await
}

/// Ends a cut. The namespace of a pod that is gone is gone with its tables.
pub(super) async fn heal(holder: ProcessId, table: &str) -> Result<(), NetError> {
    if !holder.is_alive() {
        return Ok(());
    }
    match nft(holder, &format!("add table inet {table}\ndelete table inet {table}\n")).await {
        Err(_) if !holder.is_alive() => Ok(()),
        other => other,
    }
}

async fn nft(holder: ProcessId, script: &str) -> Result<(), NetError> {
    link::run(&["nsenter", &net_of(holder), "nft", "-f", "-"], script).await.map(drop)
}

fn net_of(holder: ProcessId) -> String {
    format!("--net=/proc/{}/ns/net", holder.pid)
}

/// Slows a pod's link down at both of its ends.
pub(super) async fn narrow(
    network: &NetworkNamespace,
    holder: ProcessId,
    address: Ipv4Addr,
    kbit: u32,
) -> Result<(), NetError> {
    // A second's worth waits in the queue; more is dropped, as a full link does.
    let shape = words(&format!("tbf rate {kbit}kbit burst 16kb latency 1000ms"));
    let (net, end) = (net_of(holder), link::host_end(address));
    let inside = ["nsenter", &net, "tc", "qdisc", "replace", "dev", "eth0", "root"];
    let outside = ["ip", "netns", "exec", network.name(), "tc", "qdisc", "replace", "dev", &end, "root"];
    for command in [inside.as_slice(), outside.as_slice()] {
        let shape = shape.iter().map(String::as_str);
        let command: Vec<&str> = command.iter().copied().chain(shape).collect();
        link::run(&command, "").await?;
    }
    Ok(())
}

/// Gives a link its speed back.
pub(super) async fn widen(network: &NetworkNamespace, holder: ProcessId, address: Ipv4Addr) -> Result<(), NetError> {
    if !holder.is_alive() {
        return Ok(());
    }
    let (net, end) = (net_of(holder), link::host_end(address));
    link::run(&["nsenter", &net, "tc", "qdisc", "delete", "dev", "eth0", "root"], "").await?;
    link::run(&["ip", "netns", "exec", network.name(), "tc", "qdisc", "delete", "dev", &end, "root"], "")
        .await
        .map(drop)
}

/// Takes a pod's link off the bridge, and carries its frames there by hand, each so many milliseconds late. To be called
/// on a thread of the cluster's namespace.
pub(super) async fn delay(network: &NetworkNamespace, address: Ipv4Addr, millis: u32) -> Result<Relay, NetError> {
    let end = link::host_end(address);
    // One that a pod of this address has left.
    let _none = link::run(&["ip", "-n", network.name(), "link", "delete", &format!("{end}r")], "").await;
    // The namespace itself must not answer in the bridge's place.
    let script = format!(
        "link add {end}r type veth peer name {end}x\n\
         link set {end}x promisc on arp off up\n\
         link set {end} nomaster promisc on arp off\n\
         link set {end}r master {BRIDGE} up\n"
    );
    link::run(&["ip", "-n", network.name(), "-batch", "-"], &script).await?;
    let late = Duration::from_millis(u64::from(millis));
    match Relay::between(&end, &format!("{end}x"), late) {
        Ok(relay) => Ok(relay),
        Err(source) => {
            join(network, address).await?;
            Err(NetError::Relay { link: end, source })
        }
    }
}

/// Puts a pod's link back on the bridge; one that is gone has nothing to be put back.
pub(super) async fn join(network: &NetworkNamespace, address: Ipv4Addr) -> Result<(), NetError> {
    let end = link::host_end(address);
    let script = format!("link delete {end}r\nlink set {end} master {BRIDGE} promisc off arp on\n");
    match link::run(&["ip", "-n", network.name(), "-batch", "-"], &script).await {
        Err(_) if link::run(&["ip", "-n", network.name(), "link", "show", &end], "").await.is_err() => Ok(()),
        other => other.map(drop),
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{Peer, Way, script};

    #[test]
    fn a_cut_in_one_direction_leaves_the_other_alone() {
        let incoming = script("t", &[Peer::Pods], Way::In, None);
        assert!(incoming.contains("incoming iifname \"eth0\" ip saddr 10.213.0.10-10.213.0.254 drop"), "{incoming}");
        assert!(!incoming.contains("add rule inet t outgoing"), "{incoming}");
        let outgoing = script("t", &[Peer::Pods], Way::Out, Some(30));
        assert!(outgoing.contains("numgen random mod 100 < 30 drop"), "{outgoing}");
        assert!(!outgoing.contains("add rule inet t incoming"), "{outgoing}");
    }

    #[test]
    fn the_api_is_cut_at_both_of_its_addresses() {
        let text = script("t", &[Peer::Api], Way::Both, None);
        assert!(text.contains("10.213.0.1 tcp dport 6443") && text.contains("10.213.1.1 tcp dport 443"), "{text}");
    }
}
