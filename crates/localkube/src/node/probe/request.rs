//! One probe's question: HTTP(S) or a TCP connection, from the node's own address.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Probe;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::net::address::NODE;

/// Asks once. An error is a sentence for people, as the kubelet would put it into an event.
pub(super) async fn ask(probe: &Probe, address: Ipv4Addr, port_named: impl Fn(&str) -> Option<u16>) -> Result<(), String> {
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

async fn get_status(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, path: &str) -> Result<u16, String> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let request = Request::get(path)
        .header("host", "localhost")
        .header("user-agent", "kube-probe/1.33")
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    // Driven beside, to its end: a connection that closes behind its answer must not hide the answer.
    let answer = sender.send_request(request);
    let (answer, _ended) = tokio::join!(answer, connection);
    Ok(answer.map_err(|error| error.to_string())?.status().as_u16())
}

/// The kubelet does not verify whom it probes: it asks a process of its own node.
#[derive(Debug)]
struct AnyCertificate(CryptoProvider);

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
