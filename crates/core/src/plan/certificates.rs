//! Certificates are renewed before they end (CNPG: 90 days of life, renewed in the last 7).
//!
//! An authority is followed by another in two steps, so that nobody is ever shown a certificate whose signer he has not
//! heard of: first the next one is published beside the present one, which goes on signing; once everybody has read it,
//! it signs, and the leaves are signed anew.

use super::Draft;
use super::step::{EventKind, Step};
use crate::cluster::{CertificateFact, Observed, SecretKind};

/// How long before its end a certificate is replaced, in seconds.
const RENEW_BEFORE: i64 = 7 * 86_400;
/// How long the next authority is known before it signs, in seconds. Managers look for changes every 30 s.
pub(super) const OVERLAP: i64 = 3600;

pub(super) fn plan(observed: &Observed, draft: &mut Draft) {
    for fact in &observed.certificates {
        let step =
            if fact.kind == SecretKind::Ca { of_authority(observed.wall, fact) } else { of_leaf(observed.wall, fact) };
        if let Some((step, what, why)) = step {
            draft.report.does(what, why);
            draft.steps.push(step);
        }
    }
    for why in &observed.unusable_certificates {
        draft.report.does_not("use a certificate", why);
        draft.tell(EventKind::Warning, "CertificateUnusable", why);
    }
}

/// For the status: what is wrong with what the user brings.
pub(super) fn complaint(observed: &Observed) -> Option<String> {
    (!observed.unusable_certificates.is_empty()).then(|| observed.unusable_certificates.join("; "))
}

fn of_authority(wall: i64, fact: &CertificateFact) -> Option<(Step, String, String)> {
    let ends = fact.expires.saturating_sub(wall);
    match fact.next_since {
        None if ends <= RENEW_BEFORE => {
            Some((Step::PrepareAuthority, "publish the next authority".to_owned(), left(ends)))
        }
        Some(since) if wall.saturating_sub(since) >= OVERLAP || ends <= 0 => {
            let why = "everybody has heard of it".to_owned();
            Some((Step::SwitchAuthority, "let the next authority sign".to_owned(), why))
        }
        _ => None,
    }
}

fn of_leaf(wall: i64, fact: &CertificateFact) -> Option<(Step, String, String)> {
    let ends = fact.expires.saturating_sub(wall);
    let changed = if fact.kind == SecretKind::Instances {
        "a certificate or an authority has changed"
    } else {
        "the authority or a name has changed"
    };
    let why = if ends <= RENEW_BEFORE { left(ends) } else { changed.to_owned() };
    let due = ends <= RENEW_BEFORE || !fact.current;
    due.then(|| (Step::RenewSecret(fact.kind), format!("renew the certificate in secret {}", fact.kind.name("")), why))
}

fn left(ends: i64) -> String {
    if ends <= 0 { "it has ended".to_owned() } else { format!("it ends in {} hours", ends / 3600) }
}
