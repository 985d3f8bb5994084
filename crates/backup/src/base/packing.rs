//! An archive of a base backup in each compression that barman-cloud-restore reads: what begins the object, its pieces,
//! which are compressed side by side, and what ends it. In every format one stream, as that program reads the first one only.

use super::bitwise::{self, Block, Joiner, MOST_OF_A_BLOCK, block_of};
use super::deflate::{self, Piece, deflate};
use crate::pack::{bzip2, lz4, snappy};
use flate2::Crc;
use lz4_flex::frame::{BlockMode, BlockSize, FrameInfo};
use pgherd_core::wal::Compression;

/// What begins a snappy stream: one chunk (framing format, 4.1).
const SNAPPY_BEGIN: usize = 10;
/// An lz4 frame begins with its magic number, two bytes of flags, and their checksum, and ends with an empty block.
const LZ4_BEGIN: usize = 7;
const LZ4_END: usize = 4;

/// A piece was not compressed; never seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to compress: {0}")]
pub struct PackError(pub String);

/// One piece, compressed.
#[derive(Debug)]
pub enum Packed {
    /// Part of a deflate stream.
    Deflated(Piece),
    /// Blocks of a bzip2 stream.
    Blocks(Vec<Block>),
    /// Bytes that follow those before them.
    Bytes(Vec<u8>),
}

/// Compresses one piece that follows `before`.
pub fn squeeze(compression: Compression, content: &[u8], before: &[u8]) -> Result<Packed, PackError> {
    let failed = |error: std::io::Error| PackError(error.to_string());
    match compression {
        Compression::Gzip => deflate(content, before, deflate::LEVEL).map(Packed::Deflated),
        Compression::Bzip2 => {
            let blocks = content.chunks(MOST_OF_A_BLOCK).map(|part| {
                let stream = bzip2(part, bitwise::LEVEL).map_err(failed)?;
                block_of(&stream).ok_or_else(|| PackError("a stream of bzip2 has no end".to_owned()))
            });
            blocks.collect::<Result<_, _>>().map(Packed::Blocks)
        }
        Compression::Snappy => {
            let stream = snappy(content).map_err(failed)?;
            Ok(Packed::Bytes(stream.get(SNAPPY_BEGIN..).unwrap_or_default().to_vec()))
        }
        Compression::Lz4 => {
            let frame = lz4(content, blocks_of_lz4()).map_err(failed)?;
            let end = frame.len().saturating_sub(LZ4_END);
            Ok(Packed::Bytes(frame.get(LZ4_BEGIN..end).unwrap_or_default().to_vec()))
        }
        Compression::Xz | Compression::Zstd => Err(PackError(format!("no base backup is written in {compression}"))),
    }
}

/// Each block by itself, with a checksum: there is none of the whole, which is made in pieces.
fn blocks_of_lz4() -> FrameInfo {
    FrameInfo::new().block_size(BlockSize::Max1MB).block_mode(BlockMode::Independent).block_checksums(true)
}

/// An object that is being put together.
#[derive(Debug)]
pub enum Packing {
    /// Not compressed at all.
    Plain,
    /// One gzip member.
    Gzip(Crc),
    /// One bzip2 stream.
    Bzip2(Joiner),
    /// One snappy stream.
    Snappy,
    /// One lz4 frame.
    Lz4,
}

impl Packing {
    /// A new object, and the bytes that it begins with.
    pub fn begin(compression: Option<Compression>) -> Result<(Self, Vec<u8>), PackError> {
        let failed = |error: std::io::Error| PackError(error.to_string());
        Ok(match compression {
            None => (Self::Plain, Vec::new()),
            Some(Compression::Gzip) => (Self::Gzip(Crc::new()), deflate::HEADER.to_vec()),
            Some(Compression::Bzip2) => (Self::Bzip2(Joiner::default()), bitwise::HEADER.to_vec()),
            Some(Compression::Snappy) => {
                let stream = snappy(&[0]).map_err(failed)?;
                (Self::Snappy, stream.get(..SNAPPY_BEGIN).unwrap_or_default().to_vec())
            }
            Some(Compression::Lz4) => {
                let frame = lz4(&[0], blocks_of_lz4()).map_err(failed)?;
                (Self::Lz4, frame.get(..LZ4_BEGIN).unwrap_or_default().to_vec())
            }
            Some(other @ (Compression::Xz | Compression::Zstd)) => {
                return Err(PackError(format!("no base backup is written in {other}")));
            }
        })
    }

