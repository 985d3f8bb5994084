//! A forwarder of TCP connections that can be shut: nothing moves through it then, and nothing is closed, as when packets
//! are lost on the way.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::proxy;

/// The switch; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Valve {
    shut: watch::Sender<bool>,
}

impl Valve {
    /// Lets nothing through any more, or everything again. What waited is delivered then.
    pub fn shut(&self, shut: bool) {
        self.shut.send_replace(shut);
    }

    /// Nothing goes through.
    pub fn is_shut(&self) -> bool {
        *self.shut.borrow()
    }

    /// Forwards to `target` until the future is dropped.
    pub async fn run(&self, listener: TcpListener, target: SocketAddr) {
        let mut live = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((client, _)) => drop(live.spawn(one(client, target, self.shut.subscribe()))),
                    Err(error) => tracing::warn!(%error, "a valve cannot accept"),
                },
                Some(_) = live.join_next() => {}
            }
        }
    }
}

async fn one(client: TcpStream, target: SocketAddr, mut shut: watch::Receiver<bool>) {
    let carried = async {
        match proxy::connect(target).await {
            Ok(server) => proxy::carry(client, server).await,
            Err(_) => proxy::reset(client),
        }
    };
    let mut carried = std::pin::pin!(carried);
    loop {
        // Not polled while it is shut: nothing moves.
        if shut.wait_for(|shut| !shut).await.is_err() {
            return;
        }
        tokio::select! {
            () = &mut carried => return,
            told = shut.wait_for(|shut| *shut) => if told.is_err() { return },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::Valve;

    #[tokio::test]
    async fn what_waits_at_a_shut_valve_arrives_when_it_opens() {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (inner, outer) = (TcpListener::bind(here).await.unwrap(), TcpListener::bind(here).await.unwrap());
        let (target, address) = (inner.local_addr().unwrap(), outer.local_addr().unwrap());
        let valve = Valve::default();
        let of_task = valve.clone();
        let task = tokio::spawn(async move { of_task.run(outer, target).await });
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"a").await.unwrap();
        let (mut server, _) = inner.accept().await.unwrap();
        assert_eq!(server.read_u8().await.unwrap(), b'a');
        valve.shut(true);
        client.write_all(b"b").await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(200), server.read_u8()).await;
        assert!(early.is_err(), "something came through");
        valve.shut(false);
        assert_eq!(server.read_u8().await.unwrap(), b'b');
        task.abort();
    }
}
