//! The archive on a store that is not ours: SeaweedFS outside of the environment, as `pgherd local up --s3-endpoint` has
//! it, read back by our own client and by barman's.

use std::sync::Arc;

use bytes::Bytes;
use pgherd_backup::{WalArchive, WalSettings};
use pgherd_core::wal::Compression;
use pgherd_localkube::fault::{FaultRequest, Target};
use pgherd_localkube::s3::S3Fault;

use crate::bed::{Bed, CLUSTER};
use crate::seaweed::{ACCESS_KEY, BUCKET, SECRET_KEY, Seaweed};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_archives_to_a_store_that_is_not_ours_and_barman_reads_it_back() {
    let server = tokio::task::spawn_blocking(Seaweed::shared).await.unwrap();
    let destination = format!("s3://{BUCKET}/db");
    let bed = Bed::start_with(
        "seaweed",
        |cluster| cluster["spec"]["backup"]["barmanObjectStore"]["destinationPath"] = destination.as_str().into(),
        |options| {
            options.s3_endpoint = Some(server.endpoint.clone());
            options.s3_credentials = Some((ACCESS_KEY.to_owned(), SECRET_KEY.to_owned()));
        },
    )
    .await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;
    let first = bed.archive_now(&primary, 60).await;
    // Recycled only by a later checkpoint.
    let on_disk = Bytes::from(std::fs::read(bed.data_of(&primary).join("pg_wal").join(&first)).unwrap());

    bed.hurt(&load, "kill -9 of the primary's postmaster", async || {
        bed.kill(Target::Postmaster, &primary).await;
        bed.another_primary(&primary, 60).await;
    })
    .await;
    let next = bed.healthy(90).await;
    bed.hurt(&load, "the store out of reach", async || {
        bed.fault(FaultRequest::S3 { what: S3Fault::Off }).await;
        bed.switches(&load, &next).await;
    })
    .await;
    bed.fault(FaultRequest::S3 { what: S3Fault::None }).await;
    let last = bed.archive_now(&next, 120).await;
    bed.archive_is_whole(&last, 60).await;

    let history = format!("{}.history", &last[..8]);
    for name in [&first, &last, &history] {
        let ours = ours(&server, name).await;
        let theirs = tokio::task::spawn_blocking({
            let (server, name) = (Arc::clone(&server), name.clone());
            move || theirs(&server, &name)
        });
        assert!(ours == theirs.await.unwrap(), "barman reads another {name} than we do");
        assert!(*name != first || ours == on_disk, "{name} is not as postgres wrote it");
        bed.say(&format!("{name}: {} bytes, the same for us and for barman", ours.len()));
    }
    bed.settle(load).await;
    bed.down().await;
}

/// A file of the archive by our own client, straight from the store.
async fn ours(server: &Seaweed, name: &str) -> Bytes {
    let root = format!("db/{CLUSTER}");
    let settings = WalSettings { root, compression: Some(Compression::Gzip), ..WalSettings::default() };
    let archive = WalArchive::new(Arc::new(server.store(BUCKET, SECRET_KEY)), settings);
    archive.get(name.parse().unwrap()).await.unwrap().expect(name)
}

/// The same by `barman-cloud-wal-restore`.
fn theirs(server: &Seaweed, name: &str) -> Bytes {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("restored");
    let mut barman = server.command("barman-cloud-wal-restore");
    barman.args(["--endpoint-url", &server.endpoint, &format!("s3://{BUCKET}/db"), CLUSTER, name]).arg(&to);
    let said = barman.output().unwrap();
    assert!(said.status.success(), "{name}: {}", String::from_utf8_lossy(&said.stderr));
    Bytes::from(std::fs::read(to).unwrap())
}
