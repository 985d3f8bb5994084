//! Reading the body of a request: JSON, YAML or protobuf, of bounded size.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use super::super::error::ApiError;
use super::protobuf;

/// The limit of the real server: 3 MiB.
const MAX_BODY: usize = 3 << 20;

/// The media type of the body without its parameters; JSON if none is named.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let text = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if text.is_empty() { "application/json".to_owned() } else { text }
}

/// The whole body.
pub(super) async fn read(body: Incoming) -> Result<Bytes, ApiError> {
    let collected = Limited::new(body, MAX_BODY).collect().await;
    collected.map(|body| body.to_bytes()).map_err(|_| ApiError {
        code: 413,
        reason: "RequestEntityTooLarge",
        message: "the body could not be read, or is larger than 3 MiB".to_owned(),
        details: None,
    })
}

/// The body as a value.
pub(super) fn parse(media_type: &str, body: &[u8]) -> Result<Value, ApiError> {
    if media_type.ends_with("yaml") {
        return serde_yaml_ng::from_slice(body)
            .map_err(|error| ApiError::bad_request(format!("the body is not valid YAML: {error}")));
    }
    if media_type == "application/json" || media_type.ends_with("+json") {
        return serde_json::from_slice(body)
            .map_err(|error| ApiError::bad_request(format!("the body is not valid JSON: {error}")));
    }
    if media_type == "application/vnd.kubernetes.protobuf" {
        return protobuf::decode(body).ok_or_else(|| ApiError::unsupported_media_type(media_type));
    }
    Err(ApiError::unsupported_media_type(media_type))
}
