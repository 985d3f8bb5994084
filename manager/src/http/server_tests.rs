//! The server on a real socket, with real certificates.

use super::tests::{NOW, Scene};
use super::*;
use axum::Router;
use axum::routing::get;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use pgherd_pki::{Authority, ClientIdentity, Leaf, Usage};
use pgherd_proto::control::TailConfirmed;
use pgherd_proto::member::MemberReport;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

const SEGMENT: &str = "000000010000000000000003";

struct Server {
    address: SocketAddr,
    authority: Authority,
    control: mpsc::Receiver<ControlRequest>,
    instance: watch::Sender<Arc<InstanceSnapshot>>,
    tls: watch::Sender<Option<Arc<rustls::ServerConfig>>>,
    pg_wal: tempfile::TempDir,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn leaf(authority: &Authority, name: &str, usage: &Usage) -> Leaf {
    authority.sign(name, usage, jiff::Timestamp::now()).unwrap()
}

fn server_tls(authority: &Authority) -> Arc<rustls::ServerConfig> {
    let leaf = leaf(authority, "c-rw", &Usage::Server { names: vec!["c-rw".into(), "127.0.0.1".into()] });
    let identity = ClientIdentity { certificate_pem: &leaf.certificate_pem, key_pem: &leaf.key_pem };
    Arc::new(pgherd_pki::server_config(identity, Some(authority.certificate_pem())).unwrap())
}

async fn start(scene: Scene) -> Server {
    let authority = Authority::generate("c", jiff::Timestamp::now()).unwrap();
    let view = scene.view();
    let (instance, seen) = watch::channel(view.instance);
    let (_, sample) = watch::channel(view.sample);
    let (sender, control) = control_channel();
    let pg_wal = tempfile::tempdir().unwrap();
    let shared = Shared { instance: seen, sample, control: sender, clock: || NOW, wal_directory: pg_wal.path().into() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tls, source) = watch::channel(Some(server_tls(&authority)));
    let task = tokio::spawn(async move {
        let limits = Limits { connections: 3, header: Duration::from_millis(300), ..Limits::default() };
        serve(listener, Security::Tls(source), status_router(shared), limits).await.unwrap();
    });
    Server { address, authority, control, instance, tls, pg_wal, task }
}

impl Server {
    fn client(&self, certified: bool) -> rustls::ClientConfig {
        let leaf = leaf(&self.authority, "pgherd-controller", &Usage::Client);
        let identity = ClientIdentity { certificate_pem: &leaf.certificate_pem, key_pem: &leaf.key_pem };
        pgherd_pki::client_config(self.authority.certificate_pem(), certified.then_some(identity)).unwrap()
    }

