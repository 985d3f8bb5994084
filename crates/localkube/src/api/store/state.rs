//! What the lock protects: objects, version, history, journal. One method changes it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::super::error::ApiError;
use super::super::object::set_meta;
use super::super::registry::Registry;
use super::super::resource::GroupResource;
use super::history::{Change, ChangeKind, History};
use super::journal::{Journal, JournalError, Record};

/// Namespace (empty for cluster-scoped objects) and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// From its two parts.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// The journal is rewritten when it is this much longer than right after the last rewriting.
const REWRITE_AFTER: u64 = 64 << 20;

pub(super) struct State {
    objects: BTreeMap<GroupResource, BTreeMap<Key, Arc<Value>>>,
    version: u64,
    history: History,
    journal: Journal,
    rewrite_at: u64,
    registry: Arc<Registry>,
    root_ca: String,
}

/// Where definitions of custom resources are kept.
pub(super) fn definitions() -> GroupResource {
    GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions")
}

impl State {
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        let mut objects: BTreeMap<GroupResource, BTreeMap<Key, Arc<Value>>> = BTreeMap::new();
        let mut version = 0;
        for record in Journal::read(directory)? {
            version = version.max(record.version);
            if record.plural.is_empty() {
                continue;
            }
            let of_kind = objects.entry(GroupResource::new(&record.group, &record.plural)).or_default();
            let key = Key::new(&record.namespace, &record.name);
            match record.object {
                Some(object) => of_kind.insert(key, object),
                None => of_kind.remove(&key),
            };
        }
        let journal = Journal::rewrite(directory, snapshot(&objects, version))?;
        let rewrite_at = journal.length().saturating_add(REWRITE_AFTER);
        let history = History::new(version);
        let mut state =
            Self { objects, version, history, journal, rewrite_at, registry: Arc::default(), root_ca: String::new() };
        state.rebuild_registry();
        Ok(state)
    }

    fn rebuild_registry(&mut self) {
        self.registry = Arc::new(Registry::new(self.of_kind(&definitions()).map(|(_, object)| &**object)));
    }

    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    /// The CA certificate that namespaces are given; empty until the server has told it.
    pub fn root_ca(&self) -> &str {
        &self.root_ca
    }

    pub fn set_root_ca(&mut self, pem: &str) {
        pem.clone_into(&mut self.root_ca);
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn history(&self) -> &History {
        &self.history
    }

    pub fn get(&self, gr: &GroupResource, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(gr)?.get(key)
    }

    pub fn of_kind(&self, gr: &GroupResource) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.objects.get(gr).into_iter().flatten()
    }

    pub fn everything(&self) -> impl Iterator<Item = (&GroupResource, &Key, &Arc<Value>)> {
        self.objects.iter().flat_map(|(gr, of_kind)| of_kind.iter().map(move |(key, object)| (gr, key, object)))
    }

    /// Forgets the history up to now.
    pub fn forget_history(&mut self) {
        self.history.forget(self.version);
    }

    /// Stores an object (or removes it) under the next version: to the journal, then to memory and history.
    /// Returns the object as stored; for a removal its last state with the version of the removal.
    pub fn commit(&mut self, gr: &GroupResource, key: &Key, object: Option<Value>) -> Result<Arc<Value>, ApiError> {
        let version = self.version.saturating_add(1);
        let before = self.get(gr, key).cloned();
        let removed = object.is_none();
        let Some(mut object) = object.or_else(|| before.as_deref().cloned()) else {
            return Err(ApiError::not_found(gr, &key.name));
        };
        set_meta(&mut object, "resourceVersion", version.to_string());
        let object = Arc::new(object);
        let record = Record::new(version, gr, key, (!removed).then(|| Arc::clone(&object)));
        self.journal.append(&record).map_err(|error| {
            tracing::error!(%error, "the journal of the local API cannot be written");
            ApiError::internal("failed to store the object")
        })?;
        self.version = version;
        let of_kind = self.objects.entry(gr.clone()).or_default();
        if removed {
            of_kind.remove(key);
        } else {
            of_kind.insert(key.clone(), Arc::clone(&object));
        }
        let kind = match (&before, removed) {
            (_, true) => ChangeKind::Deleted,
            (None, false) => ChangeKind::Added,
            (Some(_), false) => ChangeKind::Modified,
        };
        let (resource, key) = (gr.clone(), key.clone());
        self.history.push(Change { version, kind, resource, key, object: Arc::clone(&object), before });
        if *gr == definitions() {
            self.rebuild_registry();
        }
        Ok(object)
    }

    /// The file to force to the disk, if anything was written; rewrites a journal that has grown long.
    pub fn unsynced(&mut self) -> Result<Option<Arc<File>>, JournalError> {
        if self.journal.length() > self.rewrite_at {
            self.journal = Journal::rewrite(&self.journal.directory(), snapshot(&self.objects, self.version))?;
            self.rewrite_at = self.journal.length().saturating_add(REWRITE_AFTER);
        }
        Ok(self.journal.take_unsynced())
    }
}

/// All objects as records, and the version first: the latest change may have been a removal.
fn snapshot(
    objects: &BTreeMap<GroupResource, BTreeMap<Key, Arc<Value>>>,
    version: u64,
) -> impl Iterator<Item = Record> {
    let head = Record::new(version, &GroupResource::new("", ""), &Key::new("", ""), None);
    let all = objects.iter().flat_map(move |(gr, of_kind)| {
        of_kind.iter().map(move |(key, object)| Record::new(version, gr, key, Some(Arc::clone(object))))
    });
    std::iter::once(head).chain(all)
}
