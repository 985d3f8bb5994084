//! The exchange itself: dial, agree on TLS, ask, read.

use crate::call::Call;
use crate::error::ExchangeError;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub async fn exchange(
    tls: Arc<rustls::ClientConfig>,
    to: SocketAddr,
    call: Call,
) -> Result<(StatusCode, Bytes), ExchangeError> {
    let stream = TcpStream::connect(to).await.map_err(ExchangeError::Connect)?;
    stream.set_nodelay(true).map_err(ExchangeError::Connect)?;
    let name = ServerName::from(to.ip());
    let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(ExchangeError::Tls)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(ExchangeError::Http)?;
    let request = Request::builder()
        .method(call.method)
        .uri(call.path)
        .header(header::HOST, to.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(call.body))
        .map_err(ExchangeError::Request)?;
    // The connection lives as long as the exchange: it is driven beside it and dropped with it.
    let answer = async {
        let response = sender.send_request(request).await.map_err(ExchangeError::Http)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), call.longest).collect().await.map_err(ExchangeError::Body)?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(answer);
    tokio::select! {
        result = &mut answer => result,
        ended = connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(ExchangeError::Http(error)),
        },
    }
}
