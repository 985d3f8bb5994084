//! Names as postgres writes them, and everything else refused.

use super::*;
use proptest::prelude::*;

fn parsed(text: &str) -> WalName {
    text.parse().unwrap()
}

fn sizes() -> impl Strategy<Value = SegmentSize> {
    (20_u32..=30).prop_map(|shift| SegmentSize::new(1 << shift).unwrap())
}

fn names() -> impl Strategy<Value = WalName> {
    let segment = (1..=u32::MAX, any::<u32>(), any::<u32>()).prop_map(|(timeline, log, seg)| SegmentName {
        timeline: TimelineId(timeline),
        log,
        seg,
    });
    prop_oneof![
        (1..=u32::MAX).prop_map(|timeline| WalName::History(TimelineId(timeline))),
        segment.clone().prop_map(WalName::Segment),
        segment.clone().prop_map(WalName::Partial),
        (segment, any::<u32>()).prop_map(|(segment, offset)| WalName::Backup { segment, offset }),
    ]
}

#[test]
fn reads_each_kind_of_file() {
    let one = SegmentName::new(TimelineId(1), SegmentNo(5), SegmentSize::DEFAULT);
    for (text, name) in [
        ("000000010000000000000005", WalName::Segment(one)),
        ("000000010000000000000005.partial", WalName::Partial(one)),
        ("000000010000000000000005.00000028.backup", WalName::Backup { segment: one, offset: 0x28 }),
        ("0000000A.history", WalName::History(TimelineId(10))),
    ] {
        assert_eq!(parsed(text), name);
        assert_eq!(name.to_string(), text);
    }
}

#[test]
fn refuses_what_postgres_would_not_archive() {
    for text in [
        "",
        ".",
        "00000001",
        "00000001000000000000000",
        "0000000100000000000000050",
        "00000001000000000000000a",
        "00000000000000000000000A",
        "+00000010000000000000001",
        "000000010000000000000005.ready",
        "000000010000000000000005.partial.gz",
        "000000010000000000000005.28.backup",
        "000000010000000000000005.00000028.backup.gz",
        "000000010000000000000005.backup",
        "00000000.history",
        "00000002.history.gz",
        "../../../../../etc/passwd",
        "é00000010000000000000005",
        "archive_status",
    ] {
        assert_eq!(text.parse::<WalName>(), Err(WalNameError(text.to_owned())));
    }
}

#[test]
fn the_number_depends_on_the_size_of_a_segment() {
    let name: SegmentName = "0000000100000001000000FF".parse().unwrap();
    assert_eq!(name.number(SegmentSize::DEFAULT), Some(SegmentNo(511)));
    assert_eq!(name.start(SegmentSize::DEFAULT), Some(Lsn(0x1_FF00_0000)));
    assert_eq!(name.number(SegmentSize::MIN), Some(SegmentNo(4096 + 255)));
    assert_eq!(name.number(SegmentSize::MAX), None);
}

#[test]
fn the_last_segment_of_a_log_is_followed_by_the_first_of_the_next() {
    let name: SegmentName = "0000000100000001000000FF".parse().unwrap();
    let next = name.next(SegmentSize::DEFAULT).unwrap();
    assert_eq!(next.to_string(), "000000010000000200000000");
    let last = SegmentName::new(TimelineId(1), SegmentNo(u64::MAX), SegmentSize::DEFAULT);
    assert_eq!(last.to_string(), "00000001FFFFFFFF000000FF");
    assert_eq!(last.next(SegmentSize::DEFAULT), None);
}

#[test]
fn names_sort_by_timeline_and_then_by_position() {
    let mut names = ["000000020000000000000001", "000000010000000100000000", "0000000100000000000000FF"].map(parsed);
    names.sort();
    assert_eq!(
        names.map(|n| n.to_string()),
        ["0000000100000000000000FF", "000000010000000100000000", "000000020000000000000001"]
    );
}

proptest! {
    #[test]
    fn every_name_survives_being_printed(name in names()) {
        prop_assert_eq!(name.to_string().parse(), Ok(name));
        prop_assert_eq!(serde_json::from_str::<WalName>(&serde_json::to_string(&name).unwrap()).unwrap(), name);
    }

    #[test]
    fn every_position_lies_in_the_segment_named_for_it(size in sizes(), timeline in 1..=u32::MAX, lsn: u64) {
        let name = SegmentName::of(TimelineId(timeline), Lsn(lsn), size);
        let start = name.start(size).unwrap();
        prop_assert!(start <= Lsn(lsn) && Lsn(lsn).bytes_since(start) < size.bytes());
        prop_assert_eq!(name.to_string().parse(), Ok(name));
    }

    #[test]
    fn what_is_read_is_printed_the_same(text in "[0-9A-F]{24}(\\.partial|\\.[0-9A-F]{8}\\.backup)?|[0-9A-F]{8}\\.history|\\PC*") {
        if let Ok(name) = text.parse::<WalName>() {
            prop_assert_eq!(name.to_string(), text);
        }
    }
}
