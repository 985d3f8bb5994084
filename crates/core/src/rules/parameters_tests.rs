//! Each rule about parameters, by what a user may write.

use super::*;

fn parameters(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn the_example_manifests_parameters_pass() {
    let example = parameters(&[
        ("max_connections", "200"),
        ("shared_buffers", "2GB"),
        ("checkpoint_completion_target", "0.9"),
        ("wal_level", "replica"),
        ("max_wal_senders", "10"),
        ("log_min_duration_statement", "1000"),
    ]);
    assert_eq!(check(&example, 3, true), []);
}

#[test]
fn a_name_is_a_word_or_two_with_a_dot() {
    for name in ["work_mem", "pg_stat_statements.max", "_x", "a$1", "Work_Mem"] {
        assert_eq!(parameter_name(name), Ok(()), "{name}");
    }
    for name in ["", ".", "a.", ".a", "a.b.c", "1a", "a b", "a=b", "a\nb", "a'", "é", "a-b", "#"] {
        assert_eq!(parameter_name(name), Err(ParameterError::Name(name.to_owned())), "{name}");
    }
}

#[test]
fn fixed_and_blocked_parameters_are_refused_by_name() {
    let errors = check_each(&parameters(&[("archive_command", "x"), ("Hot_Standby", "off"), ("work_mem", "1\0")]));
    assert_eq!(
        errors,
        [
            ParameterError::Blocked("Hot_Standby".into()),
            ParameterError::Fixed("archive_command".into()),
            ParameterError::Nul("work_mem".into()),
        ]
    );
    assert!(errors[1].to_string().contains("archive_command"));
}

#[test]
fn one_parameter_in_two_spellings_is_refused() {
    let errors = check_each(&parameters(&[("WORK_MEM", "1"), ("maintenance_work_mem", "1"), ("work_mem", "2")]));
    assert_eq!(errors, [ParameterError::Twice("work_mem".into())]);
}

#[test]
fn numbers_are_numbers_within_postgres_limits() {
    assert_eq!(max_connections(&parameters(&[])), Ok(None));
    assert_eq!(max_connections(&parameters(&[("max_connections", " 262143 ")])), Ok(Some(262_143)));
    for value in ["0", "-1", "262144", "many", "", "1.5"] {
        assert!(matches!(
            max_connections(&parameters(&[("max_connections", value)])),
            Err(ParameterError::Number { .. })
        ));
    }
}

#[test]
fn every_standby_needs_a_walsender() {
    let senders = |value| parameters(&[("max_wal_senders", value)]);
    assert_eq!(max_wal_senders(&senders("4"), 3), Ok(Some(4)));
    assert_eq!(
        max_wal_senders(&senders("3"), 3),
        Err(ParameterError::WalSenders { given: 3, instances: 3, needed: 4 })
    );
    assert_eq!(max_wal_senders(&senders("0"), 1), Ok(Some(0)));
}

#[test]
fn minimal_wal_is_for_a_lone_instance_without_an_archive() {
    let level = |value| parameters(&[("wal_level", value)]);
    assert_eq!(wal_level(&parameters(&[]), 3, true), Ok(()));
    assert_eq!(wal_level(&level("Logical"), 3, true), Ok(()));
    assert!(matches!(wal_level(&level("minimal"), 2, false), Err(ParameterError::WalLevel { .. })));
    assert!(matches!(wal_level(&level("minimal"), 1, true), Err(ParameterError::WalLevel { .. })));
    assert!(matches!(wal_level(&level("minimal"), 1, false), Err(ParameterError::WalLevel { .. })));
    assert_eq!(wal_level(&parameters(&[("wal_level", "minimal"), ("max_wal_senders", "0")]), 1, false), Ok(()));
    assert_eq!(wal_level(&level("full"), 1, false), Err(ParameterError::NoSuchWalLevel("full".into())));
}

#[test]
fn hint_bits_are_logged_where_somebody_may_have_to_rewind() {
    let hints = |value| parameters(&[("wal_log_hints", value)]);
    for value in ["on", "TRUE", "y", "1", "t"] {
        assert_eq!(wal_log_hints(&hints(value), 3), Ok(()), "{value}");
    }
    for value in ["off", "false", "0", "", "maybe"] {
        assert_eq!(wal_log_hints(&hints(value), 3), Err(ParameterError::WalLogHints(value.into())));
    }
    assert_eq!(wal_log_hints(&hints("off"), 1), Ok(()));
}
