//! One probe's question: HTTP(S) or a TCP connection, from the node's own address.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Probe;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::net::address::NODE;

/// No status line is longer.
const LINE_LIMIT: u64 = 1024;

/// Asks once. An error is a sentence for people, as the kubelet would put it into an event.
pub(super) async fn ask(
    probe: &Probe,
    address: Ipv4Addr,
    port_named: impl Fn(&str) -> Option<u16>,
) -> Result<(), String> {
    let port = |port: &IntOrString| match port {
        IntOrString::Int(number) => u16::try_from(*number).map_err(|_| format!("{number} is no port")),
        IntOrString::String(name) => port_named(name).ok_or_else(|| format!("there is no port named {name}")),
    };
    if let Some(get) = &probe.http_get {
        let stream = connect(address, port(&get.port)?).await?;
        let path = get.path.as_deref().unwrap_or("/");
        let status = if get.scheme.as_deref() == Some("HTTPS") {
            let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(ring::default_provider())))
                .with_no_client_auth();
            let name = ServerName::from(std::net::IpAddr::from(address));
            let tls = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
            get_status(tls.map_err(|error| format!("TLS: {error}"))?, path).await?
        } else {
            get_status(stream, path).await?
        };
        return match status {
            200..400 => Ok(()),
            other => Err(format!("HTTP probe failed with statuscode: {other}")),
        };
    }
    if let Some(tcp) = &probe.tcp_socket {
        return connect(address, port(&tcp.port)?).await.map(drop);
    }
    Err("only httpGet and tcpSocket probes are known here".to_owned())
}

async fn connect(address: Ipv4Addr, port: u16) -> Result<TcpStream, String> {
    let connected = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((NODE, 0)))?;
        socket.connect(SocketAddr::from((address, port))).await
    };
    connected.await.map_err(|error| format!("dial tcp {address}:{port}: {error}"))
}

/// The status of an HTTP/1 answer. Only its first line is read: a probe wants nothing else, and must not wait for a body.
async fn get_status(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> Result<u16, String> {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: kube-probe/1.33\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    stream.flush().await.map_err(|error| error.to_string())?;
    let mut line = String::new();
    BufReader::new(stream.take(LINE_LIMIT)).read_line(&mut line).await.map_err(|error| error.to_string())?;
    parse_status(&line).ok_or_else(|| "malformed HTTP response".to_owned())
}

fn parse_status(line: &str) -> Option<u16> {
    let mut words = line.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

/// Believes whoever answers. The kubelet does not verify whom it probes: it asks a process of its own node.
#[derive(Debug)]
pub struct AnyCertificate(pub CryptoProvider);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::parse_status;

    #[test]
    fn only_a_status_line_has_a_status() {
        let cases = [("HTTP/1.1 200 OK\r\n", Some(200)), ("HTTP/1.0 503\r\n", Some(503)), ("", None), ("hello", None)];
        for (line, expected) in cases {
            assert_eq!(parse_status(line), expected, "{line:?}");
        }
    }
}
