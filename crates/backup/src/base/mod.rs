//! Base backups: a running server's files into the store, as barman-cloud-backup would put them there.
//!
//! Bounds: one reader, as many pieces of 1 MiB being compressed as `jobs` says (at most one per core), and as many
//! parts in flight, besides one that fills: with two jobs about 60 MiB. Nothing is written to the local disk.

mod bitwise;
mod copy;
mod deflate;
mod info;
mod object;
mod packing;
mod page;
mod pipeline;
mod progress;
mod take;
mod tar;

pub use copy::Source;
pub use info::put_info;
pub use packing::PackError;
pub use page::{PAGE, PageState, checksum, judge};
pub use pipeline::{Archived, Destination};
pub use progress::Progress;
pub use take::{BaseCopy, BaseSettings, give_up_leftovers};

use pgherd_objectstore::StoreError;
use std::path::PathBuf;

/// Why a base backup could not be taken. None of them is worth the same backup again; a new one may do.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// A file of the server cannot be read.
    #[error("failed to read {path}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A page is damaged, and was still when it was read again: this instance's disk or memory is not to be trusted.
    #[error("failed to verify block {block} of {file}: its checksum is wrong", file = file.display())]
    BadPage {
        /// The file.
        file: PathBuf,
        /// The number of the block in its relation.
        block: u32,
    },
    /// The store failed, for longer than was waited, or for good.
    #[error("failed to store {key}")]
    Store {
        /// The object.
        key: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// Another object has that key: there are two backups of one name.
    #[error("failed to store {key}: there is another object of that name")]
    Taken {
        /// The object.
        key: String,
    },
    /// The object is larger than its settings foresaw.
    #[error("failed to store {key}: it has more parts than the store takes; choose larger ones, or smaller archives")]
    TooManyParts {
        /// The object.
        key: String,
    },
    /// Never seen.
    #[error("failed to compress a piece")]
    Pack(#[source] PackError),
    /// It was told to stop.
    #[error("failed to go on: the backup was cancelled")]
    Cancelled,
    /// Half of it ended without a word; the other half says why, if anybody does.
    #[error("failed to go on: the backup ended before it was whole")]
    Ended,
}
