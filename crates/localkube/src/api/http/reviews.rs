//! What is posted and answered without being stored: reviews, evictions, token requests.

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::super::error::ApiError;
use super::super::lifecycle::timestamp;
use super::super::object::{as_map, at};
use super::super::rbac;
use super::super::token::{Claims, Identity, identify};
use super::answer::{Answer, json_answer};
use super::paths::Target;
use super::query::Query;
use super::resources::{Call, read_object, to_delete_options};
use super::server::ApiServer;

/// Whether a path names a review.
pub(super) fn is_review(target: &Target) -> bool {
    matches!(
        (target.group.as_str(), target.version.as_str(), target.plural.as_str()),
        (
            "authorization.k8s.io",
            "v1",
            "selfsubjectaccessreviews"
                | "subjectaccessreviews"
                | "selfsubjectrulesreviews"
                | "localsubjectaccessreviews"
        ) | ("authentication.k8s.io", "v1", "tokenreviews" | "selfsubjectreviews")
    )
}

/// Answers a review. Where RBAC is not enforced access is always allowed, and the reason says so.
pub(super) fn answer_review(
    server: &ApiServer,
    target: &Target,
    mut review: Value,
    identity: &Identity,
) -> Result<Answer, ApiError> {
    if !review.is_object() {
        return Err(ApiError::bad_request("the review must be an object"));
    }
    let user = |identity: &Identity| json!({"username": identity.user, "groups": identity.groups});
    let status = match target.plural.as_str() {
        "selfsubjectreviews" => json!({"userInfo": user(identity)}),
        "tokenreviews" => {
            let token = review.pointer("/spec/token").and_then(Value::as_str).unwrap_or_default();
            let now = jiff::Timestamp::now().as_second();
            match identify(&server.inner.tokens, &server.inner.key, token, now) {
                Some(found) => json!({"authenticated": true, "user": user(&found)}),
                None => json!({"authenticated": false}),
            }
        }
        "selfsubjectrulesreviews" => json!({"incomplete": false, "nonResourceRules": [{"verbs": ["*"],
            "nonResourceURLs": ["*"]}], "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]}),
        _ if !server.inner.rbac => json!({"allowed": true, "reason": "this API server does not enforce RBAC"}),
        plural => json!({"allowed": is_allowed(server, plural, &review, identity)}),
    };
    as_map(&mut review).insert("status".into(), status);
    Ok(json_answer(StatusCode::CREATED, &review))
}

/// Whether RBAC allows what a review asks about, for oneself or for the user that it names.
fn is_allowed(server: &ApiServer, plural: &str, review: &Value, identity: &Identity) -> bool {
    let text = |pointer: &str| review.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let groups = review.pointer("/spec/groups").and_then(Value::as_array).into_iter().flatten();
    let named = Identity {
        user: text("/spec/user").to_owned(),
        groups: groups.filter_map(Value::as_str).map(str::to_owned).collect(),
    };
    let who = if plural == "selfsubjectaccessreviews" { identity } else { &named };
    let of = |field: &str| text(&format!("/spec/resourceAttributes/{field}"));
    let resource = match of("subresource") {
        "" => of("resource").to_owned(),
        sub => format!("{}/{sub}", of("resource")),
    };
    let asked = rbac::Asked { verb: of("verb"), group: of("group"), resource: &resource, name: of("name") };
    rbac::allowed(&server.inner.store, who, of("namespace"), &asked)
}

/// `POST pods/NAME/eviction`.
pub(super) async fn evict(server: &ApiServer, call: &Call, request: Request<Incoming>) -> Result<Answer, ApiError> {
    if request.method() != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let eviction = read_object(request).await?;
    let mut options = to_delete_options(at(&eviction, "/deleteOptions"), &Query::default());
    options.dry_run |= call.query.get("dryRun") == "All";
    server.inner.store.evict(call.namespace(), call.name(), &options)?;
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    Ok(json_answer(StatusCode::CREATED, &status))
}

/// `POST serviceaccounts/NAME/token`.
pub(super) async fn issue_token(
    server: &ApiServer,
    call: &Call,
    request: Request<Incoming>,
) -> Result<Answer, ApiError> {
    if request.method() != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    server.inner.store.get_in(&call.info, call.namespace(), call.name())?;
    let mut review = read_object(request).await?;
    let spec = at(&review, "/spec");
    let seconds = spec["expirationSeconds"].as_i64().unwrap_or(3600).clamp(600, 1 << 32);
    let audiences = spec["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let audiences: Vec<String> = audiences.collect();
    let (token, expires) = server
        .service_account_token(call.namespace(), call.name(), seconds, audiences)
        .ok_or_else(|| ApiError::internal("failed to sign the token"))?;
    let review_map = as_map(&mut review);
    review_map.insert("apiVersion".into(), "authentication.k8s.io/v1".into());
    review_map.insert("kind".into(), "TokenRequest".into());
    review_map.insert("status".into(), json!({"token": token, "expirationTimestamp": timestamp(expires)}));
    Ok(json_answer(StatusCode::CREATED, &review))
}

impl ApiServer {
    /// A token for a service account, for the projected volumes of pods: the token and the end of its validity.
    /// `None` only if it cannot be encoded.
    pub fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
        seconds: i64,
        audiences: Vec<String>,
    ) -> Option<(String, jiff::Timestamp)> {
        let now = jiff::Timestamp::now();
        let expires = now.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()?;
        let sub = Identity::service_account(namespace, name).user;
        let claims = Claims { sub, exp: expires.as_second(), iat: now.as_second(), aud: audiences };
        Some((self.inner.key.sign(&claims)?, expires))
    }
}
