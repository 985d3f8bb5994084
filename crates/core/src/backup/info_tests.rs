//! `backup.info` in both directions, on a whole one that barman wrote and on what is made up.

use super::*;
use proptest::prelude::*;

/// Written by barman-cloud-backup 3.19 of a cluster with a tablespace.
const WHOLE: &str = r#"backup_label='START WAL LOCATION: 0/5000028 (file 000000010000000000000005)\nCHECKPOINT LOCATION: 0/5000098\nBACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: 2026-11-23 20:21:08 UTC\nLABEL: Barman backup cloud 20261123T202108\nSTART TIMELINE: 1\n'
begin_offset=40
begin_time=2026-11-23 20:21:08.239371+00:00
begin_wal=000000010000000000000005
begin_xlog=0/5000028
children_backup_ids=None
cluster_size=40541897
compression=None
config_file=/pgdata/postgresql.conf
copy_stats={'total_time': 21.696155, 'number_of_workers': 2, 'analysis_time': 0, 'analysis_time_per_item': {'16384': 0, 'data': 0}, 'copy_time_per_item': {'16384': 0.467561, 'data': 0.325906}, 'serialized_copy_time_per_item': {'16384': 0.461308, 'data': 0.162352}, 'copy_time': 0.808888, 'serialized_copy_time': 0.62366}
data_checksums=on
deduplicated_size=None
encryption=None
end_offset=869264
end_time=2026-11-23 20:21:26.835570+00:00
end_wal=000000010000000000000006
end_xlog=0/60D4390
error=None
hba_file=/pgdata/pg_hba.conf
ident_file=/pgdata/pg_ident.conf
included_files=None
mode=None
parent_backup_id=None
pgdata=/pgdata
server_name=cloud
size=None
status=DONE
summarize_wal=None
systemid=7711463800684117721
tablespaces=[('ts1', 16384, '/ts')]
timeline=1
version=150018
xlog_segment_size=16777216
"#;

#[test]
fn a_whole_file_of_barman_comes_back_to_the_letter() {
    let info = BackupInfo::parse(WHOLE).unwrap();
    assert_eq!(info.render(), WHOLE);
    assert!(info.is_done());
    assert_eq!(info.start(), Some(WalPosition { timeline: TimelineId(1), lsn: Lsn(0x500_0028) }));
    assert_eq!(info.consistent(), Some(WalPosition { timeline: TimelineId(1), lsn: Lsn(0x60D_4390) }));
    assert_eq!(info.system, Some(SystemId(7_711_463_800_684_117_721)));
    assert_eq!(info.tablespaces, [Tablespace { name: "ts1".into(), oid: 16384, location: "/ts".into() }]);
    let label = super::super::BackupLabel::parse(&info.backup_label.unwrap()).unwrap();
    assert_eq!(label.start_segment, info.begin.wal.unwrap());
    assert_eq!((info.data_checksums, info.summarize_wal, info.version), (Some(true), None, Some(150_018)));
}

#[test]
fn positions_are_cut_into_segments_as_barman_cuts_them() {
    let barman = BackupInfo::parse(WHOLE).unwrap();
    let size = barman.segment_size;
    let at = |position: Option<WalPosition>, edge: &BackupEdge, end| {
        BackupEdge::at(position.unwrap(), size, edge.time.unwrap(), end)
    };
    assert_eq!(at(barman.start(), &barman.begin, false), barman.begin);
    assert_eq!(at(barman.consistent(), &barman.end, true), barman.end);
}

#[test]
fn a_position_between_two_segments_needs_only_the_earlier_one_to_end_there() {
    let position = WalPosition { timeline: TimelineId(3), lsn: Lsn(0x700_0000) };
    let edge = |end| BackupEdge::at(position, SegmentSize::DEFAULT, Timestamp::from_seconds(0), end);
    let (begin, end) = (edge(false), edge(true));
    assert_eq!((begin.wal.unwrap().to_string().as_str(), begin.offset), ("000000030000000000000007", Some(0)));
    assert_eq!((end.wal.unwrap().to_string().as_str(), end.offset), ("000000030000000000000006", Some(16 << 20)));
}

