//! `make e2e`: a cluster's life on real nodes, of this machine's own (API server, controller-manager, scheduler, and three
//! nodes of kubelet, containerd, runc, kube-proxy and a CNI bridge, each in namespaces) or of kind. The chart is installed by Helm, the
//! example manifests are applied as they are, and everything after that is said through kubectl. A program and not a
//! harness of tests, since it begins again inside of namespaces of its own; `target/e2e/report.json` has what it saw.

// Test code: the lints excuse test functions, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)]

mod archive;
mod cgroups;
mod cluster;
mod images;
mod install;
mod kind;
mod kubectl;
mod load;
mod machine;
mod network;
mod node;
mod node_files;
mod nodes;
mod place;
mod plane;
mod process;
mod report;
mod room;
mod scenarios;
mod storage;
mod store;
mod tools;
mod world;

/// What `make e2e` sets: `node`, or `kind`. Without, a plain `cargo test` passes by.
const VARIABLE: &str = "E2E";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ok = match (arguments.as_slice(), std::env::var(VARIABLE).as_deref()) {
        ([mode, directory], _) if mode == room::INSIDE => room::inside(directory.as_ref()),
        (_, Ok(machine @ ("node" | "kind"))) => room::outside(machine),
        _ => {
            println!("make e2e runs this");
            true
        }
    };
    std::process::exit(i32::from(!ok));
}
