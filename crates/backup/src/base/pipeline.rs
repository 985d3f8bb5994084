//! From pieces of tar to objects: compressed side by side, in order, into one object per archive.

use super::object::{ObjectWriter, PartSettings};
use super::packing::{PackError, Packed, Packing, squeeze};
use super::{BaseError, Progress};
use crate::pack::content_type;
use bytes::Bytes;
use core::time::Duration;
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use pgherd_core::backup::{ArchiveName, BackupId, BaseObject};
use pgherd_core::wal::Compression;
use pgherd_objectstore::{ObjectStore, PutOptions};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Bytes of tar that are compressed at once.
pub const PIECE: usize = 1 << 20;

/// What the reader says.
#[derive(Debug)]
pub enum Message {
    /// The next archive begins.
    Open(ArchiveName),
    /// More of it.
    Piece(Bytes),
    /// It is whole.
    Close,
}

/// One archive that is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// Which.
    pub name: ArchiveName,
    /// Bytes stored.
    pub size: u64,
    /// From its first byte to its last.
    pub took: Duration,
}

/// Where archives go.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// `<path of destinationPath>/<serverName>`, without slashes at its ends.
    pub root: String,
    /// The backup.
    pub id: BackupId,
    /// Tags of every object.
    pub tags: Vec<(String, String)>,
}

impl Destination {
    /// The whole key of one of its objects.
    #[must_use]
    pub fn key(&self, object: &BaseObject) -> String {
        let below = self.id.key(object);
        if self.root.is_empty() { below } else { format!("{}/{below}", self.root) }
    }

    fn writer(&self, name: ArchiveName, parts: &PartSettings) -> ObjectWriter {
        let content_type = match name.compression {
            None => "application/x-tar",
            // As barman's objects are.
            Some(Compression::Gzip) => "application/gzip",
            Some(other) => content_type(other),
        };
        let options = PutOptions { content_type: Some(content_type.to_owned()), tags: self.tags.clone() };
        let key = self.key(&BaseObject::Archive(name));
        parts.progress.begin_object(&key);
        ObjectWriter::new(Arc::clone(&self.store), parts.clone(), key, options)
    }
}

/// An archive on its way.
struct Open {
    name: ArchiveName,
    writer: ObjectWriter,
    packing: Packing,
    before: Bytes,
    since: Instant,
}

type Compressing = FuturesOrdered<JoinHandle<Result<Packed, PackError>>>;

/// Carries archives to their destination until the reader is gone; those that are whole. An archive that was opened
/// and not closed is given up.
pub async fn run(
    to: Destination,
    parts: PartSettings,
    width: usize,
    progress: Arc<Progress>,
    mut from: mpsc::Receiver<Message>,
) -> Result<Vec<Archived>, BaseError> {
    let mut open: Option<Open> = None;
    let mut done = Vec::new();
    let result = tokio::select! {
        result = carry(&to, &parts, width, &progress, &mut from, &mut open, &mut done) => result,
        // A call on a store that hangs is not waited for.
        () = progress.cancelled() => Err(BaseError::Ended),
    };
    // The reader is not to fill a channel that nobody reads.
    drop(from);
    let left = open.is_some();
    if let Some(mut open) = open {
        open.writer.abandon().await;
    }
    result?;
    if left { Err(BaseError::Ended) } else { Ok(done) }
}

async fn carry(
    to: &Destination,
    parts: &PartSettings,
    width: usize,
    progress: &Progress,
    from: &mut mpsc::Receiver<Message>,
    open: &mut Option<Open>,
    done: &mut Vec<Archived>,
) -> Result<(), BaseError> {
    let mut compressing: Compressing = FuturesOrdered::new();
    loop {
        tokio::select! {
            biased;
            Some(piece) = compressing.next(), if !compressing.is_empty() => {
                let piece = piece.map_err(|_| BaseError::Ended)?.map_err(BaseError::Pack)?;
                if let Some(open) = open.as_mut() {
                    store(open, piece, progress).await?;
                }
            }
            message = from.recv(), if compressing.len() < width.max(1) => match message {
                None => return Ok(()),
                Some(Message::Open(name)) => {
                    let (packing, begin) = Packing::begin(name.compression).map_err(BaseError::Pack)?;
                    let mut writer = to.writer(name, parts);
                    progress.begin_archive();
                    writer.push(&begin).await?;
                    *open = Some(Open { name, writer, packing, before: Bytes::new(), since: Instant::now() });
                }
                Some(Message::Piece(content)) => {
                    let Some(open) = open.as_mut() else { continue };
                    let Some(compression) = open.name.compression else {
                        open.writer.push(&content).await?;
                        progress.stored(content.len());
                        continue;
                    };
                    let before = core::mem::replace(&mut open.before, content.clone());
                    compressing.push_back(tokio::task::spawn_blocking(move || squeeze(compression, &content, &before)));
                }
                Some(Message::Close) => {
                    while let Some(piece) = compressing.next().await {
                        let piece = piece.map_err(|_| BaseError::Ended)?.map_err(BaseError::Pack)?;
                        if let Some(open) = open.as_mut() {
                            store(open, piece, progress).await?;
                        }
                    }
                    if let Some(open) = open.as_mut() {
                        let end = core::mem::replace(&mut open.packing, Packing::Plain).end();
                        open.writer.push(&end).await?;
                    }
                    let Some(current) = open.as_mut() else { continue };
                    let size = current.writer.finish().await?;
                    let Some(Open { name, since, .. }) = open.take() else { continue };
                    done.push(Archived { name, size, took: since.elapsed() });
                }
            }
        }
    }
}

async fn store(open: &mut Open, piece: Packed, progress: &Progress) -> Result<(), BaseError> {
    let bytes = open.packing.join(piece);
    progress.stored(bytes.len());
    open.writer.push(&bytes).await
}
