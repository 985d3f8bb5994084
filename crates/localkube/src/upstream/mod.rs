//! A real API server instead of the local one: the node works on a copy of its objects ([`mirror`]), what the node writes
//! is carried to it ([`orders`]), and pods get tokens that it makes ([`tokens`]).
//!
//! Neighbours: the daemon starts all three; the node does not know of them. What a real cluster has controllers for is
//! theirs, so that orders for it are dropped: Endpoints are the controller-manager's.

pub mod mirror;
pub mod orders;
pub mod tokens;

use kube::api::{Api, ApiResource, DynamicObject};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use std::path::Path;

use crate::api::ResourceInfo;

/// The real API server cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// What is given for it is not usable.
    #[error("failed to read the kubeconfig of the API server")]
    Kubeconfig(#[from] KubeconfigError),
    /// No client can be made of it.
    #[error("failed to make a client of the API server")]
    Client(#[source] kube::Error),
    /// It has no address.
    #[error("failed to find the address of the API server in its kubeconfig")]
    Address,
    /// It did not make what was asked for.
    #[error("failed to get a token for a pod")]
    Token(#[source] kube::Error),
    /// What the node needs was not listed in time.
    #[error("failed to list what the API server has: it does not answer, or refuses")]
    Silent,
}

/// Reads a kubeconfig.
///
/// # Errors
/// [`UpstreamError::Kubeconfig`].
pub fn read(path: &Path) -> Result<Kubeconfig, UpstreamError> {
    Ok(Kubeconfig::read_from(path)?)
}

/// The same, with another way to the same server.
#[must_use]
pub fn by_way_of(mut file: Kubeconfig, server: &str) -> Kubeconfig {
    for cluster in file.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        cluster.server = Some(server.to_owned());
    }
    file
}

/// `HOST:PORT` of the server, as the host of this environment reaches it.
///
/// # Errors
/// [`UpstreamError::Address`].
pub fn address(file: &Kubeconfig) -> Result<String, UpstreamError> {
    let server = file.clusters.first().and_then(|named| named.cluster.as_ref()?.server.clone());
    let uri: http::Uri = server.and_then(|server| server.parse().ok()).ok_or(UpstreamError::Address)?;
    let host = uri.host().ok_or(UpstreamError::Address)?;
    Ok(format!("{host}:{}", uri.port_u16().unwrap_or(443)))
}

/// A client. Its connections are made on the threads that use it.
///
/// # Errors
/// If the kubeconfig is not usable.
pub async fn client(file: Kubeconfig) -> Result<Client, UpstreamError> {
    // Whoever came first has chosen; both are the same.
    let _provider = rustls::crypto::ring::default_provider().install_default();
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Client::try_from(config).map_err(UpstreamError::Client)
}

fn kind_of(info: &ResourceInfo) -> ApiResource {
    ApiResource {
        group: info.gr.group.clone(),
        version: info.version.clone(),
        api_version: info.api_version(),
        kind: info.kind.clone(),
        plural: info.gr.plural.clone(),
    }
}

/// The objects of a resource in a namespace, or those of the cluster where that is empty.
fn api(client: &Client, info: &ResourceInfo, namespace: &str) -> Api<DynamicObject> {
    match namespace {
        "" => Api::all_with(client.clone(), &kind_of(info)),
        namespace => Api::namespaced_with(client.clone(), namespace, &kind_of(info)),
    }
}
