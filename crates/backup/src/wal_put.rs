//! Archives one file: create-only, and where the key is taken, by comparing what is there.

use crate::archive::WalArchive;
use crate::compress::CompressError;
use crate::decompress::unpack;
use crate::pack::{content_type, pack};
use bytes::Bytes;
use pgherd_core::archive::GIVE_IT_ITS_OWN;
use pgherd_core::identity::SystemId;
use pgherd_core::timeline::is_stand_in;
use pgherd_core::wal::{SegmentSize, WalName, system_of_segment};
use pgherd_objectstore::{Put, PutOptions, StoreError, Then};
use std::path::PathBuf;

/// History files and backup labels are a few lines; more than this is something else.
pub(crate) const SMALL_FILE: u64 = 16 << 20;

/// Where the content comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Read when there is a core free to compress it.
    File(PathBuf),
    /// Here already.
    Bytes(Bytes),
}

/// The file is in the archive, acknowledged by the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is new.
    Created,
    /// The same content had been there before.
    Equal,
    /// Another history of this timeline had been there before, and one of the two only stands in for an id that was
    /// given up ([`is_stand_in`]): nothing was opened on that timeline, so that either will do, and the first stays.
    GaveWay,
}

/// The file is not known to be in the archive.
#[derive(Debug, thiserror::Error)]
pub enum WalPutError {
    /// Other content lies under the name. Never overwritten (invariant I5); retrying is useless until a person has
    /// looked: two servers may be writing to one archive.
    #[error("failed to archive {name}: {key} holds other content, and is left as it is ({detail})")]
    Different {
        /// The file.
        name: WalName,
        /// The object that is in the way.
        key: String,
        /// What differs.
        detail: String,
    },
    /// The local file cannot be read. Retry: postgres may be replacing it.
    #[error("failed to read {name} to archive it")]
    Read {
        /// The file.
        name: WalName,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The local file has a size that no WAL file has. Retrying is useless.
    #[error("failed to archive {name}: its size of {size} bytes is not that of a WAL file")]
    Size {
        /// The file.
        name: WalName,
        /// Its bytes.
        size: u64,
    },
    /// The archive is another database system's. Retrying is useless until it is given an archive of its own.
    #[error(
        "failed to archive {name}: the archive at {root} belongs to database system {owner}, and this one is {own}"
    )]
    Foreign {
        /// The file.
        name: WalName,
        /// The folder of `destinationPath`, and the `serverName`.
        root: String,
        /// Whose archive it is.
        owner: SystemId,
        /// Whose file it is.
        own: SystemId,
    },
    /// The data directory does not say of which database system it is. Retry: it may be about to be replaced.
    #[error("failed to find out whose {name} is")]
    Whose {
        /// The file.
        name: WalName,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Compression failed, or its thread did. Retry.
    #[error("failed to compress {name}")]
    Compress {
        /// The file.
        name: WalName,
        /// Why.
        #[source]
        source: CompressError,
    },
    /// The store failed; its error says what to do.
    #[error("failed to archive {name}")]
    Store {
        /// The file.
        name: WalName,
        /// Why.
        #[source]
        source: StoreError,
    },
}

impl WalPutError {
    /// What to do about it.
    #[must_use]
    pub fn then(&self) -> Then {
        match self {
            Self::Different { .. } | Self::Size { .. } | Self::Foreign { .. } => Then::GiveUp,
            Self::Read { .. } | Self::Whose { .. } | Self::Compress { .. } => Then::RetryLater,
            Self::Store { source, .. } => source.then(),
        }
    }

    /// Whether it is the archive that will not have the file, of which waiting changes nothing. A store that takes no such
    /// requests may be mended, as one that lets nobody in.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Foreign { .. } | Self::Different { .. })
    }

    /// What a person can do about it, in one sentence; nothing where it may pass by itself.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Different { .. } => {
                Some("two servers may be writing to one archive: give each a serverName of its own")
            }
            Self::Foreign { .. } => Some(GIVE_IT_ITS_OWN),
            Self::Read { .. } | Self::Whose { .. } | Self::Size { .. } | Self::Compress { .. } => None,
            Self::Store { source, .. } => source.advice(),
        }
    }

    /// A short fixed word for metrics and conditions.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Different { .. } => "different_content",
            Self::Read { .. } | Self::Whose { .. } => "read",
            Self::Size { .. } => "size",
            Self::Foreign { .. } => "foreign_archive",
            Self::Compress { .. } => "compress",
            Self::Store { source, .. } => source.kind(),
        }
    }
}

/// What goes over the wire, and how large it is once it is brought back.
struct Packed {
    body: Bytes,
    plain_size: u64,
    /// Whose it is, of a segment, whole or not.
    system: Option<SystemId>,
}

impl WalArchive {
    /// Archives a file. Success only after the store acknowledged all of it, or proved that it has it already.
    ///
    /// Dropping the future leaves open whether the file was stored; doing it again settles that.
    pub async fn put(&self, name: WalName, source: Source) -> Result<Stored, WalPutError> {
        if let Some(own) = self.own {
            // Before a core is spent on it.
            self.guard(name, own).await?;
        }
        let packed = self.pack(name, source).await?;
        if let Some(system) = packed.system {
            self.guard(name, system).await?;
        }
        let stored = self.put_packed(name, packed).await;
        if matches!(stored, Err(WalPutError::Different { .. })) {
            self.doubt().await;
        }
        stored
    }

