//! Accepting connections, with and without TLS, and cutting them when a fault says so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::super::fault::{Cut, Faults};
use super::super::token::Identity;
use super::auth::certificate_identity;
use super::resources;
use super::server::ApiServer;

/// How long a client may take for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

pub(super) async fn run(
    server: ApiServer,
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    stop: CancellationToken,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(server.clone(), stream, peer, acceptor.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "the local API cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
    // Watches never end by themselves: what is open is closed.
    connections.shutdown().await;
}

async fn connection(server: ApiServer, stream: TcpStream, peer: SocketAddr, acceptor: Option<TlsAcceptor>) {
    let mut faults = server.inner.faults.subscribe();
    let mut drops = server.inner.faults.drops();
    // Watches and leases are small messages that must not wait for others.
    let _ = stream.set_nodelay(true);
    if faults.borrow_and_update().cut(peer.ip()) == Some(Cut::Reset) {
        let _ = stream.set_zero_linger();
        return;
    }
    let work = async {
        match acceptor {
            None => converse(&server, stream, None).await,
            Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let certificates = stream.get_ref().1.peer_certificates();
                    let identity = certificates.and_then(|c| c.first()).and_then(|der| certificate_identity(der));
                    converse(&server, stream, identity).await;
                }
                Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "TLS handshake timed out"),
            },
        }
    };
    let mut work = std::pin::pin!(work);
    loop {
        let cut = faults.borrow_and_update().cut(peer.ip());
        match cut {
            Some(Cut::Reset) => return,
            // Not polled: nothing moves until the fault changes.
            Some(Cut::Silent) => {
                if faults.changed().await.is_err() {
                    return;
                }
            }
            None => tokio::select! {
                () = &mut work => return,
                _ = drops.changed() => return,
                changed = changed_for(&mut faults) => if changed.is_err() { return },
            },
        }
    }
}

async fn changed_for(faults: &mut watch::Receiver<Faults>) -> Result<(), watch::error::RecvError> {
    faults.changed().await
}

async fn converse<S>(server: &ApiServer, stream: S, peer: Option<Identity>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = Arc::new(peer);
    let service = service_fn(move |request| {
        let (server, peer) = (server.clone(), Arc::clone(&peer));
        async move { Ok::<_, std::convert::Infallible>(resources::handle(&server, request, (*peer).as_ref()).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(250);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(error = %error, "a connection to the local API ended early");
    }
}
