//! What stands in for a cluster on one machine: a small Kubernetes API, a node that runs pods as processes, faults.

pub mod api;