    /// The bytes that follow, of the next piece.
    pub fn join(&mut self, packed: Packed) -> Vec<u8> {
        match (self, packed) {
            (Self::Gzip(all), Packed::Deflated(piece)) => {
                all.combine(&piece.crc);
                piece.bytes
            }
            (Self::Bzip2(joiner), Packed::Blocks(blocks)) => {
                blocks.iter().flat_map(|block| joiner.push(block)).collect()
            }
            (_, Packed::Bytes(bytes) | Packed::Deflated(Piece { bytes, .. })) => bytes,
            (_, Packed::Blocks(_)) => Vec::new(),
        }
    }

    /// The bytes that end it.
    #[must_use]
    pub fn end(self) -> Vec<u8> {
        match self {
            Self::Plain | Self::Snappy => Vec::new(),
            Self::Gzip(all) => deflate::trailer(&all),
            Self::Bzip2(joiner) => joiner.finish(),
            Self::Lz4 => vec![0; LZ4_END],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decompress::decompressor;
    use proptest::prelude::*;
    use std::io::Read;

    const OF_BACKUPS: [Compression; 4] = [Compression::Gzip, Compression::Bzip2, Compression::Snappy, Compression::Lz4];

    fn object(compression: Compression, pieces: &[Vec<u8>]) -> Vec<u8> {
        let (mut packing, mut out) = Packing::begin(Some(compression)).unwrap();
        let mut before: &[u8] = &[];
        for piece in pieces {
            out.extend(packing.join(squeeze(compression, piece, before).unwrap()));
            before = piece;
        }
        out.extend(packing.end());
        out
    }

    /// By a reader that stops after the first stream where it can, as barman's do.
    fn read_back(compression: Compression, packed: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        let read = match compression {
            Compression::Bzip2 => bzip2::read::BzDecoder::new(packed).read_to_end(&mut content),
            Compression::Gzip => flate2::read::GzDecoder::new(packed).read_to_end(&mut content),
            other => decompressor(Some(other), packed).unwrap().read_to_end(&mut content),
        };
        read.unwrap();
        content
    }

    #[test]
    fn pieces_of_every_size_become_one_stream_of_every_compression() {
        let text: Vec<u8> = (0..900_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
        let runs = vec![7; 1_500_000];
        let pieces =
            [text[..1_400_000].to_vec(), text[1_400_000..].to_vec(), Vec::new(), runs, text[..1].to_vec(), vec![0; 3]];
        for compression in OF_BACKUPS {
            let packed = object(compression, &pieces);
            assert!(read_back(compression, &packed) == pieces.concat(), "{compression}");
            assert_eq!(read_back(compression, &object(compression, &[])), b"", "{compression}");
        }
    }

    #[test]
    fn a_bit_that_was_changed_is_noticed() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(|n| (n / 3).to_le_bytes()).collect();
        for compression in OF_BACKUPS {
            let packed = object(compression, &[text.clone(), text.clone()]);
            for at in (20..packed.len() - 20).step_by(packed.len() / 30) {
                let mut flipped = packed.clone();
                flipped[at] ^= 4;
                let mut content = Vec::new();
                let read = decompressor(Some(compression), flipped.as_slice()).unwrap().read_to_end(&mut content);
                assert!(read.is_err() || content == [text.clone(), text.clone()].concat(), "{compression} at {at}");
            }
        }
    }

    #[test]
    fn what_barman_cannot_restore_is_not_written() {
        for compression in [Compression::Xz, Compression::Zstd] {
            assert!(Packing::begin(Some(compression)).is_err());
            assert!(squeeze(compression, b"x", b"").is_err());
        }
    }

    proptest! {
        #[test]
        fn any_pieces_come_back(
            pieces in proptest::collection::vec(proptest::collection::vec(0_u8..4, 0..2000), 0..5),
            which in 0_usize..4,
        ) {
            let compression = OF_BACKUPS[which];
            prop_assert_eq!(read_back(compression, &object(compression, &pieces)), pieces.concat());
        }
    }
}
