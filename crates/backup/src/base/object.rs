//! One object of unknown size on its way into the store: gathered into parts, a few of them in flight at once.
//!
//! Memory: one part that fills, and as many as are in flight. What fits into one part is put at once.

use super::{BaseError, Progress};
use bytes::{Bytes, BytesMut};
use core::time::Duration;
use pgherd_objectstore::{MOST_PARTS, ObjectStore, Put, PutOptions, StoreError, Then, Upload};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How a store is written to.
#[derive(Clone, Debug)]
pub struct PartSettings {
    /// Bytes of a part.
    pub size: usize,
    /// Parts in flight at once.
    pub jobs: usize,
    /// Bytes a second, at most.
    pub bandwidth: Option<u64>,
    /// The same call is tried again for so long.
    pub patience: Duration,
    /// Is told of every answer.
    pub progress: Arc<Progress>,
}

/// An object being written. It has to be finished or given up: until then its parts lie in the store.
#[derive(Debug)]
pub struct ObjectWriter {
    store: Arc<dyn ObjectStore>,
    settings: PartSettings,
    key: String,
    options: PutOptions,
    filling: BytesMut,
    upload: Option<Arc<Upload>>,
    tags: Vec<Option<String>>,
    flying: JoinSet<(usize, Result<String, StoreError>)>,
    size: u64,
    next_part: Instant,
}

impl ObjectWriter {
    /// Nothing is written yet.
    pub fn new(store: Arc<dyn ObjectStore>, settings: PartSettings, key: String, options: PutOptions) -> Self {
        Self {
            store,
            settings,
            key,
            options,
            filling: BytesMut::new(),
            upload: None,
            tags: Vec::new(),
            flying: JoinSet::new(),
            size: 0,
            next_part: Instant::now(),
        }
    }

    /// Takes more bytes; waits while too many parts are in flight.
    pub async fn push(&mut self, mut bytes: &[u8]) -> Result<(), BaseError> {
        while !bytes.is_empty() {
            if self.filling.capacity() == 0 {
                self.filling.reserve(self.settings.size);
            }
            let room = self.settings.size.saturating_sub(self.filling.len()).min(bytes.len());
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.filling.extend_from_slice(now);
            self.size = self.size.saturating_add(now.len() as u64);
            bytes = later;
            // A part is sent once there is more: what comes last may be smaller than the store's least.
            if self.filling.len() >= self.settings.size && !bytes.is_empty() {
                self.send().await?;
            }
        }
        Ok(())
    }

    /// Puts it all together; its size.
    pub async fn finish(&mut self) -> Result<u64, BaseError> {
        if self.upload.is_none() {
            let body = self.filling.split().freeze();
            self.pace(body.len()).await;
            let put = put_whole(&*self.store, &self.key, body, &self.options, &self.settings).await;
            return put.map(|()| self.size).map_err(|why| self.failed(why));
        }
        let done = self.complete().await;
        if done.is_err() {
            self.abandon().await;
        }
        done.map(|()| self.size)
    }

