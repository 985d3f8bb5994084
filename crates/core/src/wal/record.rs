//! How a record lies over the pages of segments (`XLogRecord`, `XLogPageHeaderData` in access/xlog_internal.h): whether
//! WAL that ends at a position within a whole segment ends there because its next record goes on in a later one.

/// `XLP_FIRST_IS_CONTRECORD`
const CONTINUES: u16 = 0x0001;
/// `XLP_LONG_HEADER`
const LONG: u16 = 0x0002;
/// `SizeOfXLogRecord`: nothing is shorter.
const SHORTEST: u32 = 24;

/// Bytes of the record that begins at `offset` of a whole segment, which are in later segments; nothing where no record
/// begins there, or it is whole within this one.
#[must_use]
pub fn begins(segment: &[u8], offset: usize) -> Option<u32> {
    let page = page_size(segment)?;
    let first = offset - offset.checked_rem(page)?;
    let at = if offset == first { first.checked_add(header(segment, first)?)? } else { offset };
    let total = u32::from_le_bytes(number(segment, at)?);
    let here = first.checked_add(page)?.checked_sub(at)?;
    let left = total.checked_sub(u32::try_from(here).ok()?)?;
    if total < SHORTEST || left == 0 {
        return None;
    }
    over(segment, first.checked_add(page)?, left)
}

/// Bytes that are in later segments still, of a record that has `left` from the beginning of this whole one on; nothing
/// where it ends here, or this is not how it goes on.
#[must_use]
pub fn goes_on(segment: &[u8], left: u32) -> Option<u32> {
    over(segment, 0, left)
}

fn over(segment: &[u8], mut first: usize, mut left: u32) -> Option<u32> {
    let page = page_size(segment)?;
    while first < segment.len() {
        let flags = u16::from_le_bytes(number(segment, first.checked_add(2)?)?);
        let told = u32::from_le_bytes(number(segment, first.checked_add(16)?)?);
        if flags & CONTINUES == 0 || told != left {
            return None;
        }
        let room = u32::try_from(page.checked_sub(header(segment, first)?)?).ok()?;
        left = left.checked_sub(room).filter(|left| *left > 0)?;
        first = first.checked_add(page)?;
    }
    Some(left)
}

/// `xlp_xlog_blcksz` of the segment's first page.
fn page_size(segment: &[u8]) -> Option<usize> {
    let size = u32::from_le_bytes(number(segment, 36)?);
    let long = u16::from_le_bytes(number(segment, 2)?) & LONG != 0;
    (long && size.is_power_of_two() && size >= 1024).then(|| usize::try_from(size).ok()).flatten()
}

/// `SizeOfXLogLongPHD`, `SizeOfXLogShortPHD`
fn header(segment: &[u8], page: usize) -> Option<usize> {
    let flags = u16::from_le_bytes(number(segment, page.checked_add(2)?)?);
    Some(if flags & LONG != 0 { 40 } else { 24 })
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 8192;
    const PAGES: usize = 4;

    /// A segment whose first page is long, with `left` bytes of a record at the head of each page.
    fn segment(left: [u32; PAGES]) -> Vec<u8> {
        let mut segment = vec![0; PAGE * PAGES];
        for (page, left) in segment.chunks_mut(PAGE).zip(left) {
            page[2..4].copy_from_slice(&u16::from(left > 0).to_le_bytes());
            page[16..20].copy_from_slice(&left.to_le_bytes());
        }
        segment[2] |= 2;
        segment[36..40].copy_from_slice(&8192_u32.to_le_bytes());
        segment
    }

    fn with_record(mut segment: Vec<u8>, at: usize, length: u32) -> Vec<u8> {
        segment[at..at + 4].copy_from_slice(&length.to_le_bytes());
        segment
    }

    #[test]
    fn a_record_that_needs_the_next_segment_says_how_much_of_it() {
        let last = PAGE * (PAGES - 1);
        let at = last + 1000;
        let room = u32::try_from(PAGE - 1000).unwrap();
        assert_eq!(begins(&with_record(segment([0; PAGES]), at, room + 5), at), Some(5));
        assert_eq!(begins(&with_record(segment([0; PAGES]), at, room), at), None, "it is whole here");
        // From the page before, over the head of the last one.
        let (at, room) = (last - 100, u32::try_from(PAGE - 24).unwrap());
        let spans = with_record(segment([0, 0, 0, room + 9]), at, 100 + room + 9);
        assert_eq!(begins(&spans, at), Some(9));
        // At the very head of a page.
        let room = u32::try_from(PAGE - 24).unwrap();
        assert_eq!(begins(&with_record(segment([0; PAGES]), last + 24, room + 7), last), Some(7));
    }

    #[test]
    fn what_is_no_record_or_does_not_go_on_as_it_says_is_damage() {
        assert_eq!(begins(&segment([0; PAGES]), PAGE + 1000), None, "zeros");
        assert_eq!(begins(&with_record(segment([0; PAGES]), PAGE + 1000, 23), PAGE + 1000), None, "too short");
        let torn = with_record(segment([0, 0, 77, 0]), PAGE + 1000, 90_000);
        assert_eq!(begins(&torn, PAGE + 1000), None, "the next page has the rest of another record");
        assert_eq!(begins(&with_record(segment([0; PAGES]), PAGE + 1000, 90_000), PAGE + 1000), None);
        for content in [&b""[..], &[0; 100], &segment([0; PAGES])[..30]] {
            assert_eq!(begins(content, 0), None);
        }
        assert_eq!(begins(&segment([0; PAGES]), usize::MAX), None);
    }

    #[test]
    fn a_record_over_a_whole_segment_goes_on_after_it() {
        let rooms = [PAGE - 40, PAGE - 24, PAGE - 24, PAGE - 24].map(|room| u32::try_from(room).unwrap());
        let all: u32 = rooms.iter().sum::<u32>() + 11;
        let mut left = all;
        let heads = rooms.map(|room| {
            left -= room;
            left + room
        });
        assert_eq!(goes_on(&segment(heads), all), Some(11));
        assert_eq!(goes_on(&segment(heads), all - 1), None, "another record's");
        assert_eq!(goes_on(&segment([300, 0, 0, 0]), 300), None, "it ends here");
    }
}