    async fn put_packed(&self, name: WalName, packed: Packed) -> Result<Stored, WalPutError> {
        let key = self.key(name, self.settings.compression);
        let options = self.options(name);
        let store = |source| WalPutError::Store { name, source };
        loop {
            if self.store.put_new(&key, packed.body.clone(), &options).await.map_err(store)? == Put::Created {
                return Ok(Stored::Created);
            }
            // Room for an object of the same content that some other compressor made larger than ours.
            let limit = packed.plain_size.saturating_add(packed.plain_size / 8).saturating_add(SMALL_FILE);
            let there = match self.store.get(&key, limit).await {
                Ok(there) => there,
                // Taken a moment ago, and gone now: somebody deleted it, so it is to be created after all.
                Err(StoreError::NotFound { .. }) => continue,
                Err(StoreError::TooLarge { .. }) => {
                    return Err(WalPutError::Different { name, key, detail: "it is far larger".to_owned() });
                }
                Err(source) => return Err(store(source)),
            };
            return match self.compare(name, packed, there).await? {
                Compared::Equal => Ok(Stored::Equal),
                Compared::StandIn => Ok(Stored::GaveWay),
                Compared::Different(detail) => Err(WalPutError::Different { name, key, detail }),
            };
        }
    }

    fn options(&self, name: WalName) -> PutOptions {
        let content_type = self.settings.compression.map(|compression| content_type(compression).to_owned());
        let tags = match name {
            WalName::History(_) if !self.settings.history_tags.is_empty() => self.settings.history_tags.clone(),
            _ => self.settings.tags.clone(),
        };
        PutOptions { content_type, tags }
    }

    /// Reads, checks and compresses on a blocking thread, one file per core at once.
    async fn pack(&self, name: WalName, source: Source) -> Result<Packed, WalPutError> {
        let compression = self.settings.compression;
        self.on_a_core(name, move || {
            let content = match source {
                Source::File(path) => {
                    Bytes::from(std::fs::read(path).map_err(|source| WalPutError::Read { name, source })?)
                }
                Source::Bytes(bytes) => bytes,
            };
            let plain_size = content.len() as u64;
            let fits = match name {
                WalName::Segment(_) | WalName::Partial(_) => SegmentSize::new(plain_size).is_ok(),
                WalName::History(_) | WalName::Backup { .. } => plain_size <= SMALL_FILE,
            };
            if !fits {
                return Err(WalPutError::Size { name, size: plain_size });
            }
            let system = match name {
                WalName::Segment(_) | WalName::Partial(_) => system_of_segment(&content),
                WalName::History(_) | WalName::Backup { .. } => None,
            };
            let body = match compression {
                None => content,
                Some(compression) => {
                    Bytes::from(pack(compression, &content).map_err(|source| WalPutError::Compress { name, source })?)
                }
            };
            Ok(Packed { body, plain_size, system })
        })
        .await
    }

    /// Compressed bytes may differ and mean the same.
    async fn compare(&self, name: WalName, ours: Packed, there: Bytes) -> Result<Compared, WalPutError> {
        if ours.body == there {
            return Ok(Compared::Equal);
        }
        let compression = self.settings.compression;
        if compression.is_none() {
            return Ok(compared(name, &ours.body, &there));
        }
        // A history is no longer than a few lines; one may be longer than the other.
        let limit = if matches!(name, WalName::History(_)) { SMALL_FILE } else { ours.plain_size };
        self.on_a_core(name, move || {
            let mine = unpack(compression, &ours.body, ours.plain_size);
            let mine = mine.map_err(|source| WalPutError::Compress { name, source })?;
            Ok(match unpack(compression, &there, limit) {
                Ok(theirs) => compared(name, &mine, &theirs),
                Err(error) => Compared::Different(format!("the object there: {error}")),
            })
        })
        .await
    }

    async fn on_a_core<T: Send + 'static>(
        &self,
        name: WalName,
        work: impl FnOnce() -> Result<T, WalPutError> + Send + 'static,
    ) -> Result<T, WalPutError> {
        let failed = |what: &str| WalPutError::Compress { name, source: CompressError::Compress(what.to_owned()) };
        let _core = self.compressing.acquire().await.map_err(|_| failed("shutting down"))?;
        tokio::task::spawn_blocking(work).await.map_err(|_| failed("the thread ended"))?
    }
}

/// What a comparison of two contents came to.
enum Compared {
    Equal,
    StandIn,
    Different(String),
}

fn compared(name: WalName, mine: &[u8], theirs: &[u8]) -> Compared {
    if mine == theirs {
        return Compared::Equal;
    }
    if matches!(name, WalName::History(_)) && (is_stand_in(mine) || is_stand_in(theirs)) {
        return Compared::StandIn;
    }
    let shorter = theirs.len().min(mine.len());
    let at = theirs.iter().zip(mine).position(|(a, b)| a != b).unwrap_or(shorter);
    let (there, here) = (theirs.len(), mine.len());
    Compared::Different(format!("first difference at byte {at}; {there} bytes there, {here} here"))
}
