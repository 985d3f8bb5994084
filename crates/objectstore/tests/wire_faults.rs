//! What the S3 client makes of the faults that a network and a store have.
#![allow(clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use pgherd_objectstore::test_server::{TestServer, WireFault};
use pgherd_objectstore::{ObjectStore, Put, PutOptions, S3Config, S3Credentials, S3Store, StoreError, Then, Timeouts};
use std::time::{Duration, Instant};

async fn server() -> (tempfile::TempDir, TestServer) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("bucket")).expect("a bucket");
    let server = TestServer::start(folder.path()).await.expect("a server");
    (folder, server)
}

#[tokio::test]
async fn every_fault_on_the_wire_is_an_error_that_says_what_to_do() {
    let (_folder, server) = server().await;
    let store = server.store("bucket");
    let body = || Bytes::from_static(b"wal");
    store.put_new("there", body(), &PutOptions::default()).await.expect("put");
    for (fault, then) in [
        (WireFault::Status(500, "InternalError"), Then::RetryLater),
        (WireFault::Status(503, "SlowDown"), Then::RetryLater),
        (WireFault::Status(403, "AccessDenied"), Then::AskSomeone),
        (WireFault::Status(404, "NoSuchBucket"), Then::AskSomeone),
        (WireFault::Reset, Then::RetryLater),
        (WireFault::AnswerLost, Then::RetryLater),
    ] {
        server.set(fault);
        let put = store.put_new("new", body(), &PutOptions::default()).await;
        assert_eq!(put.as_ref().map_err(StoreError::then), Err(then), "put under {fault:?}: {put:?}");
        let got = store.get("there", 10).await;
        assert_eq!(got.as_ref().map_err(StoreError::then), Err(then), "get under {fault:?}: {got:?}");
    }
    server.set(WireFault::None);
    let put = store.put_new("new", body(), &PutOptions::default()).await.expect("put");
    assert_eq!(put, Put::Exists, "the put whose answer was lost had been carried out");
}

#[tokio::test]
async fn a_wrong_secret_and_a_missing_bucket_ask_for_someone() {
    let (_folder, server) = server().await;
    let credentials = S3Credentials::Given {
        access_key_id: pgherd_objectstore::test_server::ACCESS_KEY.into(),
        secret_access_key: "wrong".into(),
        session_token: None,
    };
    let store = S3Store::new(S3Config { credentials, ..server.config("bucket") });
    let got = store.get("x", 10).await.expect_err("forbidden");
    assert!(matches!(got, StoreError::Forbidden { .. }), "{got:?}");
    assert!(!got.to_string().contains("wrong"), "{got}");
    let got = server.store("nowhere").list("x", None, None).await.expect_err("no bucket");
    assert_eq!(got.then(), Then::AskSomeone, "{got:?}");
}

#[tokio::test]
async fn a_store_that_is_not_there_is_an_outage_at_once() {
    let (_folder, server) = server().await;
    let config = server.config("bucket");
    drop(server);
    let started = Instant::now();
    let got = S3Store::new(config).get("x", 10).await.expect_err("an outage");
    assert!(matches!(got, StoreError::Outage { .. }), "{got:?}");
    assert!(started.elapsed() < Duration::from_secs(3), "no hidden retries");
}

#[tokio::test]
async fn a_store_that_never_answers_is_bounded() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let (_folder, server) = server().await;
    let config = S3Config {
        endpoint_url: Some(format!("http://{}", listener.local_addr().expect("an address"))),
        timeouts: Timeouts { call: Duration::from_millis(300), ..Timeouts::default() },
        ..server.config("bucket")
    };
    let got = S3Store::new(config).get("x", 10).await.expect_err("an outage");
    assert!(matches!(got, StoreError::Outage { .. }), "{got:?}");
}

#[tokio::test]
async fn a_region_that_nobody_told_is_asked_of_the_bucket() {
    let (_folder, server) = server().await;
    let store = S3Store::new(S3Config { region: None, ..server.config("bucket") });
    assert!(matches!(store.get("x", 10).await, Err(StoreError::NotFound { .. })));
    let store = S3Store::new(S3Config { region: None, ..server.config("nowhere") });
    let got = store.get("x", 10).await.expect_err("no bucket");
    assert!(matches!(got, StoreError::Misconfigured { .. }), "{got:?}");
}
