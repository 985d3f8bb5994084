//! Carries a retention plan out: the backups first, each from its `backup.info` on, then the WAL that only they needed.
//!
//! Cut off anywhere, what is left is whole: a backup without `backup.info` is none, and its rest goes next time.

use crate::catalog::{Catalog, CatalogError, Survey};
use futures::{StreamExt, TryStreamExt, stream};
use pgherd_core::backup::retention::Plan;
use pgherd_core::backup::{BackupId, BaseObject};
use pgherd_objectstore::StoreError;

/// Objects in one request, and requests at once.
const AT_ONCE: usize = 1_000;
const WIDE: usize = 4;

/// What was deleted, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Base backups.
    pub backups: Vec<BackupId>,
    /// Bytes of them.
    pub backup_bytes: u64,
    /// WAL objects.
    pub wal_objects: usize,
    /// Bytes of them.
    pub wal_bytes: u64,
}

impl Pruned {
    /// Whether there was nothing to delete.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.backups.is_empty() && self.wal_objects == 0
    }
}

/// What the plan comes to, without touching anything.
#[must_use]
pub fn preview(survey: &Survey, plan: &Plan) -> Pruned {
    let size = |id: &BackupId| -> u64 {
        survey.backup(id).map_or(0, |backup| backup.objects.iter().map(|object| object.size).sum())
    };
    let wal = survey.wal.iter().filter(|object| plan.removes(object.name));
    let (wal_objects, wal_bytes) =
        wal.fold((0, 0_u64), |(n, bytes), object| (n + 1, bytes.saturating_add(object.size)));
    Pruned {
        backups: plan.remove.iter().map(|(id, _)| id.clone()).collect(),
        backup_bytes: plan.remove.iter().map(|(id, _)| size(id)).sum(),
        wal_objects,
        wal_bytes,
    }
}

impl Catalog {
    /// Deletes what the plan, made from this survey, makes redundant. What was asked to be kept since is left alone, with
    /// all WAL.
    ///
    /// # Errors
    /// [`CatalogError`]; what is left goes next time.
    pub async fn prune(&self, survey: &Survey, plan: &Plan) -> Result<Pruned, CatalogError> {
        let expected = preview(survey, plan);
        let mut pruned = Pruned::default();
        for (id, _) in &plan.remove {
            let Some(backup) = survey.backup(id) else { continue };
            let keep = self.key(&id.key(&BaseObject::Keep));
            match self.patience.ask(|| self.store.head(&keep)).await {
                Err(StoreError::NotFound { .. }) => {}
                Ok(_) => {
                    tracing::info!(backup = %id, "a redundant backup is kept: somebody has just asked for it");
                    return Ok(pruned);
                }
                Err(error) => return Err(error.into()),
            }
            // First of all: from here on it is no backup any more.
            let info = self.key(&id.key(&BaseObject::Info));
            self.patience.ask(|| self.store.delete(&info)).await?;
            let objects: Vec<String> = backup.objects.iter().map(|object| object.key.clone()).collect();
            self.delete(objects).await?;
            pruned.backups.push(id.clone());
            pruned.backup_bytes = pruned.backup_bytes.saturating_add(backup.objects.iter().map(|o| o.size).sum());
        }
        let mut wal = Vec::new();
        for object in &survey.wal {
            if plan.removes(object.name) {
                wal.push(self.wal_key(object));
            }
        }
        self.delete(wal).await?;
        Ok(Pruned { wal_objects: expected.wal_objects, wal_bytes: expected.wal_bytes, ..pruned })
    }

    async fn delete(&self, keys: Vec<String>) -> Result<(), StoreError> {
        let mut deleting = Vec::new();
        for some in keys.chunks(AT_ONCE) {
            deleting.push(self.delete_some(some));
        }
        stream::iter(deleting).buffer_unordered(WIDE).try_collect().await
    }

    async fn delete_some(&self, keys: &[String]) -> Result<(), StoreError> {
        self.patience.ask(|| self.store.delete_many(keys)).await
    }
}
