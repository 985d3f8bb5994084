//! WAL files as postgres makes them, and archives of ours to put them into.

use std::sync::Arc;

use bytes::Bytes;
use pgherd_backup::{WalArchive, WalSettings};
use pgherd_core::wal::{Compression, WalName};
use rand::{RngCore, SeedableRng, rngs::StdRng};

use crate::seaweed::{BUCKET, SECRET_KEY, Seaweed};

/// One of each kind that postgres archives.
pub const KINDS: [&str; 4] = [
    "000000010000000A000000FF",
    "000000020000000A00000100.partial",
    "000000010000000A000000FE.00000028.backup",
    "00000002.history",
];

/// Those that barman brings back: its client passes over backup labels, which postgres never asks for.
pub fn restored_by_barman(file: &str) -> bool {
    !file.ends_with(".backup")
}

/// A file's name, as we know it.
pub fn name(text: &str) -> WalName {
    text.parse().unwrap()
}

/// Its content: for a segment 16 MiB, half of which cannot be compressed; else a few lines.
pub fn content(text: &str) -> Bytes {
    if text.ends_with(".history") {
        return Bytes::from_static(b"1\t0/A000000\tno recovery target specified\n");
    }
    if text.ends_with(".backup") {
        return Bytes::from_static(b"START WAL LOCATION: A/FE000028 (file 000000010000000A000000FE)\nLABEL: interop\n");
    }
    let mut random = StdRng::seed_from_u64(text.bytes().map(u64::from).sum());
    let mut body = vec![0; 16 << 20];
    for page in body.chunks_mut(8192) {
        random.fill_bytes(&mut page[..4096]);
    }
    Bytes::from(body)
}

/// Our archive of a server, below `wal` in the bucket that is there.
pub fn archive(server: &Seaweed, cluster: &str, compression: Option<Compression>) -> WalArchive {
    let settings = WalSettings { root: format!("wal/{cluster}"), compression, ..WalSettings::default() };
    WalArchive::new(Arc::new(server.store(BUCKET, SECRET_KEY)), settings)
}
