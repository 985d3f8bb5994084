//! A segment of `pg_wal` as a response body: how a crashed primary hands over the end of its WAL.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pgherd_core::wal::WalName;
use serde::Deserialize;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};
use tokio_util::io::ReaderStream;

/// How much is read at a time.
const CHUNK: usize = 256 * 1024;

/// Bytes of a segment: from the first to before the last; all of it by default.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Part {
    from: Option<u64>,
    to: Option<u64>,
}

/// Streams one file of `directory`, or a part of it. `name` comes from the network: only what the WAL-name parser accepts, and
/// writes back as the same text, is ever joined to the path.
pub async fn segment(directory: &Path, name: &str, part: Part) -> Response {
    let parsed = match name.parse::<WalName>() {
        Ok(parsed) if parsed.to_string() == name => parsed,
        _ => return (StatusCode::BAD_REQUEST, format!("{name:?} is not the name of a WAL file")).into_response(),
    };
    let mut file = match tokio::fs::File::open(directory.join(parsed.to_string())).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return (StatusCode::NOT_FOUND, format!("{name} is not in pg_wal")).into_response();
        }
        Err(error) => return unreadable(name, &error),
    };
    let length = match file.metadata().await {
        Ok(data) if data.is_file() => data.len(),
        Ok(_) => return (StatusCode::NOT_FOUND, format!("{name} is not a file")).into_response(),
        Err(error) => return unreadable(name, &error),
    };
    let (from, to) = (part.from.unwrap_or(0), part.to.unwrap_or(length));
    let Some(wanted) = to.checked_sub(from).filter(|_| to <= length) else {
        return (StatusCode::RANGE_NOT_SATISFIABLE, format!("{name} has {length} bytes")).into_response();
    };
    if let Err(error) = file.seek(SeekFrom::Start(from)).await {
        return unreadable(name, &error);
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(wanted));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    (headers, Body::from_stream(ReaderStream::with_capacity(file.take(wanted), CHUNK))).into_response()
}

fn unreadable(name: &str, error: &std::io::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to read {name}: {error}")).into_response()
}
