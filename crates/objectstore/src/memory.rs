//! A store in memory, for tests of what stands on a store.

use crate::error::cut_short;
use crate::{ObjectInfo, ObjectStore, Page, Put, PutOptions, StoreError};
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
    ObjectInfo { key: key.to_owned(), size: body.len() as u64, modified: None }
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
