//! What can go wrong with a store, told by what the caller should do about it.

/// What a caller should do about a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The store has answered: the thing is not there.
    Believe,
    /// Try again, later and with jitter: it may pass by itself.
    RetryLater,
    /// It will not pass until somebody changes credentials, permissions, a bucket or a field.
    AskSomeone,
    /// The same request will always fail.
    GiveUp,
}

/// Why a call on a store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store itself said that there is no such object. Believe it.
    #[error("failed to find {key}: the store has no such object")]
    NotFound {
        /// The key asked for.
        key: String,
    },
    /// No usable answer: refused, reset, timed out, 5xx, an answer cut short. Retry later. For a put it is
    /// unknown whether the object was stored.
    #[error("failed to reach the object store: {reason}")]
    Outage {
        /// What was seen.
        reason: String,
    },
    /// The store asks to slow down (503 SlowDown, 429). Retry later, slower.
    #[error("failed to be served by the object store: it asks to slow down ({reason})")]
    Throttled {
        /// The store's words.
        reason: String,
    },
    /// Wrong, expired or insufficient credentials. Retrying helps only after they change.
    #[error("failed to be let in by the object store: {reason}")]
    Forbidden {
        /// The store's code and words; never a secret.
        reason: String,
    },
    /// The clocks of this machine and of the store are too far apart: requests are signed with the time. Retrying helps
    /// only after one of them is put right.
    #[error("failed to be believed by the object store: the clocks differ too much ({reason})")]
    ClockSkewed {
        /// The store's code and words.
        reason: String,
    },
    /// A bucket, region, endpoint or certificate that cannot work as configured. Retrying helps only after a change.
    #[error("failed to use the object store as configured: {reason}")]
    Misconfigured {
        /// What does not fit.
        reason: String,
    },
    /// The object is larger than the caller is ready to hold. The same call will fail again.
    #[error("failed to read {key}: it holds more than the {limit} bytes expected")]
    TooLarge {
        /// The key asked for.
        key: String,
        /// Bytes allowed.
        limit: u64,
    },
    /// The store refused this very request (400, 413, 501...). The same call will fail again.
    #[error("failed to have the request accepted by the object store: {reason}")]
    Rejected {
        /// The store's code and words.
        reason: String,
    },
}

impl StoreError {
    /// What to do about it.
    #[must_use]
    pub fn then(&self) -> Then {
        match self {
            Self::NotFound { .. } => Then::Believe,
            Self::Outage { .. } | Self::Throttled { .. } => Then::RetryLater,
            Self::Forbidden { .. } | Self::ClockSkewed { .. } | Self::Misconfigured { .. } => Then::AskSomeone,
            Self::TooLarge { .. } | Self::Rejected { .. } => Then::GiveUp,
        }
    }

    /// A short fixed word for metrics and conditions.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::Outage { .. } => "outage",
            Self::Throttled { .. } => "throttled",
            Self::Forbidden { .. } => "forbidden",
            Self::ClockSkewed { .. } => "clock_skewed",
            Self::Misconfigured { .. } => "misconfigured",
            Self::TooLarge { .. } => "too_large",
            Self::Rejected { .. } => "rejected",
        }
    }

    /// What a person can do about it, in one sentence; nothing where it may pass by itself.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Forbidden { .. } => {
                Some("check the keys that s3Credentials names, and what they are allowed in the bucket")
            }
            Self::ClockSkewed { .. } => Some("set the clock of the node, or of the store, right"),
            Self::Misconfigured { .. } => {
                Some("check destinationPath, endpointURL and endpointCA, and that the bucket exists")
            }
            Self::Rejected { .. } => Some("the store takes no such requests: see its log and what of S3 it supports"),
            Self::NotFound { .. } | Self::Outage { .. } | Self::Throttled { .. } | Self::TooLarge { .. } => None,
        }
    }

    /// Reads an HTTP answer (S3 API Reference, "Error responses"). A 404 without S3's own `NoSuchKey` may come
    /// from anything on the way, so it proves nothing.
    #[must_use]
    pub fn from_answer(status: u16, code: Option<&str>, message: &str, key: &str) -> Self {
        let reason = match code {
            Some(code) if message.is_empty() => format!("{status} {code}"),
            Some(code) => format!("{status} {code}: {message}"),
            None if message.is_empty() => format!("status {status}"),
            None => format!("status {status}: {message}"),
        };
        match (status, code) {
            (_, Some("NoSuchKey")) => Self::NotFound { key: key.to_owned() },
            (_, Some("NoSuchBucket" | "PermanentRedirect" | "AuthorizationHeaderMalformed" | "InvalidBucketName")) => {
                Self::Misconfigured { reason }
            }
            (_, Some("SlowDown" | "Throttling" | "ThrottlingException" | "RequestLimitExceeded")) | (429, _) => {
                Self::Throttled { reason }
            }
            (_, Some("RequestTimeTooSkewed")) => Self::ClockSkewed { reason },
            (_, Some("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired")) | (401 | 403, _) => {
                Self::Forbidden { reason }
            }
            (_, Some("RequestTimeout" | "BadDigest" | "IncompleteBody" | "InternalError")) => Self::Outage { reason },
            (301 | 307, _) => Self::Misconfigured { reason },
            (404 | 408 | 409, _) => Self::Outage { reason },
            (400..=499 | 501, _) => Self::Rejected { reason },
            _ => Self::Outage { reason },
        }
    }
}

/// The object is there and has no such part: it is shorter than whoever asked was told.
pub(crate) fn cut_short(key: &str, from: u64, length: u64) -> StoreError {
    StoreError::Rejected { reason: format!("{key} has no {length} bytes from {from} on: it is cut short") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_by_what_the_caller_should_do() {
        let then = |status, code| StoreError::from_answer(status, code, "", "k").then();
        for (status, code, expected) in [
            (404, Some("NoSuchKey"), Then::Believe),
            (404, Some("NoSuchBucket"), Then::AskSomeone),
            (404, None, Then::RetryLater),
            (403, Some("AccessDenied"), Then::AskSomeone),
            (403, None, Then::AskSomeone),
            (403, Some("RequestTimeTooSkewed"), Then::AskSomeone),
            (400, Some("ExpiredToken"), Then::AskSomeone),
            (500, Some("InternalError"), Then::RetryLater),
            (503, Some("SlowDown"), Then::RetryLater),
            (503, None, Then::RetryLater),
            (400, Some("BadDigest"), Then::RetryLater),
            (400, Some("InvalidRequest"), Then::GiveUp),
            (501, Some("NotImplemented"), Then::GiveUp),
            (301, Some("PermanentRedirect"), Then::AskSomeone),
        ] {
            assert_eq!(then(status, code), expected, "{status} {code:?}");
        }
    }

    #[test]
    fn whoever_is_asked_is_told_what_to_look_at_and_nobody_else_is() {
        for (status, code, word) in [
            (403, Some("AccessDenied"), "s3Credentials"),
            (403, Some("RequestTimeTooSkewed"), "clock"),
            (404, Some("NoSuchBucket"), "bucket"),
        ] {
            let error = StoreError::from_answer(status, code, "", "k");
            assert!(error.advice().is_some_and(|advice| advice.contains(word)), "{error}");
        }
        assert_eq!(StoreError::from_answer(503, Some("SlowDown"), "", "k").advice(), None);
    }

    #[test]
    fn a_404_of_a_proxy_is_not_proof_that_an_object_is_missing() {
        assert!(matches!(StoreError::from_answer(404, None, "<html>", "k"), StoreError::Outage { .. }));
    }
}
