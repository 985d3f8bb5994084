//! The reader on WAL made by hand, where each byte can be put wrong.
#![allow(clippy::cast_possible_truncation, reason = "offsets in WAL of a few MiB")]

use super::*;
use pgherd_core::lease::WalPosition;
use pgherd_core::timeline::Switch;
use pgherd_core::wal::SegmentName;
use proptest::prelude::*;
use std::collections::BTreeMap;

const MIB: u64 = 1 << 20;
const PAGE: u64 = page::PAGE_BYTES;
const SYSTEM: u64 = 77;

/// Writes records as postgres does, into segments of 1 MiB.
struct Writer {
    bytes: BTreeMap<u64, Vec<u8>>,
    at: u64,
    previous: u64,
    timeline: u32,
}

impl Writer {
    fn new() -> Self {
        Self { bytes: BTreeMap::new(), at: MIB, previous: 0, timeline: 1 }
    }

    fn put(&mut self, data: &[u8]) {
        let segment = self.bytes.entry(self.at / MIB).or_insert_with(|| vec![0; MIB as usize]);
        let offset = (self.at % MIB) as usize;
        segment[offset..offset + data.len()].copy_from_slice(data);
        self.at += data.len() as u64;
    }

    fn page_header(&mut self, remaining: u32, flags: u16) {
        let long = self.at.is_multiple_of(MIB);
        let mut info = flags | if long { 2 } else { 0 };
        info |= u16::from(remaining > 0);
        let mut header = Vec::new();
        header.extend(Major::OLDEST.traits().wal_page_magic.to_le_bytes());
        header.extend(info.to_le_bytes());
        header.extend(self.timeline.to_le_bytes());
        header.extend(self.at.to_le_bytes());
        header.extend(remaining.to_le_bytes());
        header.extend([0; 4]);
        if long {
            header.extend(SYSTEM.to_le_bytes());
            header.extend((MIB as u32).to_le_bytes());
            header.extend((PAGE as u32).to_le_bytes());
        }
        self.put(&header);
    }

    /// A record with this much data; gives where it starts and ends.
    fn record(&mut self, data: usize) -> (Lsn, Lsn) {
        self.record_of(data, (1, 0))
    }

    fn record_of(&mut self, data: usize, (manager, info): (u8, u8)) -> (Lsn, Lsn) {
        if self.at.is_multiple_of(PAGE) {
            self.page_header(0, 0);
        }
        let start = self.at;
        let total = 24 + data as u32;
        let mut header = Vec::new();
        header.extend(total.to_le_bytes());
        header.extend(5_u32.to_le_bytes());
        header.extend(self.previous.to_le_bytes());
        header.extend([info, manager, 0, 0]);
        let body: Vec<u8> = (0..data).map(|byte| byte as u8).collect();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&body), &header);
        let record = [header, crc.to_le_bytes().to_vec(), body].concat();
        let mut rest = record.as_slice();
        while !rest.is_empty() {
            if self.at.is_multiple_of(PAGE) {
                self.page_header(rest.len() as u32, 0);
            }
            let room = (PAGE - self.at % PAGE) as usize;
            let (now, later) = rest.split_at(rest.len().min(room));
            self.put(now);
            rest = later;
        }
        self.at = self.at.div_ceil(8) * 8;
        self.previous = start;
        (Lsn(start), Lsn(self.at))
    }

    fn save(&self, dir: &Path) {
        let size = SegmentSize::new(MIB).unwrap();
        for (number, bytes) in &self.bytes {
            let lsn = Lsn(number * MIB);
            std::fs::write(dir.join(SegmentName::of(TimelineId(self.timeline), lsn, size).to_string()), bytes).unwrap();
        }
    }
}

fn wal(dir: &Path, history: History) -> LocalWal {
    LocalWal {
        dir: dir.to_owned(),
        history,
        segment: SegmentSize::new(MIB).unwrap(),
        magic: Major::OLDEST.traits().wal_page_magic,
        system_id: SystemId(SYSTEM),
    }
}

fn end_of(writer: &Writer, from: Lsn) -> Result<WalTail, WalTailError> {
    let dir = tempfile::tempdir().unwrap();
    writer.save(dir.path());
    wal(dir.path(), History::of_first(TimelineId(1))).end(from)
}

#[test]
fn records_are_followed_across_pages_and_segments() {
    let mut writer = Writer::new();
    let mut last = (Lsn(0), Lsn(0));
    for size in [10, 9000, 3, 200_000, 1_500_000, 8, 8150, 40] {
        last = writer.record(size);
    }
    for from in [Lsn(MIB), Lsn(MIB + 20_000), last.0] {
        let tail = end_of(&writer, from).unwrap();
        assert_eq!((tail.last_record, tail.position.lsn), last, "from {from}");
        assert_eq!(tail.stop.reason, StopReason::Length(0));
    }
}

#[test]
fn a_torn_record_is_not_part_of_the_end() {
    let mut writer = Writer::new();
    let whole = writer.record(100);
    let torn = writer.record(20_000);
    let number = torn.0.0 / MIB;
    let at = (torn.1.0 % MIB) as usize;
    writer.bytes.get_mut(&number).unwrap()[at - 5000..].fill(0);
    let tail = end_of(&writer, Lsn(MIB)).unwrap();
    assert_eq!((tail.last_record, tail.position.lsn), whole);
}

#[test]
fn one_flipped_bit_ends_the_valid_part() {
    let mut writer = Writer::new();
    let whole = writer.record(100);
    let flipped = writer.record(100);
    writer.record(100);
    writer.bytes.get_mut(&1).unwrap()[(flipped.0.0 % MIB) as usize + 60] ^= 1;
    let tail = end_of(&writer, Lsn(MIB)).unwrap();
    assert_eq!((tail.last_record, tail.stop.reason), (whole.0, StopReason::Checksum));
}

