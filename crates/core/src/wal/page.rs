//! Whose a WAL segment is: the long header of its first page (`XLogLongPageHeaderData` in `access/xlog_internal.h`).

use super::SegmentSize;
use crate::identity::SystemId;

/// `XLP_LONG_HEADER`
const LONG: u16 = 0x0002;

fn number<const N: usize>(page: &[u8], at: usize) -> Option<[u8; N]> {
    page.get(at..)?.first_chunk::<N>().copied()
}

/// `Database system identifier` of a whole segment; nothing if this is not the beginning of one. Little-endian, as on
/// every machine that there is an image of.
#[must_use]
pub fn system_of_segment(content: &[u8]) -> Option<SystemId> {
    let magic = u16::from_le_bytes(number(content, 0)?);
    let flags = u16::from_le_bytes(number(content, 2)?);
    let system = u64::from_le_bytes(number(content, 24)?);
    let segment = u32::from_le_bytes(number(content, 32)?);
    let page = u32::from_le_bytes(number(content, 36)?);
    let plausible = magic & 0xFF00 == 0xD100 || magic & 0xFF00 == 0xD000;
    let sizes = SegmentSize::new(u64::from(segment)).is_ok() && page.is_power_of_two();
    (plausible && flags & LONG != 0 && sizes && system != 0).then_some(SystemId(system))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(system: u64) -> Vec<u8> {
        let mut page = vec![0; 64];
        page[..2].copy_from_slice(&0xD110_u16.to_le_bytes());
        page[2..4].copy_from_slice(&2_u16.to_le_bytes());
        page[24..32].copy_from_slice(&system.to_le_bytes());
        page[32..36].copy_from_slice(&(16_u32 << 20).to_le_bytes());
        page[36..40].copy_from_slice(&8192_u32.to_le_bytes());
        page
    }

    #[test]
    fn a_segment_says_whose_it_is() {
        assert_eq!(system_of_segment(&header(7_711_463_800_684_117_721)), Some(SystemId(7_711_463_800_684_117_721)));
        let mut short = header(7);
        short[2] = 0;
        assert_eq!(system_of_segment(&short), None, "no long header");
        for content in [&b""[..], b"00000001000000AB0000000C", &[0; 100], &header(7)[..30]] {
            assert_eq!(system_of_segment(content), None);
        }
    }
}
