//! Whether a stretch of WAL is archived without a gap.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use pgherd_backup::{WalArchive, WalGetError, WalSettings};
use pgherd_core::wal::{Compression, SegmentName, SegmentSize};
use pgherd_objectstore::{Fault, Faulty, MemoryStore};
use std::sync::Arc;

fn segment(text: &str) -> SegmentName {
    text.parse::<pgherd_core::wal::WalName>().unwrap().segment_name().unwrap()
}

#[tokio::test]
async fn a_gap_is_found_wherever_it_is_and_only_segments_count() {
    let (store, control) = Faulty::new(MemoryStore::new());
    let store = Arc::new(store);
    let settings = WalSettings { root: "p/c".into(), compression: Some(Compression::Gzip), ..WalSettings::default() };
    let archive = WalArchive::new(store.clone(), settings);
    let there = |name: &str, suffix: &str| {
        let key = format!("p/c/wals/{}/{name}{suffix}", name.get(..16).unwrap());
        store.inner().overwrite(&key, Bytes::from_static(b"x"));
    };
    // Across the border of 4 GiB, in whatever compression somebody wrote them.
    there("0000000200000004000000FE", ".gz");
    there("0000000200000004000000FF", "");
    there("000000020000000500000000", ".zst");
    let (first, last) = (segment("0000000200000004000000FE"), segment("000000020000000500000001"));
    let missing = || archive.first_missing(first, last, SegmentSize::DEFAULT);
    assert_eq!(missing().await.unwrap(), Some(last));
    there("000000020000000500000001", ".partial.gz");
    there("000000020000000500000001", ".00000028.backup.gz");
    assert_eq!(missing().await.unwrap(), Some(last));
    there("000000020000000500000001", ".gz");
    assert_eq!(missing().await.unwrap(), None);
    // An outage is no gap.
    control.set(Fault::Off);
    assert!(matches!(missing().await, Err(WalGetError::Store { .. })));
}
