//! One file into the archive, as what it is: a file of this data directory's database system.

use pgherd_backup::{Source, Stored, WalArchive, WalPutError};
use pgherd_core::wal::WalName;
use pgherd_postgres::system_id::system_of;
use std::path::PathBuf;

/// Archives a file of the instance whose data directory this is. What lies aside is of its system as well: it waits until
/// there is a directory again.
pub(super) async fn put_own(
    archive: &WalArchive,
    pgdata: PathBuf,
    name: WalName,
    file: PathBuf,
) -> Result<Stored, WalPutError> {
    // Each time: it is eight bytes, and a directory may be replaced while the archiver lives.
    let system = tokio::task::spawn_blocking(move || system_of(&pgdata)).await;
    match system.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(own) => archive.of(own).put(name, Source::File(file)).await,
        Err(source) => match name {
            // Says itself whose it is.
            WalName::Segment(_) | WalName::Partial(_) => archive.put(name, Source::File(file)).await,
            WalName::History(_) | WalName::Backup { .. } => Err(WalPutError::Whose { name, source }),
        },
    }
}
