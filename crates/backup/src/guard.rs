//! An archive belongs to one database system: another one is refused before its first segment.
//!
//! Barman asks for an archive that is empty, so that the same cluster cannot be rebuilt or restored onto its own. Here
//! the first segment that there is says whose it is. Two histories of one system are told apart by what they would
//! write under one name (I5).

use crate::archive::WalArchive;
use crate::wal_get::WalGetError;
use crate::wal_put::WalPutError;
use pgherd_core::identity::SystemId;
use pgherd_core::wal::{WalName, parse_key, system_of_segment};
use pgherd_objectstore::StoreError;

/// Segments that are looked at, where one is damaged.
const LOOKED_AT: usize = 3;

impl WalArchive {
    /// Lets a segment of `own` system pass where the archive is that system's, or nobody's yet.
    pub(crate) async fn guard(&self, name: WalName, own: Option<SystemId>) -> Result<(), WalPutError> {
        let Some(own) = own else { return Ok(()) };
        let owner =
            self.owner.get_or_try_init(|| async { Ok::<_, StoreError>(self.find_owner().await?.unwrap_or(own)) });
        match owner.await.map_err(|source| WalPutError::Store { name, source })? {
            owner if *owner == own => Ok(()),
            owner => Err(WalPutError::Foreign { name, owner: *owner, own }),
        }
    }

    /// The system of the first segment that can be read; nothing where there is none.
    async fn find_owner(&self) -> Result<Option<SystemId>, StoreError> {
        let root = &self.settings.root;
        let prefix = if root.is_empty() { "wals/".to_owned() } else { format!("{root}/wals/") };
        let page = self.store.list(&prefix, None, None).await?;
        let mut looked_at = 0;
        for object in page.objects {
            let below = object.key.strip_prefix(root.as_str()).map(|rest| rest.trim_start_matches('/'));
            let Some(Ok((name @ WalName::Segment(_), _))) = below.map(parse_key) else { continue };
            match self.get(name).await {
                Ok(Some(content)) => {
                    if let Some(system) = system_of_segment(&content) {
                        return Ok(Some(system));
                    }
                }
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
