//! The settings of a postgres that only runs the SQL of a bootstrap, in a directory that is not served yet.

use super::preload;
use std::collections::BTreeMap;

/// Settings as `name=value`, for `-c`: the user's own parameters, since an extension may need its library, and over
/// them what keeps everybody else out.
///
/// What it would archive stays for whoever starts it next (`archive_mode=on` without a command). A statement that fails
/// is not logged: it may hold a password.
#[must_use]
pub fn settings(user: &BTreeMap<String, String>, wanted: &[String], sockets: &str) -> Vec<String> {
    let mut settings: BTreeMap<String, String> =
        user.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    let ours = [
        ("archive_command", String::new()),
        ("archive_mode", "on".to_owned()),
        ("listen_addresses", String::new()),
        ("log_destination", "stderr".to_owned()),
        ("log_line_prefix", String::new()),
        ("log_min_duration_statement", "-1".to_owned()),
        ("log_min_error_statement", "panic".to_owned()),
        ("log_statement", "none".to_owned()),
        ("logging_collector", "off".to_owned()),
        ("restart_after_crash", "off".to_owned()),
        ("shared_preload_libraries", preload::libraries(wanted, user).join(",")),
        ("ssl", "off".to_owned()),
        ("synchronous_standby_names", String::new()),
        ("unix_socket_directories", sockets.to_owned()),
    ];
    settings.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    settings.entry("wal_level".to_owned()).or_insert_with(|| "logical".to_owned());
    settings.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_parameters_are_in_force_and_nobody_else_gets_in() {
        let user = [("Log_Statement", "all"), ("pg_stat_statements.max", "100"), ("wal_level", "replica")];
        let user = user.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let settings = settings(&user, &["pgaudit".to_owned()], "/s");
        for expected in [
            "listen_addresses=",
            "log_statement=none",
            "pg_stat_statements.max=100",
            "shared_preload_libraries=pgaudit,pg_stat_statements",
            "unix_socket_directories=/s",
            "wal_level=replica",
        ] {
            assert!(settings.iter().any(|setting| setting == expected), "{expected}: {settings:?}");
        }
    }
}
