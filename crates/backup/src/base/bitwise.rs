//! bzip2 of pieces that were compressed side by side, put together as one stream.
//!
//! A bzip2 stream is a header, blocks of bits, and an end with the checksum of all blocks; the blocks know nothing of
//! each other. So the blocks of streams that hold one block each are laid one after another, bit by bit, and the end
//! is made anew. barman-cloud-restore reads the first stream of a file only, which rules out the usual way of writing
//! one after the other.

/// Level of a base backup: Python's default for tar, and barman's.
pub const LEVEL: u32 = 9;
/// Bytes that fill no more than one block of 900,000, whatever they are: runs of four grow by a quarter.
pub const MOST_OF_A_BLOCK: usize = 700_000;
/// "BZh9".
pub const HEADER: [u8; 4] = *b"BZh9";
/// The bits of "BZh9".
const HEADER_BITS: usize = 32;
/// A stream's end: this, the checksum of 32 bits, and up to seven bits to the end of the byte.
const END: u64 = 0x1772_4538_5090;
const END_BITS: usize = 48;
const SUM_BITS: usize = 32;

/// The block of a stream that holds one, as bits from a byte's highest on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    bytes: Vec<u8>,
    bits: usize,
    sum: u32,
}

/// Takes the block out of a whole stream; nothing where the stream is none.
#[must_use]
pub fn block_of(stream: &[u8]) -> Option<Block> {
    let all = stream.len().checked_mul(8)?;
    (0..8).find_map(|padding| {
        let end = all.checked_sub(padding + SUM_BITS + END_BITS)?;
        let found = (end >= HEADER_BITS && read(stream, end, END_BITS)? == END).then_some(end)?;
        let sum = u32::try_from(read(stream, found + END_BITS, SUM_BITS)?).ok()?;
        Some(Block { bytes: stream.get(HEADER_BITS / 8..)?.to_vec(), bits: found - HEADER_BITS, sum })
    })
}

/// So many bits from a place on.
fn read(bytes: &[u8], at: usize, bits: usize) -> Option<u64> {
    (at..at + bits).try_fold(0, |value, bit| {
        let byte = *bytes.get(bit / 8)?;
        Some(value << 1 | u64::from(byte >> (7 - bit % 8) & 1))
    })
}

/// Puts blocks together.
#[derive(Clone, Debug, Default)]
pub struct Joiner {
    /// The bits that fill no byte yet, at its upper end.
    rest: u8,
    /// How many, below 8.
    filled: usize,
    /// The checksum of all blocks so far.
    sum: u32,
}

impl Joiner {
    /// The whole bytes that come of another block.
    pub fn push(&mut self, block: &Block) -> Vec<u8> {
        self.sum = self.sum.rotate_left(1) ^ block.sum;
        self.append(&block.bytes, block.bits)
    }

    /// What ends the stream.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let (end, sum) = (END.to_be_bytes(), self.sum.to_be_bytes());
        let mut out = self.append(end.get(2..).unwrap_or_default(), END_BITS);
        out.extend(self.append(&sum, SUM_BITS));
        if self.filled > 0 {
            out.push(self.rest);
        }
        out
    }

    fn append(&mut self, bytes: &[u8], bits: usize) -> Vec<u8> {
        let (whole, odd) = (bits / 8, bits % 8);
        let mut out = Vec::with_capacity(whole + 1);
        for byte in bytes.get(..whole).unwrap_or_default() {
            let both = u16::from(self.rest) << 8 | u16::from(*byte) << (8 - self.filled);
            let [done, rest] = both.to_be_bytes();
            out.push(done);
            self.rest = rest;
        }
        if let Some(last) = bytes.get(whole).filter(|_| odd > 0) {
            let kept = last & (0xFF << (8 - odd));
            let both = u16::from(self.rest) << 8 | u16::from(kept) << (8 - self.filled);
            let [first, second] = both.to_be_bytes();
            self.filled += odd;
            self.rest = first;
            if self.filled >= 8 {
                out.push(first);
                self.filled -= 8;
                self.rest = second;
            }
        }
        out
    }
}