    /// Gives up what was written; what cannot be given up is said, and left to the store's own rules.
    pub async fn abandon(&mut self) {
        self.flying.shutdown().await;
        let Some(upload) = self.upload.take() else { return };
        let patience = self.settings.patience.min(Duration::from_secs(10));
        let giving_up = insist(patience, || self.store.abort_upload(&upload));
        match tokio::time::timeout(patience, giving_up).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(key = %upload.key, %error, "the parts of an unfinished object were not given up");
            }
            Err(_) => tracing::warn!(key = %upload.key, "the parts of an unfinished object were not given up in time"),
        }
    }

    async fn complete(&mut self) -> Result<(), BaseError> {
        self.send().await?;
        while let Some(landed) = self.flying.join_next().await {
            self.land(landed)?;
        }
        let Some(upload) = self.upload.clone() else { return Ok(()) };
        let tags: Vec<String> = self.tags.iter().flatten().cloned().collect();
        let store = &self.store;
        let asked = AtomicBool::new(false);
        let completed = insist(self.settings.patience, || async {
            let again = asked.swap(true, Ordering::Relaxed);
            let done = noted(&self.settings.progress, store.complete_upload(&upload, &tags)).await;
            if done == Ok(Put::Created) || done == Ok(Put::Exists) && !again {
                return done;
            }
            // The answer, this one or the one before, may have been lost: the object tells.
            match store.head(&upload.key).await {
                Ok(there) if there.size == self.size => Ok(Put::Created),
                _ => done,
            }
        });
        match completed.await {
            Ok(Put::Created) => Ok(()),
            Ok(Put::Exists) => Err(BaseError::Taken { key: self.key.clone() }),
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn send(&mut self) -> Result<(), BaseError> {
        while self.flying.len() >= self.settings.jobs.max(1) {
            let Some(landed) = self.flying.join_next().await else { break };
            self.land(landed)?;
        }
        let upload = match &self.upload {
            Some(upload) => Arc::clone(upload),
            None => {
                let (store, key, options) = (&self.store, &self.key, &self.options);
                let progress = &self.settings.progress;
                let begun = insist(self.settings.patience, || noted(progress, store.begin_upload(key, options))).await;
                Arc::clone(self.upload.insert(Arc::new(begun.map_err(|error| self.failed(error))?)))
            }
        };
        let body = self.filling.split().freeze();
        self.filling = BytesMut::new();
        self.pace(body.len()).await;
        let at = self.tags.len();
        let number = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1);
        if number > MOST_PARTS {
            return Err(BaseError::TooManyParts { key: self.key.clone() });
        }
        self.tags.push(None);
        let (store, patience) = (Arc::clone(&self.store), self.settings.patience);
        let progress = Arc::clone(&self.settings.progress);
        self.flying.spawn(async move {
            let put = || noted(&progress, store.put_part(&upload, number, body.clone()));
            (at, insist(patience, put).await)
        });
        Ok(())
    }

    fn land(
        &mut self,
        landed: Result<(usize, Result<String, StoreError>), tokio::task::JoinError>,
    ) -> Result<(), BaseError> {
        let (at, tag) = landed.map_err(|_| BaseError::Ended)?;
        let tag = tag.map_err(|error| self.failed(error))?;
        if let Some(slot) = self.tags.get_mut(at) {
            *slot = Some(tag);
        }
        Ok(())
    }

    /// As barman's `--max-bandwidth`: a part waits as long as the one before it may have taken.
    async fn pace(&mut self, bytes: usize) {
        let Some(rate) = self.settings.bandwidth.filter(|rate| *rate > 0) else { return };
        self.settings.progress.pace(true);
        tokio::time::sleep_until(self.next_part).await;
        self.settings.progress.pace(false);
        let millis = (bytes as u64).saturating_mul(1000).checked_div(rate).unwrap_or_default();
        self.next_part = Instant::now() + Duration::from_millis(millis);
    }

    fn failed(&self, source: StoreError) -> BaseError {
        match source {
            StoreError::Rejected { reason } if reason == TAKEN => BaseError::Taken { key: self.key.clone() },
            source => BaseError::Store { key: self.key.clone(), source },
        }
    }
}

/// How [`put_whole`] says that there is another object.
const TAKEN: &str = "taken";

/// Creates a small object; that the same is there already is as good.
async fn put_whole(
    store: &dyn ObjectStore,
    key: &str,
    body: Bytes,
    options: &PutOptions,
    settings: &PartSettings,
) -> Result<(), StoreError> {
    let PartSettings { patience, progress, .. } = settings;
    let put = insist(*patience, || noted(progress, store.put_new(key, body.clone(), options))).await?;
    if put == Put::Exists {
        let there = || noted(progress, store.get(key, (body.len() as u64).saturating_add(1)));
        let there = insist(*patience, there).await;
        match there {
            Ok(there) if there == body => {}
            // Whose it is, is not known.
            Err(error) if matches!(error.then(), Then::RetryLater | Then::AskSomeone) => return Err(error),
            _ => return Err(StoreError::Rejected { reason: TAKEN.to_owned() }),
        }
    }
    Ok(())
}

/// Tells how a call ended.
async fn noted<T>(progress: &Progress, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let began = Instant::now();
    let answer = call.await;
    progress.answered(answer.as_ref().err().map(ToString::to_string), began.elapsed());
    answer
}

