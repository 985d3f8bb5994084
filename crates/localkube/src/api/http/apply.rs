//! A server-side apply as a request: what it has to say, and what it may not.

use serde_json::Value;

use super::super::builtin::normalise;
use super::super::error::{ApiError, Cause};
use super::super::lifecycle::Part;
use super::super::object::{as_map, name};
use super::super::schema;
use super::super::store::ApplyWish;
use super::resources::Call;

/// The wish of a request.
///
/// # Errors
/// 422 without a manager, 400 for another object than the URL's, 500 for fields that the kind does not have: that is the
/// real server's number for them.
pub(super) fn wish(call: &Call, part: Part, config: Value) -> Result<ApplyWish, ApiError> {
    if call.query.get("fieldManager").is_empty() {
        let why = Cause {
            message: "Required value: is required for apply patch".to_owned(),
            ..Cause::required("fieldManager")
        };
        return Err(ApiError::invalid("PatchOptions", "meta.k8s.io", "", &[why]));
    }
    if !config.is_object() {
        return Err(ApiError::bad_request("the configuration must be an object"));
    }
    if name(&config) != call.name() {
        let text =
            format!("the name of the object ({}) does not match the name on the URL ({})", name(&config), call.name());
        return Err(ApiError::bad_request(text));
    }
    if let Some(unknown) = unknown(call, &config)?.first() {
        return Err(ApiError::undeclared_field(unknown));
    }
    Ok(ApplyWish { part, config, force: call.query.is("force") })
}

/// Fields that the kind does not have.
fn unknown(call: &Call, config: &Value) -> Result<Vec<String>, ApiError> {
    let mut copy = config.clone();
    match &call.info.custom {
        Some(custom) => Ok(schema::prune(&custom.schema, &mut copy)),
        None => {
            // Written by the server alone, and looked at elsewhere.
            as_map(&mut copy).remove("status");
            let read = normalise(&call.info.stored_as, copy).map_err(ApiError::bad_request)?;
            Ok(read.1)
        }
    }
}
