//! Rules Q1-Q6 and L7 as tables.

use super::*;
use crate::identity::PodUid;
use crate::lease::{ElectableRecord, Term};
use crate::lsn::Lsn;
use std::collections::BTreeSet;

fn setting(needed: u32, names: &[&str]) -> SyncSetting {
    let member = |name: &&str| SyncMember { name: (*name).to_owned(), incarnation: (*name).into() };
    SyncSetting { needed, members: names.iter().map(member).collect(), ..SyncSetting::default() }
}

fn record(needed: u32, voters: &[&str]) -> ElectableRecord {
    let voters = voters.iter().map(|voter| (*voter).into()).collect();
    ElectableRecord { term: Term(4), writer: "p".into(), voters, needed }
}

fn stored(records: Vec<ElectableRecord>) -> Stored {
    Stored { own: records.last().cloned(), confirmed: records, unresolved: Vec::new() }
}

fn goal(setting: SyncSetting) -> Goal {
    Goal { setting: Some(setting), barrier: false, term: Term(4), writer: "p".into() }
}

fn required(number: u32) -> SyncSpec {
    SyncSpec {
        method: Method::Any,
        number,
        legacy_minimum: None,
        max_from_cluster: None,
        pre: Vec::new(),
        post: Vec::new(),
        durability: Durability::Required,
        failover_quorum: true,
    }
}

fn fit(names: &[&str]) -> Vec<Fitness> {
    setting(1, names).members.into_iter().map(|member| Fitness { member, apart: false }).collect()
}

#[test]
fn q1_a_setting_is_safe_when_enough_acknowledgements_must_come_from_the_voters() {
    assert!(safe(&setting(1, &["s"]), &record(1, &["s", "t"])));
    assert!(!safe(&setting(1, &["s", "t"]), &record(1, &["s"])), "t alone could acknowledge");
    assert!(safe(&setting(2, &["s", "t"]), &record(1, &["s"])));
    assert!(safe(&SyncSetting::default(), &record(0, &[])));
    assert!(!safe(&SyncSetting::default(), &record(1, &["s"])));
}

#[test]
fn what_a_name_outside_the_cluster_acknowledges_counts_for_nothing() {
    let outside = SyncSetting { pre: vec!["dr".to_owned()], ..setting(1, &["s"]) };
    assert_eq!(outside.needed_of_members(), 0);
    assert!(!safe(&outside, &record(1, &["s"])));
    assert!(safe(&SyncSetting { needed: 2, ..outside }, &record(1, &["s"])));
}

#[test]
fn i4_a_looser_setting_is_published_first_and_set_when_that_is_confirmed() {
    let mut progress = Progress::started(setting(1, &["s"]));
    let both = setting(1, &["s", "t"]);
    let before = stored(vec![record(1, &["s"])]);
    let looser = vec![record(1, &["s", "t"])];
    assert_eq!(next_move(&progress, &goal(both.clone()), &before), Move::Publish(looser.clone()));
    assert_eq!(next_move(&progress, &goal(both.clone()), &stored(looser.clone())), Move::Set(both.clone()));
    progress.setting(both.clone());
    progress.set(Lsn(9));
    assert_eq!(next_move(&progress, &goal(both), &stored(looser)), Move::Rest);
}

#[test]
fn i4_a_tighter_setting_is_set_proven_and_acknowledged_before_it_is_published() {
    let mut progress = Progress::started(setting(1, &["s", "t"]));
    let tighter = setting(1, &["t"]);
    let before = stored(vec![record(1, &["s", "t"])]);
    assert_eq!(next_move(&progress, &goal(tighter.clone()), &before), Move::Set(tighter.clone()));
    progress.setting(tighter.clone());
    assert_eq!(progress.in_force().len(), 2, "until it is proven, some walsender may go by the old one (hole 2)");
    progress.set(Lsn(9));
    let wait = Move::AwaitBarrier(tighter.clone(), Lsn(9));
    assert_eq!(next_move(&progress, &goal(tighter.clone()), &before), wait, "hole 1");
    progress.acknowledged();
    assert_eq!(next_move(&progress, &goal(tighter), &before), Move::Publish(vec![record(1, &["t"])]));
}

#[test]
fn a_set_is_replaced_by_way_of_one_that_names_both() {
    let progress = Progress::started(setting(1, &["s"]));
    let before = stored(vec![record(1, &["s"])]);
    let joint = Move::Publish(vec![record(1, &["s", "t"])]);
    assert_eq!(next_move(&progress, &goal(setting(1, &["t"])), &before), joint);
}

