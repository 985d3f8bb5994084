//! Asking another member's manager: one HTTPS request, with the replication certificate, in bounded time.

use crate::config::STATUS_PORT;
use bytes::Bytes;
use core::time::Duration;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{IpAddr, ServerName};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Why a member did not answer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It was not reached, or the answer broke off. Trying again may help.
    #[error("failed to ask {address}: {problem}")]
    Unreachable {
        /// Its pod IP.
        address: String,
        /// What happened.
        problem: String,
    },
    /// It answered, and refused.
    #[error("{address} refused: {status} {body}")]
    Refused {
        /// Its pod IP.
        address: String,
        /// HTTP status.
        status: StatusCode,
        /// Its words.
        body: String,
    },
}

/// Largest answer: a WAL segment of the largest size, and some room.
const ANSWER_LIMIT: usize = (1 << 30) + 4096;

/// One request to the manager at `address`; the body of a 200.
///
/// # Errors
/// [`PeerError`]: unreachable, or refused with its reason.
pub async fn ask(
    tls: Arc<rustls::ClientConfig>,
    address: &str,
    method: Method,
    path: &str,
    body: Vec<u8>,
    deadline: Duration,
) -> Result<Bytes, PeerError> {
    let failed = |problem: String| PeerError::Unreachable { address: address.to_owned(), problem };
    match tokio::time::timeout(deadline, exchange(tls, address, method, path, body)).await {
        Err(_) => Err(failed(format!("no answer within {deadline:?}"))),
        Ok(Err(problem)) => Err(failed(problem)),
        Ok(Ok((StatusCode::OK, bytes))) => Ok(bytes),
        Ok(Ok((status, bytes))) => {
            let body = String::from_utf8_lossy(bytes.get(..bytes.len().min(500)).unwrap_or_default()).into_owned();
            Err(PeerError::Refused { address: address.to_owned(), status, body })
        }
    }
}

async fn exchange(
    tls: Arc<rustls::ClientConfig>,
    address: &str,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<(StatusCode, Bytes), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let ip: std::net::IpAddr = address.parse().map_err(|_| "not an IP address".to_owned())?;
    let stream = TcpStream::connect((ip, STATUS_PORT)).await.map_err(|e| text(&e))?;
    stream.set_nodelay(true).map_err(|e| text(&e))?;
    let name = ServerName::IpAddress(IpAddr::from(ip));
    let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(|e| text(&e))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| text(&e))?;
    let driving = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, address)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|e| text(&e))?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(|e| text(&e))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await.map_err(|e| e.to_string())?;
        Ok((status, body.to_bytes()))
    };
    let answer = answered.await;
    driving.abort();
    answer
}
