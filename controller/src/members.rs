//! Asking the members, all at once and not for long: fence yourself and say what you hold (rule E3).

use crate::apply::read_authority;
use crate::caches::{Caches, Key};
use crate::observe::report_view;
use bytes::Bytes;
use core::time::Duration;
use futures::future::join_all;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use kube::ResourceExt;
use pgherd_core::cluster::{Observed, PodView, Report, SecretKind};
use pgherd_core::lease::{LeaseRecord, Versioned, WalPosition};
use pgherd_pki::{ClientIdentity, Usage, client_config};
use pgherd_proto::control::FenceRequest;
use pgherd_proto::member::MemberReport;
use pgherd_proto::names::CONTROLLER_COMMON_NAME;
use pgherd_proto::status::PostgresqlStatus;
use rustls_pki_types::ServerName;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// An election does not wait longer for anybody.
const DEADLINE: Duration = Duration::from_secs(1);
/// No report is longer.
const MAX_ANSWER: usize = 1 << 20;

/// A member did not answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Out of reach, or not in time.
    #[error("failed to reach the member")]
    Unreachable(#[source] std::io::Error),
    /// The connection broke.
    #[error("failed to speak to the member")]
    Http(#[source] hyper::Error),
    /// It refused.
    #[error("the member answered {0}: {1}")]
    Refused(u16, String),
    /// The answer is not what it should be.
    #[error("failed to read the member's answer")]
    Answer,
    /// There is no certificate to show.
    #[error("failed to set up TLS: {0}")]
    Tls(String),
}

/// A client configuration, and the version of the authority that signed for it.
type Signed = (String, Arc<rustls::ClientConfig>);

/// Dials managers with certificates that it signs itself, one per cluster and authority.
#[derive(Clone)]
pub struct Members {
    port: u16,
    configs: Arc<Mutex<HashMap<Key, Signed>>>,
}

impl Members {
    /// Nobody was asked yet. `port` is that of the managers' status.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self { port, configs: Arc::default() }
    }

    /// Fences every member but the holder at this lease's term, and puts the answers into `observed`. Whoever
    /// does not answer keeps its annotation, which counts for nothing in an election.
    pub async fn fence(&self, caches: &Caches, key: &Key, lease: &Versioned<LeaseRecord>, observed: &mut Observed) {
        let Some(config) = self.config_or_say(caches, key) else { return };
        let request = FenceRequest { term: lease.value.term, lease_version: lease.version.clone() };
        let Ok(body) = serde_json::to_vec(&request) else { return };
        let holder = lease.value.held_by().map(|holder| holder.pod_uid.clone());
        let asked =
            observed.pods.iter().enumerate().filter(|(_, pod)| pod.is_alive() && Some(&pod.uid) != holder.as_ref());
        let answers = join_all(asked.map(|(at, pod)| {
            let (config, body) = (config.clone(), Bytes::from(body.clone()));
            async move {
                (at, pod.name.clone(), ask::<MemberReport>(config, pod, self.port, "POST", "/pg/fence", body).await)
            }
        }))
        .await;
        for (at, name, answer) in answers {
            let Some(pod) = observed.pods.get_mut(at) else { continue };
            match answer {
                Ok(report) if report.pod_uid == pod.uid => pod.report = Some(report_view(&report, true)),
                Ok(_) => tracing::warn!(member = %name, "another pod answered at this member's address"),
                Err(error) => {
                    tracing::info!(member = %name, error = %pgherd_telemetry::chain(&error), "a member was not fenced");
                }
            }
        }
    }

    /// Looks at the target and the primary of a switchover, without fencing anybody.
    pub async fn look(&self, caches: &Caches, key: &Key, observed: &mut Observed) {
        let Some(config) = self.config_or_say(caches, key) else { return };
        let asked = observed.pods.iter().enumerate().filter(|(_, pod)| pod.is_alive());
        let answers =
            join_all(
                asked.map(|(at, pod)| {
                    let config = config.clone();
                    async move {
                        (at, ask::<PostgresqlStatus>(config, pod, self.port, "GET", "/pg/status", Bytes::new()).await)
                    }
                }),
            )
            .await;
        for (at, answer) in answers {
            let report = observed.pods.get_mut(at).and_then(|pod| pod.report.as_mut());
            if let (Some(report), Ok(status)) = (report, answer) {
                refresh(report, &status);
            }
        }
    }

    fn config_or_say(&self, caches: &Caches, key: &Key) -> Option<Arc<rustls::ClientConfig>> {
        match self.config(caches, key) {
            Ok(config) => Some(config),
            Err(error) => {
                tracing::error!(cluster = %key.name, namespace = %key.namespace, %error, "no member can be asked");
                None
            }
        }
    }

    fn config(&self, caches: &Caches, key: &Key) -> Result<Arc<rustls::ClientConfig>, AskError> {
        let name = SecretKind::Ca.name(&key.name);
        let secret =
            caches.secret(&key.namespace, &name).ok_or_else(|| AskError::Tls(format!("secret {name} is absent")))?;
        let version = secret.resource_version().unwrap_or_default();
        let mut configs = self.configs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((known, config)) = configs.get(key)
            && *known == version
        {
            return Ok(config.clone());
        }
        let authority = read_authority(&secret).map_err(AskError::Tls)?;
        let leaf = authority.sign(CONTROLLER_COMMON_NAME, &Usage::Client, Timestamp::now());
        let leaf = leaf.map_err(|error| AskError::Tls(error.to_string()))?;
        let identity = ClientIdentity { certificate_pem: &leaf.certificate_pem, key_pem: &leaf.key_pem };
        let config = client_config(authority.certificate_pem(), Some(identity));
        let config = Arc::new(config.map_err(|error| AskError::Tls(error.to_string()))?);
        configs.insert(key.clone(), (version, config.clone()));
        Ok(config)
    }
}

