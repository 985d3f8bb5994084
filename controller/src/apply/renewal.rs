//! Certificates and authorities that take the place of others. Each is written over the version of the secret that was
//! read: of two controllers one gets a conflict, and looks again.

use super::secrets::{instances, leaf as signed, stored_authority};
use super::{ApplyError, Target, failed};
use crate::observe::certificates::values as values_of;
use crate::tls::text;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use pgherd_core::cluster::SecretKind;
use pgherd_pki::{Authority, first_certificate};
use pgherd_proto::labels;
use pgherd_proto::secrets::{CA_CRT, CA_KEY, NEXT_CRT, NEXT_KEY};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Another key and certificate for the same names.
pub(super) async fn leaf(target: &Target<'_>, kind: SecretKind) -> Result<(), ApplyError> {
    let name = kind.name(&target.desired.name);
    let secret = read(target, &name).await?;
    if kind == SecretKind::Instances {
        let before = values_of(&secret);
        let after = instances(target, &before).await?;
        let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), None));
        let values = gone.chain(after.iter().map(|(key, value)| (key.clone(), Some(value.clone())))).collect();
        return write(target, &secret, values, "bring up to date").await;
    }
    let authority = stored_authority(target, kind).await?;
    let values = signed(target, kind, &authority).map_err(|reason| broken(&name, reason))?;
    let values = values.into_iter().map(|(key, value)| (key, Some(value))).collect();
    write(target, &secret, values, "renew the certificate in").await
}

/// The next authority is believed from now on, and signs nothing yet.
pub(super) async fn prepare(target: &Target<'_>) -> Result<(), ApplyError> {
    let name = SecretKind::Ca.name(&target.desired.name);
    let secret = read(target, &name).await?;
    let next = Authority::generate(&target.desired.name, Timestamp::now()).map_err(|e| broken(&name, e.to_string()))?;
    let present = text(&secret, CA_CRT).ok_or_else(|| broken(&name, format!("key {CA_CRT} is absent")))?;
    let values = [
        (CA_CRT, Some(format!("{}\n{}", present.trim_end(), next.certificate_pem()))),
        (NEXT_CRT, Some(next.certificate_pem().to_owned())),
        (NEXT_KEY, Some(next.key_pem())),
    ];
    write(target, &secret, owned(values), "publish the next authority in").await
}

/// The next authority signs; the old one is believed until it ends.
pub(super) async fn switch(target: &Target<'_>) -> Result<(), ApplyError> {
    let name = SecretKind::Ca.name(&target.desired.name);
    let secret = read(target, &name).await?;
    let part = |key: &str| text(&secret, key).ok_or_else(|| broken(&name, format!("key {key} is absent")));
    let (next, key, present) = (part(NEXT_CRT)?, part(NEXT_KEY)?, part(CA_CRT)?);
    let old = first_certificate(&present).map_err(|error| broken(&name, error.to_string()))?;
    let values = [
        (CA_CRT, Some(format!("{}\n{old}", next.trim_end()))),
        (CA_KEY, Some(key)),
        (NEXT_CRT, None),
        (NEXT_KEY, None),
    ];
    write(target, &secret, owned(values), "let the next authority sign in").await
}

fn owned<const N: usize>(values: [(&str, Option<String>); N]) -> BTreeMap<String, Option<String>> {
    values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

async fn read(target: &Target<'_>, name: &str) -> Result<Secret, ApplyError> {
    target.api::<Secret>().get(name).await.map_err(failed(format!("read secret {name}")))
}

async fn write(
    target: &Target<'_>,
    secret: &Secret,
    values: BTreeMap<String, Option<String>>,
    what: &str,
) -> Result<(), ApplyError> {
    let name = secret.name_any();
    let encoded = |value: Option<String>| value.map_or(Value::Null, |text| json!(STANDARD.encode(text)));
    let data: BTreeMap<String, Value> = values.into_iter().map(|(key, value)| (key, encoded(value))).collect();
    let patch = json!({ "metadata": { "resourceVersion": secret.resource_version() }, "data": data });
    let params =
        PatchParams { field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patched = target.api::<Secret>().patch(&name, &params, &Patch::Merge(patch)).await;
    patched.map_err(failed(format!("{what} secret {name}"))).map(drop)
}

fn broken(name: &str, reason: String) -> ApplyError {
    ApplyError::Secret { name: name.to_owned(), reason }
}
