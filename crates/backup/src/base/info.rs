//! `backup.info` into the store: the last object of a backup, whole or failed.

use super::object::insist;
use super::{BaseError, Destination};
use bytes::Bytes;
use core::time::Duration;
use pgherd_core::backup::{BackupInfo, BaseObject};
use pgherd_objectstore::{Put, PutOptions};

/// Writes it, once: an information that is there already is never replaced, so what was called whole stays so.
///
/// # Errors
/// [`BaseError::Taken`] where another information is there, else the store's.
pub async fn put_info(to: &Destination, info: &BackupInfo, patience: Duration) -> Result<(), BaseError> {
    let key = to.key(&BaseObject::Info);
    let body = Bytes::from(info.render());
    let options = PutOptions { content_type: Some("text/plain; charset=utf-8".to_owned()), tags: to.tags.clone() };
    let store = |source| BaseError::Store { key: key.clone(), source };
    let put = insist(patience, || to.store.put_new(&key, body.clone(), &options)).await.map_err(store)?;
    if put == Put::Created {
        return Ok(());
    }
    let limit = (body.len() as u64).saturating_add(1);
    match insist(patience, || to.store.get(&key, limit)).await {
        Ok(there) if there == body => Ok(()),
        _ => Err(BaseError::Taken { key }),
    }
}
