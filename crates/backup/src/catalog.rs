//! What an archive holds: every base backup, and all WAL, in one walk each.

use crate::decompress::unpack;
use crate::patient::Patience;
use futures::{StreamExt, TryStreamExt, stream};
use pgherd_core::archive::OwnBackups;
use pgherd_core::backup::{
    ArchiveName, Archived, BASE, BackupId, BackupInfo, BaseObject, Entry, InfoError, Keep, Timestamp, parse_base_key,
};
use pgherd_core::identity::SystemId;
use pgherd_core::timeline::{History, TimelineId};
use pgherd_core::wal::{Compression, SegmentName, SegmentSize, WalName, object_key, parse_key};
use pgherd_objectstore::{ObjectInfo, ObjectStore, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Small objects that are read at once.
const AT_ONCE: usize = 8;
/// `backup.info`, a keep flag and a history file are a few lines.
const SMALL: u64 = 16 << 20;

/// The archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The store; its error says what to do.
    #[error("failed to read what is in the archive")]
    Store(#[from] StoreError),
    /// A history file is damaged.
    #[error("failed to read {key}: {reason}")]
    History {
        /// The object.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// One folder below `base/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// What decisions need of it.
    pub entry: Entry,
    /// `backup.info`, where there is one that can be read.
    pub info: Option<BackupInfo>,
    /// Why there is none.
    pub unreadable: Option<InfoError>,
    /// Its archives.
    pub archives: Vec<(ArchiveName, ObjectInfo)>,
    /// Every object of it.
    pub objects: Vec<ObjectInfo>,
}

/// A WAL file in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalObject {
    /// What it is.
    pub name: WalName,
    /// How it is compressed.
    pub compression: Option<Compression>,
    /// Bytes stored.
    pub size: u64,
    /// When it was stored, by the store's clock.
    pub stored: Option<Timestamp>,
}

/// One server's backups and WAL in a store. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) root: String,
    pub(crate) patience: Patience,
}

/// Everything that an archive holds, at one time.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The base backups, by id.
    pub backups: Vec<Backup>,
    /// The WAL, as decisions see it.
    pub archived: Archived,
    /// Every WAL file, in the order of the keys.
    pub wal: Vec<WalObject>,
}

impl Survey {
    /// The backups as decisions see them.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.backups.iter().map(|backup| backup.entry.clone()).collect()
    }

    /// The same, by whether they are of this database system.
    #[must_use]
    pub fn of(&self, own: SystemId) -> OwnBackups {
        let system = |backup: &Backup| backup.info.as_ref().and_then(|info| info.system);
        OwnBackups::sort(self.backups.iter().map(|backup| (backup.entry.clone(), system(backup))), own)
    }

    /// One segment.
    #[must_use]
    pub fn segment(&self, name: SegmentName) -> Option<&WalObject> {
        self.wal.iter().find(|object| object.name == WalName::Segment(name))
    }

    /// One backup.
    #[must_use]
    pub fn backup(&self, id: &BackupId) -> Option<&Backup> {
        self.backups.iter().find(|backup| backup.entry.id == *id)
    }
}

