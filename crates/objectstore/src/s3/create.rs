//! Creating an object and never replacing one, on stores that keep the condition `If-None-Match: *` and on those that do
//! not know it.
//!
//! Nobody says which of the two a store is. Until it has shown that, each create is preceded by a look; what is created
//! first is then created once more, with the same content, so that no harm is done where the condition is ignored.

use super::S3Store;
use super::read_error::read;
use crate::{Put, PutOptions, StoreError, Then};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use std::time::Duration;

/// Tries of a create that met another one of the same key in flight (409 ConditionalRequestConflict), or a refusal.
const TRIES: u32 = 5;

/// What a store makes of the condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// It was seen to keep it.
    Kept,
    /// It was seen to replace an object: whether there is one has to be looked up before.
    Ignored,
    /// It refuses requests that have it (501).
    Refused,
}

enum Tried {
    Created,
    Exists,
    Conflict,
    Refused,
}

pub(super) async fn create(store: &S3Store, key: &str, body: &Bytes, options: &PutOptions) -> Result<Put, StoreError> {
    for attempt in 1..=TRIES {
        let known = store.condition.get().copied();
        if known != Some(Condition::Kept) && is_there(store, key, known).await? {
            return Ok(Put::Exists);
        }
        match put(store, key, body.clone(), options, known != Some(Condition::Refused)).await? {
            Tried::Created => return Ok(Put::Created),
            Tried::Exists => {
                learnt(store, Condition::Kept);
                return Ok(Put::Exists);
            }
            Tried::Refused => learnt(store, Condition::Refused),
            Tried::Conflict => {
                let jitter = rand::random_range(20..120_u64);
                tokio::time::sleep(Duration::from_millis(jitter.saturating_mul(u64::from(attempt)))).await;
            }
        }
    }
    Err(StoreError::Outage { reason: "409: another create of this key stayed in flight".to_owned() })
}

/// Finds out what the store makes of the condition, by what it has just stored. After an error the next create does.
pub(super) async fn learn(store: &S3Store, key: &str, body: Bytes, options: &PutOptions) -> Result<(), StoreError> {
    match put(store, key, body, options, true).await? {
        Tried::Exists => learnt(store, Condition::Kept),
        Tried::Created => learnt(store, Condition::Ignored),
        Tried::Conflict | Tried::Refused => {}
    }
    Ok(())
}

fn learnt(store: &S3Store, condition: Condition) {
    if store.condition.set(condition).is_ok() && condition != Condition::Kept {
        tracing::warn!(
            ?condition,
            "this object store knows no create-only puts: each is preceded by a look, which two writers at the same \
             moment get past. Nobody else may write to this archive"
        );
    }
}

async fn is_there(store: &S3Store, key: &str, known: Option<Condition>) -> Result<bool, StoreError> {
    let looked = store.client().await?.head_object().bucket(&store.config.bucket).key(key).send().await;
    let Err(error) = looked else { return Ok(true) };
    if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 404) {
        return Ok(false);
    }
    let error = read(&error, key);
    // As long as it may keep the condition, the put's own answer says more: that of a look has no body.
    if known.is_none() && error.then() != Then::RetryLater { Ok(false) } else { Err(error) }
}

async fn put(
    store: &S3Store,
    key: &str,
    body: Bytes,
    options: &PutOptions,
    conditional: bool,
) -> Result<Tried, StoreError> {
    let sent = store
        .client()
        .await?
        .put_object()
        .bucket(&store.config.bucket)
        .key(key)
        .set_if_none_match(conditional.then(|| "*".to_owned()))
        .set_content_type(options.content_type.clone())
        .set_tagging(tagging(&options.tags))
        .set_server_side_encryption(store.encryption())
        .body(ByteStream::from(body))
        .send()
        .await;
    match sent {
        Ok(_) => Ok(Tried::Created),
        Err(error) => match error.raw_response().map(|answer| answer.status().as_u16()) {
            Some(412) => Ok(Tried::Exists),
            Some(409) => Ok(Tried::Conflict),
            Some(501) if conditional => Ok(Tried::Refused),
            _ => Err(read(&error, key)),
        },
    }
}

/// Tags as the header wants them: a query string.
pub(super) fn tagging(tags: &[(String, String)]) -> Option<String> {
    let encode = |text: &str| {
        text.bytes().fold(String::new(), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
            out
        })
    };
    let pairs: Vec<_> = tags.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    (!pairs.is_empty()).then(|| pairs.join("&"))
}
