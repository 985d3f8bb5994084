//! What an S3 store has to know, and what the environment adds to it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where the credentials come from.
#[derive(Clone, PartialEq, Eq)]
pub enum S3Credentials {
    /// The environment's role, as Amazon's SDKs look for it: variables, profile, web identity, container, instance
    /// (CNPG's `inheritFromIAMRole`).
    Ambient,
    /// Given by name (the values behind `s3Credentials`).
    Given {
        /// `accessKeyId`.
        access_key_id: String,
        /// `secretAccessKey`.
        secret_access_key: String,
        /// `sessionToken`.
        session_token: Option<String>,
    },
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ambient => f.write_str("Ambient"),
            Self::Given { .. } => f.write_str("Given(<redacted>)"),
        }
    }
}

/// Server-side encryption (`wal.encryption`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// `AES256`.
    Aes256,
    /// `aws:kms`.
    AwsKms,
}

/// Bounds on one call. There are no retries behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP and TLS.
    pub connect: Duration,
    /// One whole call, body included.
    pub call: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), call: Duration::from_secs(60) }
    }
}

/// Everything about one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Config {
    /// The bucket.
    pub bucket: String,
    /// `endpointURL`: any S3-compatible store. Implies path-style addresses.
    pub endpoint_url: Option<String>,
    /// `endpointCA`, PEM: trusted instead of the system's authorities.
    pub endpoint_ca: Option<Vec<u8>>,
    /// A file with authorities, PEM, for a system that has none of its own.
    pub other_authorities: Option<PathBuf>,
    /// The region, if it is known.
    pub region: Option<String>,
    /// The credentials.
    pub credentials: S3Credentials,
    /// Server-side encryption, if asked for.
    pub encryption: Option<Encryption>,
    /// Bounds on a call.
    pub timeouts: Timeouts,
}

impl S3Config {
    /// A bucket on Amazon's S3 with the environment's role.
    #[must_use]
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            endpoint_url: None,
            endpoint_ca: None,
            other_authorities: None,
            region: None,
            credentials: S3Credentials::Ambient,
            encryption: None,
            timeouts: Timeouts::default(),
        }
    }

    /// Fills what is not given from the variables that Amazon's SDKs read: `AWS_ENDPOINT_URL_S3`,
    /// `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_DEFAULT_REGION`. The lookup is an argument, so that it can be tested.
    #[must_use]
    pub fn with_environment(mut self, lookup: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&str; 2]| names.iter().filter_map(|name| lookup(name)).find(|value| !value.is_empty());
        self.endpoint_url = self.endpoint_url.or_else(|| first(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]));
        self.region = self.region.or_else(|| first(["AWS_REGION", "AWS_DEFAULT_REGION"]));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_wins_over_the_environment() {
        let lookup = |name: &str| Some(format!("from-{name}"));
        let config = S3Config::new("b").with_environment(lookup);
        assert_eq!(config.endpoint_url.as_deref(), Some("from-AWS_ENDPOINT_URL_S3"));
        assert_eq!(config.region.as_deref(), Some("from-AWS_REGION"));
        let given = S3Config { region: Some("eu-1".into()), ..S3Config::new("b") }.with_environment(lookup);
        assert_eq!(given.region.as_deref(), Some("eu-1"));
        assert_eq!(S3Config::new("b").with_environment(|_| None).endpoint_url, None);
    }

    #[test]
    fn a_secret_is_never_printed() {
        let credentials = S3Credentials::Given {
            access_key_id: "AKIA".into(),
            secret_access_key: "sesame".into(),
            session_token: Some("token".into()),
        };
        let text = format!("{:?}", S3Config { credentials, ..S3Config::new("b") });
        assert!(!text.contains("sesame") && !text.contains("token") && !text.contains("AKIA"), "{text}");
    }
}