#[test]
fn a_record_left_over_from_a_recycled_segment_is_told_by_its_back_link() {
    let mut writer = Writer::new();
    let whole = writer.record(100);
    writer.previous = 0x10;
    writer.record(100);
    let tail = end_of(&writer, Lsn(MIB)).unwrap();
    assert_eq!((tail.last_record, tail.stop.reason), (whole.0, StopReason::BackLink));
}

#[test]
fn after_a_segment_switch_the_end_is_the_next_segment() {
    let mut writer = Writer::new();
    writer.record(100);
    let switch = writer.record_of(0, (0, 0x40));
    let tail = end_of(&writer, Lsn(MIB)).unwrap();
    assert_eq!(
        (tail.last_record, tail.position.lsn, tail.stop.reason),
        (switch.0, Lsn(2 * MIB), StopReason::NoSegment)
    );
    writer.at = 2 * MIB;
    writer.previous = switch.0.0;
    let after = writer.record(5);
    assert_eq!(end_of(&writer, Lsn(MIB)).unwrap().last_record, after.0);
}

#[test]
fn a_record_given_up_by_a_recovery_is_overwritten_at_the_next_page() {
    let mut writer = Writer::new();
    let whole = writer.record(8000);
    writer.record(9000);
    writer.previous = whole.0.0;
    writer.at = MIB + PAGE;
    let segment = writer.bytes.get_mut(&1).unwrap();
    segment[PAGE as usize..].fill(0);
    writer.page_header(0, 8);
    let after = writer.record(16);
    let tail = end_of(&writer, Lsn(MIB)).unwrap();
    assert_eq!((tail.last_record, tail.position.lsn), after);
}

#[test]
fn a_new_timeline_counts_only_once_it_has_a_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::new();
    let shared = writer.record(100);
    writer.save(dir.path());
    let switch = Switch { timeline: TimelineId(1), lsn: shared.1, reason: String::new() };
    let history = History::new(TimelineId(2), vec![switch]).unwrap();
    let tail = wal(dir.path(), history.clone()).end(Lsn(MIB)).unwrap();
    assert_eq!(tail.position, WalPosition { timeline: TimelineId(1), lsn: shared.1 });

    // The parent went on by itself: not part of this history.
    let fork = (writer.at, writer.previous, writer.bytes.clone());
    writer.record(500);
    writer.save(dir.path());
    let tail = wal(dir.path(), history.clone()).end(Lsn(MIB)).unwrap();
    assert_eq!((tail.position.lsn, tail.stop.reason), (shared.1, StopReason::TimelineEnds));

    (writer.at, writer.previous, writer.bytes) = fork;
    writer.timeline = 2;
    let first = writer.record(60);
    writer.save(dir.path());
    let tail = wal(dir.path(), history).end(Lsn(MIB)).unwrap();
    assert_eq!(tail.position, WalPosition { timeline: TimelineId(2), lsn: first.1 });
}

#[test]
fn nothing_valid_is_an_error_and_not_an_end() {
    let writer = Writer::new();
    assert!(matches!(end_of(&writer, Lsn(MIB)), Err(WalTailError::NothingValid { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damage_never_panics_and_never_adds_records(
        sizes in proptest::collection::vec(0_usize..20_000, 1..12),
        at in 0_usize..65_536,
        with in proptest::collection::vec(any::<u8>(), 1..64),
    ) {
        let mut writer = Writer::new();
        let end = sizes.into_iter().map(|size| writer.record(size).1).last().unwrap();
        writer.bytes.get_mut(&1).unwrap()[at..at + with.len()].copy_from_slice(&with);
        if let Ok(tail) = end_of(&writer, Lsn(MIB)) {
            prop_assert!(tail.position.lsn <= end);
        }
    }
}

#[test]
fn a_running_standby_is_on_the_newest_timeline_that_has_the_page_before_its_position() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::new();
    let end = writer.record(20_000).1;
    writer.save(dir.path());
    let at = |end, known| timeline_at(dir.path(), end, TimelineId(known)).unwrap();
    assert_eq!(at(end, 1), TimelineId(1));
    std::fs::write(dir.path().join("00000002.history"), format!("1\t{}\tby test\n", Lsn(MIB + 100))).unwrap();
    assert_eq!(at(end, 1), TimelineId(1), "a history without WAL says nothing");
    writer.timeline = 2;
    writer.save(dir.path());
    assert_eq!(at(end, 1), TimelineId(2));
    assert_eq!(at(end, 2), TimelineId(2));
    assert_eq!(at(Lsn(end.0 + PAGE), 1), TimelineId(1), "nothing of it was received that far");

    // A segment kept for later use: its name is of today, its pages are of another time.
    let size = SegmentSize::new(MIB).unwrap();
    let name = |lsn| dir.path().join(SegmentName::of(TimelineId(2), lsn, size).to_string());
    std::fs::copy(name(Lsn(MIB)), name(Lsn(9 * MIB))).unwrap();
    assert_eq!(at(Lsn(9 * MIB + 500), 1), TimelineId(1));

    // And one whose history left timeline 1 is no child of timeline 3.
    std::fs::write(dir.path().join("00000004.history"), format!("1\t{}\tby test\n", Lsn(MIB + 100))).unwrap();
    writer.timeline = 4;
    writer.save(dir.path());
    assert_eq!(at(end, 3), TimelineId(3));
}
