//! What runs in `pgherd local`, unchanged, against a real kube-apiserver with RBAC: the controller with the rules of the
//! chart, the managers with the tokens of their own accounts, pods as processes of the local node. The same scenarios run
//! on the local API, and what the two servers answer to the calls of our programs is compared.
//!
//! Needs what the cluster tier needs, and `make kube-assets` or `KUBEBUILDER_ASSETS`.

// Test code: the lints excuse test functions, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)]

mod answers;
mod dialogue;
mod install;
mod local_api;
mod person;
mod plane;
mod real;
mod scenarios;
mod set_back;
mod tenants;

// The cluster tier's bed, shared: not all of it is wanted here, so that what only that tier calls is no dead code.
#[allow(dead_code)]
#[path = "../cluster/bed.rs"]
mod bed;
#[allow(dead_code)]
#[path = "../cluster/cluster.rs"]
mod cluster;
#[allow(dead_code)]
#[path = "../cluster/load.rs"]
mod load;
