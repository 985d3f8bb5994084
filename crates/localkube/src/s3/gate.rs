//! The switch before S3. It works on connections, so it is the same for the embedded server and for a real one.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::faulty;
use crate::net::host::HostSide;
use crate::net::proxy;

/// What is wrong with S3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum S3Fault {
    /// Nothing.
    #[default]
    None,
    /// Connections are reset.
    Off,
    /// Connections are taken and nothing is ever answered.
    Silent,
    /// Every 64 KiB in either direction wait so many milliseconds.
    Slow(u64),
    /// Every request is answered with this HTTP status.
    Status(u16),
    /// So many bytes a second come through in each direction of a connection.
    Rate(u64),
    /// A connection is reset once so many bytes have come through it, in whichever direction.
    Reset(u64),
    /// A write is carried out, and its connection reset instead of the answer. Reads are answered.
    AckLost,
    /// An answer ends after so many bytes, as if the server had closed the connection in good order.
    Truncated(u64),
}

/// What is behind the gate.
#[derive(Debug, Clone)]
pub enum Behind {
    /// A server in the cluster's namespace.
    Cluster(SocketAddr),
    /// A server that the host can reach, `host:port`.
    Host(HostSide, String),
}

/// The switch; clones share it.
#[derive(Debug, Clone, Default)]
pub struct S3Gate {
    fault: watch::Sender<S3Fault>,
}

impl S3Gate {
    /// Changes what is wrong. Connections that are open are cut if nothing is to come through any more.
    pub fn set(&self, fault: S3Fault) {
        self.fault.send_replace(fault);
    }

    /// What is wrong now.
    pub fn current(&self) -> S3Fault {
        *self.fault.borrow()
    }

    /// Lets connections through until the future is dropped.
    pub async fn run(&self, listener: TcpListener, behind: Behind) {
        let mut live = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((client, _)) => drop(live.spawn(one(client, behind.clone(), self.fault.subscribe()))),
                    Err(error) => tracing::warn!(%error, "the gate of S3 cannot accept"),
                },
                Some(_) = live.join_next() => {}
            }
        }
    }
}

async fn one(mut client: TcpStream, behind: Behind, mut fault: watch::Receiver<S3Fault>) {
    let now = *fault.borrow_and_update();
    match now {
        S3Fault::Off => return proxy::reset(client),
        S3Fault::Silent => {
            let _until_it_changes = fault.changed().await;
            return proxy::reset(client);
        }
        S3Fault::Status(status) => return answer(&mut client, status).await,
        _ => {}
    }
    let server = match behind {
        Behind::Cluster(address) => proxy::connect(address).await,
        Behind::Host(host, target) => host.connect(target).await,
    };
    let Ok(server) = server else { return proxy::reset(client) };
    tokio::select! {
        () = faulty::carry(client, server, now) => {}
        // Dropping both ends closes them in the middle of whatever they were doing.
        _changed = fault.wait_for(|fault| *fault != now) => {}
    }
}

/// Answers one request after another without looking at more than their heads, then closes: a body may follow.
async fn answer(client: &mut TcpStream, status: u16) {
    let mut head = vec![0_u8; 16 << 10];
    if client.read(&mut head).await.is_err() {
        return;
    }
    let code = match status {
        403 => "AccessDenied",
        404 => "NoSuchBucket",
        503 => "SlowDown",
        _ => "InternalError",
    };
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>injected fault</Message></Error>");
    let text = format!(
        "HTTP/1.1 {status} Injected\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _sent = client.write_all(text.as_bytes()).await;
    let _closed = client.shutdown().await;
    // Take what is still coming, or the reset would overtake the answer.
    let drained = async { while matches!(client.read(&mut head).await, Ok(count) if count > 0) {} };
    let _bounded = tokio::time::timeout(Duration::from_secs(2), drained).await;
}
