//! Answers: objects, lists and refusals as HTTP responses.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WARNING};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use super::super::error::ApiError;
use super::super::object::{as_map, text};
use super::super::resource::ResourceInfo;
use super::super::store::Listed;
use super::super::table::{Include, partial, table};
use super::pages::token;
use super::query::Form;

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;
pub(super) type Answer = Response<Body>;

/// A body that is all there.
pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

pub(super) fn plain(text: &'static str) -> Answer {
    let mut answer = Response::new(full(text));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// A value as JSON. Not by `Display`, which takes twice as long.
pub(super) fn to_json(value: &Value) -> Vec<u8> {
    // Cannot fail: the keys of a `Value` are strings.
    serde_json::to_vec(value).unwrap_or_default()
}

/// A value as the whole answer.
pub(super) fn json_answer(status: StatusCode, value: &Value) -> Answer {
    let mut answer = Response::new(full(to_json(value)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

pub(super) fn refusal(error: &ApiError) -> Answer {
    let status = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if *error == ApiError::no_such_path() {
        // The real server has no Status for these.
        let mut answer = plain("404 page not found\n");
        *answer.status_mut() = status;
        return answer;
    }
    let mut answer = json_answer(status, &error.to_status());
    if matches!(error.code, 429 | 503) {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

/// One object in the wished form, with warnings about fields that were dropped.
pub(super) fn object_answer(
    status: StatusCode,
    info: &ResourceInfo,
    object: &Arc<Value>,
    form: Form,
    include: Include,
    dropped: &[String],
) -> Answer {
    let value = in_form(info, object, form, include);
    let mut answer = json_answer(status, &value);
    for field in dropped {
        let warning = format!("299 - \"unknown field \\\"{field}\\\"\"");
        if let Ok(warning) = HeaderValue::from_str(&warning) {
            answer.headers_mut().append(WARNING, warning);
        }
    }
    answer
}

/// One object in the wished form.
pub(super) fn in_form<'a>(info: &ResourceInfo, object: &'a Arc<Value>, form: Form, include: Include) -> Cow<'a, Value> {
    match form {
        Form::Objects => Cow::Borrowed(object),
        Form::Partial => Cow::Owned(partial(object)),
        Form::Table => {
            let version = text(object, "/metadata/resourceVersion").to_owned();
            Cow::Owned(table(info, std::slice::from_ref(object), &version, include, jiff::Timestamp::now()))
        }
    }
}

/// A list in the wished form.
pub(super) fn list_answer(info: &ResourceInfo, listed: &Listed, form: Form, include: Include) -> Answer {
    let version = listed.version.to_string();
    let mut metadata = json!({"resourceVersion": version});
    if let Some(rest) = &listed.rest {
        as_map(&mut metadata).insert("continue".to_owned(), token(listed.version, rest).into());
        if let Some(count) = rest.count {
            as_map(&mut metadata).insert("remainingItemCount".to_owned(), count.into());
        }
    }
    let mut value = match form {
        Form::Table => table(info, &listed.items, &version, include, jiff::Timestamp::now()),
        Form::Partial => {
            let items: Vec<Value> = listed.items.iter().map(|object| partial(object)).collect();
            json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                "items": items})
        }
        Form::Objects => {
            let items: Vec<&Value> = listed.items.iter().map(|object| &**object).collect();
            json!({"kind": info.list_kind, "apiVersion": info.api_version(), "metadata": metadata, "items": items})
        }
    };
    if form == Form::Table {
        as_map(&mut value).insert("metadata".to_owned(), metadata);
    }
    json_answer(StatusCode::OK, &value)
}

/// The Status of a delete that is done.
pub(super) fn deleted(info: &ResourceInfo, object: &Value) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": text(object, "/metadata/name"), "group": info.gr.group, "kind": info.gr.plural,
            "uid": text(object, "/metadata/uid")}})
}
