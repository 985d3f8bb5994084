//! A store in memory, for tests of what stands on a store.

use crate::error::cut_short;
use crate::{LEAST_PART, ObjectInfo, ObjectStore, Page, Put, PutOptions, StoreError, Upload};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keys on one page, small enough for tests to meet a second page.
const PAGE: usize = 100;

/// Objects in a map.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Mutex<BTreeMap<String, (Bytes, PutOptions)>>,
    uploads: Mutex<Uploads>,
}

/// What is being written in parts.
#[derive(Debug, Default)]
struct Uploads {
    begun: u64,
    open: BTreeMap<String, Parts>,
}

#[derive(Debug)]
struct Parts {
    key: String,
    options: PutOptions,
    parts: BTreeMap<u32, Bytes>,
}

impl Uploads {
    fn find(&mut self, upload: &Upload) -> Result<&mut Parts, StoreError> {
        let missing = || StoreError::from_answer(404, Some("NoSuchUpload"), "no such upload", &upload.key);
        self.open.get_mut(&upload.id).ok_or_else(missing)
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, (Bytes, PutOptions)>> {
        // A map is whole after every call, so a panic elsewhere leaves nothing half done.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn uploads(&self) -> MutexGuard<'_, Uploads> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every key, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.objects().keys().cloned().collect()
    }

    /// What was given along with an object.
    #[must_use]
    pub fn options(&self, key: &str) -> Option<PutOptions> {
        self.objects().get(key).map(|(_, options)| options.clone())
    }

    /// Replaces or creates an object behind everybody's back, to stand for damage or another writer.
    pub fn overwrite(&self, key: &str, body: Bytes) {
        self.objects().insert(key.to_owned(), (body, PutOptions::default()));
    }
}

fn info(key: &str, body: &Bytes) -> ObjectInfo {
    ObjectInfo { key: key.to_owned(), size: body.len() as u64, modified: None, tag: None }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn put_new(&self, key: &str, body: Bytes, options: &PutOptions) -> Result<Put, StoreError> {
        let mut objects = self.objects();
        if objects.contains_key(key) {
            return Ok(Put::Exists);
        }
        objects.insert(key.to_owned(), (body, options.clone()));
        Ok(Put::Created)
    }

    async fn begin_upload(&self, key: &str, options: &PutOptions) -> Result<Upload, StoreError> {
        let mut uploads = self.uploads();
        uploads.begun = uploads.begun.saturating_add(1);
        let id = format!("upload-{}", uploads.begun);
        let parts = Parts { key: key.to_owned(), options: options.clone(), parts: BTreeMap::new() };
        uploads.open.insert(id.clone(), parts);
        Ok(Upload { key: key.to_owned(), id, begun: None })
    }

    async fn put_part(&self, upload: &Upload, number: u32, body: Bytes) -> Result<String, StoreError> {
        self.uploads().find(upload)?.parts.insert(number, body);
        Ok(format!("part-{number}"))
    }

    async fn complete_upload(&self, upload: &Upload, parts: &[String]) -> Result<Put, StoreError> {
        let mut objects = self.objects();
        let mut uploads = self.uploads();
        let found = uploads.find(upload)?;
        if objects.contains_key(&upload.key) {
            return Ok(Put::Exists);
        }
        let refuse = |code: &'static str| StoreError::from_answer(400, Some(code), "", &upload.key);
        let mut body = Vec::new();
        for (number, tag) in (1_u32..).zip(parts) {
            let part = found.parts.get(&number).filter(|_| *tag == format!("part-{number}"));
            let part = part.ok_or_else(|| refuse("InvalidPart"))?;
            if part.len() < LEAST_PART && number as usize != parts.len() {
                return Err(refuse("EntityTooSmall"));
            }
            body.extend_from_slice(part);
        }
        objects.insert(upload.key.clone(), (Bytes::from(body), found.options.clone()));
        uploads.open.remove(&upload.id);
        Ok(Put::Created)
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.uploads().open.remove(&upload.id);
        Ok(())
    }

    async fn list_uploads(&self, prefix: &str) -> Result<Vec<Upload>, StoreError> {
        let uploads = self.uploads();
        let below = uploads.open.iter().filter(|(_, parts)| parts.key.starts_with(prefix));
        Ok(below.map(|(id, parts)| Upload { key: parts.key.clone(), id: id.clone(), begun: None }).collect())
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes, StoreError> {
        let objects = self.objects();
        let (body, _) = objects.get(key).ok_or_else(|| StoreError::NotFound { key: key.to_owned() })?;
        if body.len() as u64 > limit {
            return Err(StoreError::TooLarge { key: key.to_owned(), limit });
        }
        Ok(body.clone())
    }

    async fn get_range(&self, key: &str, from: u64, length: u64) -> Result<Bytes, StoreError> {
        let objects = self.objects();
        let (body, _) = objects.get(key).ok_or_else(|| StoreError::NotFound { key: key.to_owned() })?;
        let part = usize::try_from(from).ok().zip(usize::try_from(from.saturating_add(length)).ok());
        let part = part.filter(|(from, to)| from <= to && *to <= body.len());
        part.map(|(from, to)| body.slice(from..to)).ok_or_else(|| cut_short(key, from, length))
    }

    async fn head(&self, key: &str) -> Result<ObjectInfo, StoreError> {
        let objects = self.objects();
        let (body, _) = objects.get(key).ok_or_else(|| StoreError::NotFound { key: key.to_owned() })?;
        Ok(info(key, body))
    }

    async fn list(&self, prefix: &str, delimiter: Option<&str>, page: Option<&str>) -> Result<Page, StoreError> {
        let objects = self.objects();
        let from = page.map_or(Bound::Included(prefix), Bound::Excluded);
        let mut found = Page::default();
        let mut last: Option<&str> = None;
        for (key, (body, _)) in objects.range::<str, _>((from, Bound::Unbounded)) {
            let Some(rest) = key.strip_prefix(prefix) else { break };
            if found.objects.len() + found.prefixes.len() >= PAGE {
                found.next = last.map(str::to_owned);
                break;
            }
            match delimiter.and_then(|d| rest.split_once(d).map(|(head, _)| format!("{prefix}{head}{d}"))) {
                Some(common) if page.is_some_and(|seen| seen.starts_with(&common)) => {}
                Some(common) if found.prefixes.last() == Some(&common) => {}
                Some(common) => found.prefixes.push(common),
                None => found.objects.push(info(key, body)),
            }
            last = Some(key);
        }
        Ok(found)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.objects().remove(key);
        Ok(())
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        let mut objects = self.objects();
        for key in keys {
            objects.remove(key);
        }
        Ok(())
    }
}
