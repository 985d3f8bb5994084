//! What stands in for a cluster on one machine: a small Kubernetes API, a node that runs pods as processes, a network
//! with services, S3, and faults on purpose. It is the demo, the development loop and the test bed; never production.
//!
//! Neighbours: the real manager and controller run on it unchanged; `pgherd local` and the tests drive it through
//! [`daemon`]. Invariants: what a pod sees (PID 1, namespaces, paths, probes, restarts, services) is what a kubelet
//! would show it; everything started is recorded by process id and start time, so that a crash leaves nothing that the
//! next `up` or `down` does not sweep.

pub mod api;
pub mod daemon;
pub mod fault;
pub mod net;
pub mod node;
pub mod s3;
pub mod trace;
pub mod upstream;
