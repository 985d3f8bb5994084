//! What the API answers when it refuses: HTTP code, machine-readable reason and the `Status` object that carries both.

use serde_json::{Value, json};

use super::resource::GroupResource;

/// A refusal. Codes and reasons are those of `k8s.io/apimachinery/pkg/api/errors`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP status code.
    pub code: u16,
    /// `reason` of the Status object: what client libraries decide on.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// `details` of the Status object.
    pub details: Option<Value>,
}

/// One field that is wrong, as it stands in `details.causes` of a 422.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// JSON path of the field, for example `spec.instances`.
    pub field: String,
    /// `FieldValueInvalid`, `FieldValueRequired`, ...
    pub reason: &'static str,
    /// For people, without the path.
    pub message: String,
}

impl Cause {
    /// The value is of the right type but not allowed.
    pub fn invalid(field: impl Into<String>, value: &Value, why: impl std::fmt::Display) -> Self {
        Self { field: field.into(), reason: "FieldValueInvalid", message: format!("Invalid value: {value}: {why}") }
    }

    /// The field must be there.
    pub fn required(field: impl Into<String>) -> Self {
        Self { field: field.into(), reason: "FieldValueRequired", message: "Required value".into() }
    }

    /// The field may not be set or changed.
    pub fn forbidden(field: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self { field: field.into(), reason: "FieldValueForbidden", message: format!("Forbidden: {why}") }
    }
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    fn about(mut self, resource: &GroupResource, name: &str) -> Self {
        self.details = Some(json!({"name": name, "group": resource.group, "kind": resource.plural}));
        self
    }

    /// 404: there is no such object.
    pub fn not_found(resource: &GroupResource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{resource} {name:?} not found")).about(resource, name)
    }

    /// 404: there is no such path or resource type.
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    /// 409: the caller decided on an older version, or a precondition does not hold. Read again, decide again.
    pub fn conflict(resource: &GroupResource, name: &str, why: impl std::fmt::Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {why}");
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// 409: the `resourceVersion` sent is not the current one.
    pub fn stale(resource: &GroupResource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// 409: the name is taken.
    pub fn already_exists(resource: &GroupResource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{resource} {name:?} already exists")).about(resource, name)
    }

    /// 422: an update must say over which version, and does not. The resource is named where others name the kind.
    pub fn no_version(resource: &GroupResource, name: &str) -> Self {
        let why = Cause {
            field: "metadata.resourceVersion".to_owned(),
            reason: "FieldValueInvalid",
            message: "Invalid value: 0x0: must be specified for an update".to_owned(),
        };
        Self::invalid(&resource.plural, &resource.group, name, &[why])
    }

    /// 422: fields are wrong; every one of them is named.
    pub fn invalid(kind: &str, group: &str, name: &str, causes: &[Cause]) -> Self {
        let list: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let text = match list.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let mut error = Self::new(422, "Invalid", format!("{qualified} {name:?} is invalid: {text}"));
        let causes: Vec<Value> =
            causes.iter().map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field})).collect();
        error.details = Some(json!({"name": name, "group": group, "kind": kind, "causes": causes}));
        error
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401: no identity, or one that is not known.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403: known and refused.
    pub fn forbidden(resource: &GroupResource, name: &str, why: impl std::fmt::Display) -> Self {
        Self::new(403, "Forbidden", format!("{resource} {name:?} is forbidden: {why}")).about(resource, name)
    }

    /// 405: the resource has no such verb.
    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    /// 406: none of the accepted media types can be served.
    pub fn not_acceptable() -> Self {
        Self::new(406, "NotAcceptable", "only application/json is served")
    }

    /// 410: the version asked for has left the bounded history. List again.
    pub fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    /// 504: the version asked for is not there yet.
    pub fn too_large_version(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let causes = json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
        let details = Some(json!({"causes": causes, "retryAfterSeconds": 1}));
        Self { details, ..Self::new(504, "Timeout", message) }
    }

    /// 410: a list at a version that has left the history.
    pub fn list_expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 415: the body is of a type that is not understood.
    pub fn unsupported_media_type(found: &str) -> Self {
        Self::new(415, "UnsupportedMediaType", format!("the body of the request was in an unknown format: {found}"))
    }

    /// 415: a patch of a custom resource in a format that it does not have.
    pub fn unsupported_patch() -> Self {
        let why = "the body of the request was in an unknown format - accepted media types include: \
                   application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
        Self::new(415, "UnsupportedMediaType", why)
    }

    /// 500 without a reason, as the real server refuses an apply of fields that the kind does not have.
    pub fn undeclared_field(path: &str) -> Self {
        Self::new(500, "", format!("failed to create typed patch object: .{path}: field not declared in schema"))
    }

    /// 429: the eviction would break a PodDisruptionBudget. Retry later.
    pub fn too_many_requests(message: impl Into<String>) -> Self {
        Self::new(429, "TooManyRequests", message)
    }

    /// 500: the server itself failed, for example to write to its disk. May be retried.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", message)
    }

    /// Any code, for injected faults.
    pub fn injected(code: u16) -> Self {
        Self::new(code, "InternalError", "injected fault")
    }

    /// The `Status` object of the answer.
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let (Some(details), Some(map)) = (&self.details, status.as_object_mut()) {
            map.insert("details".into(), details.clone());
        }
        status
    }
}
