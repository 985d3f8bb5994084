//! The faked managers' port: one listener for all of them, who are told apart by the address that was dialled, with the
//! certificates that their clusters' Secrets have.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use pgherd_pki::{ClientIdentity, server_config};
use pgherd_proto::control::FenceRequest;
use pgherd_proto::secrets::{CA_CRT, TLS_CRT, TLS_KEY};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::member::Member;
use crate::node::Node;

/// What a cluster's managers show.
pub fn tls(secret: &Secret) -> Option<Arc<rustls::ServerConfig>> {
    let text = |key: &str| String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok();
    let (certificate, key, authority) = (text(TLS_CRT)?, text(TLS_KEY)?, text(CA_CRT)?);
    let identity = ClientIdentity { certificate_pem: &certificate, key_pem: &key };
    server_config(identity, Some(&authority)).ok().map(Arc::new)
}

/// Listens on every address of the loopback network; answers the port.
pub async fn listen(node: Node) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let node = node.clone();
            // Whoever hangs up in the middle is its own affair.
            tokio::spawn(async move { drop(answer(&node, stream).await) });
        }
    });
    port
}

async fn answer(node: &Node, stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let IpAddr::V4(address) = stream.local_addr()?.ip() else { return Ok(()) };
    // A dead manager's port is closed.
    let Some(member) = node.at(address).filter(|member| member.alive) else { return Ok(()) };
    let Some(tls) = node.tls(&member.cluster()) else { return Ok(()) };
    let stream = TlsAcceptor::from(tls).accept(stream).await?;
    exchange(node, &member, BufReader::new(stream)).await
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    node: &Node,
    member: &Member,
    mut stream: BufReader<S>,
) -> std::io::Result<()> {
    let (mut request, mut length) = (String::new(), 0_usize);
    stream.read_line(&mut request).await?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let answer = said(node, member, &request, &body);
    let (code, text) = match &answer {
        Some(value) => ("200 OK", value.to_string()),
        None => ("404 Not Found", String::new()),
    };
    let head = format!("HTTP/1.1 {code}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
    stream.write_all(format!("{head}{text}").as_bytes()).await?;
    stream.flush().await?;
    stream.shutdown().await
}

fn said(node: &Node, member: &Member, request: &str, body: &[u8]) -> Option<Value> {
    match request.split(' ').nth(1)? {
        "/pg/fence" => {
            let request: FenceRequest = serde_json::from_slice(body).ok()?;
            let fenced = node.change(&member.pod, |member| member.fence = request.term.0)?;
            serde_json::to_value(fenced.report()).ok()
        }
        "/pg/member" => serde_json::to_value(member.report()).ok(),
        "/pg/status" => serde_json::to_value(member.status()).ok(),
        _ => None,
    }
}
