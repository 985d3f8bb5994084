//! The promises that every store keeps, kept by a store that is not ours.

use pgherd_objectstore::conformance;

use crate::seaweed::{BUCKET, SECRET_KEY, Seaweed};

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs_keeps_the_promises_of_a_store() {
    let server = Seaweed::shared();
    conformance::run(&server.store(BUCKET, SECRET_KEY), "conformance").await.unwrap();
}
