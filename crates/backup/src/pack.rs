//! Writing every compression that barman-cloud-wal-restore reads: gzip, bzip2, xz, snappy (framed), zstd, lz4 (framed).
//!
//! Levels are barman's own `medium`, but where that says the format has nothing of the kind. Memory beside the content and
//! its compressed form: xz 32 MiB, bzip2 5 MiB, the others less, for each file that is compressed at the same time.

use crate::compress::{CompressError, gzip};
use lz4_flex::frame::{BlockMode, BlockSize, FrameInfo};
use pgherd_core::wal::Compression;
use std::io::{self, Write};

/// bzip2's.
const BZIP2_LEVEL: u32 = 5;
/// xz's: a dictionary of 4 MiB.
const XZ_LEVEL: u32 = 3;
/// zstd's.
const ZSTD_LEVEL: i32 = 4;

/// Compresses a whole file.
pub fn pack(compression: Compression, content: &[u8]) -> Result<Vec<u8>, CompressError> {
    let failed = |error: io::Error| CompressError::Compress(error.to_string());
    match compression {
        Compression::Gzip => gzip(content),
        Compression::Bzip2 => bzip2(content, BZIP2_LEVEL).map_err(failed),
        Compression::Xz => xz(content).map_err(failed),
        Compression::Snappy => snappy(content).map_err(failed),
        Compression::Zstd => zstd(content).map_err(failed),
        Compression::Lz4 => {
            let info = FrameInfo::new().block_size(BlockSize::Max4MB).block_mode(BlockMode::Linked);
            lz4(content, info.content_checksum(true)).map_err(failed)
        }
    }
}

/// What the object is said to hold.
#[must_use]
pub fn content_type(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => "application/x-gzip",
        Compression::Bzip2 => "application/x-bzip2",
        Compression::Xz => "application/x-xz",
        Compression::Snappy => "application/x-snappy-framed",
        Compression::Zstd => "application/zstd",
        Compression::Lz4 => "application/x-lz4",
    }
}

/// One bzip2 stream.
pub(crate) fn bzip2(content: &[u8], level: u32) -> io::Result<Vec<u8>> {
    let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(level));
    writer.write_all(content)?;
    writer.finish()
}

fn xz(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut writer = liblzma::write::XzEncoder::new(Vec::new(), XZ_LEVEL);
    writer.write_all(content)?;
    writer.finish()
}

/// One stream of snappy's framing format.
pub(crate) fn snappy(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut writer = snap::write::FrameEncoder::new(Vec::new());
    writer.write_all(content)?;
    writer.into_inner().map_err(snap::write::IntoInnerError::into_error)
}

fn zstd(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut writer = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
    writer.include_checksum(true)?;
    // Else a reader does not know how much room it needs.
    writer.set_pledged_src_size(Some(content.len() as u64))?;
    writer.write_all(content)?;
    writer.finish()
}

/// One lz4 frame.
pub(crate) fn lz4(content: &[u8], info: FrameInfo) -> io::Result<Vec<u8>> {
    let mut writer = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    writer.write_all(content)?;
    writer.finish().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unpack;
    use proptest::prelude::*;

    #[test]
    fn a_segment_comes_back_from_every_compression_and_is_smaller_in_each() {
        let segment: Vec<u8> = (0..4_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x0F).collect();
        let mut half_empty = segment.clone();
        half_empty.resize(16 << 20, 0);
        for compression in Compression::ALL {
            let packed = pack(compression, &half_empty).expect("pack");
            assert!(packed.len() < segment.len(), "{compression}: {}", packed.len());
            let back = unpack(Some(compression), &packed, half_empty.len() as u64).expect("unpack");
            assert!(back == half_empty, "{compression}");
        }
    }

    proptest! {
        #[test]
        fn any_content_comes_back(content in proptest::collection::vec(any::<u8>(), 1..3000), which in 0_usize..6) {
            let compression = Compression::ALL[which];
            let packed = pack(compression, &content).expect("pack");
            prop_assert_eq!(unpack(Some(compression), &packed, 3000).expect("unpack"), content);
        }
    }
}
