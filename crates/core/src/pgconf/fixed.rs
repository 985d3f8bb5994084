//! Parameters that a user may not set, by CNPG's names and in its two kinds
//! (`FixedConfigurationParameters` in CNPG's `pkg/postgres/configuration.go`).

/// Why a parameter is not the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// The manager sets it, by what the cluster is doing.
    Fixed,
    /// Any other value than ours would break the manager.
    Blocked,
}

/// The manager computes these.
pub const FIXED: &[&str] = &[
    "archive_command",
    "archive_mode",
    "cluster_name",
    "pg_failover_slots.primary_dsn",
    "pg_failover_slots.standby_slot_names",
    "port",
    "primary_conninfo",
    "primary_slot_name",
    "recovery_target",
    "recovery_target_action",
    "recovery_target_inclusive",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_timeline",
    "recovery_target_xid",
    "restore_command",
    "shared_preload_libraries",
    "ssl",
    "ssl_ca_file",
    "ssl_cert_file",
    "ssl_crl_file",
    "ssl_dh_params_file",
    "ssl_key_file",
    "ssl_passphrase_command",
    "ssl_passphrase_command_supports_reload",
    "ssl_prefer_server_ciphers",
    "synchronized_standby_slots",
    "synchronous_standby_names",
    "temp_tablespaces",
];

/// These stay as they are.
pub const BLOCKED: &[&str] = &[
    "allow_system_table_mods",
    "archive_cleanup_command",
    "bonjour",
    "bonjour_name",
    "config_file",
    "data_directory",
    "data_sync_retry",
    "event_source",
    "external_pid_file",
    "hba_file",
    "hot_standby",
    "ident_file",
    "jit_provider",
    "listen_addresses",
    "log_destination",
    "log_directory",
    "log_file_mode",
    "log_filename",
    "log_rotation_age",
    "log_rotation_size",
    "log_truncate_on_rotation",
    "logging_collector",
    "promote_trigger_file",
    "recovery_end_command",
    "recovery_min_apply_delay",
    "restart_after_crash",
    "stats_temp_directory",
    "syslog_facility",
    "syslog_ident",
    "syslog_sequence_numbers",
    "syslog_split_messages",
    "unix_socket_directories",
    "unix_socket_group",
    "unix_socket_permissions",
];

/// These are refused by us alone, since each would break what this project promises
/// (listed in `docs/reference/differences.md`): `include*` are no parameters but directives, and would
/// bring in files that nobody checked; `allow_alter_system` is `enableAlterSystem`.
pub const OURS: &[&str] = &["allow_alter_system", "archive_library", "include", "include_dir", "include_if_exists"];

/// Whether a parameter is not the user's to set; names compare without case, as in postgres.
#[must_use]
pub fn reserved(name: &str) -> Option<Reserved> {
    let is_in = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(name));
    if is_in(FIXED) {
        Some(Reserved::Fixed)
    } else if is_in(BLOCKED) || is_in(OURS) {
        Some(Reserved::Blocked)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case() {
        assert_eq!(reserved("Archive_Command"), Some(Reserved::Fixed));
        assert_eq!(reserved("LISTEN_ADDRESSES"), Some(Reserved::Blocked));
        assert_eq!(reserved("work_mem"), None);
        assert_eq!(reserved("pg_failover_slots.primary_dsn"), Some(Reserved::Fixed));
    }

    #[test]
    fn the_lists_are_sorted_and_share_no_name() {
        for list in [FIXED, BLOCKED, OURS] {
            assert!(list.is_sorted_by(|a, b| a < b), "sorted, and no name twice: {list:?}");
            assert!(list.iter().all(|name| name.to_lowercase() == *name));
        }
        assert!(FIXED.iter().all(|name| !BLOCKED.contains(name) && !OURS.contains(name)));
        assert!(BLOCKED.iter().all(|name| !OURS.contains(name)));
    }
}
