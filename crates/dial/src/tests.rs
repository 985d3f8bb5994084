//! Real sockets, real certificates, and servers that misbehave.

use super::*;
use core::time::Duration;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pgherd_pki::{Authority, ClientIdentity, Usage, client_config, server_config};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Generous: nothing that is to succeed is cut short by it.
const LONG: Duration = Duration::from_secs(60);

struct Server {
    port: u16,
    authority: Authority,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn tls_of(authority: &Authority) -> Arc<rustls::ServerConfig> {
    let usage = Usage::Server { names: vec!["127.0.0.1".into()] };
    let leaf = authority.sign("server", &usage, jiff::Timestamp::now()).unwrap();
    let identity = ClientIdentity { certificate_pem: &leaf.certificate_pem, key_pem: &leaf.key_pem };
    Arc::new(server_config(identity, Some(authority.certificate_pem())).unwrap())
}

/// Answers with method, path, body and how many certificates it was shown; `/no` with 409, `/never` not at all.
async fn start() -> Server {
    let authority = Authority::generate("c", jiff::Timestamp::now()).unwrap();
    let acceptor = TlsAcceptor::from(tls_of(&authority));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let shown = stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len);
            let service = service_fn(move |request| answer(request, shown));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        }
    });
    Server { port, authority, task }
}

async fn answer(request: Request<Incoming>, shown: usize) -> Result<Response<Full<bytes::Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = head.uri.path();
    if path == "/never" {
        std::future::pending::<()>().await;
    }
    let text = format!("{} {path} {} {shown}", head.method, String::from_utf8_lossy(&body));
    let mut response = Response::new(Full::new(serde_json::to_vec(&text).unwrap().into()));
    if path == "/no" {
        *response.status_mut() = StatusCode::CONFLICT;
    }
    Ok(response)
}

impl Server {
    fn client(&self) -> Arc<rustls::ClientConfig> {
        let leaf = self.authority.sign("client", &Usage::Client, jiff::Timestamp::now()).unwrap();
        let identity = ClientIdentity { certificate_pem: &leaf.certificate_pem, key_pem: &leaf.key_pem };
        Arc::new(client_config(self.authority.certificate_pem(), Some(identity)).unwrap())
    }

    async fn ask(&self, call: Call) -> Result<String, CallError> {
        ask_json(self.client(), "127.0.0.1", self.port, call).await
    }
}

#[tokio::test]
async fn a_request_arrives_whole_with_the_callers_certificate() {
    let server = start().await;
    let said = server.ask(Call::post("/failsafe", "{\"term\":1}", LONG)).await.unwrap();
    assert_eq!(said, "POST /failsafe {\"term\":1} 1");
    assert_eq!(server.ask(Call::get("/pg/status", LONG)).await.unwrap(), "GET /pg/status  1");
}

#[tokio::test]
async fn a_refusal_carries_the_status_and_the_words() {
    let server = start().await;
    let Err(CallError::Refused { status, body, .. }) = server.ask(Call::get("/no", LONG)).await else { panic!() };
    assert_eq!((status, body.as_str()), (StatusCode::CONFLICT, "\"GET /no  1\""));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let server = start().await;
    let late = server.ask(Call::get("/never", Duration::from_millis(50))).await;
    assert!(matches!(late, Err(CallError::Late { .. })), "{late:?}");
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_taken_in() {
    let server = start().await;
    let long = server.ask(Call::get("/pg/status", LONG).up_to(3)).await;
    assert!(matches!(long, Err(CallError::Broken { source: ExchangeError::Body(_), .. })), "{long:?}");
}

#[tokio::test]
async fn another_clusters_server_is_not_believed() {
    let server = start().await;
    let other = start().await;
    let foreign = ask(other.client(), "127.0.0.1", server.port, Call::get("/", LONG)).await;
    assert!(matches!(foreign, Err(CallError::Broken { source: ExchangeError::Tls(_), .. })), "{foreign:?}");
}

#[tokio::test]
async fn an_answer_of_another_kind_and_an_address_of_none_are_said_to_be_so() {
    let server = start().await;
    let number = ask_json::<u32>(server.client(), "127.0.0.1", server.port, Call::get("/", LONG)).await;
    assert!(matches!(number, Err(CallError::Answer { .. })), "{number:?}");
    let nowhere = ask(server.client(), "", server.port, Call::get("/", LONG)).await;
    assert!(matches!(nowhere, Err(CallError::Address { .. })), "{nowhere:?}");
}
