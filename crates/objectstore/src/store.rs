//! The trait: create-only put, at once or in parts; get, whole or in parts; head, list, delete, one or many.

use crate::StoreError;
use async_trait::async_trait;
use bytes::Bytes;

/// What became of a create-only put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is new, and stored durably by the store's own promise.
    Created,
    /// The key is taken. Its content was not looked at and not touched.
    Exists,
}

/// What goes along with an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// MIME type; barman writes `application/x-gzip` on compressed WAL.
    pub content_type: Option<String>,
    /// Object tags (`tags` and `historyTags` of the Cluster), at most ten on S3.
    pub tags: Vec<(String, String)>,
}

/// The least size of every part but the last (S3: `EntityTooSmall`).
pub const LEAST_PART: usize = 5 << 20;
/// The most parts of one object (S3).
pub const MOST_PARTS: u32 = 10_000;

/// An object that is being written in parts. Nothing is at its key before it is completed; until it is completed or
/// aborted, the parts lie in the store, unseen and paid for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The key that the object will have.
    pub key: String,
    /// The store's own name for it.
    pub id: String,
    /// When it was begun, by the store's clock, in seconds since 1970; only in a list, and where the store says it.
    pub begun: Option<i64>,
}

/// One stored object, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The whole key, from the root of the bucket.
    pub key: String,
    /// Bytes stored.
    pub size: u64,
    /// Seconds since the Unix epoch, by the store's clock; for people and retention, never for ordering.
    pub modified: Option<i64>,
    /// The store's ETag: another one where the content is another. Not every store has one, and not in every list.
    pub tag: Option<String>,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Objects in the order of their keys (bytewise).
    pub objects: Vec<ObjectInfo>,
    /// The common prefixes below the delimiter, if one was given.
    pub prefixes: Vec<String>,
    /// Give this to the next call; absent on the last page.
    pub next: Option<String>,
}

/// An object store.
///
/// Guarantees: [`Put::Created`] only after the store acknowledged the whole object; no call replaces an existing
/// object; a call is tried once (except for a create that met another one in flight, S3's 409), so that retrying,
/// and saying that it happens, is the caller's. Dropping a call's future leaves it undecided whether a put or a
/// delete was carried out.
#[async_trait]
pub trait ObjectStore: Send + Sync + std::fmt::Debug {
    /// Creates `key` unless it exists already.
    async fn put_new(&self, key: &str, body: Bytes, options: &PutOptions) -> Result<Put, StoreError>;

    /// Begins an object that is written in parts.
    async fn begin_upload(&self, key: &str, options: &PutOptions) -> Result<Upload, StoreError>;

    /// Stores part `number`, from 1; the same one again replaces it. Answers with what
    /// [`ObjectStore::complete_upload`] has to be told about it.
    async fn put_part(&self, upload: &Upload, number: u32, body: Bytes) -> Result<String, StoreError>;

    /// Puts the parts together, in this order, unless the key is taken by then; in that case the parts are left to be
    /// aborted. Once it has succeeded, or the parts were aborted, there is no such upload any more: the same call
    /// then fails, and only the object at the key tells which of the two it was.
    async fn complete_upload(&self, upload: &Upload, parts: &[String]) -> Result<Put, StoreError>;

    /// Gives the parts up. For an upload that is not there any more, stores differ: some call it a failure.
    async fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError>;

    /// Uploads below `prefix` that were neither completed nor aborted; of very many, some. Not every store can tell:
    /// one that cannot refuses.
    async fn list_uploads(&self, prefix: &str) -> Result<Vec<Upload>, StoreError>;

    /// The whole object, refused with [`StoreError::TooLarge`] if it holds more than `limit` bytes.
    async fn get(&self, key: &str, limit: u64) -> Result<Bytes, StoreError>;

    /// `length` bytes of an object from `from` on: exactly so many, or an error. What an object of any size is read by.
    async fn get_range(&self, key: &str, from: u64, length: u64) -> Result<Bytes, StoreError>;

    /// Size and time of one object.
    async fn head(&self, key: &str) -> Result<ObjectInfo, StoreError>;

    /// One page of the keys that start with `prefix`; with a delimiter, what lies deeper is folded into
    /// [`Page::prefixes`]. `page` is [`Page::next`] of the page before.
    async fn list(&self, prefix: &str, delimiter: Option<&str>, page: Option<&str>) -> Result<Page, StoreError>;

    /// Removes an object. Removing what is not there is success.
    async fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// Removes many objects, in as few requests as the store allows. After an error some of them may be gone.
    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError>;
}

/// Every object below `prefix`, page by page. For small listings: it holds them all.
pub async fn list_all(store: &dyn ObjectStore, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError> {
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = store.list(prefix, None, next.as_deref()).await?;
        all.extend(page.objects);
        next = page.next;
        if next.is_none() {
            return Ok(all);
        }
    }
}
