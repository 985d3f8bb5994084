//! One server's WAL archive in a store.

use crate::guard::Known;
use crate::{Catalog, Patience};
use pgherd_core::identity::SystemId;
use pgherd_core::wal::{Compression, WalName, object_key};
use pgherd_objectstore::ObjectStore;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};

/// How WAL is written for one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalSettings {
    /// `<path of destinationPath>/<serverName>`, without slashes at its ends.
    pub root: String,
    /// `wal.compression`; absent stores files as they are.
    pub compression: Option<Compression>,
    /// `tags` of every object but history files.
    pub tags: Vec<(String, String)>,
    /// `historyTags`.
    pub history_tags: Vec<(String, String)>,
}

/// One server's WAL archive. Cloning shares it.
#[derive(Clone, Debug)]
pub struct WalArchive {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) settings: Arc<WalSettings>,
    /// Lets as many files be compressed at once as there are cores: more would only take memory.
    pub(crate) compressing: Arc<Semaphore>,
    /// The database system that the archive belongs to, once somebody has looked.
    pub(crate) owner: Arc<Mutex<Option<Known>>>,
    /// The database system that writes, where it said so.
    pub(crate) own: Option<SystemId>,
    /// For how long each request of a fetch is made again.
    pub(crate) patience: Patience,
    /// How the last segment that was found is compressed.
    pub(crate) found_as: Arc<std::sync::Mutex<Option<Option<Compression>>>>,
}

impl WalArchive {
    /// An archive in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, settings: WalSettings) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            store,
            settings: Arc::new(settings),
            compressing: Arc::new(Semaphore::new(cores)),
            owner: Arc::default(),
            own: None,
            patience: Patience(Duration::ZERO),
            found_as: Arc::default(),
        }
    }

    /// The same, with each request of a fetch made again for so long. That a file is missing takes several: with a store
    /// that fails now and then they would hardly ever succeed one after the other.
    #[must_use]
    pub fn patient(&self, patience: Patience) -> Self {
        Self { patience, ..self.clone() }
    }

    /// The same, written to by this database system: nothing of it goes into another one's archive, whatever the file.
    /// Without it only segments are held against the archive, which say themselves whose they are.
    #[must_use]
    pub fn of(&self, own: SystemId) -> Self {
        Self { own: Some(own), ..self.clone() }
    }

    /// The base backups beside it, and the same WAL as a whole.
    #[must_use]
    pub fn catalog(&self, patience: Patience) -> Catalog {
        Catalog::new(Arc::clone(&self.store), &self.settings.root, patience)
    }

    /// How WAL is written.
    #[must_use]
    pub fn settings(&self) -> &WalSettings {
        &self.settings
    }

    /// The whole key of a file under a compression.
    pub(crate) fn key(&self, name: WalName, compression: Option<Compression>) -> String {
        let below = object_key(name, compression);
        if self.settings.root.is_empty() { below } else { format!("{}/{below}", self.settings.root) }
    }
}
