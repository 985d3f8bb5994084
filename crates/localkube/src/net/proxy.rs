//! Carrying bytes between two connections, and refusing as a closed port does.

use std::io;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

/// How long a backend may take to accept: longer than a lost packet, shorter than a client's patience.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Carries bytes both ways until both ends have closed.
pub async fn carry(mut client: TcpStream, mut server: TcpStream) {
    let _nodelay = (client.set_nodelay(true), server.set_nodelay(true));
    if copy_bidirectional(&mut client, &mut server).await.is_err() {
        // One end was reset: the other end must not take it for an orderly end.
        reset(client);
        reset(server);
    }
}

/// Closes with a TCP reset, as a port on which nobody listens.
pub fn reset(stream: TcpStream) {
    let _lingering = stream.set_zero_linger();
    drop(stream);
}

/// Connects with a deadline.
///
/// # Errors
/// As `connect(2)`, and `TimedOut` after [`CONNECT_TIMEOUT`].
pub async fn connect(target: std::net::SocketAddr) -> io::Result<TcpStream> {
    tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(target))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
