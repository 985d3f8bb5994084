//! What the instances use, out of what is made and what the user brings: a pure function of that, of what they use now,
//! and of the time.
//!
//! What cannot be used is not, and what was used before is used on. A new authority is believed at once, together with
//! the old one; a certificate of the new one is shown only when everybody has heard of it; the old authority is forgotten
//! once nothing in use is of it, and no sooner than in an hour.

use jiff::Timestamp;
use pgherd_pki::{
    ClientIdentity, Unfit, Validity, fits_client, fits_server, is_signed_by, renewal_due, split_certificates,
};
use pgherd_proto::names::REPLICATION_USER;
use pgherd_proto::secrets::{
    CA_CRT, CLIENT_CA, REPLICATION_CRT, REPLICATION_KEY, SERVER_CA, SERVER_CRT, SERVER_KEY, TLS_CRT, TLS_KEY,
    TRUST_CHANGED,
};
use pgherd_telemetry::chain;
use std::collections::BTreeMap;

/// In seconds: every manager has read what was published by then. They look every 30.
const SETTLED: i64 = 90;
/// In seconds: how long an authority that another has followed is believed.
const OVERLAP: i64 = 3600;

/// A certificate and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// `tls.crt`.
    pub certificate: String,
    /// `tls.key`: a secret.
    pub key: String,
}

/// Whether a certificate can be used with these authorities.
type Fits<'a> = &'a dyn Fn(&Pair, &str) -> Result<(), Unfit>;

/// What there is; or why there is not, for people.
pub struct Given {
    /// `ca.crt` of the cluster's own authority.
    pub own_authority: Result<String, String>,
    /// `ca.crt` of `serverCASecret`.
    pub server_authority: Result<String, String>,
    /// `ca.crt` of `clientCASecret`.
    pub client_authority: Result<String, String>,
    /// `serverTLSSecret`.
    pub server: Result<Pair, String>,
    /// `replicationTLSSecret`.
    pub replication: Result<Pair, String>,
}

/// What the Secret is to hold.
pub struct Composed {
    /// By key. The managers' own certificate is in it unless it is to be signed.
    pub values: BTreeMap<String, String>,
    /// The managers' own certificate is to be signed by the cluster's own authority.
    pub sign: bool,
    /// What was given and cannot be used.
    pub unusable: Vec<String>,
}

