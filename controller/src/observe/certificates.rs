//! When the cluster's certificates end, and whether the present authority has signed them.

use crate::caches::{Caches, Key};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use pgherd_core::cluster::{CertificateFact, SecretKind};
use pgherd_pki::{Validity, is_signed_by};
use pgherd_proto::secrets::{CA_CRT, NEXT_CRT, TLS_CRT};

/// New certificates are valid from an hour before they were made.
const BACKDATED: i64 = 3600;

/// What can be read of them. A secret that is the user's own, without an authority's key in it, is left alone.
#[must_use]
pub fn certificates(caches: &Caches, key: &Key) -> Vec<CertificateFact> {
    let secret = |kind: SecretKind| caches.secret(&key.namespace, &kind.name(&key.name));
    let Some(ca) = secret(SecretKind::Ca) else { return Vec::new() };
    let leaves = [SecretKind::Server, SecretKind::Replication];
    let leaves = leaves.into_iter().filter_map(|kind| leaf(kind, &*secret(kind)?, &ca));
    authority(&ca).into_iter().chain(leaves).collect()
}

fn authority(ca: &Secret) -> Option<CertificateFact> {
    let made = |pem: String| Some(Validity::of_pem(&pem).ok()?.not_before.as_second().saturating_add(BACKDATED));
    Some(CertificateFact {
        kind: SecretKind::Ca,
        expires: end(&text(ca, CA_CRT)?)?.as_second(),
        current: true,
        next_since: text(ca, NEXT_CRT).and_then(made),
    })
}

fn leaf(kind: SecretKind, secret: &Secret, ca: &Secret) -> Option<CertificateFact> {
    let (own, believed) = (text(secret, TLS_CRT)?, text(ca, CA_CRT)?);
    let current = is_signed_by(&own, &believed).ok()? && text(secret, CA_CRT).as_ref() == Some(&believed);
    Some(CertificateFact { kind, expires: end(&own)?.as_second(), current, next_since: None })
}

fn end(pem: &str) -> Option<Timestamp> {
    Validity::of_pem(pem).ok().map(|validity| validity.not_after)
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use pgherd_core::cluster::{Desired, Observed};
    use pgherd_core::plan::{Step, plan};
    use pgherd_core::time::Instant;
    use pgherd_pki::{Authority, Usage};

    const DAY: i64 = 86_400;

    fn secret(values: &[(&str, &str)]) -> Secret {
        let data = values.iter().map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec())));
        Secret { data: Some(data.collect()), ..Secret::default() }
    }

    fn after(made: Timestamp, days: i64) -> i64 {
        made.as_second() + days * DAY
    }

    /// What is planned for these certificates at that time.
    fn planned(wall: i64, certificates: Vec<CertificateFact>) -> Vec<Step> {
        let observed = Observed { wall, certificates, ..Observed::default() };
        let steps = plan(&Desired { name: "c".into(), ..Desired::default() }, &observed, Instant(0)).steps;
        let about = |step: &Step| matches!(step, Step::RenewSecret(_) | Step::PrepareAuthority | Step::SwitchAuthority);
        steps.into_iter().filter(about).collect()
    }

    #[test]
    fn real_certificates_are_renewed_in_their_last_week_and_follow_their_authority() {
        let made = Timestamp::now();
        let authority_of = |at| Authority::generate("c", at).unwrap();
        let old = authority_of(made);
        let sign = |by: &Authority, at| by.sign("c-rw", &Usage::Client, at).unwrap().certificate_pem;
        let own = sign(&old, made);
        let ca = secret(&[(CA_CRT, old.certificate_pem())]);
        let server = secret(&[(TLS_CRT, &own), (CA_CRT, old.certificate_pem())]);
        let facts = |ca: &Secret, server: &Secret| {
            authority(ca).into_iter().chain(leaf(SecretKind::Server, server, ca)).collect::<Vec<_>>()
        };
        assert_eq!(planned(after(made, 80), facts(&ca, &server)), []);
        let renew = Step::RenewSecret(SecretKind::Server);
        assert_eq!(planned(after(made, 84), facts(&ca, &server)), [Step::PrepareAuthority, renew.clone()]);

        // The next authority is published: leaves are given the bundle, signed by the old one still.
        let later = Timestamp::from_second(after(made, 84)).unwrap();
        let next = authority_of(later);
        let bundle = format!("{}\n{}", old.certificate_pem().trim_end(), next.certificate_pem());
        let ca = secret(&[(CA_CRT, &bundle), (NEXT_CRT, next.certificate_pem())]);
        assert_eq!(planned(after(made, 84), facts(&ca, &server)), std::slice::from_ref(&renew));
        let server = secret(&[(TLS_CRT, &sign(&old, later)), (CA_CRT, &bundle)]);
        assert_eq!(planned(after(made, 84) + 60, facts(&ca, &server)), []);
        assert_eq!(planned(after(made, 84) + 3600, facts(&ca, &server)), [Step::SwitchAuthority]);

        // It signs: leaves of the old one are signed anew, and then all is quiet.
        let bundle = format!("{}\n{}", next.certificate_pem().trim_end(), old.certificate_pem());
        let ca = secret(&[(CA_CRT, &bundle)]);
        assert_eq!(planned(after(made, 84) + 3700, facts(&ca, &server)), [renew]);
        let server = secret(&[(TLS_CRT, &sign(&next, later)), (CA_CRT, &bundle)]);
        assert_eq!(planned(after(made, 84) + 3700, facts(&ca, &server)), []);
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        assert_eq!(authority(&secret(&[(CA_CRT, "damaged")])), None);
        assert_eq!(leaf(SecretKind::Server, &secret(&[]), &secret(&[])), None);
    }
}