/// Brings a report up to date from the status.
fn refresh(report: &mut Report, status: &PostgresqlStatus) {
    let lsn = if status.is_primary { status.current_lsn } else { status.received_lsn };
    let timeline = report.position.map(|position| position.timeline).unwrap_or_default();
    if let Some(lsn) = lsn {
        report.position = Some(WalPosition { timeline, lsn });
        report.fresh = true;
    }
}

async fn ask<T: serde::de::DeserializeOwned>(
    config: Arc<rustls::ClientConfig>,
    pod: &PodView,
    port: u16,
    method: &str,
    path: &str,
    body: Bytes,
) -> Result<T, AskError> {
    let late = || AskError::Unreachable(std::io::Error::from(std::io::ErrorKind::TimedOut));
    tokio::time::timeout(DEADLINE, exchange(config, pod, port, method, path, body)).await.map_err(|_| late())?
}

async fn exchange<T: serde::de::DeserializeOwned>(
    config: Arc<rustls::ClientConfig>,
    pod: &PodView,
    port: u16,
    method: &str,
    path: &str,
    body: Bytes,
) -> Result<T, AskError> {
    let no_address = || AskError::Unreachable(std::io::Error::other("the pod has no address"));
    let ip: IpAddr = pod.ip.as_deref().and_then(|ip| ip.parse().ok()).ok_or_else(no_address)?;
    let stream = TcpStream::connect(SocketAddr::new(ip, port)).await.map_err(AskError::Unreachable)?;
    let _ = stream.set_nodelay(true);
    let stream =
        TlsConnector::from(config).connect(ServerName::from(ip), stream).await.map_err(AskError::Unreachable)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(AskError::Http)?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", &pod.name)
        .header("content-type", "application/json")
        .body(Full::new(body))
        .map_err(|_| AskError::Answer)?;
    // The connection lives as long as the exchange: it is driven beside it and dropped with it.
    let answer = async {
        let response = sender.send_request(request).await.map_err(AskError::Http)?;
        let status = response.status();
        let body =
            Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|_| AskError::Answer)?.to_bytes();
        if !status.is_success() {
            let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
            return Err(AskError::Refused(status.as_u16(), text));
        }
        serde_json::from_slice(&body).map_err(|_| AskError::Answer)
    };
    tokio::pin!(answer);
    tokio::select! {
        result = &mut answer => result,
        broken = connection => match broken {
            Ok(()) => answer.await,
            Err(error) => Err(AskError::Http(error)),
        },
    }
}
