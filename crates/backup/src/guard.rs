//! An archive belongs to one database system: another one is refused before its first file, whatever that is.
//!
//! Barman asks for an archive that is empty, so that the same cluster cannot be rebuilt or restored onto its own. Here
//! the first segment that there is says whose it is. Two histories of one system are told apart by what they would
//! write under one name (I5).

use crate::archive::WalArchive;
use crate::wal_get::WalGetError;
use crate::wal_put::WalPutError;
use pgherd_core::archive::{Foreign, admit};
use pgherd_core::identity::SystemId;
use pgherd_core::wal::{SegmentName, WalName, parse_key, system_of_segment};
use pgherd_objectstore::StoreError;

/// Segments that are looked at, where one is damaged.
const LOOKED_AT: usize = 3;

/// What the one look at an archive told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// A segment of this system is there.
    Owned(SystemId),
    /// There was none; this system asked first. Another one may have begun since.
    Claimed(SystemId),
}

/// Nobody may write to the archive, or delete from it, now.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// It is another cluster's. Do not retry.
    #[error("failed to be let into the archive at {root}")]
    Foreign {
        /// The folder of `destinationPath`, and the `serverName`.
        root: String,
        /// Whose it is.
        #[source]
        whose: Foreign,
    },
    /// Whose it is cannot be told; the store's error says what to do.
    #[error("failed to find out whose the archive is")]
    Store(#[from] StoreError),
}

impl WalArchive {
    /// Lets a database system write to the archive, and delete from it, where it is that system's, or nobody's yet. The
    /// archive is looked at once in the life of this value and all its clones.
    ///
    /// # Errors
    /// [`AdmitError`].
    pub async fn admit(&self, own: SystemId) -> Result<(), AdmitError> {
        // Held while it is looked for: those who come meanwhile wait for the same answer.
        let mut known = self.owner.lock().await;
        let (Known::Owned(owner) | Known::Claimed(owner)) = match *known {
            Some(known) => known,
            None => *known.insert(self.find_owner().await?.map_or(Known::Claimed(own), Known::Owned)),
        };
        admit(Some(owner), own).map_err(|whose| AdmitError::Foreign { root: self.settings.root.clone(), whose })
    }

    /// The same for a file.
    pub(crate) async fn guard(&self, name: WalName, own: SystemId) -> Result<(), WalPutError> {
        self.admit(own).await.map_err(|error| match error {
            AdmitError::Foreign { root, whose: Foreign { owner, own } } => {
                WalPutError::Foreign { name, root, owner, own }
            }
            AdmitError::Store(source) => WalPutError::Store { name, source },
        })
    }

    /// Something is there that this system would have written otherwise: where the archive was empty when it was looked
    /// at, two may have begun at once, and the next put looks again.
    pub(crate) async fn doubt(&self) {
        let mut known = self.owner.lock().await;
        *known = known.filter(|known| matches!(known, Known::Owned(_)));
    }

    /// The system that wrote a segment of the archive; nothing where it is not there, or does not say.
    ///
    /// # Errors
    /// [`WalGetError`]: it cannot be read.
    pub async fn system_of(&self, segment: SegmentName) -> Result<Option<SystemId>, WalGetError> {
        Ok(self.get(WalName::Segment(segment)).await?.and_then(|content| system_of_segment(&content)))
    }

    /// The system of the first segment that can be read; nothing where there is none.
    async fn find_owner(&self) -> Result<Option<SystemId>, StoreError> {
        let root = &self.settings.root;
        let prefix = if root.is_empty() { "wals/".to_owned() } else { format!("{root}/wals/") };
        let page = self.patience.ask(|| self.store.list(&prefix, None, None)).await?;
        let mut looked_at = 0;
        for object in page.objects {
            let below = object.key.strip_prefix(root.as_str()).map(|rest| rest.trim_start_matches('/'));
            let Some(Ok((WalName::Segment(segment), _))) = below.map(parse_key) else { continue };
            match self.system_of(segment).await {
                Ok(Some(system)) => return Ok(Some(system)),
                Ok(None) | Err(WalGetError::Damaged { .. } | WalGetError::Size { .. }) => {}
                Err(WalGetError::Store { source, .. }) => return Err(source),
            }
            looked_at += 1;
            if looked_at >= LOOKED_AT {
                break;
            }
        }
        Ok(None)
    }
}