#[test]
fn what_barman_of_other_years_wrote_is_read() {
    let info = BackupInfo::parse(
        "# a comment\n\n  timeline = 2 \nstatus=STARTED\nbackup_name=before the upgrade = now\n\
         tablespaces=[[u'ts', 16384L, u'/ts']]\nincluded_files=['/etc/postgresql/a.conf']\nerror=\n\
         begin_time=2020-01-01 10:00:00\nsnapshots_info={'provider': 'gcp', 'snapshots': []}\nfrom_the_future=1\r\n",
    )
    .unwrap();
    assert_eq!(info.timeline, Some(TimelineId(2)));
    assert_eq!((info.status, info.is_done(), info.error.clone()), (BackupStatus::Started, false, None));
    assert_eq!(info.backup_name.as_deref(), Some("before the upgrade = now"));
    assert_eq!(info.included_files, ["/etc/postgresql/a.conf"]);
    assert_eq!(info.segment_size, SegmentSize::DEFAULT);
    let again = info.render();
    assert!(again.contains("\nfrom_the_future=1\n") && again.contains("\ntablespaces=[('ts', 16384, '/ts')]\n"));
    let keys: Vec<_> = again.lines().filter_map(|line| line.split_once('=')).map(|(key, _)| key).collect();
    assert!(keys.is_sorted(), "{keys:?}");
    assert_eq!(BackupInfo::parse(&again), Ok(info));
}

#[test]
fn a_line_that_makes_no_sense_is_named() {
    for line in [
        "timeline=x",
        "status=FINE",
        "begin_xlog=5000028",
        "begin_wal=5",
        "end_time=yesterday",
        "tablespaces=[('ts1', 16384)]",
        "tablespaces=('ts1', 16384, '/ts')",
        "backup_label=START",
        "included_files={}",
        "data_checksums=maybe",
        "xlog_segment_size=5",
    ] {
        let key = line.split('=').next().unwrap();
        let refused = BackupInfo::parse(&format!("mode=None\n{line}\n")).unwrap_err();
        assert!(refused.to_string().contains(key), "{refused}");
    }
    assert_eq!(BackupInfo::parse("nothing"), Err(InfoError::Line("nothing".into())));
}

#[test]
fn a_message_of_two_lines_stays_on_one() {
    let info = BackupInfo { status: BackupStatus::Failed, error: Some("one\ntwo".into()), ..BackupInfo::default() };
    assert!(info.render().contains("\nerror=one two\n"));
    assert!(!info.is_done());
}

fn plain() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[a-zA-Z/][ -~]{0,20}[a-z]").prop_map(|text| text.filter(|text| text != "None"))
}

fn edges() -> impl Strategy<Value = BackupEdge> {
    (1_u32.., any::<u64>(), 0_i64..4_000_000_000_000_000, any::<bool>()).prop_map(|(timeline, lsn, micros, end)| {
        let position = WalPosition { timeline: TimelineId(timeline), lsn: Lsn(lsn) };
        BackupEdge::at(position, SegmentSize::DEFAULT, Timestamp::from_micros(micros), end)
    })
}

proptest! {
    #[test]
    fn every_backup_survives_being_written(
        begin in edges(),
        end in edges(),
        label in "(?s).{0,200}",
        (name, pgdata, error) in (plain(), plain(), plain()),
        spaces in proptest::collection::vec(("\\PC{1,10}", any::<u32>(), "/\\PC{0,20}"), 0..3),
        (checksums, size, system) in (any::<Option<bool>>(), any::<Option<u64>>(), any::<Option<u64>>()),
        status in proptest::sample::select(&BackupStatus::ALL[..]),
    ) {
        let info = BackupInfo {
            status, begin, end, error, pgdata,
            backup_label: Some(label),
            backup_name: name,
            tablespaces: spaces.into_iter().map(|(name, oid, location)| Tablespace { name, oid, location }).collect(),
            data_checksums: checksums,
            cluster_size: size,
            system: system.map(SystemId),
            ..BackupInfo::default()
        };
        let text = info.render();
        let read = BackupInfo::parse(&text).unwrap();
        prop_assert_eq!(&read, &info);
        prop_assert_eq!(read.render(), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(?s).*") {
        let _ = BackupInfo::parse(&text);
    }

    #[test]
    fn a_damaged_file_never_panics(at in 0_usize..2000, with in "\\PC{0,3}") {
        let damaged: String = WHOLE.chars().take(at).chain(with.chars()).chain(WHOLE.chars().skip(at + 1)).collect();
        let _ = BackupInfo::parse(&damaged);
    }
}
