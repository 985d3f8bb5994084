//! S3 and what speaks its API.

mod client;
mod config;
mod create;
mod delete;
mod multipart;
mod read_error;

pub use config::{Encryption, S3Config, S3Credentials, Timeouts};

use crate::error::cut_short;
use crate::{ObjectInfo, ObjectStore, Page, Put, PutOptions, StoreError, Upload};
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::ServerSideEncryption;
use bytes::{Bytes, BytesMut};
use create::Condition;
use futures::future::BoxFuture;
use read_error::{chain, read};
use std::fmt;
use std::sync::OnceLock;
use tokio::sync::OnceCell;

/// One bucket. Connects, and looks for the region, at the first call; keeps one connection pool.
pub struct S3Store {
    config: S3Config,
    client: OnceCell<Client>,
    condition: OnceLock<Condition>,
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store").field("config", &self.config).finish_non_exhaustive()
    }
}

impl S3Store {
    /// A store that will connect when it is first used.
    #[must_use]
    pub fn new(config: S3Config) -> Self {
        Self { config, client: OnceCell::new(), condition: OnceLock::new() }
    }

    async fn client(&self) -> Result<&Client, StoreError> {
        self.client.get_or_try_init(|| client::connect(&self.config)).await
    }

    /// Bounds a whole call: the SDK's own bound ends with the headers, not with the body.
    /// On the heap, since the SDK's futures are tens of kilobytes.
    async fn bounded<T>(&self, call: BoxFuture<'_, Result<T, StoreError>>) -> Result<T, StoreError> {
        let bound = self.config.timeouts.call;
        let late = || StoreError::Outage { reason: format!("the call took longer than {} s", bound.as_secs()) };
        tokio::time::timeout(bound, call).await.map_err(|_| late())?
    }

    fn encryption(&self) -> Option<ServerSideEncryption> {
        self.config.encryption.map(|kind| match kind {
            Encryption::Aes256 => ServerSideEncryption::Aes256,
            Encryption::AwsKms => ServerSideEncryption::AwsKms,
        })
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn put_new(&self, key: &str, body: Bytes, options: &PutOptions) -> Result<Put, StoreError> {
        let put = self.bounded(Box::pin(create::create(self, key, &body, options))).await?;
        if put == Put::Created && self.condition.get().is_none() {
            // It is stored, whatever comes of this.
            drop(self.bounded(Box::pin(create::learn(self, key, body, options))).await);
        }
        Ok(put)
    }

    async fn begin_upload(&self, key: &str, options: &PutOptions) -> Result<Upload, StoreError> {
        self.bounded(Box::pin(multipart::begin(self, key, options))).await
    }

    async fn put_part(&self, upload: &Upload, number: u32, body: Bytes) -> Result<String, StoreError> {
        self.bounded(Box::pin(multipart::put(self, upload, number, body))).await
    }

    async fn complete_upload(&self, upload: &Upload, parts: &[String]) -> Result<Put, StoreError> {
        self.bounded(Box::pin(multipart::complete(self, upload, parts))).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.bounded(Box::pin(multipart::abort(self, upload))).await
    }

    async fn list_uploads(&self, prefix: &str) -> Result<Vec<Upload>, StoreError> {
        self.bounded(Box::pin(multipart::list(self, prefix))).await
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes, StoreError> {
        self.bounded(Box::pin(async {
            let sent = self.client().await?.get_object().bucket(&self.config.bucket).key(key).send().await;
            let mut found = sent.map_err(|error| read(&error, key))?;
            let expected = found.content_length().and_then(|length| u64::try_from(length).ok());
            let too_large = || StoreError::TooLarge { key: key.to_owned(), limit };
            if expected.is_some_and(|length| length > limit) {
                return Err(too_large());
            }
            let room = expected.unwrap_or_default().min(limit);
            let mut body = BytesMut::with_capacity(usize::try_from(room).unwrap_or_default());
            while let Some(part) = found.body.next().await {
                let part = part.map_err(|error| StoreError::Outage { reason: chain(&error) })?;
                if (body.len() as u64).saturating_add(part.len() as u64) > limit {
                    return Err(too_large());
                }
                body.extend_from_slice(&part);
            }
            match expected {
                Some(length) if length != body.len() as u64 => {
                    Err(StoreError::Outage { reason: format!("only {} of {length} bytes arrived", body.len()) })
                }
                _ => Ok(body.freeze()),
            }
        }))
        .await
    }

    async fn get_range(&self, key: &str, from: u64, length: u64) -> Result<Bytes, StoreError> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        self.bounded(Box::pin(async {
            let range = format!("bytes={from}-{}", from.saturating_add(length - 1));
            let get = self.client().await?.get_object().bucket(&self.config.bucket).key(key).range(range);
            let sent = get.send().await;
            let mut found =
                sent.map_err(|error| match error.raw_response().map(|answer| answer.status().as_u16()) {
                    Some(416) => cut_short(key, from, length),
                    _ => read(&error, key),
                })?;
            let told = found.content_length().and_then(|length| u64::try_from(length).ok());
            match told {
                Some(told) if told < length => return Err(cut_short(key, from, length)),
                // A store that knows no ranges answers with everything.
                Some(told) if told > length => {
                    return Err(StoreError::Misconfigured { reason: "the store does not answer ranges".to_owned() });
                }
                _ => {}
            }
            let mut body = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
            while let Some(part) = found.body.next().await {
                let part = part.map_err(|error| StoreError::Outage { reason: chain(&error) })?;
                body.extend_from_slice(&part);
            }
            if body.len() as u64 == length {
                Ok(body.freeze())
            } else {
                Err(StoreError::Outage { reason: format!("only {} of {length} bytes arrived", body.len()) })
            }
        }))
        .await
    }

    async fn head(&self, key: &str) -> Result<ObjectInfo, StoreError> {
        self.bounded(Box::pin(async {
            let client = self.client().await?;
            match client.head_object().bucket(&self.config.bucket).key(key).send().await {
                Ok(found) => Ok(ObjectInfo {
                    key: key.to_owned(),
                    size: found.content_length().and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
                    modified: found.last_modified().map(|time| time.secs()),
                    tag: found.e_tag().map(str::to_owned),
                }),
                Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 404) => {
                    // A HEAD answer has no body to say which is missing, the key or the bucket.
                    match client.head_bucket().bucket(&self.config.bucket).send().await {
                        Ok(_) => Err(StoreError::NotFound { key: key.to_owned() }),
                        Err(error) => Err(read(&error, key)),
                    }
                }
                Err(error) => Err(read(&error, key)),
            }
        }))
        .await
    }

