//! What the instances use while authorities and certificates come, go, end and do not fit.

use super::*;
use pgherd_pki::{Authority, Usage};

const START: i64 = 1_800_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

fn authority(name: &str, seconds: i64) -> Authority {
    Authority::generate(name, at(seconds)).unwrap()
}

fn pem(authority: &Authority) -> Result<String, String> {
    Ok(authority.certificate_pem().to_owned())
}

fn server(by: &Authority, seconds: i64) -> Result<Pair, String> {
    let leaf = by.sign("c-rw", &Usage::Server { names: vec!["c-rw".into()] }, at(seconds)).unwrap();
    Ok(Pair { certificate: leaf.certificate_pem, key: leaf.key_pem })
}

fn replica(by: &Authority, seconds: i64) -> Result<Pair, String> {
    let leaf = by.sign(REPLICATION_USER, &Usage::Client, at(seconds)).unwrap();
    Ok(Pair { certificate: leaf.certificate_pem, key: leaf.key_pem })
}

fn given(own: &Authority, seconds: i64) -> Given {
    Given {
        own_authority: pem(own),
        server_authority: pem(own),
        client_authority: pem(own),
        server: server(own, seconds),
        replication: replica(own, seconds),
    }
}

/// What is stored afterwards, with the managers' certificate signed where that is due; and what was refused.
fn step(own: &Authority, given: &Given, before: &BTreeMap<String, String>, seconds: i64) -> Step {
    let Composed { mut values, sign, unusable } = compose(given, before, at(seconds)).unwrap();
    if sign {
        let leaf = server(own, seconds).unwrap();
        values.extend([(TLS_CRT.to_owned(), leaf.certificate), (TLS_KEY.to_owned(), leaf.key)]);
    }
    Step { values, sign, unusable }
}

struct Step {
    values: BTreeMap<String, String>,
    sign: bool,
    unusable: Vec<String>,
}

fn count(values: &BTreeMap<String, String>, key: &str) -> usize {
    values[key].matches("BEGIN").count()
}

#[test]
fn what_is_good_is_used_and_nothing_changes_after_that() {
    let own = authority("c", 0);
    let given = given(&own, 0);
    let first = step(&own, &given, &BTreeMap::new(), 0);
    assert!(first.sign && first.unusable.is_empty());
    let second = step(&own, &given, &first.values, 60);
    assert!(!second.sign && second.values == first.values);
}

#[test]
fn a_new_certificate_of_the_same_authority_is_used_at_once() {
    let own = authority("c", 0);
    let before = step(&own, &given(&own, 0), &BTreeMap::new(), 0);
    let renewed = given(&own, 100);
    let after = step(&own, &renewed, &before.values, 100);
    assert_eq!(after.values[SERVER_CRT], renewed.server.as_ref().unwrap().certificate);
    assert_eq!(after.values[REPLICATION_KEY], renewed.replication.as_ref().unwrap().key);
}

#[test]
fn a_swapped_authority_is_believed_first_shown_later_and_the_old_one_forgotten_last() {
    let (own, theirs) = (authority("c", 0), authority("t", 0));
    let before = step(&own, &given(&own, 0), &BTreeMap::new(), 0);
    let swapped = Given {
        server_authority: pem(&theirs),
        client_authority: pem(&theirs),
        server: server(&theirs, 0),
        replication: replica(&theirs, 0),
        ..given(&own, 0)
    };
    let theirs_shown = |step: &Step| step.values[SERVER_CRT] == swapped.server.as_ref().unwrap().certificate;
    let first = step(&own, &swapped, &before.values, 100);
    assert_eq!((count(&first.values, SERVER_CA), count(&first.values, CLIENT_CA), theirs_shown(&first)), (2, 2, false));
    assert_eq!(count(&first.values, CA_CRT), 1, "the managers go on with the cluster's own");
    let waits = step(&own, &swapped, &first.values, 150);
    assert!(!theirs_shown(&waits) && waits.values == first.values);
    let shown = step(&own, &swapped, &waits.values, 100 + SETTLED);
    assert_eq!((count(&shown.values, SERVER_CA), theirs_shown(&shown)), (2, true));
    let over = step(&own, &swapped, &shown.values, 100 + OVERLAP);
    assert_eq!((count(&over.values, SERVER_CA), count(&over.values, CLIENT_CA), theirs_shown(&over)), (1, 1, true));
    assert!([first, waits, shown, over].iter().all(|step| step.unusable.is_empty() && !step.sign));
}

