//! The SDK's errors, read as ours.

use crate::StoreError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::result::SdkError as Sdk;
use std::error::Error;

/// What a failed call means. `key` is what was asked for.
pub(super) fn read<E>(error: &SdkError<E, HttpResponse>, key: &str) -> StoreError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        Sdk::ServiceError(answer) => {
            let meta = answer.err();
            let status = answer.raw().status().as_u16();
            StoreError::from_answer(status, meta.code(), meta.message().unwrap_or_default(), key)
        }
        Sdk::ConstructionFailure(_) => StoreError::Misconfigured { reason: chain(error) },
        Sdk::TimeoutError(_) => StoreError::Outage { reason: "the call timed out".to_owned() },
        Sdk::DispatchFailure(failure) => {
            let reason = failure.as_connector_error().map_or_else(|| chain(error), |inner| chain(inner));
            classify_dispatch(failure.is_user(), reason)
        }
        _ => StoreError::Outage { reason: chain(error) },
    }
}

fn classify_dispatch(user: bool, reason: String) -> StoreError {
    // These have no type of their own by the time they arrive here.
    let says = |word: &str| reason.contains(word);
    if says("credential") {
        StoreError::Forbidden { reason }
    } else if user || says("invalid peer certificate") {
        StoreError::Misconfigured { reason }
    } else if says("connect timeout") {
        let reason = format!("{reason} (nobody answers there, or the name of the endpoint does not resolve in time)");
        StoreError::Outage { reason }
    } else {
        StoreError::Outage { reason }
    }
}

/// An error with its causes, each said once.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}
