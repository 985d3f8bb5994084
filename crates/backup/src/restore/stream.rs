//! An object as a stream of bytes for a blocking reader: fetched in parts, a few ahead, each asked for again if the
//! store fails in the middle.

use crate::patient::Patience;
use bytes::{Buf, Bytes};
use futures::{StreamExt, stream};
use pgherd_objectstore::{ObjectStore, StoreError};
use std::io::{self, Read};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Bytes of a part.
const PART: u64 = 4 << 20;
/// Parts fetched at once for one object.
const AHEAD: usize = 3;

/// What the reader reads.
#[derive(Debug)]
pub struct ObjectReader {
    parts: mpsc::Receiver<Result<Bytes, StoreError>>,
    current: Bytes,
    left: u64,
    failed: Option<StoreError>,
}

/// Fetches until everything was handed over or the reader has gone. To be run beside the reader.
pub async fn fetch(
    store: Arc<dyn ObjectStore>,
    key: String,
    size: u64,
    patience: Patience,
    to: mpsc::Sender<Result<Bytes, StoreError>>,
) {
    let (store, key) = (&store, &key);
    let parts = (0..size.div_ceil(PART)).map(|number| number.saturating_mul(PART));
    let get = |from: u64| async move {
        let length = PART.min(size.saturating_sub(from));
        patience.ask(|| store.get_range(key, from, length)).await
    };
    let mut fetched = stream::iter(parts).map(get).buffered(AHEAD);
    while let Some(part) = fetched.next().await {
        let failed = part.is_err();
        if to.send(part).await.is_err() || failed {
            return;
        }
    }
}

impl ObjectReader {
    /// A reader of `size` bytes, and where [`fetch`] puts them.
    #[must_use]
    pub fn new(size: u64) -> (mpsc::Sender<Result<Bytes, StoreError>>, Self) {
        let (to, parts) = mpsc::channel(1);
        (to, Self { parts, current: Bytes::new(), left: size, failed: None })
    }

    /// Why the store gave no more, if that is why reading ended.
    pub fn failure(&mut self) -> Option<StoreError> {
        self.failed.take()
    }
}

impl Read for ObjectReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && self.left > 0 {
            match self.parts.blocking_recv() {
                Some(Ok(part)) => self.current = part,
                Some(Err(error)) => {
                    let said = error.to_string();
                    self.failed = Some(error);
                    return Err(io::Error::other(said));
                }
                None => return Err(io::Error::from(io::ErrorKind::BrokenPipe)),
            }
        }
        let length = into.len().min(self.current.len());
        let Some(into) = into.get_mut(..length) else { return Ok(0) };
        self.current.copy_to_slice(into);
        self.left = self.left.saturating_sub(length as u64);
        Ok(length)
    }
}
