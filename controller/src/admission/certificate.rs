//! The webhook's certificate and its authority: in one Secret, made and renewed by whichever controller comes first, and
//! the authority in the ValidatingWebhookConfiguration, for the API server.

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use pgherd_pki::{Authority, PkiError, Usage, Validity, first_certificate, is_signed_by, renewal_due};
use pgherd_proto::secrets::{CA_CRT, CA_KEY, TLS, TLS_CRT, TLS_KEY};
use std::collections::BTreeMap;

/// What the webhook is served with. Its key is a secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Keys {
    /// `tls.crt`.
    pub certificate: String,
    /// `tls.key`.
    pub key: String,
    /// `ca.crt`: the authority, and after it the one before.
    pub authority: String,
}

/// Where the Secret is, and whose it is.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub namespace: &'a str,
    pub service: &'a str,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateError {
    #[error("failed to {what}")]
    Api {
        what: &'static str,
        #[source]
        source: kube::Error,
    },
    #[error("failed to make the webhook's certificate")]
    Make(#[from] PkiError),
}

fn failed(what: &'static str) -> impl FnOnce(kube::Error) -> CertificateError {
    move |source| CertificateError::Api { what, source }
}

/// The certificate as it is stored, once it is good for a while. Of two controllers one is first, and the other reads.
pub(super) async fn keep(client: &Client, place: Place<'_>) -> Result<Keys, CertificateError> {
    let secrets = Api::<Secret>::namespaced(client.clone(), place.namespace);
    let params = PostParams::default();
    let stored = secrets.get_opt(place.service).await.map_err(failed("read the webhook's secret"))?;
    let values = stored.as_ref().map(texts).unwrap_or_default();
    let Some(renewed) = renewed(&values, place, Timestamp::now())? else { return Ok(keys(values)) };
    let mut secret = stored.clone().unwrap_or_else(|| Secret {
        metadata: ObjectMeta { name: Some(place.service.to_owned()), ..ObjectMeta::default() },
        type_: Some(TLS.to_owned()),
        ..Secret::default()
    });
    let data = renewed.iter().map(|(key, value)| (key.clone(), ByteString(value.clone().into_bytes())));
    secret.data = Some(data.collect());
    match stored {
        None => secrets.create(&params, &secret).await.map_err(failed("create the webhook's secret"))?,
        // With the version that was read in it.
        Some(_) => {
            secrets.replace(place.service, &params, &secret).await.map_err(failed("renew the webhook's secret"))?
        }
    };
    tracing::info!(secret = place.service, namespace = place.namespace, "made the webhook's certificate");
    Ok(keys(renewed))
}

fn texts(secret: &Secret) -> BTreeMap<String, String> {
    let text = |value: &ByteString| String::from_utf8(value.0.clone()).ok();
    let data = secret.data.iter().flatten();
    data.filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect()
}

fn keys(mut values: BTreeMap<String, String>) -> Keys {
    let mut take = |key: &str| values.remove(key).unwrap_or_default();
    Keys { certificate: take(TLS_CRT), key: take(TLS_KEY), authority: take(CA_CRT) }
}

