//! Objects written in parts (S3 API Reference, "Uploading and copying objects using multipart upload").

use super::S3Store;
use super::create::tagging;
use super::read_error::read;
use crate::{ObjectStore, Put, PutOptions, StoreError, Upload};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

pub(super) async fn begin(store: &S3Store, key: &str, options: &PutOptions) -> Result<Upload, StoreError> {
    let begun = store
        .client()
        .await?
        .create_multipart_upload()
        .bucket(&store.config.bucket)
        .key(key)
        .set_content_type(options.content_type.clone())
        .set_tagging(tagging(&options.tags))
        .set_server_side_encryption(store.encryption())
        .send()
        .await
        .map_err(|error| read(&error, key))?;
    let id = begun.upload_id().ok_or_else(|| odd("it began an upload without an id"))?;
    Ok(Upload { key: key.to_owned(), id: id.to_owned(), begun: None })
}

pub(super) async fn put(store: &S3Store, upload: &Upload, number: u32, body: Bytes) -> Result<String, StoreError> {
    let stored = store
        .client()
        .await?
        .upload_part()
        .bucket(&store.config.bucket)
        .key(&upload.key)
        .upload_id(&upload.id)
        .part_number(i32::try_from(number).unwrap_or(i32::MAX))
        .body(ByteStream::from(body))
        .send()
        .await
        .map_err(|error| read(&error, &upload.key))?;
    stored.e_tag().map(str::to_owned).ok_or_else(|| odd("it stored a part without a tag"))
}

pub(super) async fn complete(store: &S3Store, upload: &Upload, parts: &[String]) -> Result<Put, StoreError> {
    // Not every store knows the condition on this call, and none refuses it: so it is asked before as well.
    match store.head(&upload.key).await {
        Ok(_) => return Ok(Put::Exists),
        Err(StoreError::NotFound { .. }) => {}
        Err(other) => return Err(other),
    }
    let part = |(number, tag): (i32, &String)| CompletedPart::builder().part_number(number).e_tag(tag).build();
    let parts = (1_i32..).zip(parts).map(part).collect();
    let sent = store
        .client()
        .await?
        .complete_multipart_upload()
        .bucket(&store.config.bucket)
        .key(&upload.key)
        .upload_id(&upload.id)
        .if_none_match("*")
        .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
        .send()
        .await;
    match sent {
        Ok(_) => Ok(Put::Created),
        Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 412) => Ok(Put::Exists),
        Err(error) => Err(read(&error, &upload.key)),
    }
}

pub(super) async fn abort(store: &S3Store, upload: &Upload) -> Result<(), StoreError> {
    let call = store.client().await?.abort_multipart_upload().bucket(&store.config.bucket);
    match call.key(&upload.key).upload_id(&upload.id).send().await {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_response().map(|answer| answer.status().as_u16()) {
            Some(404) => Ok(()),
            _ => Err(read(&error, &upload.key)),
        },
    }
}

pub(super) async fn list(store: &S3Store, prefix: &str) -> Result<Vec<Upload>, StoreError> {
    let call = store.client().await?.list_multipart_uploads().bucket(&store.config.bucket).prefix(prefix);
    let found = call.send().await.map_err(|error| read(&error, prefix))?;
    let upload = |upload: &aws_sdk_s3::types::MultipartUpload| {
        let begun = upload.initiated().map(|time| time.secs());
        Some(Upload { key: upload.key()?.to_owned(), id: upload.upload_id()?.to_owned(), begun })
    };
    // Some stores do not look at the prefix.
    Ok(found.uploads().iter().filter_map(upload).filter(|upload| upload.key.starts_with(prefix)).collect())
}

fn odd(what: &str) -> StoreError {
    StoreError::Outage { reason: what.to_owned() }
}
