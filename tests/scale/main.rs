//! What one controller costs and how quick it is with many clusters: a real kube-apiserver and etcd, and a node that fakes
//! pods and what managers write (only here; everywhere else managers are managers). `make bench-scale` runs it, with
//! SCALE=1000 clusters of three (SCALE_LEASE=300/200/60 where the API server could not store the renewals of so
//! many); the figures are in target/bench/scale.json.

// A benchmark is test code: the lints excuse test functions, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod bench;
mod controller;
mod lease;
mod member;
mod node;
mod place;
mod served;
mod timings;

// The kube tier's, shared: not all of it is wanted here.
#[allow(dead_code)]
#[path = "../kube/install.rs"]
mod install;
#[path = "../kube/local_api.rs"]
mod local_api;
#[allow(dead_code)]
#[path = "../kube/plane.rs"]
mod plane;
