//! The patch formats: JSON patch, merge patch and strategic merge patch, each a pure function on objects.

mod strategic;

pub use strategic::strategic_merge;

use serde_json::Value;

use super::error::ApiError;

/// A format, named by the Content-Type of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own, with lists merged by key. Custom resources do not have it.
    Strategic,
    /// Server-side apply: [`super::fields`] does it.
    Apply,
}

impl PatchType {
    /// From the media type, parameters removed.
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            "application/apply-patch+yaml" | "application/apply-patch+json" => Some(Self::Apply),
            _ => None,
        }
    }
}

/// Applies a patch. `custom` says that the object is a custom resource.
///
/// # Errors
/// 400 for a patch that cannot be read, 415 for a strategic patch of a custom resource, 422 if an operation of a JSON
/// patch does not apply (for example a failed `test`).
pub fn apply_patch(patch_type: PatchType, custom: bool, object: &Value, patch: &Value) -> Result<Value, ApiError> {
    let mut patched = object.clone();
    match patch_type {
        PatchType::Json => {
            let operations: json_patch::Patch = serde_json::from_value(patch.clone())
                .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
            json_patch::patch(&mut patched, &operations).map_err(|error| ApiError {
                code: 422,
                reason: "Invalid",
                message: format!("the server rejected our request due to an error in our request: {error}"),
                details: None,
            })?;
        }
        _ if !patch.is_object() => return Err(ApiError::bad_request("the patch must be an object")),
        PatchType::Merge => json_patch::merge(&mut patched, patch),
        PatchType::Strategic if custom => {
            return Err(ApiError::unsupported_patch());
        }
        PatchType::Strategic => strategic_merge(&mut patched, patch),
        PatchType::Apply => return Err(ApiError::unsupported_media_type("application/apply-patch+yaml")),
    }
    Ok(patched)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{PatchType, apply_patch};

    #[test]
    fn each_format_changes_the_object_in_its_own_way() {
        let object = json!({"spec": {"a": 1, "list": [1, 2]}});
        let merged = apply_patch(PatchType::Merge, true, &object, &json!({"spec": {"a": null, "list": [3]}})).unwrap();
        assert_eq!(merged, json!({"spec": {"list": [3]}}));
        let operations = json!([{"op": "test", "path": "/spec/a", "value": 1}, {"op": "remove", "path": "/spec/a"}]);
        let patched = apply_patch(PatchType::Json, true, &object, &operations).unwrap();
        assert_eq!(patched, json!({"spec": {"list": [1, 2]}}));
        let failing = json!([{"op": "test", "path": "/spec/a", "value": 2}]);
        assert_eq!(apply_patch(PatchType::Json, true, &object, &failing).unwrap_err().code, 422);
        assert_eq!(apply_patch(PatchType::Strategic, true, &object, &json!({})).unwrap_err().code, 415);
        assert_eq!(apply_patch(PatchType::Merge, true, &object, &json!([])).unwrap_err().code, 400);
    }
}