/// `before` is what the Secret holds.
///
/// # Errors
/// What is lacking, where there is nothing from before in its place.
pub fn compose(given: &Given, before: &BTreeMap<String, String>, now: Timestamp) -> Result<Composed, Vec<String>> {
    let mut unusable = Vec::new();
    let mut trust = |key: &str, given: &Result<String, String>| {
        let known = before.get(key).and_then(|pem| split_certificates(pem).ok()).unwrap_or_default();
        let fresh = given.as_ref().map_err(Clone::clone).and_then(|pem| good(pem, now));
        let fresh = fresh.unwrap_or_else(|why| {
            unusable.push(why);
            known.clone()
        });
        Trust { fresh, known }
    };
    let own = trust(CA_CRT, &given.own_authority);
    let server = trust(SERVER_CA, &given.server_authority);
    let client = trust(CLIENT_CA, &given.client_authority);
    if [&own, &server, &client].iter().any(|trust| trust.fresh.is_empty()) {
        return Err(unusable);
    }
    let news = [&own, &server, &client].iter().any(|trust| trust.has_news());
    let changed = before.get(TRUST_CHANGED).and_then(|text| text.parse::<Timestamp>().ok());
    let changed = if news { Some(now) } else { changed };
    let age = changed.map_or(i64::MAX, |at| now.as_second().saturating_sub(at.as_second()));
    let settled = age >= SETTLED;

    let mut values = BTreeMap::new();
    values.extend(changed.map(|at| (TRUST_CHANGED.to_owned(), at.to_string())));
    let as_server = |pair: &Pair, trusted: &str| fits_server(identity(pair), trusted, now);
    let as_replica = |pair: &Pair, trusted: &str| fits_client(identity(pair), REPLICATION_USER, trusted, now);
    let leaves = [
        (&server, &given.server, [SERVER_CA, SERVER_CRT, SERVER_KEY], &as_server as Fits<'_>),
        (&client, &given.replication, [CLIENT_CA, REPLICATION_CRT, REPLICATION_KEY], &as_replica),
    ];
    for (trust, given, [trust_key, crt, key], fits) in leaves {
        let all = trust.all(now);
        let present = pair(before, crt, key);
        let wanted = given.clone().and_then(|pair| match fits(&pair, &all) {
            Ok(()) => Ok(pair),
            Err(why) => Err(format!("{crt} that was given cannot be used: {}", chain(&why))),
        });
        let used = match (wanted, present) {
            (Ok(wanted), Some(present)) if wanted != present && !settled && fits(&present, &all).is_ok() => present,
            (Ok(wanted), _) => wanted,
            (Err(why), present) => {
                unusable.push(why);
                match present {
                    Some(present) => present,
                    None => return Err(unusable),
                }
            }
        };
        let keeps_old = age < OVERLAP || fits(&used, &trust.fresh.concat()).is_err();
        values.insert(trust_key.to_owned(), if keeps_old { all } else { trust.fresh.concat() });
        values.extend([(crt.to_owned(), used.certificate), (key.to_owned(), used.key)]);
    }

    // The managers' own.
    let (all, fresh) = (own.all(now), own.fresh.concat());
    let present = pair(before, TLS_CRT, TLS_KEY).filter(|present| as_server(present, &all).is_ok());
    let fit = present.filter(|present| {
        let ends = Validity::of_pem(&present.certificate).map(|validity| validity.not_after);
        let lasts = ends.is_ok_and(|ends| !renewal_due(ends, now));
        let signed =
            own.fresh.first().is_some_and(|signer| is_signed_by(&present.certificate, signer).unwrap_or(false));
        lasts && (signed || !settled)
    });
    let keeps_old = age < OVERLAP || fit.as_ref().is_some_and(|fit| as_server(fit, &fresh).is_err());
    values.insert(CA_CRT.to_owned(), if keeps_old { all } else { fresh });
    let sign = fit.is_none();
    values
        .extend(fit.into_iter().flat_map(|fit| [(TLS_CRT.to_owned(), fit.certificate), (TLS_KEY.to_owned(), fit.key)]));
    Ok(Composed { values, sign, unusable })
}

/// Authorities: those that are given, and those that are believed now.
struct Trust {
    fresh: Vec<String>,
    known: Vec<String>,
}

impl Trust {
    /// Somebody is to be believed who was not before.
    fn has_news(&self) -> bool {
        !self.known.is_empty() && self.fresh.iter().any(|one| !self.known.contains(one))
    }

    /// All of them, as one text, but for those that have ended.
    fn all(&self, now: Timestamp) -> String {
        let old = self.known.iter().filter(|one| !self.fresh.contains(one) && !has_ended(one, now));
        self.fresh.iter().chain(old).map(String::as_str).collect()
    }
}

fn good(pem: &str, now: Timestamp) -> Result<Vec<String>, String> {
    let all = split_certificates(pem).map_err(|error| chain(&error))?;
    let good: Vec<String> = all.into_iter().filter(|one| !has_ended(one, now)).collect();
    if good.is_empty() { Err("the authority's certificate has ended".to_owned()) } else { Ok(good) }
}

fn has_ended(pem: &str, now: Timestamp) -> bool {
    Validity::of_pem(pem).is_ok_and(|validity| validity.not_after <= now)
}

fn pair(values: &BTreeMap<String, String>, crt: &str, key: &str) -> Option<Pair> {
    Some(Pair { certificate: values.get(crt)?.clone(), key: values.get(key)?.clone() })
}

fn identity(pair: &Pair) -> ClientIdentity<'_> {
    ClientIdentity { certificate_pem: &pair.certificate, key_pem: &pair.key }
}

#[cfg(test)]
#[path = "compose_tests.rs"]
mod tests;
