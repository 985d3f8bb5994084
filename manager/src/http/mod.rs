//! HTTP on port 8000: probes, status for the controller and for load balancers, and the control routes.
//!
//! Answers are pure functions of what the driver and the sampler last published; no request runs SQL, and
//! every answer about postgres carries its age. Control requests need a client certificate of the cluster's
//! CA; they are handed to the driver over a bounded channel, since only the driver may act.

mod answer;
mod control;
mod listen;
mod patroni;
mod pg_status;
mod probes;
mod router;
mod snapshot;
mod wal_file;

pub use answer::{Answer, Body};
pub use control::{ControlError, ControlRequest, ControlSender, control_channel};
pub use listen::{Limits, ListenError, Peer, Security, TlsSource, serve};
pub use patroni::{health, liveness, parse_lag, primary, read_only, replica};
pub use probes::{healthz, readyz, startupz};
pub use router::{Shared, metrics_router, status_router};
pub use snapshot::{
    ArchiveView, ClusterFacts, Identity, InstanceSnapshot, LeaseView, PostgresState, ProvenFacts, Role, Sampled,
    Strategy, View, phase_name,
};

#[cfg(test)]
mod server_tests;
#[cfg(test)]
pub(crate) mod tests;
