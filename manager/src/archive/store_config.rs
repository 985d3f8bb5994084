//! From a Cluster's `barmanObjectStore` to an archive that can be used.

use super::control::StoreConfig;
use pgherd_backup::{WalArchive, WalSettings};
use pgherd_core::wal::Compression;
use pgherd_objectstore::{Encryption, Location, LocationError, S3Config, S3Credentials, S3Store, Timeouts};
use pgherd_proto::names;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

/// The fields of `backup.barmanObjectStore` that matter for WAL, with secrets resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// `destinationPath`.
    pub destination_path: String,
    /// `serverName`, or the Cluster's name.
    pub server_name: String,
    /// `endpointURL`.
    pub endpoint_url: Option<String>,
    /// The content behind `endpointCA`, PEM.
    pub endpoint_ca: Option<Vec<u8>>,
    /// The value behind `s3Credentials.region`.
    pub region: Option<String>,
    /// The values behind `s3Credentials`, or the environment's role.
    pub credentials: S3Credentials,
    /// `wal.compression`.
    pub compression: Option<Compression>,
    /// `wal.encryption`.
    pub encryption: Option<Encryption>,
    /// `wal.maxParallel`.
    pub max_parallel: NonZeroUsize,
    /// `tags`.
    pub tags: Vec<(String, String)>,
    /// `historyTags`.
    pub history_tags: Vec<(String, String)>,
}

/// The settings cannot be used; the Cluster has to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreConfigError {
    /// `destinationPath` or `serverName`.
    #[error("failed to understand where to archive")]
    Location(#[source] LocationError),
}

impl StoreSettings {
    /// Makes the store, and says where in it this server's objects lie. Nothing is connected yet.
    pub fn connect(
        &self,
        timeouts: Timeouts,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<(Arc<S3Store>, String), StoreConfigError> {
        let place = Location::parse(&self.destination_path, &self.server_name).map_err(StoreConfigError::Location)?;
        let config = S3Config {
            endpoint_url: self.endpoint_url.clone(),
            endpoint_ca: self.endpoint_ca.clone(),
            other_authorities: Some(PathBuf::from(names::AUTHORITIES)),
            region: self.region.clone(),
            credentials: self.credentials.clone(),
            encryption: self.encryption,
            timeouts,
            ..S3Config::new(place.bucket)
        };
        Ok((Arc::new(S3Store::new(config.with_environment(environment))), place.root))
    }

    /// Makes the archive. Nothing is connected yet; `environment` is where Amazon's variables are looked up.
    pub fn open(self, environment: impl Fn(&str) -> Option<String>) -> Result<StoreConfig, StoreConfigError> {
        let (store, root) = self.connect(Timeouts::default(), environment)?;
        let settings =
            WalSettings { root, compression: self.compression, tags: self.tags, history_tags: self.history_tags };
        Ok(StoreConfig { archive: WalArchive::new(store, settings), max_parallel: self.max_parallel })
    }
}
