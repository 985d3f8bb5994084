//! Tokens of service accounts, bound to the pod that they are for: one that is deleted takes its token's worth with it.

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::UpstreamError;
use crate::node::TokenFor;

/// How long a token is good, in seconds: longer than any test bed is up, since nothing here refreshes them.
const LIFETIME: u32 = 86_400;

/// Asks for one.
///
/// # Errors
/// [`UpstreamError::Token`].
pub async fn issue(client: &Client, wanted: TokenFor<'_>) -> Result<String, UpstreamError> {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "name": wanted.pod, "uid": wanted.uid});
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"audiences": [], "expirationSeconds": LIFETIME, "boundObjectRef": pod}});
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), wanted.namespace);
    let made = accounts.create_subresource::<_, Value>("token", wanted.account, &PostParams::default(), &request).await;
    let made = made.map_err(UpstreamError::Token)?;
    Ok(made.pointer("/status/token").and_then(Value::as_str).unwrap_or_default().to_owned())
}
