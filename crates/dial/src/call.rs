//! What is asked, and the two ways to take the answer.

use crate::error::CallError;
use crate::exchange::exchange;
use bytes::Bytes;
use core::time::Duration;
use http::{Method, StatusCode};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The longest answer that says something; WAL is longer, and its asker says so.
const WORDS: usize = 1 << 20;
/// As much of a refusal is repeated.
const REFUSAL_CHARS: usize = 500;

/// One request.
#[derive(Clone, Debug)]
pub struct Call {
    /// GET, POST.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// JSON, or nothing.
    pub body: Bytes,
    /// From the dialling to the last byte of the answer.
    pub deadline: Duration,
    /// Bytes of the answer's body; a longer one is an error.
    pub longest: usize,
}

impl Call {
    /// Asks for something.
    #[must_use]
    pub fn get(path: impl Into<String>, deadline: Duration) -> Self {
        Self { method: Method::GET, path: path.into(), body: Bytes::new(), deadline, longest: WORDS }
    }

    /// Asks for something to be done.
    #[must_use]
    pub fn post(path: impl Into<String>, body: impl Into<Bytes>, deadline: Duration) -> Self {
        Self { method: Method::POST, body: body.into(), ..Self::get(path, deadline) }
    }

    /// The same, with an answer of up to `bytes`.
    #[must_use]
    pub fn up_to(self, bytes: usize) -> Self {
        Self { longest: bytes, ..self }
    }
}

/// The body of a 2xx answer of the manager at `address:port`. Dropping the future closes the connection.
///
/// # Errors
/// [`CallError`]: out of reach, late, or refused with its reason.
pub async fn ask(tls: Arc<rustls::ClientConfig>, address: &str, port: u16, call: Call) -> Result<Bytes, CallError> {
    let to = || address.to_owned();
    let ip: IpAddr = address.parse().map_err(|_| CallError::Address { address: to() })?;
    let within = call.deadline;
    match tokio::time::timeout(within, exchange(tls, SocketAddr::new(ip, port), call)).await {
        Err(_) => Err(CallError::Late { address: to(), within }),
        Ok(Err(source)) => Err(CallError::Broken { address: to(), source }),
        Ok(Ok((status, body))) if status.is_success() => Ok(body),
        Ok(Ok((status, body))) => Err(refused(to(), status, &body)),
    }
}

/// The same, read as JSON.
///
/// # Errors
/// As [`ask`], and [`CallError::Answer`].
pub async fn ask_json<T: serde::de::DeserializeOwned>(
    tls: Arc<rustls::ClientConfig>,
    address: &str,
    port: u16,
    call: Call,
) -> Result<T, CallError> {
    let body = ask(tls, address, port, call).await?;
    serde_json::from_slice(&body).map_err(|source| CallError::Answer { address: address.to_owned(), source })
}

fn refused(address: String, status: StatusCode, body: &[u8]) -> CallError {
    let body = String::from_utf8_lossy(body).chars().take(REFUSAL_CHARS).collect();
    CallError::Refused { address, status, body }
}