    async fn list(&self, prefix: &str, delimiter: Option<&str>, page: Option<&str>) -> Result<Page, StoreError> {
        self.bounded(Box::pin(async {
            let found = self
                .client()
                .await?
                .list_objects_v2()
                .bucket(&self.config.bucket)
                .prefix(prefix)
                .set_delimiter(delimiter.map(str::to_owned))
                .set_continuation_token(page.map(str::to_owned))
                .send()
                .await
                .map_err(|error| read(&error, prefix))?;
            let objects = found.contents().iter().filter_map(|object| {
                Some(ObjectInfo {
                    key: object.key()?.to_owned(),
                    size: object.size().and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
                    modified: object.last_modified().map(|time| time.secs()),
                    tag: object.e_tag().map(str::to_owned),
                })
            });
            let prefixes = found.common_prefixes().iter().filter_map(|common| common.prefix().map(str::to_owned));
            Ok(Page {
                objects: objects.collect(),
                prefixes: prefixes.collect(),
                next: found.next_continuation_token().map(str::to_owned),
            })
        }))
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.bounded(Box::pin(async {
            match self.client().await?.delete_object().bucket(&self.config.bucket).key(key).send().await {
                Ok(_) => Ok(()),
                Err(error) => match read(&error, key) {
                    StoreError::NotFound { .. } => Ok(()),
                    other => Err(other),
                },
            }
        }))
        .await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        for some in keys.chunks(delete::AT_ONCE) {
            let refused =
                match self.bounded(Box::pin(delete::delete(self.client().await?, &self.config.bucket, some))).await {
                    Err(StoreError::Rejected { reason }) => reason,
                    other => {
                        other?;
                        continue;
                    }
                };
            // Not every store that speaks S3 has this call.
            tracing::debug!(reason = refused, "objects are deleted one by one");
            for key in some {
                self.delete(key).await?;
            }
        }
        Ok(())
    }
}
