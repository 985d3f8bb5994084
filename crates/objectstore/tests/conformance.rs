//! The one suite, on every implementation.
#![allow(clippy::expect_used, clippy::panic)]

use pgherd_objectstore::test_server::TestServer;
use pgherd_objectstore::{Faulty, MemoryStore, conformance};

#[tokio::test]
async fn the_memory_store_keeps_the_promises() {
    conformance::run(&MemoryStore::new(), "pre/fix").await.expect("conformance");
}

#[tokio::test]
async fn a_store_behind_no_fault_keeps_the_promises() {
    let (store, _control) = Faulty::new(MemoryStore::new());
    conformance::run(&store, "pre/fix").await.expect("conformance");
}

#[tokio::test]
async fn the_s3_store_keeps_the_promises_on_a_real_s3_api() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("bucket")).expect("a bucket");
    let server = TestServer::start(folder.path()).await.expect("a server");
    conformance::run(&server.store("bucket"), "pre/fix").await.expect("conformance");
}
