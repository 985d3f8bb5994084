//! What may be asked for, at its edges.

use super::*;

#[test]
fn the_number_is_at_least_one_and_less_than_there_are_names() {
    assert_eq!(number(2, 3, 0), Ok(2));
    assert_eq!(number(3, 3, 1), Ok(3));
    assert_eq!(number(0, 3, 0), Err(SynchronousError::NoNumber));
    assert_eq!(number(-1, 3, 0), Err(SynchronousError::NoNumber));
    assert_eq!(number(3, 3, 0), Err(SynchronousError::TooMany));
    assert_eq!(number(1, 1, 0), Err(SynchronousError::TooMany));
}

#[test]
fn others_cannot_be_all_that_acknowledges_where_an_election_is_to_be_safe() {
    assert_eq!(failover_quorum(true, 2, 1), Ok(()));
    assert_eq!(failover_quorum(true, 1, 1), Err(SynchronousError::NoQuorum));
    assert_eq!(failover_quorum(false, 1, 1), Ok(()));
    assert_eq!(durability(true, 1), Err(SynchronousError::PreferredWithNames));
    assert_eq!(durability(false, 1), Ok(()));
}

#[test]
fn a_name_is_one_that_postgres_would_show() {
    for good in ["dr-1", "Some Standby", "\"quoted\""] {
        assert_eq!(standby_name(good), Ok(()));
    }
    for bad in ["", "*", " * ", "a\nb", "é", &"x".repeat(64)] {
        assert!(standby_name(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_name_is_listed_once_and_is_no_instances() {
    assert_eq!(standby_names(["a", "b", "db-x", "db-"], "db"), Ok(()));
    assert_eq!(standby_names(["a", "A"], "db"), Err(SynchronousError::NameTwice("A".into())));
    assert_eq!(standby_names(["DB-12"], "db"), Err(SynchronousError::NameTwice("DB-12".into())));
}

#[test]
fn the_two_forms_exclude_each_other_and_the_older_one_has_its_bounds() {
    assert_eq!(one_form(true, 0, 0), Ok(()));
    assert_eq!(one_form(true, 0, 1), Err(SynchronousError::BothForms));
    assert_eq!(most(2, 3), Ok(2));
    assert_eq!(most(3, 3), Err(SynchronousError::MostTooMany));
    assert_eq!(most(-1, 3), Err(SynchronousError::MostNegative));
    assert_eq!(least(1, 1), Ok(1));
    assert_eq!(least(2, 1), Err(SynchronousError::LeastAboveMost));
    assert_eq!(least(-1, 1), Err(SynchronousError::LeastNegative));
}

#[test]
fn labels_say_where_machines_are_in_one_way() {
    assert_eq!(failure_domains(1, 0), Ok(()));
    assert_eq!(failure_domains(1, 1), Err(SynchronousError::BothDomains));
    assert_eq!(election_constraint(false, 0), Ok(()));
    assert_eq!(election_constraint(true, 0), Err(SynchronousError::NoLabels));
}

#[test]
fn a_prefix_is_part_of_a_slots_name_and_stays() {
    assert_eq!(slot_prefix("_cnpg_"), Ok(()));
    assert_eq!(slot_prefix(""), Ok(()));
    assert!(slot_prefix("Cnpg-").is_err());
    assert_eq!(slot_prefix_change(false, "a", "b"), Ok(()));
    assert_eq!(slot_prefix_change(true, "a", "b"), Err(SynchronousError::SlotPrefixChanged));
    assert!(update_interval(0).is_err());
}
