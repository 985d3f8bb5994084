//! Whether a stretch of WAL is in the archive, without a gap.

use crate::archive::WalArchive;
use crate::wal_get::WalGetError;
use pgherd_core::wal::{SegmentName, SegmentSize, WalName, directory, parse_key};
use pgherd_objectstore::list_all;
use std::collections::BTreeSet;

impl WalArchive {
    /// The first segment from `first` to `last` that no object holds; nothing if all are there. One listing for every
    /// 4 GiB of WAL.
    ///
    /// # Errors
    /// [`WalGetError::Store`]: it cannot be told.
    pub async fn first_missing(
        &self,
        first: SegmentName,
        last: SegmentName,
        size: SegmentSize,
    ) -> Result<Option<SegmentName>, WalGetError> {
        let mut wanted = Some(first);
        let (mut listed, mut there) = (None, BTreeSet::new());
        while let Some(segment) = wanted.filter(|segment| *segment <= last) {
            let name = WalName::Segment(segment);
            let folder = directory(name);
            if listed.as_ref() != Some(&folder) {
                there = self.segments_in(name, &folder).await?;
                listed = Some(folder);
            }
            if !there.contains(&segment) {
                return Ok(Some(segment));
            }
            wanted = segment.next(size);
        }
        Ok(None)
    }

    async fn segments_in(&self, name: WalName, folder: &str) -> Result<BTreeSet<SegmentName>, WalGetError> {
        let root = self.settings.root.as_str();
        let prefix = if root.is_empty() { folder.to_owned() } else { format!("{root}/{folder}") };
        let objects = list_all(&*self.store, &prefix).await.map_err(|source| WalGetError::Store { name, source })?;
        let segment = |key: &str| match parse_key(key.strip_prefix(root)?.trim_start_matches('/')) {
            Ok((WalName::Segment(segment), _)) => Some(segment),
            _ => None,
        };
        Ok(objects.iter().filter_map(|object| segment(&object.key)).collect())
    }
}
