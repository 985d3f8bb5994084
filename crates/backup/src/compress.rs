//! gzip: whole segments by libdeflate, streams by zlib-rs. Never miniz, which is several times slower.

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use libdeflater::{CompressionLvl, Compressor, DecompressionError, Decompressor};
use std::io::{Read, Write};

/// Level of whole segments: about 190 MB/s of WAL per core. At 6 libdeflate makes them one percent smaller, at half of
/// that speed (`make bench`).
pub const SEGMENT_LEVEL: i32 = 1;

/// Below this, a gzip file is read as a stream: speed does not matter, and files of several members are read whole.
const STREAM_BELOW: u64 = 1 << 20;

/// Content could not be compressed or brought back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressError {
    /// The content is larger than the caller is ready to hold.
    #[error("failed to decompress: the content is larger than {0} bytes")]
    TooLarge(u64),
    /// Damaged, cut short, or of another format.
    #[error("failed to decompress: the data is damaged or compressed in another way ({0})")]
    Damaged(String),
    /// Never seen: libdeflate had less room than it asked for.
    #[error("failed to compress: {0}")]
    Compress(String),
}

/// Compresses a whole file into one gzip member.
pub fn gzip(content: &[u8]) -> Result<Vec<u8>, CompressError> {
    gzip_at(content, SEGMENT_LEVEL)
}

fn gzip_at(content: &[u8], level: i32) -> Result<Vec<u8>, CompressError> {
    let level = CompressionLvl::new(level).map_err(|_| CompressError::Compress(format!("no level {level}")))?;
    let mut compressor = Compressor::new(level);
    let mut out = vec![0; compressor.gzip_compress_bound(content.len())];
    let used =
        compressor.gzip_compress(content, &mut out).map_err(|error| CompressError::Compress(error.to_string()))?;
    out.truncate(used);
    out.shrink_to_fit();
    Ok(out)
}

/// A writer that compresses what is written to it.
pub fn gzip_writer<W: Write>(into: W, level: u32) -> GzEncoder<W> {
    GzEncoder::new(into, flate2::Compression::new(level))
}

/// Brings a gzip file back, of any number of members, up to `limit` bytes. Checksums are checked.
pub fn gunzip(data: &[u8], limit: u64) -> Result<Vec<u8>, CompressError> {
    // The last four bytes hold the size of the last member (RFC 1952); only a hint, as there may be others.
    let told = data.last_chunk::<4>().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
    if told >= STREAM_BELOW && told <= limit {
        let mut out = vec![0; usize::try_from(told).map_err(|_| CompressError::TooLarge(limit))?];
        match Decompressor::new().gzip_decompress(data, &mut out) {
            Ok(size) if size == out.len() => return Ok(out),
            Ok(_) | Err(DecompressionError::InsufficientSpace) => {}
            Err(error) => return Err(CompressError::Damaged(error.to_string())),
        }
    }
    let mut out = Vec::new();
    let mut bounded = MultiGzDecoder::new(data).take(limit.saturating_add(1));
    bounded.read_to_end(&mut out).map_err(|error| CompressError::Damaged(error.to_string()))?;
    if out.len() as u64 > limit { Err(CompressError::TooLarge(limit)) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: u64 = 64 << 20;

    fn segment() -> Vec<u8> {
        (0..16_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x3F).collect()
    }

    #[test]
    fn a_segment_comes_back_and_is_read_by_the_other_implementation_too() {
        let content = segment();
        let packed = gzip(&content).expect("compress");
        assert!(packed.len() < content.len());
        assert_eq!(gunzip(&packed, LIMIT).expect("decompress"), content);
        let mut streamed = Vec::new();
        MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut streamed).expect("zlib-rs");
        assert_eq!(streamed, content);
    }

    #[test]
    fn more_than_the_limit_is_refused_before_it_is_held() {
        let packed = gzip(&segment()).expect("compress");
        assert_eq!(gunzip(&packed, 1 << 20), Err(CompressError::TooLarge(1 << 20)));
        let small = gzip(&[0; 5000]).expect("compress");
        assert_eq!(gunzip(&small, 4999), Err(CompressError::TooLarge(4999)));
    }

    #[test]
    fn damage_and_cuts_are_noticed() {
        let packed = gzip(&segment()).expect("compress");
        let mut flipped = packed.clone();
        flipped[packed.len() / 2] ^= 1;
        assert!(matches!(gunzip(&flipped, LIMIT), Err(CompressError::Damaged(_))));
        assert!(matches!(gunzip(&packed[..packed.len() / 2], LIMIT), Err(CompressError::Damaged(_))));
        assert!(matches!(gunzip(b"", LIMIT), Err(CompressError::Damaged(_)) | Ok(_)));
        assert!(matches!(gunzip(b"not gzip at all, but long enough", LIMIT), Err(CompressError::Damaged(_))));
    }

    #[test]
    fn several_members_are_read_as_one_file() {
        let mut packed = Vec::new();
        for part in [&segment()[..3 << 20], &[1; 10], &[]] {
            packed.extend(gzip(part).expect("compress"));
        }
        assert_eq!(gunzip(&packed, LIMIT).expect("decompress").len(), (3 << 20) + 10);
    }

    #[test]
    fn streams_are_compressed_by_zlib_and_not_by_miniz() {
        // Only exists where flate2 was built on a zlib; with miniz this test does not compile.
        let mut zlib = flate2::Compress::new_gzip(flate2::Compression::new(6), 15);
        let mut direct = Vec::with_capacity(4096);
        zlib.compress_vec(&[7; 4096], &mut direct, flate2::FlushCompress::Finish).expect("compress");
        assert_eq!(gunzip(&direct, LIMIT).expect("decompress"), [7; 4096]);
        let mut writer = gzip_writer(Vec::new(), 6);
        writer.write_all(&[7; 4096]).expect("write");
        assert_eq!(gunzip(&writer.finish().expect("finish"), LIMIT).expect("decompress"), [7; 4096]);
    }

    proptest! {
        #[test]
        fn any_content_comes_back(content in proptest::collection::vec(any::<u8>(), 0..5000)) {
            prop_assert_eq!(gunzip(&gzip(&content).expect("compress"), LIMIT).expect("decompress"), content);
        }

        #[test]
        fn any_garbage_is_refused_without_harm(data in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _any = gunzip(&data, 1 << 20);
        }
    }
}
