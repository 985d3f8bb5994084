//! DeleteObjects: a thousand at a time.

use super::read_error::read;
use crate::StoreError;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};

/// The most that one request may name (S3 API Reference, DeleteObjects).
pub(super) const AT_ONCE: usize = 1_000;

/// Deletes up to [`AT_ONCE`] objects; what is not there counts as deleted.
pub(super) async fn delete(client: &Client, bucket: &str, keys: &[String]) -> Result<(), StoreError> {
    let unusable = |error: &dyn std::fmt::Display| StoreError::Rejected { reason: error.to_string() };
    let objects: Result<Vec<_>, _> = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build()).collect();
    let objects = objects.map_err(|error| unusable(&error))?;
    let named = Delete::builder().set_objects(Some(objects)).quiet(true).build().map_err(|error| unusable(&error))?;
    let first = keys.first().map_or("", String::as_str);
    let sent = client.delete_objects().bucket(bucket).delete(named).send().await;
    let answer = sent.map_err(|error| read(&error, first))?;
    let failed = answer.errors().iter().find(|error| error.code() != Some("NoSuchKey"));
    match failed {
        None => Ok(()),
        // The answer itself was a 200; the code says what the object's own would have been.
        Some(error) => {
            let status = if matches!(error.code(), Some("AccessDenied")) { 403 } else { 500 };
            let key = error.key().unwrap_or(first);
            Err(StoreError::from_answer(status, error.code(), error.message().unwrap_or_default(), key))
        }
    }
}
