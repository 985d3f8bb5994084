//! The accept loop of the webhook: TLS with a certificate that changes under way, and bounds on what a peer may hold.

use axum::Router;
use core::time::Duration;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Connections at a time; the API server keeps a few open.
const CONNECTIONS: usize = 64;
/// For the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// From the end of one request to the head of the next.
const HEADER: Duration = Duration::from_secs(90);
/// After accept(2) has failed.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until it is dropped. Without a certificate connections are closed.
pub(super) async fn serve(
    listener: TcpListener,
    tls: watch::Receiver<Option<Arc<rustls::ServerConfig>>>,
    router: Router,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the webhook could not accept a connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(config) = tls.borrow().clone() else { continue };
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            tracing::warn!(limit = CONNECTIONS, "the webhook closed a connection: too many are open");
            continue;
        };
        let router = router.clone();
        connections.spawn(async move {
            let _slot = slot;
            let handshake = tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await;
            let Ok(Ok(stream)) = handshake else { return };
            // A peer that goes away in the middle of an answer is its own affair.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
                .await;
        });
    }
}
