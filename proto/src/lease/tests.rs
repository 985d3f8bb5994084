//! Both ways, and everything that must not be read as "free".

use super::*;
use crate::labels;
use core::time::Duration;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use pgherd_core::identity::{AttemptId, Incarnation, Nonce, PodUid};
use pgherd_core::lease::{ElectableRecord, Holder, HolderState, LeaseRecord, Term, WalPosition};
use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::{History, Lineage, TimelineId};
use proptest::prelude::*;

fn stored(version: &str) -> Lease {
    let mut lease = empty("db", "ns", None);
    lease.metadata.resource_version = Some(version.to_owned());
    lease
}

fn held() -> LeaseRecord {
    LeaseRecord {
        holder: Some(Holder {
            name: "db-1".into(),
            pod_uid: "u1".into(),
            nonce: "n1".into(),
            address: "10.213.0.5".into(),
        }),
        attempt: AttemptId("a1".into()),
        state: HolderState::Open,
        term: Term(3),
        timeline: TimelineId(2),
        timeline_term: Term(3),
        takers: vec!["u2".into(), "u3".into()],
        records: Vec::new(),
        tail: None,
        lineage: Some(Lineage::of(&History::parse(TimelineId(2), "1\t0/3000148\t\n").unwrap())),
        lease_duration: Duration::from_secs(8),
    }
}

fn put(record: &LeaseRecord) -> Lease {
    to_lease(&stored("7"), record, Timestamp::UNIX_EPOCH)
}

#[test]
fn an_empty_lease_is_held_by_nobody_in_term_zero() {
    let record = read(&stored("1")).unwrap();
    assert_eq!((record.version.as_str(), record.value), ("1", LeaseRecord::default()));
    assert_eq!(read_record(&Lease::default()).unwrap(), LeaseRecord::default());
}

#[test]
fn a_put_carries_the_version_it_was_decided_from_and_shows_people_who_holds() {
    let lease = put(&held());
    assert_eq!(lease.metadata.resource_version.as_deref(), Some("7"));
    let spec = lease.spec.clone().unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("db-1"));
    assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(8), Some(3)));
    assert_eq!(read_record(&lease).unwrap(), held());
}

#[test]
fn a_renewal_keeps_the_time_of_the_take_and_a_take_does_not() {
    let first = put(&held());
    let later = Timestamp::from_second(60).unwrap();
    let renewed = to_lease(&first, &held(), later).spec.unwrap();
    assert_eq!(renewed.acquire_time.unwrap().0, Timestamp::UNIX_EPOCH);
    assert_eq!(renewed.renew_time.unwrap().0, later);
    let taken = LeaseRecord { attempt: AttemptId("a2".into()), ..held() };
    assert_eq!(to_lease(&first, &taken, later).spec.unwrap().acquire_time.unwrap().0, later);
}

#[test]
fn a_released_lease_has_no_holder_identity_but_remembers_who_it_was() {
    let record = LeaseRecord { state: HolderState::Released, lease_duration: Duration::ZERO, ..held() };
    let mut lease = put(&record);
    assert_eq!(lease.spec.as_ref().unwrap().holder_identity, None);
    assert_eq!(read_record(&lease).unwrap(), record);
    lease.spec.as_mut().unwrap().lease_duration_seconds = Some(1);
    assert_eq!(read_record(&lease).unwrap(), record, "nobody's duration: it is said for other tools");
}

#[test]
fn the_holders_duration_is_rounded_up_and_one_that_nobody_wrote_is_none() {
    let record = LeaseRecord { lease_duration: Duration::from_millis(8_001), ..held() };
    assert_eq!(read_record(&put(&record)).unwrap().lease_duration, Duration::from_secs(9));
    for nothing in [None, Some(-1)] {
        let mut lease = put(&record);
        lease.spec.as_mut().unwrap().lease_duration_seconds = nothing;
        assert_eq!(read_record(&lease).unwrap().lease_duration, Duration::ZERO);
    }
}

#[test]
fn what_others_wrote_on_the_lease_stays() {
    let mut base = stored("7");
    base.metadata.annotations.as_mut().unwrap().insert("example.com/note".into(), "mine".into());
    base.metadata.finalizers = Some(vec!["example.com/keep".into()]);
    let lease = to_lease(&base, &held(), Timestamp::UNIX_EPOCH);
    assert_eq!(lease.metadata.annotations.unwrap()["example.com/note"], "mine");
    assert_eq!(lease.metadata.finalizers.unwrap(), ["example.com/keep", labels::LEASE_FINALIZER]);
}

