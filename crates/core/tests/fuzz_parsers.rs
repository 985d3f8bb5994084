//! Fuzzes every parser of core, for a bounded time under `cargo test`; `cargo bolero test NAME` goes on for longer.
//!
//! Besides "it does not panic", each target checks that what was read is written back as it was, or means the same.

use bolero::check;
use pgherd_core::backup::{BackupInfo, BackupLabel, Literal, Timestamp, parse_base_key};
use pgherd_core::lsn::Lsn;
use pgherd_core::pgconf::parse::{self, Setting};
use pgherd_core::pgconf::quote::{conf_value, read_conf_value};
use pgherd_core::rules::{cluster, cron, object_store, parameters, quantity, retention};
use pgherd_core::timeline::{History, TimelineId};
use pgherd_core::wal::{Compression, SegmentName, SegmentSize, WalName, object_key, parse_key};

const ITERATIONS: usize = 5_000;

/// Bytes that often make sense to these parsers, so that the fuzzer gets past their first check.
fn text(bytes: &[u8]) -> String {
    const LIKELY: &[u8] = b"0123456789ABCDEF/.\t\n -:()'\\_*,@abcdefhiklmnoprstuwxyzGKMT";
    bytes
        .iter()
        .map(|byte| match LIKELY.get(usize::from(*byte)) {
            Some(likely) => char::from(*likely),
            None => char::from(*byte),
        })
        .collect()
}

fn fuzz(parse: impl Fn(&str) + std::panic::RefUnwindSafe) {
    check!().with_iterations(ITERATIONS).with_max_len(400).for_each(|input: &[u8]| {
        parse(&text(input));
        parse(&String::from_utf8_lossy(input));
    });
}

#[test]
fn lsn_is_read_or_refused() {
    fuzz(|text| {
        if let Ok(lsn) = text.parse::<Lsn>() {
            assert_eq!(lsn.to_string().parse(), Ok(lsn));
        }
    });
}

#[test]
fn wal_name_is_written_as_it_was_read() {
    fuzz(|text| {
        if let Ok(name) = text.parse::<WalName>() {
            assert_eq!(name.to_string(), text);
        }
    });
}

#[test]
fn wal_names_made_of_any_bytes_keep_their_meaning() {
    check!().with_iterations(ITERATIONS).with_type::<(u32, u32, u32, u32, u8)>().for_each(
        |(timeline, log, seg, offset, kind)| {
            let digits = format!("{timeline:08X}{log:08X}{seg:08X}");
            let text = match kind % 4 {
                0 => digits,
                1 => format!("{digits}.partial"),
                2 => format!("{digits}.{offset:08X}.backup"),
                _ => format!("{timeline:08X}.history"),
            };
            let name = text.parse::<WalName>();
            assert_eq!(name.is_ok(), *timeline != 0);
            let Ok(name) = name else { return };
            assert_eq!(name.to_string(), text);
            let compression = Compression::ALL.get(usize::from(*kind)).copied();
            assert_eq!(parse_key(&object_key(name, compression)), Ok((name, compression)));
            for shift in 20..=30 {
                let size = SegmentSize::new(1 << shift).unwrap();
                let Some(number) = name.segment_name().and_then(|segment| segment.number(size)) else { continue };
                assert_eq!(Some(SegmentName::new(name.timeline(), number, size)), name.segment_name());
            }
        },
    );
}

#[test]
fn object_key_is_written_as_it_was_read() {
    fuzz(|text| {
        for key in [text.to_owned(), format!("wals/{text}")] {
            if let Ok((name, compression)) = parse_key(&key) {
                assert_eq!(object_key(name, compression), key);
            }
        }
    });
}

#[test]
fn history_means_the_same_when_written_back() {
    fuzz(|text| {
        for timeline in [1, 2, u32::MAX].map(TimelineId) {
            if let Ok(history) = History::parse(timeline, text) {
                assert_eq!(History::parse(timeline, &history.render()), Ok(history));
            }
        }
    });
}

#[test]
fn histories_made_of_any_numbers_are_ordered_or_refused() {
    check!().with_iterations(ITERATIONS).with_type::<(u32, Vec<(u8, u16)>)>().for_each(|(timeline, lines)| {
        let text: String = lines.iter().map(|(id, lsn)| format!("{id}\t{}\twhy\n", Lsn(u64::from(*lsn)))).collect();
        if let Ok(history) = History::parse(TimelineId(*timeline), &text) {
            assert!(history.ancestors().is_sorted_by(|a, b| a.timeline < b.timeline && a.lsn <= b.lsn));
            assert_eq!(history.fork(&history).unwrap().timeline, TimelineId(*timeline));
        }
    });
}

#[test]
fn backup_label_is_read_or_refused() {
    fuzz(|text| {
        let _ = BackupLabel::parse(text);
        let label = format!(
            "START WAL LOCATION: {text}\nCHECKPOINT LOCATION: {text}\nBACKUP METHOD: {text}\nBACKUP FROM: {text}\n\
             START TIME: {text}\nLABEL: {text}\nSTART TIMELINE: {text}\nSTOP WAL LOCATION: {text}\n"
        );
        let _ = BackupLabel::parse(&label);
    });
}

#[test]
fn backup_info_is_written_as_it_was_read() {
    fuzz(|text| {
        for line in ["", "tablespaces=", "begin_time=", "backup_label=", "copy_stats=", "other="] {
            if let Ok(info) = BackupInfo::parse(&format!("{line}{text}")) {
                assert_eq!(BackupInfo::parse(&info.render()), Ok(info));
            }
        }
        if let Ok(literal) = Literal::parse(text) {
            assert_eq!(Literal::parse(&literal.to_string()), Ok(literal));
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        if let Some((id, object)) = parse_base_key(text) {
            assert_eq!(id.key(&object), text);
        }
    });
}

#[test]
fn configuration_value_is_read_back_as_it_was() {
    fuzz(|text| {
        let _ = read_conf_value(text);
        assert_eq!(read_conf_value(&conf_value(text)).as_deref(), Some(text));
    });
}

#[test]
fn configuration_file_is_read_or_refused_and_means_the_same_when_written_back() {
    fuzz(|text| {
        if let Ok(settings) = parse::parse(text) {
            let again: String = settings.iter().map(|s| format!("{} = {}\n", s.name, conf_value(&s.value))).collect();
            assert_eq!(parse::parse(&again), Ok(settings));
        }
        let value = text.replace('\0', "");
        let settings = parse::parse(&format!("a.b {} # {}", conf_value(&value), value.replace('\n', " ")));
        assert_eq!(settings, Ok(vec![Setting { name: "a.b".to_owned(), value }]));
    });
}

#[test]
fn rules_read_or_refuse_any_text() {
    fuzz(|text| {
        let _ = cluster::cluster_name(text);
        let _ = parameters::parameter_name(text);
        let _ = text.parse::<cron::Schedule>();
        let _ = text.parse::<retention::Retention>();
        let _ = object_store::endpoint(text);
        let _ = object_store::destination(&format!("s3://{text}"));
        if let Ok(bytes) = quantity::quantity(text) {
            assert_eq!(quantity::quantity(&bytes.to_string()), Ok(bytes));
        }
    });
}
