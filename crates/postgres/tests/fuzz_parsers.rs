//! Fuzzes what is read of a program's output, for a bounded time under `cargo test`; `cargo bolero test NAME` goes on for
//! longer. Besides "it does not panic": what was read is what stood there.

use bolero::check;
use pgherd_core::identity::SystemId;
use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::TimelineId;
use pgherd_postgres::control_data::{ClusterState, ControlData};

const ITERATIONS: usize = 5_000;
/// What pg_controldata of PostgreSQL 15 printed about a standby.
const STANDBY: &str = include_str!("data/controldata-15-standby.txt");

/// The real output with the values behind some labels replaced.
fn with(values: &[(&str, &str)]) -> String {
    let value = |line: &str| {
        let (label, _) = line.split_once(':')?;
        let (_, value) = values.iter().find(|(known, _)| *known == label)?;
        Some(format!("{label}:   {value}\n"))
    };
    STANDBY.lines().map(|line| value(line).unwrap_or_else(|| format!("{line}\n"))).collect()
}

#[test]
fn control_data_is_read_or_refused() {
    check!().with_iterations(ITERATIONS).with_max_len(400).for_each(|input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        drop(ControlData::parse(&text));
        // Any text in any place of the real thing, wherever the input says.
        let at = usize::from(input.first().copied().unwrap_or_default()).saturating_mul(STANDBY.len()) / 256;
        let (before, after) = STANDBY.split_at(STANDBY.floor_char_boundary(at));
        let damaged = format!("{before}{text}{after}");
        if let Ok(data) = ControlData::parse(&damaged) {
            assert_eq!(data.raw, damaged);
        }
    });
}

#[test]
fn a_value_of_control_data_is_read_as_it_stands_or_refused() {
    let labels: Vec<&str> = STANDBY.lines().filter_map(|line| Some(line.split_once(':')?.0)).collect();
    check!().with_iterations(ITERATIONS).with_max_len(60).for_each(|input: &[u8]| {
        let Some((which, value)) = input.split_first() else { return };
        let Some(label) = labels.get(usize::from(*which) % labels.len()) else { return };
        // A line's end would make it two lines; blanks around a value are nobody's.
        let value = String::from_utf8_lossy(value).replace(['\n', '\r'], " ");
        let value = value.trim();
        let Ok(data) = ControlData::parse(&with(&[(label, value)])) else { return };
        match *label {
            "Database system identifier" => assert_eq!(Ok(data.system_id.0), value.parse()),
            "Latest checkpoint's TimeLineID" => assert_eq!(Ok(data.timeline.0), value.parse()),
            "Latest checkpoint location" => assert_eq!(Ok(data.checkpoint), value.parse()),
            "Latest checkpoint's REDO location" => assert_eq!(Ok(data.redo), value.parse()),
            "wal_level setting" => assert_eq!(data.wal_level, value),
            "Bytes per WAL segment" => assert_eq!(Ok(data.segment_bytes), value.parse()),
            "wal_log_hints setting" => assert_eq!(if data.wal_log_hints { "on" } else { "off" }, value),
            _ => {}
        }
    });
}

#[test]
fn control_data_made_of_any_numbers_means_them() {
    const STATES: [(&str, ClusterState); 7] = [
        ("starting up", ClusterState::StartingUp),
        ("shut down", ClusterState::ShutDown),
        ("shut down in recovery", ClusterState::ShutDownInRecovery),
        ("shutting down", ClusterState::ShuttingDown),
        ("in crash recovery", ClusterState::InCrashRecovery),
        ("in archive recovery", ClusterState::InArchiveRecovery),
        ("in production", ClusterState::InProduction),
    ];
    check!().with_iterations(ITERATIONS).with_type::<(u64, u32, u64, u64, u8)>().for_each(
        |(system_id, timeline, checkpoint, end, state)| {
            let (text, state) = STATES[usize::from(*state) % STATES.len()];
            let output = with(&[
                ("Database system identifier", &system_id.to_string()),
                ("Database cluster state", text),
                ("Latest checkpoint's TimeLineID", &timeline.to_string()),
                ("Latest checkpoint location", &Lsn(*checkpoint).to_string()),
                ("Minimum recovery ending location", &Lsn(*end).to_string()),
                ("Min recovery ending loc's timeline", &timeline.to_string()),
            ]);
            let data = ControlData::parse(&output).unwrap();
            assert_eq!((data.system_id, data.state), (SystemId(*system_id), state));
            assert_eq!((data.timeline, data.checkpoint), (TimelineId(*timeline), Lsn(*checkpoint)));
            let end = (*end != 0).then_some((TimelineId(*timeline), Lsn(*end)));
            assert_eq!(data.minimum_recovery_end, end);
        },
    );
}
