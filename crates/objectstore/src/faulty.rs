//! A wrapper that makes any store fail in the ways real ones do.

use crate::{ObjectInfo, ObjectStore, Page, Put, PutOptions, StoreError, Upload};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// What is wrong with the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Connections are refused.
    Off,
    /// Every call takes this much longer.
    Slow(Duration),
    /// No call ever ends (until the fault changes).
    Hang,
    /// Every call is answered with this HTTP status and S3 error code.
    Status(u16, &'static str),
    /// The connection breaks while the body is on its way: nothing is stored, nothing whole is read.
    ResetMidBody,
    /// Writes are carried out, but the answer never arrives.
    AnswerLost,
    /// Reads answer with one bit flipped.
    BitFlip,
}

/// The hand on the fault, and what it counted.
#[derive(Clone, Debug)]
pub struct FaultControl {
    fault: watch::Sender<Fault>,
    calls: Arc<AtomicUsize>,
    aborts: Arc<AtomicUsize>,
    inside: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl FaultControl {
    /// Changes what is wrong, at once, for calls under way as well.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Calls made so far.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Those of them that were to give an upload up.
    #[must_use]
    pub fn aborts(&self) -> usize {
        self.aborts.load(Ordering::SeqCst)
    }

    /// The most puts that were ever under way at once.
    #[must_use]
    pub fn most_puts_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// A store behind a fault.
#[derive(Debug)]
pub struct Faulty<S> {
    inner: S,
    control: FaultControl,
}

/// Counts a put for as long as it lives.
struct Inside<'a>(&'a FaultControl);

impl<'a> Inside<'a> {
    fn enter(control: &'a FaultControl) -> Self {
        let now = control.inside.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        control.most.fetch_max(now, Ordering::SeqCst);
        Self(control)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<S> Faulty<S> {
    /// Wraps a store; all is well until the control says otherwise.
    pub fn new(inner: S) -> (Self, FaultControl) {
        let control = FaultControl {
            fault: watch::Sender::new(Fault::None),
            calls: Arc::default(),
            aborts: Arc::default(),
            inside: Arc::default(),
            most: Arc::default(),
        };
        (Self { inner, control: control.clone() }, control)
    }

    /// The store behind the fault.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The fault that strikes this call, after any waiting.
    async fn strike(&self, key: &str) -> Result<Fault, StoreError> {
        self.control.calls.fetch_add(1, Ordering::SeqCst);
        let mut seen = self.control.fault.subscribe();
        loop {
            let fault = seen.borrow_and_update().clone();
            match fault {
                Fault::Off => return Err(outage("connection refused")),
                Fault::Status(status, code) => {
                    return Err(StoreError::from_answer(status, Some(code), "injected", key));
                }
                Fault::Slow(by) => {
                    tokio::select! {
                        () = tokio::time::sleep(by) => return Ok(Fault::None),
                        _ = seen.changed() => {}
                    }
                }
                Fault::Hang => {
                    if seen.changed().await.is_err() {
                        return Err(outage("the fault's control is gone"));
                    }
                }
                other => return Ok(other),
            }
        }
    }
}

fn outage(reason: &str) -> StoreError {
    StoreError::Outage { reason: reason.to_owned() }
}

fn flipped(body: &Bytes) -> Bytes {
    let mut body = body.to_vec();
    let middle = body.len() / 2;
    if let Some(byte) = body.get_mut(middle) {
        *byte ^= 1;
    }
    Bytes::from(body)
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for Faulty<S> {
    async fn put_new(&self, key: &str, body: Bytes, options: &PutOptions) -> Result<Put, StoreError> {
        let _inside = Inside::enter(&self.control);
        match self.strike(key).await? {
            Fault::ResetMidBody => Err(outage("connection reset while sending")),
            Fault::AnswerLost => {
                self.inner.put_new(key, body, options).await?;
                Err(outage("connection reset while waiting for the answer"))
            }
            _ => self.inner.put_new(key, body, options).await,
        }
    }

    async fn begin_upload(&self, key: &str, options: &PutOptions) -> Result<Upload, StoreError> {
        match self.strike(key).await? {
            Fault::AnswerLost => {
                self.inner.begin_upload(key, options).await?;
                Err(outage("connection reset while waiting for the answer"))
            }
            _ => self.inner.begin_upload(key, options).await,
        }
    }

    async fn put_part(&self, upload: &Upload, number: u32, body: Bytes) -> Result<String, StoreError> {
        let _inside = Inside::enter(&self.control);
        match self.strike(&upload.key).await? {
            Fault::ResetMidBody => Err(outage("connection reset while sending")),
            Fault::AnswerLost => {
                self.inner.put_part(upload, number, body).await?;
                Err(outage("connection reset while waiting for the answer"))
            }
            _ => self.inner.put_part(upload, number, body).await,
        }
    }

    async fn complete_upload(&self, upload: &Upload, parts: &[String]) -> Result<Put, StoreError> {
        match self.strike(&upload.key).await? {
            Fault::AnswerLost => {
                self.inner.complete_upload(upload, parts).await?;
                Err(outage("connection reset while waiting for the answer"))
            }
            _ => self.inner.complete_upload(upload, parts).await,
        }
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.control.aborts.fetch_add(1, Ordering::SeqCst);
        self.strike(&upload.key).await?;
        self.inner.abort_upload(upload).await
    }

    async fn list_uploads(&self, prefix: &str) -> Result<Vec<Upload>, StoreError> {
        self.strike(prefix).await?;
        self.inner.list_uploads(prefix).await
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes, StoreError> {
        match self.strike(key).await? {
            Fault::ResetMidBody => {
                self.inner.get(key, limit).await?;
                Err(outage("connection reset while receiving"))
            }
            Fault::BitFlip => Ok(flipped(&self.inner.get(key, limit).await?)),
            _ => self.inner.get(key, limit).await,
        }
    }

    async fn get_range(&self, key: &str, from: u64, length: u64) -> Result<Bytes, StoreError> {
        match self.strike(key).await? {
            Fault::ResetMidBody => {
                self.inner.get_range(key, from, length).await?;
                Err(outage("connection reset while receiving"))
            }
            Fault::BitFlip => Ok(flipped(&self.inner.get_range(key, from, length).await?)),
            _ => self.inner.get_range(key, from, length).await,
        }
    }

    async fn head(&self, key: &str) -> Result<ObjectInfo, StoreError> {
        self.strike(key).await?;
        self.inner.head(key).await
    }

    async fn list(&self, prefix: &str, delimiter: Option<&str>, page: Option<&str>) -> Result<Page, StoreError> {
        self.strike(prefix).await?;
        self.inner.list(prefix, delimiter, page).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        match self.strike(key).await? {
            Fault::AnswerLost => {
                self.inner.delete(key).await?;
                Err(outage("connection reset while waiting for the answer"))
            }
            _ => self.inner.delete(key).await,
        }
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        match self.strike(keys.first().map_or("", String::as_str)).await? {
            Fault::AnswerLost => {
                self.inner.delete_many(keys).await?;
                Err(outage("connection reset while waiting for the answer"))
            }
            _ => self.inner.delete_many(keys).await,
        }
    }
}
