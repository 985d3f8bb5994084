//! The accept loop: connection and time limits, TLS whose certificate can change under way.
//!
//! Guarantees: a peer that sends nothing, or too slowly, holds a slot for a bounded time; past the limit new
//! connections are closed at once. Cancel-safe: dropping the future closes the listener and its connections.

use axum::Router;
use core::time::Duration;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use pgherd_proto::names::{CONTROLLER_COMMON_NAME, MANAGER_COMMON_NAME, REPLICATION_USER};
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// Where the TLS configuration comes from: replaced at a rotation, `None` until the first certificate is there.
pub type TlsSource = watch::Receiver<Option<Arc<rustls::ServerConfig>>>;

/// How a listener speaks.
pub enum Security {
    /// As it comes.
    Plain,
    /// By TLS.
    Tls(TlsSource),
    /// By TLS while that is asked for, which may change; each connection as of its beginning.
    AsAsked(TlsSource, Box<dyn Fn() -> bool + Send + Sync>),
}

/// There is no certificate yet.
struct NotYet;

impl Security {
    fn acceptor(&self) -> Result<Option<TlsAcceptor>, NotYet> {
        let source = match self {
            Self::Plain => return Ok(None),
            Self::AsAsked(_, asked) if !asked() => return Ok(None),
            Self::Tls(source) | Self::AsAsked(source, _) => source,
        };
        source.borrow().clone().map(TlsAcceptor::from).map(Some).ok_or(NotYet)
    }
}

/// What is known about the other end of a connection; an extension of every request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// It presented a certificate of a manager, or of the controller, that the cluster's own CA signed.
    pub certified: bool,
    /// It is the controller.
    pub controls: bool,
}

impl Peer {
    /// By the chain that it presented, which was checked. An older manager shows its replication certificate.
    fn of(chain: Option<&[CertificateDer<'_>]>) -> Self {
        let name = chain.and_then(|chain| pgherd_pki::common_name(chain.first()?)).unwrap_or_default();
        let controls = name == CONTROLLER_COMMON_NAME;
        Self { certified: controls || name == MANAGER_COMMON_NAME || name == REPLICATION_USER, controls }
    }
}

/// Bounds of the server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// From the end of one request to the head of the next (also the limit of an idle connection).
    pub header: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 256, handshake: Duration::from_secs(5), header: Duration::from_secs(20) }
    }
}

/// The listener broke. The caller may listen again.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// accept(2) failed for a reason that does not pass by itself.
    #[error("failed to accept a connection")]
    Accept(#[source] std::io::Error),
}

/// Serves `router` on `listener` until it is dropped.
///
/// # Errors
/// [`ListenError`] when the listener itself is broken; errors of one connection only end that connection.
pub async fn serve(
    listener: TcpListener,
    security: Security,
    router: Router,
    limits: Limits,
) -> Result<(), ListenError> {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if passes_by_itself(&error) => {
                tracing::warn!(error = %error, "failed to accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            Err(error) => return Err(ListenError::Accept(error)),
        };
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            tracing::warn!(limit = limits.connections, "closed a connection: too many are open");
            continue;
        };
        let router = router.clone();
        let Ok(acceptor) = security.acceptor() else { continue };
        connections.spawn(async move {
            let _slot = slot;
            let _ = stream.set_nodelay(true);
            match acceptor {
                None => serve_connection(stream, Peer::default(), router, limits).await,
                Some(acceptor) => {
                    if let Ok(Ok(stream)) = tokio::time::timeout(limits.handshake, acceptor.accept(stream)).await {
                        let peer = Peer::of(stream.get_ref().1.peer_certificates());
                        serve_connection(stream, peer, router, limits).await;
                    }
                }
            }
        });
    }
}

async fn serve_connection<S>(stream: S, peer: Peer, router: Router, limits: Limits)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = router.map_request(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        request
    });
    // A peer that goes away in the middle of an answer is its own affair.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .await;
}

/// Out of descriptors, or a peer that left before it was accepted: the next one may work.
fn passes_by_itself(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | WouldBlock)
        || matches!(error.raw_os_error(), Some(23 | 24 | 12 | 105))
}