impl Catalog {
    /// The archive below `root`: `<path of destinationPath>/<serverName>`.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, root: &str, patience: Patience) -> Self {
        Self { store, root: root.trim_matches('/').to_owned(), patience }
    }

    pub(crate) fn key(&self, below: &str) -> String {
        if self.root.is_empty() { below.to_owned() } else { format!("{}/{below}", self.root) }
    }

    fn below<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.root).map(|rest| rest.trim_start_matches('/'))
    }

    /// Where a WAL file is.
    #[must_use]
    pub fn wal_key(&self, object: &WalObject) -> String {
        self.key(&object_key(object.name, object.compression))
    }

    /// One object as it is now, by its whole key; nothing where there is none.
    pub async fn object(&self, key: &str) -> Result<Option<ObjectInfo>, CatalogError> {
        match self.patience.ask(|| self.store.head(key)).await {
            Ok(object) => Ok(Some(object)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Every base backup, by id.
    pub async fn backups(&self) -> Result<Vec<Backup>, CatalogError> {
        let mut folders: BTreeMap<BackupId, Vec<(BaseObject, ObjectInfo)>> = BTreeMap::new();
        self.walk(BASE, |object| {
            if let Some((id, part)) = self.below(&object.key).and_then(parse_base_key) {
                folders.entry(id).or_default().push((part, object));
            }
        })
        .await?;
        let mut reading = Vec::new();
        for (id, objects) in folders {
            reading.push(self.read(id, objects));
        }
        stream::iter(reading).buffered(AT_ONCE).try_collect().await
    }

    async fn read(&self, id: BackupId, objects: Vec<(BaseObject, ObjectInfo)>) -> Result<Backup, CatalogError> {
        let there = |wanted: BaseObject| objects.iter().any(|(object, _)| *object == wanted);
        let text = match there(BaseObject::Info) {
            true => self.small(&id.key(&BaseObject::Info)).await?,
            false => None,
        };
        let (info, unreadable) = match text.map(|text| BackupInfo::parse(&text)) {
            None => (None, None),
            Some(Ok(info)) => (Some(info), None),
            Some(Err(error)) => (None, Some(error)),
        };
        let keep = match there(BaseObject::Keep) {
            true => self.small(&id.key(&BaseObject::Keep)).await?.map(|text| match text.trim() {
                "standalone" => Keep::Standalone,
                // Whatever else it says, somebody wants it kept.
                _ => Keep::Full,
            }),
            false => None,
        };
        let archives = objects.iter().filter_map(|(object, info)| match object {
            BaseObject::Archive(name) => Some((*name, info.clone())),
            _ => None,
        });
        Ok(Backup {
            entry: Entry::new(id, info.as_ref(), keep),
            info,
            unreadable,
            archives: archives.collect(),
            objects: objects.into_iter().map(|(_, object)| object).collect(),
        })
    }

    /// A small text; nothing if it went away meanwhile.
    async fn small(&self, below: &str) -> Result<Option<String>, CatalogError> {
        let key = self.key(below);
        match self.patience.ask(|| self.store.get(&key, SMALL)).await {
            Ok(body) => Ok(Some(String::from_utf8_lossy(&body).into_owned())),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Everything: one walk over the base backups, one over the WAL, and the small files among them.
    pub async fn survey(&self) -> Result<Survey, CatalogError> {
        let backups = self.backups().await?;
        let told = backups.iter().rev().find_map(|backup| backup.entry.span());
        let size = told.map_or(SegmentSize::DEFAULT, |span| span.segment_size);
        let mut archived = Archived::new(size);
        let mut wal = Vec::new();
        self.walk("wals/", |object| {
            let Some(Ok((name, compression))) = self.below(&object.key).map(parse_key) else { return };
            let stored = object.modified.map(Timestamp::from_seconds);
            if let WalName::Segment(segment) = name {
                archived.add_segment(segment, stored);
            }
            wal.push(WalObject { name, compression, size: object.size, stored });
        })
        .await?;
        // Futures in a list: the compiler cannot follow a closure over borrowed objects into a spawned task.
        let mut reading = Vec::new();
        for object in &wal {
            if matches!(object.name, WalName::History(_)) {
                reading.push(self.history(*object));
            }
        }
        let histories: Vec<Option<History>> = stream::iter(reading).buffered(AT_ONCE).try_collect().await?;
        histories.into_iter().flatten().for_each(|history| archived.add_history(history));
        Ok(Survey { backups, archived, wal })
    }

    /// The timelines that have a history file: a listing of these alone, since segments lie a folder deeper.
    pub async fn histories(&self) -> Result<Vec<TimelineId>, CatalogError> {
        let mut found = Vec::new();
        let prefix = self.key("wals/");
        let mut next: Option<String> = None;
        loop {
            let page = self.patience.ask(|| self.store.list(&prefix, Some("/"), next.as_deref())).await?;
            for object in &page.objects {
                if let Some(Ok((WalName::History(timeline), _))) = self.below(&object.key).map(parse_key) {
                    found.push(timeline);
                }
            }
            next = page.next;
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    async fn history(&self, object: WalObject) -> Result<Option<History>, CatalogError> {
        let key = self.wal_key(&object);
        let body = match self.patience.ask(|| self.store.get(&key, SMALL)).await {
            Ok(body) => body,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let damaged = |reason: String| CatalogError::History { key: key.clone(), reason };
        let text = match object.compression {
            None => body.to_vec(),
            compression => unpack(compression, &body, SMALL).map_err(|error| damaged(error.to_string()))?,
        };
        let read = History::parse(object.name.timeline(), &String::from_utf8_lossy(&text));
        read.map(Some).map_err(|error| damaged(error.to_string()))
    }

    async fn walk(&self, below: &str, mut each: impl FnMut(ObjectInfo)) -> Result<(), StoreError> {
        let prefix = self.key(below);
        let mut next: Option<String> = None;
        loop {
            let page = self.patience.ask(|| self.store.list(&prefix, None, next.as_deref())).await?;
            page.objects.into_iter().for_each(&mut each);
            next = page.next;
            if next.is_none() {
                return Ok(());
            }
        }
    }
}
