//! What we archive, barman restores; what barman archives, we restore and do not replace.

use std::path::{Path, PathBuf};
use std::process::Output;

use bytes::Bytes;
use pgherd_backup::{Source, Stored, WalPutError};
use pgherd_core::wal::Compression;
use pgherd_objectstore::list_all;

use crate::seaweed::{BUCKET, SECRET_KEY, Seaweed};
use crate::wal::{KINDS, archive, content, name, restored_by_barman};

/// barman's client of one server's archive.
pub struct Barman<'a> {
    server: &'a Seaweed,
    cluster: &'a str,
    folder: tempfile::TempDir,
}

impl<'a> Barman<'a> {
    pub fn new(server: &'a Seaweed, cluster: &'a str) -> Self {
        Self { server, cluster, folder: tempfile::tempdir().unwrap() }
    }

    /// One of its programs on this archive.
    pub fn run(&self, program: &str, options: &[&str], last: &[&Path]) -> Output {
        let mut command = self.server.command(program);
        command.args(["--endpoint-url", &self.server.endpoint]).args(options);
        command.args([&format!("s3://{BUCKET}/wal"), self.cluster]).args(last).output().unwrap()
    }

    /// `barman-cloud-wal-restore`: the content, or its exit status.
    fn restore(&self, file: &str) -> Result<Vec<u8>, Option<i32>> {
        let to = self.folder.path().join("restored");
        let _earlier = std::fs::remove_file(&to);
        let output = self.run("barman-cloud-wal-restore", &[], &[Path::new(file), &to]);
        if output.status.success() { Ok(std::fs::read(to).unwrap()) } else { Err(output.status.code()) }
    }

    /// `barman-cloud-wal-archive` with these options.
    fn archive(&self, options: &[&str], file: &str, content: &[u8]) {
        let path: PathBuf = self.folder.path().join(file);
        std::fs::write(&path, content).unwrap();
        let output = self.run("barman-cloud-wal-archive", options, &[&path]);
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn barman_restores_every_kind_of_file_that_we_archive() {
    let server = Seaweed::shared();
    let every = Compression::ALL.into_iter().map(Some).chain([None]);
    for compression in every {
        let cluster = format!("ours-{}", compression.map_or("plain", Compression::as_str));
        let (ours, barman) = (archive(&server, &cluster, compression), Barman::new(&server, &cluster));
        for file in KINDS {
            assert_eq!(ours.put(name(file), Source::Bytes(content(file))).await.unwrap(), Stored::Created);
            if restored_by_barman(file) {
                let restored = barman.restore(file).expect(file);
                assert!(restored == content(file), "{cluster}: barman restored another {file}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn we_restore_every_kind_of_file_that_barman_archives() {
    let server = Seaweed::shared();
    for options in [&["--gzip"][..], &["--bzip2"], &["--xz"], &["--snappy"], &["--zstd"], &["--lz4"], &[]] {
        let cluster = format!("theirs{}", options.concat());
        let (ours, barman) = (archive(&server, &cluster, Some(Compression::Gzip)), Barman::new(&server, &cluster));
        for file in KINDS {
            barman.archive(options, file, &content(file));
            let restored = ours.get(name(file)).await.unwrap();
            assert!(restored == Some(content(file)), "{cluster}: we restored another {file}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_file_lies_where_barman_lays_it() {
    let server = Seaweed::shared();
    let (ours, barman) = (archive(&server, "tree-ours", Some(Compression::Gzip)), Barman::new(&server, "tree-theirs"));
    for file in KINDS {
        ours.put(name(file), Source::Bytes(content(file))).await.unwrap();
        barman.archive(&["--gzip"], file, &content(file));
    }
    let store = server.store(BUCKET, SECRET_KEY);
    let tree = async |cluster: &str| {
        let root = format!("wal/{cluster}/");
        let objects = list_all(&store, &root).await.unwrap();
        objects.iter().map(|object| object.key.trim_start_matches(&root).to_owned()).collect::<Vec<_>>()
    };
    let (mine, theirs) = (tree("tree-ours").await, tree("tree-theirs").await);
    assert_eq!(mine.len(), KINDS.len());
    assert_eq!(mine, theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_barmans_file_the_same_content_is_success_and_other_content_is_refused() {
    let server = Seaweed::shared();
    let (ours, barman) = (archive(&server, "both", Some(Compression::Gzip)), Barman::new(&server, "both"));
    for file in KINDS {
        let before = content(file);
        barman.archive(&["--gzip"], file, &before);
        // The bytes in the store are another compressor's; what they mean is the same.
        assert_eq!(ours.put(name(file), Source::Bytes(before.clone())).await.unwrap(), Stored::Equal, "{file}");
        let mut other = before.to_vec();
        *other.last_mut().unwrap() ^= 0xFF;
        let refused = ours.put(name(file), Source::Bytes(Bytes::from(other))).await;
        assert!(matches!(refused, Err(WalPutError::Different { .. })), "{file}: {refused:?}");
        assert!(ours.get(name(file)).await.unwrap() == Some(before), "{file} was replaced");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_archived_is_missing_for_both() {
    let server = Seaweed::shared();
    let (ours, barman) = (archive(&server, "empty", Some(Compression::Gzip)), Barman::new(&server, "empty"));
    for file in ["000000010000000000000001", "00000002.history"] {
        assert_eq!(ours.get(name(file)).await.unwrap(), None, "{file}");
        assert_eq!(barman.restore(file), Err(Some(1)), "{file}");
    }
}
