//! PostgreSQL's majors as manifests name them: which there are, and which parameters each of them knows.
//!
//! A server does not start with a parameter that it does not know, so that one word in a manifest would stop a cluster at
//! its next restart.

use std::collections::BTreeMap;

/// The oldest that is supported.
pub const OLDEST: u16 = 14;
/// The newest that is supported.
pub const NEWEST: u16 = 18;

/// Something does not fit to the major.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MajorError {
    /// Not one of ours.
    #[error("PostgreSQL {0} is not supported: choose an image of {OLDEST} to {NEWEST}")]
    Unsupported(u32),
    /// A parameter of later ones.
    #[error(
        "the parameter {name:?} exists since PostgreSQL {since}, and PostgreSQL {major} would not start with it: remove it"
    )]
    Later {
        /// The parameter.
        name: String,
        /// The first that has it.
        since: u32,
        /// What is wanted.
        major: u32,
    },
    /// A parameter of earlier ones.
    #[error(
        "the parameter {name:?} was removed after PostgreSQL {until}, and PostgreSQL {major} would not start with it: remove it"
    )]
    Earlier {
        /// The parameter.
        name: String,
        /// The last that has it.
        until: u32,
        /// What is wanted.
        major: u32,
    },
    /// `wal_compression` was a switch until 14.
    #[error("wal_compression is {0:?}: PostgreSQL 14 has on and off; pglz, lz4 and zstd exist since 15")]
    Compression(String),
}

/// Since which major there is a parameter, for those that 14 does not have (`postgres --describe-config` of each).
pub const SINCE: &[(&str, u32)] = &[
    ("allow_alter_system", 17),
    ("archive_library", 15),
    ("autovacuum_vacuum_max_threshold", 18),
    ("autovacuum_worker_slots", 18),
    ("commit_timestamp_buffers", 17),
    ("createrole_self_grant", 16),
    ("enable_distinct_reordering", 18),
    ("enable_group_by_reordering", 17),
    ("enable_presorted_aggregate", 16),
    ("enable_self_join_elimination", 18),
    ("event_triggers", 17),
    ("extension_control_path", 18),
    ("file_copy_method", 18),
    ("gss_accept_delegation", 16),
    ("icu_validation_level", 16),
    ("idle_replication_slot_timeout", 18),
    ("io_combine_limit", 17),
    ("io_max_combine_limit", 18),
    ("io_max_concurrency", 18),
    ("io_method", 18),
    ("io_workers", 18),
    ("log_lock_failures", 18),
    ("log_startup_progress_interval", 15),
    ("max_active_replication_origins", 18),
    ("max_notify_queue_pages", 17),
    ("max_parallel_apply_workers_per_subscription", 16),
    ("md5_password_warnings", 18),
    ("multixact_member_buffers", 17),
    ("multixact_offset_buffers", 17),
    ("notify_buffers", 17),
    ("oauth_validator_libraries", 18),
    ("recovery_prefetch", 15),
    ("recursive_worktable_factor", 15),
    ("reserved_connections", 16),
    ("scram_iterations", 16),
    ("serializable_buffers", 17),
    ("ssl_groups", 18),
    ("ssl_tls13_ciphers", 18),
    ("stats_fetch_consistency", 15),
    ("subtransaction_buffers", 17),
    ("summarize_wal", 17),
    ("sync_replication_slots", 17),
    ("synchronized_standby_slots", 17),
    ("track_cost_delay_timing", 18),
    ("transaction_buffers", 17),
    ("transaction_timeout", 17),
    ("vacuum_buffer_usage_limit", 16),
    ("vacuum_max_eager_freeze_failure_rate", 18),
    ("vacuum_truncate", 18),
    ("wal_decode_buffer_size", 15),
    ("wal_summary_keep_time", 17),
];

/// Until which major there was a parameter, for those that 18 does not have. Renamed ones are still taken.
pub const UNTIL: &[(&str, u32)] = &[
    ("db_user_namespace", 16),
    ("old_snapshot_threshold", 16),
    ("promote_trigger_file", 15),
    ("stats_temp_directory", 14),
    ("trace_recovery_messages", 14),
    ("vacuum_defer_cleanup_age", 15),
];

/// An image whose tag says its major must say one of ours.
///
/// # Errors
/// [`MajorError::Unsupported`].
pub fn supported(major: u32) -> Result<(), MajorError> {
    if (u32::from(OLDEST)..=u32::from(NEWEST)).contains(&major) { Ok(()) } else { Err(MajorError::Unsupported(major)) }
}

/// Whether a major has a parameter, as far as the tables tell: one that they do not have may be an extension's.
///
/// # Errors
/// [`MajorError::Later`] and [`MajorError::Earlier`].
pub fn knows(major: u32, name: &str) -> Result<(), MajorError> {
    let find =
        |table: &[(&str, u32)]| table.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, at)| *at);
    if let Some(since) = find(SINCE).filter(|since| major < *since) {
        return Err(MajorError::Later { name: name.to_owned(), since, major });
    }
    match find(UNTIL).filter(|until| major > *until) {
        Some(until) => Err(MajorError::Earlier { name: name.to_owned(), until, major }),
        None => Ok(()),
    }
}

/// Everything in the parameters that the major would not start with.
#[must_use]
pub fn check(major: u32, parameters: &BTreeMap<String, String>) -> Vec<MajorError> {
    let mut errors: Vec<MajorError> = parameters.keys().filter_map(|name| knows(major, name).err()).collect();
    let compression = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("wal_compression"));
    if let Some((_, value)) = compression
        && major == 14
        && ["pglz", "lz4", "zstd"].contains(&value.trim().to_ascii_lowercase().as_str())
    {
        errors.push(MajorError::Compression(value.clone()));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_refused_by_the_majors_that_would_not_start_with_it() {
        for (name, majors) in [
            ("recovery_prefetch", 15..=18),
            ("Transaction_Timeout", 17..=18),
            ("io_method", 18..=18),
            ("old_snapshot_threshold", 14..=16),
            ("stats_temp_directory", 14..=14),
            ("work_mem", 14..=18),
            ("pg_stat_statements.max", 14..=18),
        ] {
            for major in 14..=18 {
                assert_eq!(knows(major, name).is_ok(), majors.contains(&major), "{name} in {major}");
            }
        }
        let said = knows(16, "io_method").unwrap_err().to_string();
        assert!(said.contains("since PostgreSQL 18, and PostgreSQL 16 would not start"), "{said}");
        for table in [SINCE, UNTIL] {
            assert!(table.is_sorted(), "so that they are easily compared with postgres' own list");
        }
    }

    #[test]
    fn wal_compression_is_a_switch_in_14() {
        let of = |value: &str| BTreeMap::from([("wal_compression".to_owned(), value.to_owned())]);
        for (value, fine) in [("on", true), ("off", true), ("LZ4", false), ("zstd", false), ("pglz", false)] {
            assert_eq!(check(14, &of(value)).is_empty(), fine, "{value}");
            assert!(check(15, &of(value)).is_empty(), "{value}");
        }
    }

    #[test]
    fn five_majors_are_supported() {
        let fine: Vec<u32> = (9..30).filter(|major| supported(*major).is_ok()).collect();
        assert_eq!(fine, [14, 15, 16, 17, 18]);
    }
}