/// What the secret is to hold instead of `stored`, where that does not do any more. A new authority is believed together
/// with the old one, since the other controllers serve with a certificate of the old one for another minute.
fn renewed(
    stored: &BTreeMap<String, String>,
    place: Place<'_>,
    now: Timestamp,
) -> Result<Option<BTreeMap<String, String>>, PkiError> {
    let text = |key: &str| stored.get(key).map(String::as_str).unwrap_or_default();
    let Place { namespace, service } = place;
    let old = Authority::from_pem(text(CA_CRT), text(CA_KEY)).ok();
    let lasts = |pem: &str| Validity::of_pem(pem).is_ok_and(|validity| !renewal_due(validity.not_after, now));
    let authority = match old {
        Some(authority) if lasts(text(CA_CRT)) => {
            let good = lasts(text(TLS_CRT))
                && is_signed_by(text(TLS_CRT), text(CA_CRT)).is_ok_and(|signed| signed)
                && !text(TLS_KEY).is_empty();
            if good {
                return Ok(None);
            }
            authority
        }
        _ => Authority::generate(service, now)?,
    };
    let mut bundle = authority.certificate_pem().to_owned();
    if authority.certificate_pem() != text(CA_CRT)
        && let Ok(before) = first_certificate(text(CA_CRT))
    {
        bundle = format!("{}\n{before}", bundle.trim_end());
    }
    let names = ["", ".svc", ".svc.cluster.local"].map(|domain| format!("{service}.{namespace}{domain}"));
    let leaf = authority.sign(service, &Usage::Server { names: names.to_vec() }, now)?;
    let values =
        [(CA_CRT, bundle), (CA_KEY, authority.key_pem()), (TLS_CRT, leaf.certificate_pem), (TLS_KEY, leaf.key_pem)];
    Ok(Some(values.map(|(key, value)| (key.to_owned(), value)).into()))
}

/// Lets the API server believe who is signed by `authority`.
pub(super) async fn publish(client: &Client, name: &str, authority: &str) -> Result<(), CertificateError> {
    let all = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    let mut stored = all.get(name).await.map_err(failed("read the webhook's configuration"))?;
    let wanted = Some(ByteString(authority.as_bytes().to_vec()));
    let mut differs = false;
    for webhook in stored.webhooks.iter_mut().flatten() {
        differs |= webhook.client_config.ca_bundle != wanted;
        webhook.client_config.ca_bundle.clone_from(&wanted);
    }
    if !differs {
        return Ok(());
    }
    match all.replace(name, &PostParams::default(), &stored).await {
        Ok(_) => {
            tracing::info!(name, "told the API server whom to believe as the webhook");
            Ok(())
        }
        Err(source) => Err(failed("write the webhook's configuration")(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const PLACE: Place<'_> = Place { namespace: "ns", service: "hook" };

    fn at(days: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + days * DAY).unwrap()
    }

    #[test]
    fn a_certificate_is_made_once_and_renewed_in_its_last_week_by_an_authority_that_follows_the_old_one() {
        let first = renewed(&BTreeMap::new(), PLACE, at(0)).unwrap().unwrap();
        assert_eq!(renewed(&first, PLACE, at(82)).unwrap(), None);
        let second = renewed(&first, PLACE, at(84)).unwrap().unwrap();
        assert!(second[CA_CRT].contains(first_certificate(&first[CA_CRT]).unwrap().trim_end()));
        assert!(is_signed_by(&second[TLS_CRT], &second[CA_CRT]).unwrap());
        assert_eq!(second[CA_CRT].matches("BEGIN").count(), 2, "the old one is believed for a while");
        assert_eq!(renewed(&second, PLACE, at(85)).unwrap(), None);
        let third = renewed(&second, PLACE, at(84 + 84)).unwrap().unwrap();
        assert_eq!(third[CA_CRT].matches("BEGIN").count(), 2, "and not for ever");
    }

    #[test]
    fn a_certificate_that_is_damaged_or_anothers_is_signed_anew_by_the_same_authority() {
        let good = renewed(&BTreeMap::new(), PLACE, at(0)).unwrap().unwrap();
        let other = renewed(&BTreeMap::new(), PLACE, at(0)).unwrap().unwrap();
        for (key, value) in [(TLS_CRT, "damaged"), (TLS_CRT, other[TLS_CRT].as_str()), (TLS_KEY, "")] {
            let mut broken = good.clone();
            broken.insert(key.to_owned(), value.to_owned());
            let mended = renewed(&broken, PLACE, at(1)).unwrap().unwrap();
            assert_eq!(mended[CA_CRT], good[CA_CRT], "{key}");
            assert!(is_signed_by(&mended[TLS_CRT], &good[CA_CRT]).unwrap());
        }
    }
}
