//! The manager's side of the Kubernetes API: its own Cluster, Lease, pods and Secrets, and nothing else.
//!
//! Watches feed events to the driver; writes are named after what they say. Every write of the Lease is a full
//! PUT over the version that was decided from (I10); the rest are merge patches of fields this manager owns.

mod announce;
mod lease;
mod own_pod;
mod read;
mod watch;

pub use announce::{AnnounceError, Announcer};
pub use lease::LeaseApi;
pub use own_pod::OwnPod;
pub use read::{another_labelled, cluster_view, deaths, peers};
pub use watch::{Seen, watch_cluster};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{Api, Client};
use pgherd_proto::cluster::Cluster;

/// Handles on the objects of one cluster.
#[derive(Clone)]
pub struct ClusterApi {
    /// The Clusters of the namespace.
    pub clusters: Api<Cluster>,
    /// Its Leases.
    pub leases: Api<Lease>,
    /// Its pods.
    pub pods: Api<Pod>,
    /// Its Secrets.
    pub secrets: Api<Secret>,
    /// The Cluster's name, which is the Lease's too.
    pub name: String,
    /// The client below, for untyped access.
    pub client: Client,
    /// The namespace.
    pub namespace: String,
}

impl ClusterApi {
    /// Handles on the cluster `name` in `namespace`.
    #[must_use]
    pub fn new(client: &Client, namespace: &str, name: &str) -> Self {
        Self {
            clusters: Api::namespaced(client.clone(), namespace),
            leases: Api::namespaced(client.clone(), namespace),
            pods: Api::namespaced(client.clone(), namespace),
            secrets: Api::namespaced(client.clone(), namespace),
            name: name.to_owned(),
            client: client.clone(),
            namespace: namespace.to_owned(),
        }
    }
}