#[test]
fn hole_4_a_record_that_was_sent_without_an_answer_binds_like_a_stored_one() {
    let progress = Progress::started(setting(1, &["t"]));
    let lost = Stored { unresolved: vec![record(1, &["t"])], ..stored(vec![record(1, &["s", "t"])]) };
    let back = next_move(&progress, &goal(setting(1, &["s"])), &lost);
    assert_eq!(back, Move::Rest, "the next renewal tells which of the two is stored");
}

#[test]
fn hole_7_older_entries_stay_until_a_barrier_and_go_with_the_publish_after_it() {
    let mut progress = Progress::started(setting(1, &["t"]));
    let old = ElectableRecord { term: Term(3), writer: "q".into(), ..record(1, &["p", "t"]) };
    let before = stored(vec![old.clone(), record(1, &["t"])]);
    assert_eq!(next_move(&progress, &goal(setting(1, &["t"])), &before), Move::Set(setting(1, &["t"])));
    progress.set(Lsn(5));
    assert!(matches!(next_move(&progress, &goal(setting(1, &["t"])), &before), Move::AwaitBarrier(..)));
    let more = Move::Publish(vec![old, record(1, &["s", "t"])]);
    assert_eq!(next_move(&progress, &goal(setting(1, &["s", "t"])), &before), more);
    progress.acknowledged();
    assert_eq!(next_move(&progress, &goal(setting(1, &["t"])), &before), Move::Publish(vec![record(1, &["t"])]));
}

#[test]
fn a_take_appends_its_entry_and_an_older_one_that_says_the_same_goes() {
    let own = |term| ElectableRecord { term: Term(term), ..record(1, &["s"]) };
    let other = ElectableRecord { writer: "q".into(), ..own(3) };
    assert_eq!(joined(&[other.clone(), own(4)], Some(own(5))), [other.clone(), own(5)]);
    assert_eq!(joined(std::slice::from_ref(&other), None), [other]);
}

#[test]
fn preferred_says_that_nobody_is_electable_before_it_lets_commits_through_alone() {
    let spec = SyncSpec { durability: Durability::Preferred, ..required(1) };
    let mut progress = Progress::started(setting(1, &["s"]));
    let alone = choose(&spec, &[], &progress.asked_for());
    assert_eq!(alone, SyncSetting::default());
    let before = stored(vec![record(1, &["s"])]);
    let nobody = vec![record(0, &[])];
    assert_eq!(next_move(&progress, &goal(alone.clone()), &before), Move::Publish(nobody.clone()));
    assert_eq!(next_move(&progress, &goal(alone.clone()), &stored(nobody.clone())), Move::Set(alone.clone()));
    progress.setting(alone.clone());
    progress.set(Lsn(7));
    assert_eq!(next_move(&progress, &goal(alone), &stored(nobody.clone())), Move::Rest);
    let back = setting(1, &["s"]);
    assert_eq!(next_move(&progress, &goal(back.clone()), &stored(nobody.clone())), Move::Set(back.clone()));
    progress.setting(back.clone());
    progress.set(Lsn(8));
    assert!(matches!(next_move(&progress, &goal(back), &stored(nobody)), Move::AwaitBarrier(..)));
}

#[test]
fn required_never_waits_for_fewer_and_keeps_whoever_may_have_what_nobody_else_has() {
    let present = setting(1, &["t"]);
    assert_eq!(choose(&required(1), &[], &present), present);
    assert_eq!(choose(&required(1), &[], &SyncSetting::default()), setting(1, &[]), "commits wait for somebody");
    assert_eq!(choose(&required(1), &fit(&["s"]), &present), setting(1, &["s"]));
    assert_eq!(choose(&required(2), &fit(&["s"]), &setting(2, &["s", "t"])), setting(2, &["s", "t"]));
}

#[test]
fn a_minimum_of_its_own_is_between_required_and_preferred() {
    let spec = SyncSpec { legacy_minimum: Some(1), ..required(2) };
    assert_eq!(choose(&spec, &fit(&["s", "t"]), &SyncSetting::default()).needed, 2);
    assert_eq!(choose(&spec, &fit(&["s"]), &setting(2, &["s", "t"])), setting(1, &["s"]));
    assert_eq!(choose(&spec, &[], &setting(1, &["s"])), setting(1, &["s"]));
}

#[test]
fn members_in_other_failure_domains_come_first_and_no_more_than_allowed() {
    let spec = SyncSpec { max_from_cluster: Some(1), ..required(1) };
    let mut members = fit(&["s", "t"]);
    members[1].apart = true;
    assert_eq!(choose(&spec, &members, &SyncSetting::default()), setting(1, &["t"]));
}

