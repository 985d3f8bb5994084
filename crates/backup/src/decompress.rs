//! Reading whatever barman may have compressed: gzip, bzip2, xz, snappy (framed), zstd, lz4 (framed).

use crate::compress::{CompressError, gunzip};
use flate2::bufread::MultiGzDecoder;
use pgherd_core::wal::Compression;
use std::io::{self, BufRead, Read};

/// Decompresses a stream. Its end is only reached when every checksum of the format was right: a stream that was cut
/// short or damaged ends with an error.
pub fn decompressor<'a, R: BufRead + Send + 'a>(
    compression: Option<Compression>,
    input: R,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(match compression {
        None => Box::new(input),
        Some(Compression::Gzip) => Box::new(MultiGzDecoder::new(input)),
        Some(Compression::Bzip2) => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
        Some(Compression::Xz) => Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(input)),
        Some(Compression::Snappy) => Box::new(snap::read::FrameDecoder::new(input)),
        Some(Compression::Zstd) => Box::new(zstd::stream::read::Decoder::with_buffer(input)?),
        Some(Compression::Lz4) => Box::new(lz4_flex::frame::FrameDecoder::new(input)),
    })
}

/// Brings a whole object back, up to `limit` bytes.
pub fn unpack(compression: Option<Compression>, data: &[u8], limit: u64) -> Result<Vec<u8>, CompressError> {
    if compression == Some(Compression::Gzip) {
        return gunzip(data, limit);
    }
    let damaged = |error: io::Error| CompressError::Damaged(error.to_string());
    let mut out = Vec::new();
    let mut bounded = decompressor(compression, data).map_err(damaged)?.take(limit.saturating_add(1));
    bounded.read_to_end(&mut out).map_err(damaged)?;
    match (out.is_empty(), out.len() as u64 > limit) {
        (_, true) => Err(CompressError::TooLarge(limit)),
        // Nothing that is archived is empty; some formats take nothing for a whole stream.
        (true, _) => Err(CompressError::Damaged("there is nothing in it".to_owned())),
        _ => Ok(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::pack;

    const LIMIT: u64 = 1 << 20;

    fn content() -> Vec<u8> {
        (0..200_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 27) as u8).collect()
    }

    fn packed(compression: Compression) -> Vec<u8> {
        pack(compression, &content()).expect("pack")
    }

    #[test]
    fn every_compression_of_barman_is_read() {
        for compression in Compression::ALL {
            assert_eq!(
                unpack(Some(compression), &packed(compression), LIMIT).expect("unpack"),
                content(),
                "{compression}"
            );
            assert_eq!(unpack(Some(compression), &packed(compression), 1000), Err(CompressError::TooLarge(1000)));
        }
    }

    #[test]
    fn what_was_cut_short_or_changed_is_noticed_in_every_compression() {
        for compression in Compression::ALL {
            let whole = packed(compression);
            for damaged in [&whole[..whole.len() / 2], &whole[..whole.len() - 3], b"", b"something else"] {
                let read = unpack(Some(compression), damaged, LIMIT);
                assert!(read.is_err(), "{compression}: {} bytes of {}", damaged.len(), whole.len());
            }
            for at in (0..whole.len()).step_by(whole.len() / 50 + 1) {
                let mut flipped = whole.clone();
                flipped[at] ^= 1;
                // Some formats have bits that mean nothing.
                let read = unpack(Some(compression), &flipped, LIMIT);
                assert!(read.is_err() || read == Ok(content()), "{compression}: bit flipped in byte {at}");
            }
        }
    }
}
