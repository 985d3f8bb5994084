//! Slots on both sides.

use super::*;
use crate::lsn::Lsn;

fn policy() -> Policy {
    Policy { enabled: true, prefix: "_cnpg_".into(), copy_users: true }
}

fn slot(name: &str, restart: u64) -> SlotFact {
    SlotFact { name: name.into(), restart: Some(Lsn(restart)), active: false, lost: false }
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_primary_has_a_slot_for_each_other_instance_and_for_nobody_else() {
    let have = [slot("_cnpg_c_2", 1), slot("_cnpg_c_9", 1), slot("mine", 1)];
    assert_eq!(
        on_primary(&policy(), "c-1", &names(&["c-1", "c-2", "c-3"]), &have),
        [SlotStep::Drop("_cnpg_c_9".into()), SlotStep::Create("_cnpg_c_3".into())]
    );
}

#[test]
fn a_slot_in_use_is_never_dropped() {
    let active = SlotFact { active: true, ..slot("_cnpg_c_9", 1) };
    assert_eq!(on_primary(&policy(), "c-1", &names(&["c-1"]), std::slice::from_ref(&active)), []);
    assert_eq!(on_standby(&policy(), "c-1", &[], &[active], |_| false), []);
}

#[test]
fn a_lost_slot_is_made_anew() {
    let lost = SlotFact { lost: true, ..slot("_cnpg_c_2", 1) };
    assert_eq!(
        on_primary(&policy(), "c-1", &names(&["c-1", "c-2"]), &[lost]),
        [SlotStep::Drop("_cnpg_c_2".into()), SlotStep::Create("_cnpg_c_2".into())]
    );
}

#[test]
fn a_standby_follows_the_primarys_slots_but_for_its_own() {
    let primary = [slot("_cnpg_c_2", 90), slot("_cnpg_c_3", 50), slot("users", 70), slot("skip_me", 10)];
    let have = [slot("_cnpg_c_3", 40), slot("_cnpg_c_7", 5), slot("old_users", 5)];
    assert_eq!(
        on_standby(&policy(), "c-2", &primary, &have, |name| name.starts_with("skip")),
        [
            SlotStep::Drop("_cnpg_c_7".into()),
            SlotStep::Drop("old_users".into()),
            SlotStep::Advance("_cnpg_c_3".into(), Lsn(50)),
            SlotStep::Create("users".into()),
            SlotStep::Advance("users".into(), Lsn(70)),
        ]
    );
}

#[test]
fn a_slot_is_not_moved_back() {
    assert_eq!(on_standby(&policy(), "c-2", &[slot("users", 10)], &[slot("users", 20)], |_| false), []);
}

#[test]
fn without_the_users_slots_theirs_are_left_alone() {
    let policy = Policy { copy_users: false, ..policy() };
    assert_eq!(on_standby(&policy, "c-2", &[slot("a", 10)], &[slot("b", 20)], |_| false), []);
}

#[test]
fn disabled_slots_are_removed_on_both_sides() {
    let policy = Policy { enabled: false, ..policy() };
    let have = [slot("_cnpg_c_2", 1)];
    assert_eq!(on_primary(&policy, "c-1", &names(&["c-1", "c-2"]), &have), [SlotStep::Drop("_cnpg_c_2".into())]);
    assert_eq!(on_standby(&policy, "c-3", &have, &have, |_| false), [SlotStep::Drop("_cnpg_c_2".into())]);
}

#[test]
fn a_quarter_of_the_volume_is_kept_for_slots() {
    assert_eq!(cap_megabytes(100 << 30), 25 * 1024);
    assert_eq!(cap_megabytes(1 << 20), 64);
}
