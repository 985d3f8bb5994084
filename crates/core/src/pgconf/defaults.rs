//! Parameters that a user may change, and what they are otherwise.

/// CNPG's defaults (`CnpgConfigurationSettings`), for every supported major. Those whose value is a path, or
/// that only the manager may change, are in [`super::render()`].
pub const CNPG: &[(&str, &str)] = &[
    ("archive_timeout", "5min"),
    ("dynamic_shared_memory_type", "posix"),
    ("full_page_writes", "on"),
    ("max_parallel_workers", "32"),
    ("max_replication_slots", "32"),
    ("max_worker_processes", "32"),
    ("shared_memory_type", "mmap"),
    ("ssl_max_protocol_version", "TLSv1.3"),
    ("ssl_min_protocol_version", "TLSv1.3"),
    ("wal_keep_size", "512MB"),
    ("wal_level", "logical"),
    ("wal_log_hints", "on"),
    ("wal_receiver_timeout", "5s"),
    ("wal_sender_timeout", "5s"),
];

/// Where we differ from CNPG and from postgres, each with its reason (`docs/reference/differences.md`):
/// - `wal_retrieve_retry_interval`: a standby looks for the new primary every 200 ms instead of every 5 s,
///   so that it follows a failover at once.
pub const OURS: &[(&str, &str)] = &[("wal_retrieve_retry_interval", "200ms")];

/// How the log collector writes, so that the manager can read it: not the user's to change.
pub const LOGGING: &[(&str, &str)] = &[
    ("log_destination", "csvlog"),
    ("log_filename", "postgres"),
    ("log_rotation_age", "0"),
    ("log_rotation_size", "0"),
    ("log_truncate_on_rotation", "false"),
    ("logging_collector", "on"),
];

#[cfg(test)]
mod tests {
    use super::super::fixed::reserved;
    use super::*;

    #[test]
    fn a_default_is_the_users_to_change_and_logging_is_not() {
        assert!(CNPG.iter().chain(OURS).all(|(name, _)| reserved(name).is_none()));
        assert!(LOGGING.iter().all(|(name, _)| reserved(name).is_some()));
        for list in [CNPG, OURS, LOGGING] {
            assert!(list.is_sorted());
        }
    }
}
