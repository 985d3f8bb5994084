//! Admission: what every object passes through before it is stored. Pure.

use serde_json::Value;

use super::super::builtin::{self, event_as_core};
use super::super::error::ApiError;
use super::super::object::{as_map, name};
use super::super::resource::ResourceInfo;
use super::super::schema;
use super::write::WriteOptions;

/// Pruning, defaulting and validation; the result is in the form in which it is stored.
pub(super) fn admit(
    info: &ResourceInfo,
    old: Option<&Value>,
    mut object: Value,
    options: &WriteOptions,
) -> Result<(Value, Vec<String>), ApiError> {
    let about = name(&object).to_owned();
    let cannot_handle = |why: String| {
        ApiError::bad_request(format!("{} in version {:?} cannot be handled: {why}", info.kind, info.version))
    };
    let (object, dropped, causes) = match &info.custom {
        Some(custom) => {
            let mut dropped = builtin::normalise_metadata(&mut object).map_err(cannot_handle)?;
            dropped.extend(schema::prune(&custom.schema, &mut object));
            schema::apply_defaults(&custom.schema, &mut object);
            let causes = schema::validate(&custom.schema, &object);
            if !custom.storage_version.is_empty() {
                let stored = format!("{}/{}", info.gr.group, custom.storage_version);
                as_map(&mut object).insert("apiVersion".into(), stored.into());
            }
            (object, dropped, causes)
        }
        None => {
            if info.gr != info.stored_as {
                object = event_as_core(object);
            }
            let (mut object, dropped) = builtin::normalise(&info.stored_as, object).map_err(cannot_handle)?;
            builtin::apply_defaults(&info.stored_as, &mut object, old.is_none());
            let causes = match old {
                None => builtin::check_create(&info.stored_as, &object),
                Some(old) => builtin::check_update(&info.stored_as, old, &object),
            };
            (object, dropped, causes)
        }
    };
    if options.strict && !dropped.is_empty() {
        let fields: Vec<String> = dropped.iter().map(|field| format!("unknown field {field:?}")).collect();
        return Err(ApiError::bad_request(format!("strict decoding error: {}", fields.join(", "))));
    }
    if !causes.is_empty() {
        return Err(ApiError::invalid(&info.kind, &info.gr.group, &about, &causes));
    }
    Ok((object, dropped))
}
