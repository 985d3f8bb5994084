//! The configuration of what runs on a node: containerd, the CNI bridge, the kubelet and kube-proxy. Everything else is
//! those programs' own default.

use std::path::Path;

use serde_json::{Value, json};

use crate::{cgroups, network};

/// The image of a pod's first container.
pub const PAUSE: &str = "pgherd.test/pause:1";

/// containerd's. A process here may not have its `oom_score_adj` lowered, which runc would do for a pod's first one.
pub fn containerd(plugins: &Path) -> String {
    format!(
        "version = 2\n\
         [plugins.\"io.containerd.grpc.v1.cri\"]\n  sandbox_image = \"{PAUSE}\"\n  restrict_oom_score_adj = true\n  \
         disable_apparmor = true\n\
         [plugins.\"io.containerd.grpc.v1.cri\".cni]\n  bin_dir = \"{}\"\n  conf_dir = \"/run/cni\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\".containerd]\n  snapshotter = \"overlayfs\"\n",
        plugins.display()
    )
}

/// A bridge whose addresses are routed, without any translation.
pub fn cni(number: u8) -> Value {
    json!({
        "cniVersion": "0.4.0", "name": "pods", "plugins": [{
            "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": network::pods_of(number)}]],
                "routes": [{"dst": "0.0.0.0/0"}]},
        }],
    })
}

/// The kubelet's.
pub fn kubelet(ca: &Path, group: &str) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": false},
            "x509": {"clientCAFile": ca}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs", "cgroupRoot": format!("/{group}"), "cgroupsPerQOS": true,
        "enforceNodeAllocatable": [],
        "failSwapOn": false, "resolvConf": "", "clusterDomain": "cluster.local",
        // The machine's disk is shared with whoever builds: how full it is says nothing about a node.
        "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "featureGates": {"LocalStorageCapacityIsolation": false},
        "runtimeRequestTimeout": "5m", "volumeStatsAggPeriod": "0s",
    })
}

/// kube-proxy's.
pub fn proxy(kubeconfig: &Path, name: &str) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "iptables",
        "clientConnection": {"kubeconfig": kubeconfig}, "clusterCIDR": network::PODS, "hostnameOverride": name,
        "iptables": {"syncPeriod": "30s", "minSyncPeriod": "0s"},
        // A limit of the whole machine, which is not ours to change.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    })
}

/// Has a kubelet find so many processors: the examples ask for two each, beside what else runs. A folder as the kernel's.
pub fn processors(folder: &Path, count: u32) {
    for number in 0..count {
        let processor = folder.join(format!("node0/cpu{number}"));
        let topology = processor.join("topology");
        std::fs::create_dir_all(&topology).unwrap();
        std::fs::write(processor.join("online"), "1\n").unwrap();
        std::fs::write(topology.join("core_id"), format!("{number}\n")).unwrap();
        std::fs::write(topology.join("physical_package_id"), "0\n").unwrap();
    }
    let kib = std::fs::read_to_string("/proc/meminfo").unwrap();
    let kib = kib.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap().trim().to_owned();
    std::fs::write(folder.join("node0/meminfo"), format!("Node 0 MemTotal: {kib}\n")).unwrap();
    std::fs::create_dir(folder.join("node0/hugepages")).unwrap();
}

/// What a kubelet would set for the whole machine, and finds set here: files as the kernel's.
pub const SETTINGS: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// The group of a node's containers.
pub fn group(directory: &Path, node: &str) -> String {
    format!("{}/{node}", cgroups::name(directory))
}
