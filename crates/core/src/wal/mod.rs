//! WAL files: segment arithmetic, file names, and where each lies in an archive.

mod filename;
mod key;
mod page;
pub mod record;
mod segment;

pub use filename::{SegmentName, WalName, WalNameError};
pub use key::{Compression, CompressionError, WalKeyError, directory, object_key, parse_key};
pub use page::system_of_segment;
pub use segment::{SegmentNo, SegmentSize, SegmentSizeError};