#[test]
fn a_lease_that_somebody_else_holds_is_not_free() {
    let mut lease = Lease::default();
    lease.spec.get_or_insert_default().holder_identity = Some("db-1".into());
    assert!(matches!(read_record(&lease), Err(LeaseError::Foreign(holder)) if holder == "db-1"));
}

#[test]
fn clearing_the_holder_by_hand_does_not_free_it() {
    let mut lease = put(&held());
    lease.spec.as_mut().unwrap().holder_identity = None;
    assert!(matches!(read_record(&lease), Err(LeaseError::Contradiction { .. })));
    lease.spec.as_mut().unwrap().holder_identity = Some("db-2".into());
    assert!(matches!(read_record(&lease), Err(LeaseError::Contradiction { .. })));
}

#[test]
fn a_missing_or_broken_annotation_is_named_and_never_read_as_free() {
    for name in [
        labels::LEASE_STATE,
        labels::LEASE_TERM,
        labels::LEASE_TIMELINE,
        labels::LEASE_HOLDER,
        labels::LEASE_HOLDER_NONCE,
        labels::LEASE_HOLDER_POD_UID,
    ] {
        let mut lease = put(&held());
        lease.metadata.annotations.as_mut().unwrap().remove(name);
        assert!(read_record(&lease).is_err(), "{name} missing");
    }
    for name in [
        labels::LEASE_STATE,
        labels::LEASE_TERM,
        labels::LEASE_TIMELINE,
        labels::LEASE_TAKERS,
        labels::LEASE_RECORDS,
        labels::LEASE_TAIL,
        labels::LEASE_LINEAGE,
    ] {
        let mut lease = put(&held());
        lease.metadata.annotations.as_mut().unwrap().insert(name.to_owned(), "%".into());
        let error = read_record(&lease).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn a_lease_without_a_version_cannot_be_decided_from() {
    let mut lease = put(&held());
    lease.metadata.resource_version = None;
    assert!(matches!(read(&lease), Err(LeaseError::Unversioned)));
}

fn any_record() -> impl Strategy<Value = LeaseRecord> {
    let id = "[a-z0-9-]{1,12}";
    let holder = (id, id, id, "[0-9.]{0,15}").prop_map(|(name, uid, nonce, address)| Holder {
        name,
        pod_uid: PodUid(uid),
        nonce: Nonce(nonce),
        address,
    });
    let electable = (any::<u64>(), id, proptest::collection::vec(id, 0..4), any::<u32>()).prop_map(
        |(term, writer, voters, needed)| ElectableRecord {
            term: Term(term),
            writer: Incarnation(writer),
            voters: voters.into_iter().map(Incarnation).collect(),
            needed,
        },
    );
    let state = prop_oneof![
        Just(HolderState::Open),
        Just(HolderState::Recovering),
        Just(HolderState::Promoting),
        Just(HolderState::Released)
    ];
    let position = (any::<u32>(), any::<u64>())
        .prop_map(|(timeline, lsn)| WalPosition { timeline: TimelineId(timeline), lsn: Lsn(lsn) });
    let lineage = (any::<u32>(), proptest::collection::vec(position.clone(), 0..3))
        .prop_map(|(timeline, ancestors)| Lineage { timeline: TimelineId(timeline), ancestors });
    (
        proptest::option::of(holder),
        "[a-z0-9]{0,8}",
        state,
        any::<u64>(),
        any::<u32>(),
        proptest::collection::vec(id.prop_map(PodUid), 0..4),
        proptest::collection::vec(electable, 0..3),
        proptest::option::of(position),
        (proptest::option::of(lineage), 0_u64..100, any::<u64>()),
    )
        .prop_map(|(holder, attempt, state, term, timeline, takers, records, tail, (lineage, seconds, since))| {
            LeaseRecord {
                // A state other than released means that there is a holder, and somebody's duration.
                state: if holder.is_none() { HolderState::Released } else { state },
                lease_duration: Duration::from_secs(match state {
                    HolderState::Released => 0,
                    _ if holder.is_none() => 0,
                    _ => seconds,
                }),
                holder,
                attempt: AttemptId(attempt),
                term: Term(term),
                timeline: TimelineId(timeline),
                timeline_term: Term(since),
                takers,
                records,
                tail,
                lineage,
            }
        })
}

proptest! {
    #[test]
    fn every_record_survives_being_stored(record in any_record(), before in any_record()) {
        let base = put(&before);
        let lease = to_lease(&base, &record, Timestamp::UNIX_EPOCH);
        let sent = serde_json::to_string(&lease).unwrap();
        let back: Lease = serde_json::from_str(&sent).unwrap();
        prop_assert_eq!(read_record(&back).unwrap(), record);
    }
}