#[test]
fn whichever_of_the_two_secrets_is_changed_first_nothing_breaks() {
    let (own, theirs) = (authority("c", 0), authority("t", 0));
    let before = step(&own, &given(&own, 0), &BTreeMap::new(), 0);
    let leaf_first = Given { server: server(&theirs, 0), ..given(&own, 0) };
    let refused = step(&own, &leaf_first, &before.values, 10);
    assert_eq!(refused.values[SERVER_CRT], before.values[SERVER_CRT]);
    assert!(refused.unusable[0].contains("server.crt") && refused.unusable[0].contains("no authority"));
    let authority_first = Given { server_authority: pem(&theirs), ..given(&own, 0) };
    let mut after = step(&own, &authority_first, &before.values, 10);
    for seconds in [20, 200, 2 * OVERLAP] {
        after = step(&own, &authority_first, &after.values, seconds);
        assert_eq!(count(&after.values, SERVER_CA), 2, "the old one is believed while its certificate is shown");
    }
}

#[test]
fn what_is_missing_unfit_or_over_is_named_and_the_old_one_is_used_on() {
    let own = authority("c", 0);
    let before = step(&own, &given(&own, 0), &BTreeMap::new(), 0);
    let missing = || Err::<Pair, String>("Secret x is absent".to_owned());
    let mut crossed = server(&own, 0).unwrap();
    crossed.key = replica(&own, 0).unwrap().key;
    for (server, says) in
        [(missing(), "Secret x is absent"), (Ok(crossed), "does not fit"), (server(&own, -91 * 86_400), "valid from")]
    {
        let after = step(&own, &Given { server, ..given(&own, 0) }, &before.values, 10);
        assert_eq!(after.values[SERVER_CRT], before.values[SERVER_CRT], "{says}");
        assert!(after.unusable.iter().any(|why| why.contains(says)), "{:?}", after.unusable);
        assert!(after.unusable.iter().all(|why| !why.contains("PRIVATE") && !why.contains("BEGIN")));
    }
    let named = Given { replication: server(&own, 0), ..given(&own, 0) };
    assert!(step(&own, &named, &before.values, 10).unusable[0].contains("streaming_replica"));
    let lost = Given { server_authority: Err("Secret y is absent".to_owned()), ..given(&own, 0) };
    let after = step(&own, &lost, &before.values, 10);
    assert_eq!(after.values[SERVER_CA], before.values[SERVER_CA]);
    assert!(compose(&Given { server: missing(), ..given(&own, 0) }, &BTreeMap::new(), at(0)).is_err());
}

#[test]
fn an_authority_that_has_ended_is_followed_by_one_that_has_not() {
    let own = authority("c", 0);
    let before = step(&own, &given(&own, 0), &BTreeMap::new(), 0);
    let later = 91 * 86_400;
    let next = authority("c", later);
    let after = step(&next, &given(&next, later), &before.values, later);
    assert!(after.sign && after.unusable.is_empty());
    assert_eq!((count(&after.values, SERVER_CA), count(&after.values, CA_CRT)), (1, 1));
    assert!(
        fits_server(
            identity(&pair(&after.values, SERVER_CRT, SERVER_KEY).unwrap()),
            &after.values[SERVER_CA],
            at(later)
        )
        .is_ok()
    );
}
