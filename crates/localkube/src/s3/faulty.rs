//! Connections that are slow, end too early, or lose an answer.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::S3Fault;
use crate::net::proxy;

/// Slow connections move this often.
const TICK: Duration = Duration::from_millis(100);

/// What becomes of a connection after a piece of it.
enum Next {
    Go,
    /// Both ends see a reset.
    Reset,
    /// So many bytes of the piece are delivered, then the client sees an orderly end.
    End(usize),
}

/// What has come through.
#[derive(Default)]
struct Seen {
    /// Bytes, both ways.
    total: u64,
    /// The last request writes something.
    writes: bool,
    /// Bytes of the answer to the last request.
    answered: u64,
}

impl Seen {
    fn asks(&mut self, fault: S3Fault, piece: &[u8]) -> Next {
        let begins = |word: &str| piece.starts_with(word.as_bytes());
        if ["PUT ", "POST ", "DELETE "].into_iter().any(begins) {
            (self.writes, self.answered) = (true, 0);
        } else if ["GET ", "HEAD "].into_iter().any(begins) {
            (self.writes, self.answered) = (false, 0);
        }
        self.count(fault, piece)
    }

    fn answers(&mut self, fault: S3Fault, piece: &[u8]) -> Next {
        match fault {
            // "100 Continue" is no answer.
            S3Fault::AckLost if self.writes && !piece.starts_with(b"HTTP/1.1 100 ") => return Next::Reset,
            S3Fault::Truncated(limit) => {
                let left = limit.saturating_sub(self.answered);
                self.answered = self.answered.saturating_add(length(piece));
                if self.answered > limit {
                    return Next::End(usize::try_from(left).unwrap_or(usize::MAX));
                }
            }
            _ => {}
        }
        self.count(fault, piece)
    }

    fn count(&mut self, fault: S3Fault, piece: &[u8]) -> Next {
        self.total = self.total.saturating_add(length(piece));
        match fault {
            S3Fault::Reset(limit) if self.total > limit => Next::Reset,
            _ => Next::Go,
        }
    }
}

fn length(piece: &[u8]) -> u64 {
    u64::try_from(piece.len()).unwrap_or(u64::MAX)
}

/// Carries bytes both ways until both ends have closed, or the fault ends the connection.
pub(super) async fn carry(mut client: TcpStream, mut server: TcpStream, fault: S3Fault) {
    if fault == S3Fault::None {
        return proxy::carry(client, server).await;
    }
    // How much may move at once, and what it waits for.
    let (most, wait) = match fault {
        S3Fault::Slow(milliseconds) => (64 << 10, Duration::from_millis(milliseconds)),
        S3Fault::Rate(bytes) => (usize::try_from(bytes / 10).unwrap_or(usize::MAX).clamp(1, 64 << 10), TICK),
        _ => (64 << 10, Duration::ZERO),
    };
    let ended = {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let (mut up, mut down) = (vec![0_u8; most], vec![0_u8; most]);
        let (mut client_open, mut server_open) = (true, true);
        let mut seen = Seen::default();
        loop {
            let moved = tokio::select! {
                read = from_client.read(&mut up), if client_open => match read {
                    Ok(0) => {
                        client_open = false;
                        to_server.shutdown().await.map(|()| Next::Go)
                    }
                    Ok(count) => {
                        let piece = up.get(..count).unwrap_or_default();
                        tokio::time::sleep(wait).await;
                        to_server.write_all(piece).await.map(|()| seen.asks(fault, piece))
                    }
                    Err(error) => Err(error),
                },
                read = from_server.read(&mut down), if server_open => match read {
                    Ok(0) => {
                        server_open = false;
                        to_client.shutdown().await.map(|()| Next::Go)
                    }
                    Ok(count) => {
                        let piece = down.get(..count).unwrap_or_default();
                        tokio::time::sleep(wait).await;
                        match seen.answers(fault, piece) {
                            Next::Go => to_client.write_all(piece).await.map(|()| Next::Go),
                            Next::End(left) => {
                                let _sent = to_client.write_all(piece.get(..left).unwrap_or_default()).await;
                                Ok(Next::End(left))
                            }
                            Next::Reset => Ok(Next::Reset),
                        }
                    }
                    Err(error) => Err(error),
                },
                else => break Next::Go,
            };
            match moved {
                Ok(Next::Go) => {}
                Ok(end) => break end,
                Err(_) => break Next::Reset,
            }
        }
    };
    match ended {
        Next::Reset => {
            proxy::reset(client);
            proxy::reset(server);
        }
        Next::End(_) => drop(client.shutdown().await),
        Next::Go => {}
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::{S3Fault, carry};

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone";

    /// What a client gets for `request`, and what the server got.
    async fn asked(fault: S3Fault, request: &[u8]) -> (std::io::Result<Vec<u8>>, Vec<u8>) {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (inner, outer) = (TcpListener::bind(here).await.unwrap(), TcpListener::bind(here).await.unwrap());
        let target = inner.local_addr().unwrap();
        let mut client = TcpStream::connect(outer.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = outer.accept().await.unwrap();
        let carried = async { carry(accepted, TcpStream::connect(target).await.unwrap(), fault).await };
        let served = async {
            let (mut server, _) = inner.accept().await.unwrap();
            let mut got = vec![0_u8; request.len()];
            let mut count = 0;
            while count < request.len() {
                match server.read(&mut got[count..]).await {
                    Ok(more) if more > 0 => count += more,
                    _ => break,
                }
            }
            got.truncate(count);
            let _unheard = server.write_all(ANSWER).await;
            let _unheard = server.shutdown().await;
            got
        };
        // The connection ends with the client, or nothing else would.
        let asking = async move {
            client.write_all(request).await?;
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await?;
            drop(client);
            Ok(answer)
        };
        let (answer, got, ()) = tokio::join!(asking, served, carried);
        (answer, got)
    }

    #[tokio::test]
    async fn a_write_whose_answer_is_lost_was_carried_out_and_reads_are_answered() {
        let put = b"PUT /b/k HTTP/1.1\r\ncontent-length: 1\r\n\r\nx";
        let (answer, got) = asked(S3Fault::AckLost, put).await;
        assert_eq!(got, put);
        assert!(answer.is_err(), "{answer:?}");
        let (answer, _) = asked(S3Fault::AckLost, b"GET /b/k HTTP/1.1\r\n\r\n").await;
        assert_eq!(answer.unwrap(), ANSWER);
    }

    #[tokio::test]
    async fn an_answer_can_end_too_early_and_a_connection_in_the_middle() {
        let get = b"GET /b/k HTTP/1.1\r\n\r\n";
        let (answer, _) = asked(S3Fault::Truncated(20), get).await;
        assert_eq!(answer.unwrap(), ANSWER[..20]);
        let (answer, _) = asked(S3Fault::Reset(30), get).await;
        assert!(answer.is_err(), "{answer:?}");
    }

    #[tokio::test]
    async fn a_slow_connection_delivers_everything_late() {
        let began = std::time::Instant::now();
        let (answer, _) = asked(S3Fault::Rate(200), b"GET / HTTP/1.1\r\n\r\n").await;
        assert_eq!(answer.unwrap(), ANSWER);
        assert!(began.elapsed() >= std::time::Duration::from_millis(200), "nothing was slow");
    }
}
