//! The secrets of a cluster: its authority, what it signs, and the owner's password. Made once; create-only.

use super::{ApplyError, Target};
use crate::tls::{CertificateNames, Sources, compose, service_names as names_of_services};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use pgherd_core::cluster::SecretKind;
use pgherd_pki::{Authority, Usage};
use pgherd_proto::names;
use pgherd_proto::secrets::{BASIC_AUTH, CA_CRT, CA_KEY, Credentials, TLS, TLS_CRT, TLS_KEY};
use rand::TryRngCore;
use rand::rngs::OsRng;
use std::collections::BTreeMap;

const SUPERUSER: &str = "postgres";

pub(super) async fn create(target: &Target<'_>, kind: SecretKind) -> Result<(), ApplyError> {
    let name = kind.name(&target.desired.name);
    let broken = |reason: String| ApplyError::Secret { name: name.clone(), reason };
    let (type_, values) = match kind {
        SecretKind::Ca => (None, authority(target).map_err(broken)?),
        SecretKind::Server | SecretKind::Replication => {
            let authority = stored_authority(target, kind).await?;
            (Some(TLS), leaf(target, kind, &authority).map_err(broken)?)
        }
        SecretKind::Instances => (None, instances(target, &BTreeMap::new()).await?),
        SecretKind::App => {
            let (owner, database) = (&target.desired.owner, &target.desired.database);
            (Some(BASIC_AUTH), credentials(target, owner, database).map_err(broken)?)
        }
        // Of every database, as CNPG's.
        SecretKind::Superuser => (Some(BASIC_AUTH), credentials(target, SUPERUSER, "*").map_err(broken)?),
    };
    let secret = Secret {
        metadata: target.meta(name.clone()),
        type_: type_.map(str::to_owned),
        data: Some(values.into_iter().map(|(key, value)| (key, ByteString(value.into_bytes()))).collect()),
        ..Secret::default()
    };
    target.create(target.api::<Secret>(), &secret, &format!("secret {name}")).await
}

fn authority(target: &Target<'_>) -> Result<BTreeMap<String, String>, String> {
    let made = Authority::generate(&target.desired.name, Timestamp::now()).map_err(|error| error.to_string())?;
    let values = [(CA_CRT, made.certificate_pem().to_owned()), (CA_KEY, made.key_pem())];
    Ok(values.map(|(key, value)| (key.to_owned(), value)).into())
}

/// The authority that signs for this kind, as the API server has it: another controller's may have been first.
pub(super) async fn stored_authority(target: &Target<'_>, kind: SecretKind) -> Result<Authority, ApplyError> {
    let name = match kind {
        SecretKind::Server | SecretKind::Replication => wanted(target).authority_of(kind).to_owned(),
        _ => SecretKind::Ca.name(&target.desired.name),
    };
    let secret = match target.caches.secret(&target.desired.namespace, &name) {
        Some(secret) => (*secret).clone(),
        None => target.api::<Secret>().get(&name).await.map_err(super::failed(format!("read secret {name}")))?,
    };
    read_authority(&secret).map_err(|reason| ApplyError::Secret { name, reason })
}

pub(super) fn wanted(target: &Target<'_>) -> CertificateNames {
    CertificateNames::of(&target.desired.name, &target.desired.namespace, target.spec)
}

/// What the instances are to use after `before`; the managers' own certificate is signed where that is due.
pub(super) async fn instances(
    target: &Target<'_>,
    before: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, ApplyError> {
    let (cluster, namespace) = (&target.desired.name, &target.desired.namespace);
    let broken = |reason: String| ApplyError::Secret { name: SecretKind::Instances.name(cluster), reason };
    let (wanted, now) = (wanted(target), Timestamp::now());
    let sources = Sources::brought(target.client, namespace, &wanted.brought).await;
    let sources = sources.with_watched(target.caches, namespace, cluster);
    let sources = sources.with_stored(target.client, namespace, cluster).await;
    let composed = compose(&sources.given(cluster, &wanted), before, now).map_err(|why| broken(why.join("; ")))?;
    let mut values = composed.values;
    if composed.sign {
        let authority = stored_authority(target, SecretKind::Instances).await?;
        let usage = Usage::Server { names: names_of_services(cluster, namespace) };
        let leaf =
            authority.sign(names::MANAGER_COMMON_NAME, &usage, now).map_err(|error| broken(error.to_string()))?;
        values.extend([(TLS_CRT.to_owned(), leaf.certificate_pem), (TLS_KEY.to_owned(), leaf.key_pem)]);
    }
    Ok(values)
}

/// The authority in a cluster's `-ca` secret; the error says nothing of its contents.
pub fn read_authority(secret: &Secret) -> Result<Authority, String> {
    let text = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key)).ok_or(format!("key {key} is absent"))?;
        String::from_utf8(bytes.0.clone()).map_err(|_| format!("key {key} is no text"))
    };
    Authority::from_pem(&text(CA_CRT)?, &text(CA_KEY)?).map_err(|error| error.to_string())
}

pub(super) fn leaf(
    target: &Target<'_>,
    kind: SecretKind,
    authority: &Authority,
) -> Result<BTreeMap<String, String>, String> {
    let (common_name, usage) = if kind == SecretKind::Server {
        (names::service_rw(&target.desired.name), Usage::Server { names: wanted(target).alternatives })
    } else {
        (names::REPLICATION_USER.to_owned(), Usage::Client)
    };
    let leaf = authority.sign(&common_name, &usage, Timestamp::now()).map_err(|error| error.to_string())?;
    let values =
        [(TLS_CRT, leaf.certificate_pem), (TLS_KEY, leaf.key_pem), (CA_CRT, authority.certificate_pem().to_owned())];
    Ok(values.map(|(key, value)| (key.to_owned(), value)).into())
}

/// The credentials of a role: 48 bytes of the system's randomness, in characters that no URI has to escape.
fn credentials(target: &Target<'_>, user: &str, database: &str) -> Result<BTreeMap<String, String>, String> {
    let mut bytes = [0u8; 48];
    OsRng.try_fill_bytes(&mut bytes).map_err(|_| "the system has no randomness".to_owned())?;
    let password = URL_SAFE_NO_PAD.encode(bytes);
    let desired = target.desired;
    let credentials =
        Credentials { user, password: &password, database, cluster: &desired.name, namespace: &desired.namespace };
    Ok(credentials.values())
}
