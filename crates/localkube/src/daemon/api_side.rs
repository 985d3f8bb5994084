//! The Kubernetes API of an environment: the local one, or a real one that the node works for. What differs is here.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use kube::config::Kubeconfig;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::logs::LogFiles;
use super::options::{Layout, RealApi, UpOptions};
use super::serve::listen;
use super::{DaemonError, furnish, kubeconfig};
use crate::api::{ApiConfig, ApiServer, Credentials, FaultSwitch, Store, load_or_create};
use crate::net::address::{API_PORT, API_SERVICE, GATEWAY, ServiceAddresses};
use crate::net::forward::{Forwards, outward};
use crate::net::host::HostSide;
use crate::node::{NodeError, TokenIssuer};
use crate::upstream::{self, mirror, orders::Orders, tokens};

/// A year: the environment does not live that long, and nothing has to be refreshed.
const TOKEN_LIFETIME: i64 = 31_536_000;

/// What the rest of the environment needs of its API.
pub(super) struct ApiSide {
    pub store: Store,
    pub faults: FaultSwitch,
    pub token: TokenIssuer,
    pub access: Access,
}

/// How it is spoken to.
pub(super) enum Access {
    Local(Box<Credentials>),
    Real { host: Box<Kubeconfig>, controller: Box<Kubeconfig> },
}

/// Where pods and the environment itself reach it.
const WAYS_IN: [(Ipv4Addr, u16); 2] = [(GATEWAY, API_PORT), (API_SERVICE, 443)];

/// Starts whichever is wanted; definitions and nodes are in it then.
pub(super) async fn start(
    options: &UpOptions,
    layout: &Layout,
    host: &HostSide,
    tasks: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Result<ApiSide, DaemonError> {
    let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"].map(str::to_owned);
    let addresses = [GATEWAY, API_SERVICE, Ipv4Addr::LOCALHOST].map(IpAddr::from);
    let credentials = load_or_create(&layout.api(), &names, &addresses)?;
    let logs = Arc::new(LogFiles { directory: layout.node(), store: OnceLock::new() });
    let api = ApiServer::new(ApiConfig {
        state_dir: layout.api(),
        tokens: BTreeMap::new(),
        rbac: true,
        cluster_ips: Arc::new(ServiceAddresses::default()),
        pod_logs: Some(Arc::clone(&logs) as Arc<dyn crate::api::PodLogs>),
        root_ca: credentials.ca.clone(),
        faults: FaultSwitch::default(),
    })?;
    let store = api.store();
    furnish::definitions_of(&store)?;
    let (access, token) = match &options.api {
        Some(real) => follow(real, &store, host, tasks, stop).await?,
        None => {
            let _set_once = logs.store.set(store.clone());
            for (address, port) in WAYS_IN {
                let (api, listener) = (api.clone(), listen(address, port).await?);
                let (tls, stop) = (Arc::clone(&credentials.server), stop.clone());
                tasks.spawn(async move { api.serve(listener, Some(tls), stop).await });
            }
            (Access::Local(Box::new(credentials)), token_of(api.clone()))
        }
    };
    let (keeper, until) = (api.clone(), stop.clone());
    tasks.spawn(async move { keeper.run_housekeeping(until).await });
    furnish::nodes(&store, options)?;
    Ok(ApiSide { store, faults: api.faults(), token, access })
}

/// Makes the store a copy of the real server's objects.
async fn follow(
    real: &RealApi,
    store: &Store,
    host: &HostSide,
    tasks: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Result<(Access, TokenIssuer), DaemonError> {
    let (given, controller) = (upstream::read(&real.kubeconfig)?, upstream::read(&real.controller)?);
    let target = upstream::address(&given)?;
    for (address, port) in WAYS_IN {
        let (listener, host, target, stop) = (listen(address, port).await?, host.clone(), target.clone(), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = outward(listener, host, target) => {}
                () = stop.cancelled() => {}
            }
        });
    }
    let inside = format!("https://{GATEWAY}:{API_PORT}");
    let client = upstream::client(upstream::by_way_of(given.clone(), &inside)).await?;
    let orders = Arc::new(Orders::default());
    store.follow(Arc::clone(&orders) as Arc<dyn crate::api::Upstream>);
    let (of_orders, until) = (client.clone(), stop.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = orders.carry_out(of_orders) => {}
            () = until.cancelled() => {}
        }
    });
    mirror::start(&client, store, tasks, stop).await?;
    let access = Access::Real { host: Box::new(given), controller: Box::new(controller) };
    let token: TokenIssuer = Arc::new(move |wanted| {
        // Volumes are filled by code that does not wait; the other threads go on meanwhile.
        let asked = tokio::runtime::Handle::current();
        let made = tokio::task::block_in_place(|| asked.block_on(tokens::issue(&client, wanted)));
        made.map_err(|error| NodeError::Api(pgherd_telemetry::chain(&error)))
    });
    Ok((access, token))
}

fn token_of(api: ApiServer) -> TokenIssuer {
    Arc::new(move |wanted| {
        let made = api.service_account_token(wanted.namespace, wanted.account, TOKEN_LIFETIME, Vec::new());
        made.map(|(token, _)| token).ok_or_else(|| NodeError::Missing(format!("service account {:?}", wanted.account)))
    })
}

impl Access {
    /// Writes the kubeconfig for the host.
    pub async fn for_host(&self, layout: &Layout, forwards: &Forwards) -> Result<(), DaemonError> {
        let path = layout.kubeconfig();
        match self {
            Self::Local(credentials) => {
                let outside = forwards.to(SocketAddr::from((GATEWAY, API_PORT))).await?;
                kubeconfig::write(&path, &format!("https://{outside}"), credentials, "default")
            }
            Self::Real { host, .. } => kubeconfig::write_file(&path, host),
        }
    }

    /// Writes the kubeconfig of a controller, which has its own port on the gateway.
    pub fn for_controller(&self, layout: &Layout, number: usize, port: u16) -> Result<(), DaemonError> {
        let (path, server) = (layout.controller_kubeconfig(number), format!("https://{GATEWAY}:{port}"));
        match self {
            Self::Local(credentials) => kubeconfig::write(&path, &server, credentials, "default"),
            Self::Real { controller, .. } => {
                kubeconfig::write_file(&path, &upstream::by_way_of((**controller).clone(), &server))
            }
        }
    }
}
