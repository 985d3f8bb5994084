//! barman-cloud's tree over an object store: the WAL archive, base backups and their catalog, restore and retention.
//!
//! Purpose: what a WAL file becomes in the store and back: compressed, named and laid out so that barman reads
//! ours and we read barman's. Neighbours: `core` knows the names and keys, `objectstore` does the calls, `manager`
//! decides when. Invariants: I5, an archived file is never replaced, the same content again is success, other
//! content is refused; nothing goes into another database system's archive; a file is "not there" only where the store proved it.
//!
//! Memory of the WAL archive: at most one whole file per core while compressing, and one compressed file per put in flight.

mod archive;
pub mod base;
mod catalog;
mod compress;
mod decompress;
mod guard;
mod pack;
mod patient;
mod prune;
mod restore;
mod wal_get;
mod wal_put;
mod wal_range;

pub use archive::{WalArchive, WalSettings};
pub use catalog::{Backup, Catalog, CatalogError, Survey, WalObject};
pub use compress::{CompressError, SEGMENT_LEVEL, gunzip, gzip, gzip_writer};
pub use decompress::{decompressor, unpack};
pub use guard::AdmitError;
pub use pack::pack;
pub use patient::Patience;
pub use prune::{Pruned, preview};
pub use restore::{Destination, Piece, RestoreError, Restored, pieces};
pub use wal_get::WalGetError;
pub use wal_put::{Source, Stored, WalPutError};
