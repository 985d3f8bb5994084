//! Who is where: a bridge that joins the nodes, the pods of each behind it, and the addresses of services.

use std::net::Ipv4Addr;

use crate::process::must;

/// The bridge of this namespace, with the control plane and S3 behind it.
pub const BRIDGE: &str = "nodes";
/// The control plane, as nodes and pods see it.
pub const PLANE: Ipv4Addr = Ipv4Addr::new(10, 89, 0, 1);
/// Of all pods.
pub const PODS: &str = "10.244.0.0/16";
/// Of all services, and the first of them, which is the API server's.
pub const SERVICES: &str = "10.96.0.0/16";
/// See [`SERVICES`].
pub const API_SERVICE: &str = "10.96.0.1";

/// A node's own address.
pub fn node(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 89, 0, 10 + number)
}

/// The pods of a node.
pub fn pods_of(number: u8) -> String {
    format!("10.244.{number}.0/24")
}

/// This end of a node's cable.
fn cable(number: u8) -> String {
    format!("node{number}")
}

/// Makes the bridge.
pub async fn start() {
    ip("link set lo up").await;
    ip(&format!("link add {BRIDGE} type bridge")).await;
    ip(&format!("addr add {PLANE}/24 dev {BRIDGE}")).await;
    ip(&format!("link set {BRIDGE} up")).await;
    // Only to be on the way: kube-proxy says which pod it is.
    ip(&format!("route add {SERVICES} dev {BRIDGE}")).await;
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
}

/// Joins a node, whose first process is `pid`, and tells this namespace where its pods are.
pub async fn join(number: u8, pid: u32) {
    let name = cable(number);
    ip(&format!("link add {name} type veth peer name eth0 netns {pid}")).await;
    ip(&format!("link set {name} master {BRIDGE} up")).await;
    ip(&format!("route add {} via {}", pods_of(number), node(number))).await;
}

/// What a node says to itself to be in the network, as a shell's commands.
pub fn script(number: u8, nodes: u8) -> String {
    let mut all = vec![
        "ip link set lo up".to_owned(),
        format!("ip addr add {}/24 dev eth0", node(number)),
        "ip link set eth0 up".to_owned(),
        format!("ip route add default via {PLANE}"),
        "echo 1 >/proc/sys/net/ipv4/ip_forward".to_owned(),
        // A service may lead back to a pod of the same node.
        "echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables".to_owned(),
    ];
    for other in (1..=nodes).filter(|other| *other != number) {
        all.push(format!("ip route add {} via {}", pods_of(other), node(other)));
    }
    all.join(" && ")
}

/// Pulls a node's cable, or puts it back.
pub async fn cut(number: u8, cut: bool) {
    ip(&format!("link set {} {}", cable(number), if cut { "down" } else { "up" })).await;
}

async fn ip(arguments: &str) {
    must("ip", &arguments.split(' ').collect::<Vec<_>>()).await;
}
