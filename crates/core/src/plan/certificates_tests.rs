//! Certificates near their end, and the two steps from one authority to the next.

use super::certificates::OVERLAP;
use super::tests::{NOW, golden, healthy};
use super::*;
use crate::cluster::{CertificateFact, SecretKind};

const DAY: i64 = 86_400;

fn fact(kind: SecretKind, days_left: i64, current: bool, next_since: Option<i64>) -> CertificateFact {
    CertificateFact { kind, expires: 1000 * DAY + days_left * DAY, current, next_since }
}

fn steps(facts: Vec<CertificateFact>) -> Vec<Step> {
    let (desired, mut observed) = healthy();
    observed.wall = 1000 * DAY;
    observed.certificates = facts;
    let plan = plan(&desired, &observed, NOW);
    assert_eq!(check(&observed, &plan), []);
    plan.steps
}

#[test]
fn a_leaf_is_renewed_in_its_last_week_and_when_its_signer_has_changed() {
    assert_eq!(steps(vec![fact(SecretKind::Server, 8, true, None)]), []);
    for due in [fact(SecretKind::Server, 7, true, None), fact(SecretKind::Server, -3, true, None)] {
        assert_eq!(steps(vec![due]), [Step::RenewSecret(SecretKind::Server)]);
    }
    let orphan = fact(SecretKind::Replication, 80, false, None);
    assert_eq!(steps(vec![orphan]), [Step::RenewSecret(SecretKind::Replication)]);
}

#[test]
fn the_next_authority_is_known_for_an_hour_before_it_signs() {
    let ca = |days, next| steps(vec![fact(SecretKind::Ca, days, true, next)]);
    assert_eq!(ca(8, None), []);
    assert_eq!(ca(7, None), [Step::PrepareAuthority]);
    assert_eq!(ca(7, Some(1000 * DAY - OVERLAP + 1)), []);
    assert_eq!(ca(7, Some(1000 * DAY - OVERLAP)), [Step::SwitchAuthority]);
    assert_eq!(ca(-1, Some(1000 * DAY)), [Step::SwitchAuthority], "nobody believes the old one any more");
}

#[test]
fn the_checker_lets_no_authority_sign_that_nobody_has_heard_of() {
    let (desired, mut observed) = healthy();
    observed.wall = 1000 * DAY;
    observed.certificates = vec![fact(SecretKind::Ca, 5, true, Some(1000 * DAY - 60))];
    let plan = Plan { steps: vec![Step::SwitchAuthority], ..plan(&desired, &observed, NOW) };
    assert_eq!(check(&observed, &plan), [Violation::AuthorityTooSoon]);
}

#[test]
fn certificates_near_their_end_are_renewed() {
    let (desired, mut observed) = healthy();
    observed.wall = 1000 * DAY;
    observed.certificates = vec![fact(SecretKind::Ca, 6, true, None), fact(SecretKind::Server, 6, true, None)];
    let plan = golden("certificates-end", (desired, observed));
    assert_eq!(plan.steps, [Step::PrepareAuthority, Step::RenewSecret(SecretKind::Server)]);
}
