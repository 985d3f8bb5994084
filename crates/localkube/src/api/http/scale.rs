//! The scale subresource: a small object in front of two fields of the real one.

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::super::error::ApiError;
use super::super::lifecycle::Part;
use super::super::object::{as_map, at, map_mut, meta};
use super::super::patch::{PatchType, apply_patch};
use super::super::resource::ScalePaths;
use super::super::table::{evaluate, render};
use super::answer::{Answer, json_answer};
use super::body;
use super::resources::{Call, read_object};
use super::server::ApiServer;

pub(super) async fn handle(server: &ApiServer, call: &Call, request: Request<Incoming>) -> Result<Answer, ApiError> {
    let Some(paths) = call.info.scale.clone() else { return Err(ApiError::no_such_path()) };
    let store = &server.inner.store;
    let method = request.method().clone();
    if method == Method::GET {
        let object = store.get_in(&call.info, call.namespace(), call.name())?;
        return Ok(json_answer(StatusCode::OK, &to_scale(&paths, &object)));
    }
    let patch_type = match method {
        Method::PUT => None,
        Method::PATCH => {
            let media_type = body::media_type(request.headers());
            Some(PatchType::from_media_type(&media_type).ok_or_else(|| ApiError::unsupported_media_type(&media_type))?)
        }
        _ => return Err(ApiError::method_not_allowed()),
    };
    let change = read_object(request).await?;
    let resize = |old: &Value| {
        let current = to_scale(&paths, old);
        let wanted = match patch_type {
            Some(patch_type) => apply_patch(patch_type, false, &current, &change)?,
            None => change.clone(),
        };
        let mut new = old.clone();
        set_path(&mut new, &paths.spec, at(&wanted, "/spec/replicas").clone());
        // The version that the scale was read at is the version that the object is changed at.
        let version = meta(&wanted, "resourceVersion");
        if !version.is_empty() {
            super::super::object::set_meta(&mut new, "resourceVersion", version);
        }
        Ok(new)
    };
    let written =
        store.update_in(&call.info, call.namespace(), call.name(), Part::Main, resize, &call.write_options())?;
    Ok(json_answer(StatusCode::OK, &to_scale(&paths, &written.object)))
}

fn to_scale(paths: &ScalePaths, object: &Value) -> Value {
    let number = |path: &str| evaluate(path, object).first().map_or(Value::from(0), |value| (*value).clone());
    let selector = paths.selector.as_deref().and_then(|path| evaluate(path, object).first().map(|v| render(v)));
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        as_map(&mut metadata).insert(field.to_owned(), meta(object, field).into());
    }
    let mut status = json!({"replicas": number(&paths.status)});
    if let Some(selector) = selector {
        as_map(&mut status).insert("selector".to_owned(), selector.into());
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": number(&paths.spec)}, "status": status})
}

/// Sets a field by a plain path (`.spec.instances`).
fn set_path(object: &mut Value, path: &str, value: Value) {
    let mut fields = path.split('.').filter(|field| !field.is_empty()).peekable();
    let mut map = as_map(object);
    while let Some(field) = fields.next() {
        if fields.peek().is_none() {
            map.insert(field.to_owned(), value);
            return;
        }
        map = map_mut(map, field);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ScalePaths, set_path, to_scale};

    #[test]
    fn scale_shows_and_sets_the_fields_that_the_definition_names() {
        let paths = ScalePaths { spec: ".spec.instances".into(), status: ".status.instances".into(), selector: None };
        let mut object = json!({"metadata": {"name": "c"}, "spec": {"instances": 3}, "status": {"instances": 2}});
        let scale = to_scale(&paths, &object);
        assert_eq!((&scale["spec"]["replicas"], &scale["status"]["replicas"]), (&json!(3), &json!(2)));
        set_path(&mut object, &paths.spec, json!(5));
        assert_eq!(object["spec"]["instances"], 5);
    }
}
