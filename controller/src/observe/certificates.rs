//! When the cluster's certificates end, and whether the present authority has signed them.

use crate::memory::Remembered;
use crate::tls::{CertificateNames, Sources, compose, own, text};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use pgherd_core::cluster::{CertificateFact, SecretKind};
use pgherd_core::time::Instant;
use pgherd_pki::{Validity, first_certificate, is_for_names, is_signed_by};
use pgherd_proto::names;
use pgherd_proto::secrets::{CA_CRT, CA_KEY, NEXT_CRT, TLS_CRT};
use std::collections::BTreeMap;
use std::sync::Arc;

/// New certificates are valid from an hour before they were made.
const BACKDATED: i64 = 3600;

/// What there is to know of a cluster's certificates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub facts: Vec<CertificateFact>,
    pub expirations: BTreeMap<String, i64>,
    pub unusable: Vec<String>,
}

/// What can be read of them, where they are and what the user brings.
pub(super) async fn look(
    client: &kube::Client,
    caches: &crate::caches::Caches,
    wanted: &CertificateNames,
    (namespace, cluster): (&str, &str),
    memory: &mut Remembered,
    now: Instant,
) -> Seen {
    let stored = caches.secret(namespace, &names::secret_instances(cluster));
    let own = own(cluster).map(|name| caches.secret(namespace, &name));
    let version = |secret: &Option<Arc<Secret>>| secret.as_ref()?.metadata.resource_version.clone();
    let key = (wanted.clone(), own.iter().chain([&stored]).map(version).collect());
    // The user's have no version that we would hear of.
    let known = wanted.brought.is_empty().then(|| memory.certificates(&key, now)).flatten();
    if let Some(known) = known {
        return known;
    }
    let sources = match memory.brought(&wanted.brought, now) {
        Some(known) => known,
        None => {
            let read = Sources::brought(client, namespace, &wanted.brought).await;
            memory.remember_brought(&wanted.brought, read.clone(), now);
            read
        }
    };
    let sources = sources.with_watched(caches, namespace, cluster);
    let seen = certificates(&sources, wanted, cluster, stored.as_deref(), Timestamp::now());
    memory.remember_certificates(key, seen.clone(), now);
    seen
}

fn certificates(
    sources: &Sources,
    wanted: &CertificateNames,
    cluster: &str,
    stored: Option<&Secret>,
    now: Timestamp,
) -> Seen {
    let Some(ca) = sources.get(&names::secret_ca(cluster)) else { return Seen::default() };
    let mut seen = Seen { expirations: sources.expirations(wanted), ..Seen::default() };
    seen.facts.extend(authority(ca));
    for kind in [SecretKind::Server, SecretKind::Replication] {
        let name = wanted.authority_of(kind);
        if wanted.brought_kinds.contains(&kind) {
            continue;
        }
        // One that cannot sign is said by what the instances lack, once they do.
        let signs = sources.value(name, CA_KEY);
        let known = sources.get(wanted.leaf(kind)).zip(sources.get(name));
        match (known.and_then(|(own, ca)| leaf(kind, own, ca, wanted)), signs) {
            (Some(fact), Err(why)) if !fact.current => seen.unusable.push(why),
            (fact, _) => seen.facts.extend(fact),
        }
    }
    let Some(stored) = stored else { return seen };
    let before = values(stored);
    match compose(&sources.given(cluster, wanted), &before, now) {
        Ok(composed) => {
            let current = !composed.sign && composed.values == before;
            let kind = SecretKind::Instances;
            seen.facts.push(CertificateFact { kind, expires: i64::MAX, current, next_since: None });
            seen.unusable.extend(composed.unusable);
        }
        Err(why) => seen.unusable.extend(why),
    }
    seen.unusable.sort();
    seen.unusable.dedup();
    seen
}

/// The texts of a Secret.
pub(crate) fn values(secret: &Secret) -> BTreeMap<String, String> {
    let keys = secret.data.iter().flatten().map(|(key, _)| key);
    keys.filter_map(|key| Some((key.clone(), text(secret, key)?))).collect()
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

fn leaf(kind: SecretKind, secret: &Secret, ca: &Secret, wanted: &CertificateNames) -> Option<CertificateFact> {
    let (own, believed) = (text(secret, TLS_CRT)?, text(ca, CA_CRT)?);
    let signed = is_signed_by(&own, &first_certificate(&believed).ok()?).ok()?;
    let named = kind != SecretKind::Server || is_for_names(&own, &wanted.alternatives).ok()?;
    let current = signed && named && text(secret, CA_CRT).as_ref() == Some(&believed);
    Some(CertificateFact { kind, expires: end(&own)?.as_second(), current, next_since: None })
}

fn end(pem: &str) -> Option<Timestamp> {
    Validity::of_pem(pem).ok().map(|validity| validity.not_after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use pgherd_core::cluster::{Desired, Observed};
    use pgherd_core::plan::{Step, plan};
    use pgherd_core::time::Instant;
    use pgherd_pki::{Authority, Usage};
    use serde_json::json;

    const DAY: i64 = 86_400;

    fn secret(values: &[(&str, &str)]) -> Secret {
        let data = values.iter().map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec())));
        Secret { data: Some(data.collect()), ..Secret::default() }
    }

    fn wanted() -> CertificateNames {
        CertificateNames::of("c", "ns", &pgherd_proto::cluster::ClusterSpec::default())
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
        let sign = |by: &Authority, at| {
            by.sign("c-rw", &Usage::Server { names: wanted().alternatives }, at).unwrap().certificate_pem
        };
        let own = sign(&old, made);
        let ca = secret(&[(CA_CRT, old.certificate_pem())]);
        let server = secret(&[(TLS_CRT, &own), (CA_CRT, old.certificate_pem())]);
        let facts = |ca: &Secret, server: &Secret| {
            authority(ca).into_iter().chain(leaf(SecretKind::Server, server, ca, &wanted())).collect::<Vec<_>>()
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
    fn a_server_certificate_is_made_anew_when_a_service_comes_or_goes() {
        let made = Timestamp::now();
        let by = Authority::generate("c", made).unwrap();
        let asking = |service: Option<&str>| {
            let services: Vec<_> = service
                .map(|name| json!({ "selectorType": "rw", "serviceTemplate": { "metadata": { "name": name } } }))
                .into_iter()
                .collect();
            let spec = json!({ "managed": { "services": { "additional": services } },
                "certificates": { "serverAltDNSNames": ["fd00:0::1"] } });
            CertificateNames::of("c", "ns", &serde_json::from_value(spec).unwrap())
        };
        let current = |had: &CertificateNames, wanted: &CertificateNames| {
            let usage = Usage::Server { names: had.alternatives.clone() };
            let own = by.sign("c-rw", &usage, made).unwrap().certificate_pem;
            let server = secret(&[(TLS_CRT, &own), (CA_CRT, by.certificate_pem())]);
            let ca = secret(&[(CA_CRT, by.certificate_pem())]);
            leaf(SecretKind::Server, &server, &ca, wanted).unwrap().current
        };
        let (none, one, other) = (asking(None), asking(Some("outside")), asking(Some("other")));
        assert!(current(&none, &none) && current(&one, &one));
        assert!(!current(&none, &one) && !current(&one, &none) && !current(&one, &other));
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        assert_eq!(authority(&secret(&[(CA_CRT, "damaged")])), None);
        assert_eq!(leaf(SecretKind::Server, &secret(&[]), &secret(&[]), &wanted()), None);
    }
}