#[test]
fn members_that_share_the_primarys_failure_domain_are_named_only_while_too_few_others_are_there() {
    let mut members = fit(&["s", "t", "u"]);
    members[1].apart = true;
    assert_eq!(choose(&required(1), &members, &SyncSetting::default()), setting(1, &["t"]));
    assert_eq!(choose(&required(2), &members, &SyncSetting::default()), setting(2, &["t", "s", "u"]));
    members[2].apart = true;
    assert_eq!(choose(&required(2), &members, &SyncSetting::default()), setting(2, &["t", "u"]));
    assert_eq!(choose(&required(0), &members, &SyncSetting::default()).members.len(), 3, "nobody is waited for");
}

#[test]
fn asynchronous_replication_takes_the_promise_back_before_it_breaks_it() {
    let progress = Progress::started(setting(1, &["s"]));
    let none = Goal { setting: None, ..goal(SyncSetting::default()) };
    assert_eq!(next_move(&progress, &none, &stored(vec![record(1, &["s"])])), Move::Publish(Vec::new()));
    assert_eq!(next_move(&progress, &none, &Stored::default()), Move::Set(SyncSetting::default()));
    assert_eq!(next_move(&Progress::default(), &none, &Stored::default()), Move::Rest);
}

#[test]
fn hole_11_after_a_recovery_in_place_a_barrier_is_due_though_the_records_are_right() {
    let mut progress = Progress::started(setting(1, &["s"]));
    let right = stored(vec![record(1, &["s"])]);
    let due = Goal { barrier: true, ..goal(setting(1, &["s"])) };
    assert_eq!(next_move(&progress, &due, &right), Move::Set(setting(1, &["s"])));
    progress.set(Lsn(3));
    assert_eq!(next_move(&progress, &due, &right), Move::AwaitBarrier(setting(1, &["s"]), Lsn(3)));
    progress.acknowledged();
    assert_eq!(next_move(&progress, &due, &right), Move::Rest);
}

fn pledges(names: &[&str]) -> Vec<Pledge> {
    names.iter().map(|name| Pledge { pod_uid: (*name).into(), incarnation: Some((*name).into()) }).collect()
}

#[test]
fn without_a_quorum_every_taker_must_pledge() {
    let takers: BTreeSet<PodUid> = ["s".into(), "t".into()].into();
    assert!(enough_pledges(&takers, &[None], &pledges(&["s", "t"])));
    assert!(!enough_pledges(&takers, &[None], &pledges(&["s"])));
    assert!(enough_pledges(&BTreeSet::new(), &[None], &[]), "only the heir of the volume could follow");
}

#[test]
fn with_a_quorum_as_many_voters_as_acknowledge_are_enough() {
    let takers: BTreeSet<PodUid> = ["s".into(), "t".into()].into();
    let own = [Some(record(1, &["s", "t"]))];
    assert!(enough_pledges(&takers, &own, &pledges(&["s"])), "t alone satisfies no election");
    assert!(!enough_pledges(&takers, &[Some(record(2, &["s", "t"]))], &pledges(&["s"])), "either alone would");
    assert!(!enough_pledges(&takers, &[own[0].clone(), Some(record(1, &["t"]))], &pledges(&["s"])), "hole 4");
    assert!(!enough_pledges(&takers, &[own[0].clone(), None], &pledges(&["s"])));
}

#[test]
fn a_member_pledges_unless_it_writes_takes_is_fenced_or_knows_better() {
    let free = Pledger { writes: false, takes: false, fence: Term(3), lease: Some((Term(4), Some("n".into()))) };
    let ask = |pledger: Pledger| may_pledge(&pledger, &"n".into(), Term(4));
    assert_eq!(ask(free.clone()), Ok(()));
    assert_eq!(ask(Pledger { writes: true, ..free.clone() }), Err(PledgeRefusal::Writes));
    assert_eq!(ask(Pledger { takes: true, ..free.clone() }), Err(PledgeRefusal::Takes));
    assert_eq!(ask(Pledger { fence: Term(4), ..free.clone() }), Err(PledgeRefusal::Fenced(Term(4))));
    assert_eq!(ask(Pledger { lease: Some((Term(4), None)), ..free }), Err(PledgeRefusal::MovedOn(Term(4))));
    assert_eq!(ask(Pledger { lease: Some((Term(5), None)), ..free }), Err(PledgeRefusal::MovedOn(Term(5))));
    assert_eq!(ask(Pledger { lease: Some((Term(3), None)), ..free }), Ok(()), "its watch lags");
}
