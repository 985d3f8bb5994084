//! Brings one file back, and tells "not there" from "could not be asked".

use crate::archive::WalArchive;
use crate::compress::CompressError;
use crate::decompress::unpack;
use crate::wal_put::SMALL_FILE;
use bytes::Bytes;
use pgherd_core::wal::{Compression, SegmentSize, WalName, parse_key};
use pgherd_objectstore::StoreError;
use std::sync::PoisonError;

/// It is not known whether the file is there, or it is there and cannot be used. Never the end of an archive.
#[derive(Debug, thiserror::Error)]
pub enum WalGetError {
    /// The store failed; its error says what to do.
    #[error("failed to fetch {name} from the archive")]
    Store {
        /// The file.
        name: WalName,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The object is there, and damaged.
    #[error("failed to read {key}")]
    Damaged {
        /// The object.
        key: String,
        /// Why.
        #[source]
        source: CompressError,
    },
    /// The object is there, and its content is not as long as a WAL file is.
    #[error("failed to use {key}: its content has {size} bytes, which no WAL file has")]
    Size {
        /// The object.
        key: String,
        /// Bytes, decompressed.
        size: u64,
    },
}

impl WalArchive {
    /// The file's content, or nothing where the store has proven that no object holds it, under any suffix that
    /// barman writes. A miss costs three requests; a hit one, once a file of its compression was found.
    pub async fn get(&self, name: WalName) -> Result<Option<Bytes>, WalGetError> {
        let [first, second] = readable(self.settings.compression, self.last_found());
        if let Some(found) = self.get_as(name, first).await? {
            return Ok(Some(found));
        }
        let (other, elsewhere) = tokio::join!(self.get_as(name, second), self.look_around(name));
        if let Some(found) = other? {
            return Ok(Some(found));
        }
        match elsewhere? {
            None => Ok(None),
            // In another compression, or it arrived between the two questions.
            Some(compression) => self.get_as(name, compression).await,
        }
    }

    async fn get_as(&self, name: WalName, compression: Option<Compression>) -> Result<Option<Bytes>, WalGetError> {
        let key = self.key(name, compression);
        let limit = match name {
            WalName::Segment(_) | WalName::Partial(_) => SegmentSize::MAX.bytes(),
            WalName::History(_) | WalName::Backup { .. } => SMALL_FILE,
        };
        // An object may be slightly larger than its content.
        let body = match self.patience.ask(|| self.store.get(&key, limit.saturating_add(SMALL_FILE))).await {
            Ok(body) => body,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(WalGetError::Store { name, source }),
        };
        let content = match compression {
            None => body,
            Some(_) => {
                let unpacked = tokio::task::spawn_blocking(move || unpack(compression, &body, limit)).await;
                let unpacked = unpacked.unwrap_or_else(|_| Err(CompressError::Damaged("the thread ended".to_owned())));
                Bytes::from(unpacked.map_err(|source| WalGetError::Damaged { key: key.clone(), source })?)
            }
        };
        let size = content.len() as u64;
        match name {
            WalName::Segment(_) | WalName::Partial(_) if SegmentSize::new(size).is_err() => {
                Err(WalGetError::Size { key, size })
            }
            WalName::Segment(_) | WalName::Partial(_) => {
                *self.found_as.lock().unwrap_or_else(PoisonError::into_inner) = Some(compression);
                Ok(Some(content))
            }
            WalName::History(_) | WalName::Backup { .. } => Ok(Some(content)),
        }
    }

    /// How the last segment that was found is compressed: the next one is likely to be, too.
    fn last_found(&self) -> Option<Option<Compression>> {
        *self.found_as.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file under any suffix, if there is one.
    async fn look_around(&self, name: WalName) -> Result<Option<Option<Compression>>, WalGetError> {
        let prefix = self.key(name, None);
        let page = self.patience.ask(|| self.store.list(&prefix, None, None)).await;
        let page = page.map_err(|source| WalGetError::Store { name, source })?;
        let root = self.settings.root.as_str();
        Ok(page.objects.into_iter().find_map(|object| {
            let below = object.key.strip_prefix(root)?.trim_start_matches('/').to_owned();
            let (found, compression) = parse_key(&below).ok()?;
            (found == name).then_some(compression)
        }))
    }
}

/// The compressions to look for first: that of the last segment, ours, then the likeliest other one.
fn readable(ours: Option<Compression>, last: Option<Option<Compression>>) -> [Option<Compression>; 2] {
    let likely = [last.unwrap_or(ours), ours, Some(Compression::Gzip)];
    let second = likely.into_iter().find(|compression| *compression != likely[0]);
    [likely[0], second.flatten()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_last_is_looked_for_first_then_ours_then_gzip_or_none() {
        let (gzip, zstd) = (Some(Compression::Gzip), Some(Compression::Zstd));
        assert_eq!(readable(gzip, None), [gzip, None]);
        assert_eq!(readable(None, None), [None, gzip]);
        assert_eq!(readable(zstd, None), [zstd, gzip]);
        assert_eq!(readable(gzip, Some(zstd)), [zstd, gzip]);
        assert_eq!(readable(None, Some(zstd)), [zstd, None]);
        assert_eq!(readable(gzip, Some(None)), [None, gzip]);
    }
}
