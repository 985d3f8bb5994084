//! The settings of a postgres that only replays an archive, in a directory that is not served yet.

use super::parse::{Setting, parse};
use super::quote::conf_value;
use crate::backup::RecoveryTarget;
use crate::timeline::TimelineId;
use crate::wal::SegmentSize;

/// What it is told.
#[derive(Clone, Copy, Debug)]
pub struct Replay<'a> {
    /// Where to stop.
    pub target: &'a RecoveryTarget,
    /// Along which timeline.
    pub along: TimelineId,
    /// `restore_command`.
    pub restore: &'a str,
    /// The directory of its socket.
    pub sockets: &'a str,
    /// What the primary had of the parameters that limit what WAL may hold, by name.
    pub sensitive: &'a [(&'static str, u32)],
}

/// Settings as `name=value`, for `-c`: they win over whatever was restored.
///
/// It takes no connections before it has ended (`hot_standby=off`), so that no parameter of the old primary stops it;
/// and what it would archive stays, for whoever starts it next (`archive_mode=on` without a command).
#[must_use]
pub fn settings(replay: Replay<'_>) -> Vec<String> {
    let mut settings: Vec<(&str, String)> = vec![
        ("listen_addresses", String::new()),
        ("unix_socket_directories", replay.sockets.to_owned()),
        ("ssl", "off".to_owned()),
        ("hot_standby", "off".to_owned()),
        ("archive_mode", "on".to_owned()),
        ("archive_command", String::new()),
        ("restore_command", replay.restore.to_owned()),
        ("logging_collector", "off".to_owned()),
        ("log_destination", "stderr".to_owned()),
        ("log_line_prefix", String::new()),
        ("restart_after_crash", "off".to_owned()),
    ];
    settings.extend(replay.sensitive.iter().map(|(name, value)| (*name, value.to_string())));
    settings.extend(replay.target.settings(replay.along));
    settings.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// What of a restored `postgresql.conf` stays: what initdb wrote for the databases' language and time zone. All else is
/// the manifest's, or was about another machine. Beside it what initdb writes for segments of that size: postgres does
/// not start where its own least of WAL (80 MB) is not two of them.
#[must_use]
pub fn carried(restored: &str, segment: SegmentSize) -> String {
    const KEPT: [&str; 8] = [
        "datestyle",
        "default_text_search_config",
        "lc_messages",
        "lc_monetary",
        "lc_numeric",
        "lc_time",
        "log_timezone",
        "timezone",
    ];
    let megabytes = segment.bytes() >> 20;
    let (least, most) = (megabytes.saturating_mul(5), megabytes.saturating_mul(64));
    let mut out = format!(
        "# Restored: everything else is in the files that are included below.\n\
         min_wal_size = {least}MB\nmax_wal_size = {most}MB\n"
    );
    // Line by line: whatever else is in it, and cannot be read, is left out anyway.
    for Setting { name, value } in restored.split('\n').filter_map(|line| parse(line).ok()).flatten() {
        let name = name.to_ascii_lowercase();
        if KEPT.contains(&name.as_str()) {
            out.push_str(&format!("{name} = {}\n", conf_value(&value)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::Target;

    #[test]
    fn a_replay_is_shut_off_and_archives_nothing_by_itself() {
        let target = RecoveryTarget { target: Target::Xid(731), ..RecoveryTarget::default() };
        let sensitive = [("max_connections", 300)];
        let settings = settings(Replay {
            target: &target,
            along: TimelineId(2),
            restore: "r %f %p",
            sockets: "/s",
            sensitive: &sensitive,
        });
        for expected in [
            "listen_addresses=",
            "hot_standby=off",
            "archive_mode=on",
            "archive_command=",
            "restore_command=r %f %p",
            "max_connections=300",
            "recovery_target_timeline=2",
            "recovery_target_xid=731",
        ] {
            assert!(settings.iter().any(|setting| setting == expected), "{expected} in {settings:?}");
        }
    }

    #[test]
    fn only_language_and_time_zone_are_carried_over_and_wal_is_as_initdb_had_it() {
        let restored = "max_connections = 500\nTimeZone = 'Europe/Rome'\t# here\nlc_time = 'it''s'\n\
            include '/etc/other.conf'\n#datestyle = 'iso'\ndefault_text_search_config = 'pg_catalog.english'\n";
        let kept: Vec<String> = carried(restored, SegmentSize::DEFAULT).lines().skip(1).map(str::to_owned).collect();
        assert_eq!(
            kept,
            [
                "min_wal_size = 80MB",
                "max_wal_size = 1024MB",
                "timezone = 'Europe/Rome'",
                "lc_time = 'it''s'",
                "default_text_search_config = 'pg_catalog.english'"
            ]
        );
    }
}