    async fn ask(&self, certified: bool, method: &str, path: &str, body: &str) -> (u16, http::HeaderMap, bytes::Bytes) {
        ask(self.address, self.client(certified), method, path, body).await.unwrap()
    }
}

async fn ask(
    address: SocketAddr,
    tls: rustls::ClientConfig,
    method: &str,
    path: &str,
    body: &str,
) -> anyhow::Result<(u16, http::HeaderMap, bytes::Bytes)> {
    let stream = TcpStream::connect(address).await?;
    let stream = TlsConnector::from(Arc::new(tls)).connect(ServerName::try_from("c-rw")?, stream).await?;
    let (mut requests, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "c-rw")
        .header("content-type", "application/json")
        .body(Full::new(bytes::Bytes::copy_from_slice(body.as_bytes())))?;
    let (head, body) = requests.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    Ok((head.status.as_u16(), head.headers, body))
}

#[tokio::test]
async fn probes_are_open_and_control_wants_a_certificate_of_the_cluster() {
    let server = start(Scene::primary()).await;
    let (status, headers, body) = server.ask(false, "GET", "/readyz", "").await;
    assert_eq!((status, &body[..]), (200, &b"OK"[..]));
    assert_eq!(headers["pgherd-sample-age-ms"], "1000");
    for (method, path) in [
        ("GET", "/pg/controldata"),
        ("POST", "/pg/fence"),
        ("GET", "/pg/member"),
        ("POST", "/pg/tail/confirm"),
        ("GET", "/pg/wal/000000010000000000000003"),
    ] {
        assert_eq!(server.ask(false, method, path, "{}").await.0, 401, "{path}");
    }
    assert_eq!(server.ask(false, "GET", "/replica?lag=much", "").await.0, 400);
    assert_eq!(server.ask(false, "GET", "/nothing", "").await.0, 404);
}

#[tokio::test]
async fn a_listener_speaks_tls_from_the_connection_on_for_which_it_is_asked() {
    let server = start(Scene::primary()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicBool::new(false));
    let (seen, source) = (Arc::clone(&asked), server.tls.subscribe());
    let security = Security::AsAsked(source, Box::new(move || seen.load(Ordering::Relaxed)));
    let router = Router::new().route("/", get(|| async { "here" }));
    let task = tokio::spawn(serve(listener, security, router, Limits::default()));
    let plainly = async || {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    };
    assert!(plainly().await.unwrap().ends_with("here"));
    assert!(ask(address, server.client(false), "GET", "/", "").await.is_err());
    asked.store(true, Ordering::Relaxed);
    assert!(!plainly().await.is_ok_and(|answer| answer.contains("here")));
    assert_eq!(&ask(address, server.client(false), "GET", "/", "").await.unwrap().2[..], b"here");
    task.abort();
}

#[tokio::test]
async fn a_foreign_certificate_is_not_let_in_at_all() {
    let server = start(Scene::primary()).await;
    let foreign = Authority::generate("other", jiff::Timestamp::now()).unwrap();
    let leaf = leaf(&foreign, "pgherd-controller", &Usage::Client);
    let identity = ClientIdentity { certificate_pem: &leaf.certificate_pem, key_pem: &leaf.key_pem };
    let tls = pgherd_pki::client_config(server.authority.certificate_pem(), Some(identity)).unwrap();
    assert!(ask(server.address, tls, "GET", "/readyz", "").await.is_err());
}

#[tokio::test]
async fn orders_are_the_controllers_and_nobody_of_the_clusters_authority_but_managers_may_ask_a_manager() {
    let server = start(Scene::primary()).await;
    let as_who = |name: &str| {
        let leaf = leaf(&server.authority, name, &Usage::Client);
        let identity = ClientIdentity { certificate_pem: &leaf.certificate_pem, key_pem: &leaf.key_pem };
        pgherd_pki::client_config(server.authority.certificate_pem(), Some(identity)).unwrap()
    };
    let wal = format!("/pg/wal/{SEGMENT}");
    for (name, orders, questions) in [
        ("pgherd-controller", 503, 409),
        ("pgherd-manager", 401, 409),
        ("streaming_replica", 401, 409),
        ("app", 401, 401),
        ("c-rw", 401, 401),
    ] {
        let order = ask(server.address, as_who(name), "GET", "/pg/controldata", "").await.unwrap().0;
        let question = ask(server.address, as_who(name), "GET", &wal, "").await.unwrap().0;
        let fence = ask(server.address, as_who(name), "POST", "/pg/fence", r#"{"term":4,"leaseVersion":"9"}"#).await;
        assert_eq!((order, question, fence.unwrap().0), (orders, questions, orders), "{name}");
    }
}

#[tokio::test]
async fn tls_older_than_1_3_is_refused() {
    let server = start(Scene::primary()).await;
    for (version, served) in [(&rustls::version::TLS12, false), (&rustls::version::TLS13, true)] {
        let mut roots = rustls::RootCertStore::empty();
        let pem = server.authority.certificate_pem().as_bytes();
        roots.add(rustls::pki_types::CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let answer = ask(server.address, tls, "GET", "/healthz", "").await;
        assert_eq!(answer.is_ok(), served, "{version:?}: {:?}", answer.err());
    }
}

#[tokio::test]
async fn a_fence_goes_to_the_driver_and_its_report_comes_back() {
    let mut server = start(Scene::standby()).await;
    let mut control = std::mem::replace(&mut server.control, control_channel().1);
    let driver = tokio::spawn(async move {
        match control.recv().await {
            Some(ControlRequest::Fence { request, reply }) => {
                let report = MemberReport { message: format!("fenced at {}", request.term), ..MemberReport::default() };
                reply.send(Ok(report)).unwrap();
            }
            other => panic!("{other:?}"),
        }
        match control.recv().await {
            Some(ControlRequest::ConfirmTail { reply, .. }) => {
                reply.send(Err(ControlError::Refused("not our tail".into()))).unwrap();
            }
            other => panic!("{other:?}"),
        }
        match control.recv().await {
            Some(ControlRequest::ConfirmTail { reply, .. }) => {
                reply.send(Ok(TailConfirmed { lease_version: "12".into() })).unwrap();
            }
            other => panic!("{other:?}"),
        }
    });
    let (status, _, body) = server.ask(true, "POST", "/pg/fence", r#"{"term":4,"leaseVersion":"9"}"#).await;
    let report: MemberReport = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, report.message.as_str()), (200, "fenced at 4"));
    let confirm = r#"{"term":4,"timeline":1,"lsn":"0/3000148","winner":"c-2","winnerPodUID":"u"}"#;
    let (status, _, body) = server.ask(true, "POST", "/pg/tail/confirm", confirm).await;
    assert_eq!((status, String::from_utf8_lossy(&body).contains("not our tail")), (409, true));
    assert_eq!(server.ask(true, "POST", "/pg/tail/confirm", confirm).await.0, 200);
    driver.await.unwrap();
    // The driver is gone: the answer is "not now", at once.
    assert_eq!(server.ask(true, "GET", "/pg/controldata", "").await.0, 503);
    assert_eq!(server.ask(true, "POST", "/pg/fence", "{}").await.0, 422);
}

#[tokio::test]
async fn wal_is_served_only_while_it_is_handed_over_and_only_by_its_names() {
    let server = start(Scene::primary()).await;
    let content = vec![7_u8; 1 << 20];
    std::fs::write(server.pg_wal.path().join(SEGMENT), &content).unwrap();
    std::fs::write(server.pg_wal.path().join("secret"), b"x").unwrap();
    let path = format!("/pg/wal/{SEGMENT}");
    assert_eq!(server.ask(true, "GET", &path, "").await.0, 409);
    server.instance.send_modify(|known| Arc::make_mut(known).serves_tail = true);
    let (status, headers, body) = server.ask(true, "GET", &path, "").await;
    assert_eq!(
        (status, body.len(), &headers["content-length"]),
        (200, content.len(), &http::HeaderValue::from(1 << 20))
    );
    assert_eq!(body, content);
    let (status, _, part) = server.ask(true, "GET", &format!("{path}?from=8192&to=8200"), "").await;
    assert_eq!((status, part.to_vec()), (200, vec![7; 8]));
    for beyond in ["from=2&to=1", "to=1048577", "from=1048577"] {
        assert_eq!(server.ask(true, "GET", &format!("{path}?{beyond}"), "").await.0, 416, "{beyond}");
    }
    assert_eq!(server.ask(true, "GET", "/pg/wal/000000010000000000000004", "").await.0, 404);
    for name in ["secret", "..%2Fpasswd", "000000010000000000000003%00", "0000000100000000000000zz"] {
        assert_eq!(server.ask(true, "GET", &format!("/pg/wal/{name}"), "").await.0, 400, "{name}");
    }
}

#[tokio::test]
async fn a_new_certificate_serves_the_next_connection() {
    let server = start(Scene::primary()).await;
    let renewed = Authority::generate("c", jiff::Timestamp::now()).unwrap();
    server.tls.send_replace(Some(server_tls(&renewed)));
    assert!(ask(server.address, server.client(false), "GET", "/healthz", "").await.is_err());
    let tls = pgherd_pki::client_config(renewed.certificate_pem(), None).unwrap();
    assert_eq!(ask(server.address, tls, "GET", "/healthz", "").await.unwrap().0, 200);
}

#[tokio::test]
async fn silent_connections_hold_a_slot_for_a_bounded_time_only() {
    let server = start(Scene::primary()).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let connector = TlsConnector::from(Arc::new(server.client(false)));
        silent.push(connector.connect(ServerName::try_from("c-rw").unwrap(), stream).await.unwrap());
    }
    // All slots are taken, until the time for a request's head has passed.
    let answered = async {
        loop {
            if let Ok((200, ..)) = ask(server.address, server.client(false), "GET", "/healthz", "").await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), answered).await.unwrap();
    drop(silent);
}
