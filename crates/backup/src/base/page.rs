//! Checksums of data pages (`storage/checksum_impl.h`, `storage/bufpage.h`).

use pgherd_core::lsn::Lsn;

/// Bytes of a page; servers built with another `block_size` are not verified.
pub const PAGE: usize = 8192;
/// Pages of one file of a relation: 1 GiB.
pub const PAGES_OF_SEGMENT: u32 = 131_072;

const LANES: usize = 32;
const PRIME: u32 = 16_777_619;
const OFFSETS: [u32; LANES] = [
    0x5B1F_36E9,
    0xB852_5960,
    0x02AB_50AA,
    0x1DE6_6D2A,
    0x79FF_467A,
    0x9BB9_F8A3,
    0x217E_7CD2,
    0x83E1_3D2C,
    0xF8D4_474F,
    0xE39E_B970,
    0x42C6_AE16,
    0x9932_16FA,
    0x7B09_3B5D,
    0x98DA_FF3C,
    0xF718_902A,
    0x0B1C_9CDB,
    0xE58F_764B,
    0x1876_36BC,
    0x5D7B_3BB1,
    0xE73D_E7DE,
    0x92BE_C979,
    0xCCA6_C0B2,
    0x304A_0979,
    0x85AA_43D4,
    0x7831_25BB,
    0x6CA8_EAA2,
    0xE407_EAC6,
    0x4B5C_FC3E,
    0x9FBF_8C76,
    0x15CA_20BE,
    0xF2CA_9FD3,
    0x959B_D756,
];

/// What a page turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageState {
    /// Its checksum is right, it has none yet, or WAL replay writes it anew.
    Fine,
    /// Its checksum is wrong, and nothing will repair it.
    Bad,
}

/// Judges a page of a server with checksums. `block` is its number in the relation; a page that was written after
/// `start`, where recovery begins, may be torn: its full image is in WAL.
#[must_use]
pub fn judge(page: &[u8; PAGE], block: u32, start: Lsn) -> PageState {
    let [h0, h1, h2, h3, l0, l1, l2, l3, c0, c1, _, _, _, _, u0, u1, ..] = *page;
    let (high, low) = (u32::from_le_bytes([h0, h1, h2, h3]), u32::from_le_bytes([l0, l1, l2, l3]));
    let lsn = Lsn(u64::from(high) << 32 | u64::from(low));
    // PageIsNew: pd_upper is zero.
    if u16::from_le_bytes([u0, u1]) == 0 || lsn >= start || checksum(page, block) == u16::from_le_bytes([c0, c1]) {
        PageState::Fine
    } else {
        PageState::Bad
    }
}

/// `pg_checksum_page`.
#[must_use]
pub fn checksum(page: &[u8; PAGE], block: u32) -> u16 {
    let mut sums = OFFSETS;
    for (number, row) in page.chunks_exact(LANES * 4).enumerate() {
        for (lane, (sum, word)) in sums.iter_mut().zip(row.chunks_exact(4)).enumerate() {
            let mut value = u32::from_le_bytes(word.try_into().unwrap_or_default());
            if number == 0 && lane == 2 {
                // pd_checksum itself, in the lower half, counts as zero.
                value &= 0xFFFF_0000;
            }
            *sum = mix(*sum, value);
        }
    }
    for _ in 0..2 {
        for sum in &mut sums {
            *sum = mix(*sum, 0);
        }
    }
    let folded = sums.iter().fold(0, |all, sum| all ^ sum) ^ block;
    u16::try_from(folded % 65_535 + 1).unwrap_or(u16::MAX)
}

#[inline]
fn mix(sum: u32, value: u32) -> u32 {
    let mixed = sum ^ value;
    mixed.wrapping_mul(PRIME) ^ (mixed >> 17)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page that postgres could have written: LSN 0/2000000, some content, and its checksum.
    fn page(block: u32) -> [u8; PAGE] {
        let mut page = [0; PAGE];
        for (number, byte) in page.iter_mut().enumerate().skip(24) {
            *byte = u8::try_from(number * 7 % 251).unwrap();
        }
        page[4..8].copy_from_slice(&0x0200_0000_u32.to_le_bytes());
        page[14..16].copy_from_slice(&8000_u16.to_le_bytes());
        let sum = checksum(&page, block);
        page[8..10].copy_from_slice(&sum.to_le_bytes());
        page
    }

    #[test]
    fn a_flipped_bit_or_another_place_is_noticed() {
        let start = Lsn(0x300_0000);
        let mut page = page(5);
        assert_eq!(judge(&page, 5, start), PageState::Fine);
        assert_eq!(judge(&page, 6, start), PageState::Bad);
        page[5000] ^= 1;
        assert_eq!(judge(&page, 5, start), PageState::Bad);
    }

    #[test]
    fn pages_that_replay_writes_anew_and_new_ones_are_not_judged() {
        let mut page = page(5);
        page[5000] ^= 1;
        assert_eq!(judge(&page, 5, Lsn(0x200_0000)), PageState::Fine);
        assert_eq!(judge(&[0; PAGE], 5, Lsn(0x300_0000)), PageState::Fine);
    }
}