/// Tries a call again while that may help, for so long.
pub(super) async fn insist<T, F>(patience: Duration, call: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let started = Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        match call().await {
            Err(error) if error.then() == Then::RetryLater && started.elapsed() + pause < patience => {
                tracing::debug!(%error, "a call on the store is tried again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgherd_objectstore::{Fault, Faulty, LEAST_PART, MemoryStore};

    const KEY: &str = "base/20261123T202108/data.tar";

    fn settings() -> PartSettings {
        let (patience, progress) = (Duration::from_secs(60), Arc::default());
        PartSettings { size: LEAST_PART, jobs: 2, bandwidth: None, patience, progress }
    }

    fn writer(store: Arc<dyn ObjectStore>) -> ObjectWriter {
        ObjectWriter::new(store, settings(), KEY.to_owned(), PutOptions::default())
    }

    async fn write(store: Arc<dyn ObjectStore>, size: usize) -> Result<u64, BaseError> {
        let mut writer = writer(store);
        let content: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap_or_default()).collect();
        for piece in content.chunks(700_001) {
            writer.push(piece).await?;
        }
        writer.finish().await
    }

    #[tokio::test]
    async fn content_of_every_size_comes_back() {
        for size in [0, 1, LEAST_PART - 1, LEAST_PART, LEAST_PART + 1, 4 * LEAST_PART, 3 * LEAST_PART + 17] {
            let store = Arc::new(MemoryStore::new());
            assert_eq!(write(store.clone(), size).await.unwrap(), size as u64);
            let body = store.get(KEY, u64::MAX).await.unwrap();
            assert!(body.len() == size && body.iter().enumerate().all(|(n, byte)| usize::from(*byte) == n % 251));
            assert!(store.list_uploads("").await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn a_taken_key_is_not_replaced_and_nothing_is_left_over() {
        for size in [10, 3 * LEAST_PART] {
            let store = Arc::new(MemoryStore::new());
            store.overwrite(KEY, Bytes::from_static(b"another"));
            let refused = write(store.clone(), size).await;
            assert!(matches!(refused, Err(BaseError::Taken { .. })), "{refused:?}");
            assert_eq!(store.get(KEY, 100).await.unwrap(), "another");
            assert!(store.list_uploads("").await.unwrap().is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_are_lost_now_and_then_change_nothing() {
        let (store, control) = Faulty::new(MemoryStore::new());
        let store = Arc::new(store);
        let flaky = tokio::spawn(async move {
            for fault in [Fault::AnswerLost, Fault::ResetMidBody].into_iter().cycle().take(100) {
                control.set(fault);
                tokio::time::sleep(Duration::from_millis(130)).await;
                control.set(Fault::None);
                tokio::time::sleep(Duration::from_millis(70)).await;
            }
        });
        for size in [10, 3 * LEAST_PART] {
            store.inner().delete(KEY).await.unwrap();
            assert_eq!(write(store.clone(), size).await.unwrap(), size as u64);
            assert_eq!(store.inner().get(KEY, u64::MAX).await.unwrap().len(), size);
        }
        flaky.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_stays_away_ends_it_and_one_that_refuses_ends_it_at_once() {
        for (fault, most) in [(Fault::Off, 61), (Fault::Status(403, "AccessDenied"), 1)] {
            let (store, control) = Faulty::new(MemoryStore::new());
            control.set(fault);
            let began = Instant::now();
            let ended = write(Arc::new(store), 3 * LEAST_PART).await;
            assert!(matches!(ended, Err(BaseError::Store { .. })), "{ended:?}");
            assert!(began.elapsed() < Duration::from_secs(most), "{:?}", began.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bandwidth_is_kept() {
        let slow = PartSettings { bandwidth: Some(LEAST_PART as u64), ..settings() };
        let mut writer = ObjectWriter::new(Arc::new(MemoryStore::new()), slow, KEY.to_owned(), PutOptions::default());
        let began = Instant::now();
        for _ in 0..4 {
            writer.push(&vec![0; LEAST_PART]).await.unwrap();
        }
        writer.finish().await.unwrap();
        assert!((3..5).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    }
}
