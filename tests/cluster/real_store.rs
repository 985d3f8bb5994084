//! The archive on a store that is not ours: SeaweedFS outside of the environment, as `pgherd local up --s3-endpoint` has
//! it, read back by our own client and by barman's.

use std::sync::Arc;

use bytes::Bytes;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use pgherd_backup::{WalArchive, WalSettings};
use pgherd_core::wal::Compression;
use pgherd_localkube::fault::{FaultRequest, Target};
use pgherd_localkube::s3::S3Fault;
use serde_json::json;

use crate::bed::{Bed, CLUSTER, NAMESPACE};
use crate::load::Load;
use crate::seaweed::{ACCESS_KEY, BUCKET, SECRET_KEY, Seaweed};

/// A secret key that the store does not know.
const WRONG: &str = "rotated-and-not-told-the-store";

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
    bed.keys_follow_their_secret(&load, &next).await;
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

impl Bed {
    /// Keys that the store does not know stop the archive, which is told as that; the right ones are used as soon as the
    /// Secret has them, and nobody is restarted.
    async fn keys_follow_their_secret(&self, load: &Load, primary: &str) {
        let run = self.started(primary).await;
        self.say("the Secret of the store's keys gets a wrong one, and the right one again");
        self.give_key(WRONG).await;
        self.archiving_is("False", "SignatureDoesNotMatch", Some((load, primary))).await;
        self.give_key(SECRET_KEY).await;
        self.archiving_is("True", "", None).await;
        assert_eq!(self.started(primary).await, run);
    }

    async fn give_key(&self, key: &str) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), NAMESPACE);
        let patch = Patch::Merge(json!({"stringData": {"SECRET_ACCESS_KEY": key}}));
        secrets.patch("aws-creds", &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits until the condition of the archive says so, while WAL is switched if it is to be noticed.
    async fn archiving_is(&self, status: &str, part: &str, switched: Option<(&Load, &str)>) {
        self.until(&format!("condition ContinuousArchiving to be {status}"), 120, async || {
            if let Some((load, primary)) = switched {
                self.switches(load, primary).await;
            }
            let cluster = self.cluster().await?;
            let all = cluster["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let found =
                all.into_iter().find(|condition| condition["type"] == "ContinuousArchiving").unwrap_or_default();
            let message = found["message"].as_str().unwrap_or_default();
            assert!(!message.contains(WRONG) && !message.contains(SECRET_KEY), "{message}");
            if found["status"] == status && message.contains(part) { Ok(()) } else { Err(found.to_string()) }
        })
        .await;
    }
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
