//! Builds the SDK's client: TLS by ring, no hidden retries, bounds on every call, region found if need be.

use super::config::{S3Config, S3Credentials};
use super::read_error::read;
use crate::StoreError;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    Credentials, RequestChecksumCalculation, ResponseChecksumValidation, SharedCredentialsProvider, SharedHttpClient,
};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use rustls::pki_types::{CertificateDer, pem::PemObject};

/// The region that a bucket is asked for when nobody told: every region answers where the bucket really is.
const ASKED_FIRST: &str = "us-east-1";

/// A client for the bucket. Asks the bucket for its region if neither the field nor the environment has it.
pub(super) async fn connect(config: &S3Config) -> Result<Client, StoreError> {
    let http = http_client(config)?;
    let Some(region) = config.region.clone() else {
        let guess = build(config, http.clone(), ASKED_FIRST.to_owned()).await;
        let region = find_region(&guess, &config.bucket).await?;
        return Ok(if region == ASKED_FIRST { guess } else { build(config, http, region).await });
    };
    Ok(build(config, http, region).await)
}

async fn build(config: &S3Config, http: SharedHttpClient, region: String) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(config.timeouts.connect)
        .operation_timeout(config.timeouts.call)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .region(Region::new(region))
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    if let S3Credentials::Given { access_key_id, secret_access_key, session_token } = &config.credentials {
        let given = Credentials::new(access_key_id, secret_access_key, session_token.clone(), None, "cluster secret");
        loader = loader.credentials_provider(SharedCredentialsProvider::new(given));
    }
    let shared = loader.load().await;
    // Beyond the digest that every signature covers (x-amz-content-sha256, which stores compare), nothing is asked for:
    // not every store that speaks S3 takes the newer checksum headers.
    let builder = aws_sdk_s3::config::Builder::from(&shared)
        .force_path_style(config.endpoint_url.is_some())
        .endpoint_url_maybe(config)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    Client::from_conf(builder.build())
}

trait EndpointMaybe {
    fn endpoint_url_maybe(self, config: &S3Config) -> Self;
}

impl EndpointMaybe for aws_sdk_s3::config::Builder {
    fn endpoint_url_maybe(self, config: &S3Config) -> Self {
        match &config.endpoint_url {
            Some(url) => self.endpoint_url(url),
            None => self,
        }
    }
}

fn http_client(config: &S3Config) -> Result<SharedHttpClient, StoreError> {
    let plain = config.endpoint_url.as_deref().is_some_and(|url| url.starts_with("http://"));
    if plain && matches!(config.credentials, S3Credentials::Given { .. }) {
        // Nothing will speak TLS, so nothing needs the system's authorities.
        return Ok(Builder::new().build_http());
    }
    let trust = trust(config, || rustls_native_certs::load_native_certs().certs.is_empty())?;
    let context = TlsContext::builder().with_trust_store(trust).build().map_err(|error| bad_ca(&error))?;
    Ok(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(context).build_https())
}

/// Whom to believe: whoever `endpointCA` names, else the system's authorities, else those that were brought along.
fn trust(config: &S3Config, system_has_none: impl FnOnce() -> bool) -> Result<TrustStore, StoreError> {
    if let Some(pem) = &config.endpoint_ca {
        return believed(pem);
    }
    if !system_has_none() {
        return Ok(TrustStore::default());
    }
    match config.other_authorities.as_deref().map(std::fs::read) {
        Some(Ok(pem)) => believed(&pem),
        _ => {
            let reason = "no certificate authorities on this system: give endpointCA, or install them".to_owned();
            Err(StoreError::Misconfigured { reason })
        }
    }
}

fn believed(pem: &[u8]) -> Result<TrustStore, StoreError> {
    // The SDK panics on a certificate that it cannot read, so it only gets those that can be read.
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| bad_ca(&error))?;
        roots.add(certificate).map_err(|error| bad_ca(&error))?;
    }
    if roots.is_empty() {
        return Err(bad_ca(&"no certificate in it"));
    }
    Ok(TrustStore::empty().with_pem_certificate(pem.to_vec()))
}

fn bad_ca(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Misconfigured { reason: format!("endpointCA is no usable certificate: {error}") }
}

/// Where the bucket is (S3 API Reference, HeadBucket: the region is in the answer's header, whatever its status).
async fn find_region(client: &Client, bucket: &str) -> Result<String, StoreError> {
    match client.head_bucket().bucket(bucket).send().await {
        Ok(found) => Ok(found.bucket_region().unwrap_or(ASKED_FIRST).to_owned()),
        Err(error) => {
            let told = error.raw_response().and_then(|answer| answer.headers().get("x-amz-bucket-region"));
            match told {
                Some(region) => Ok(region.to_owned()),
                None => Err(match read(&error, bucket) {
                    // HEAD answers have no body, so a 404 has no code; on a bucket it can only mean the bucket.
                    StoreError::Outage { .. } | StoreError::NotFound { .. }
                        if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 404) =>
                    {
                        StoreError::Misconfigured { reason: format!("there is no bucket {bucket}") }
                    }
                    other => other,
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_authorities_believes_those_that_were_brought_along_and_says_so_where_there_are_none() {
        let brought = |path: &str| S3Config { other_authorities: Some(path.into()), ..S3Config::new("b") };
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        std::fs::write(path, include_str!("../../../pki/testdata/sec1.crt")).unwrap();
        assert!(trust(&brought(path), || true).is_ok());
        let refused = |config: &S3Config| trust(config, || true).unwrap_err().to_string();
        assert!(refused(&brought("/nowhere")).contains("no certificate authorities on this system"));
        assert!(refused(&S3Config::new("b")).contains("no certificate authorities on this system"));
        std::fs::write(path, "damaged").unwrap();
        assert!(refused(&brought(path)).contains("no usable certificate"));
        assert!(trust(&S3Config::new("b"), || false).is_ok());
    }
}
