//! Where a base backup goes and how, from the Cluster and the Secrets that it names.

use crate::archive::StoreSettings;
use crate::cluster_api::ClusterApi;
use crate::store_settings::{encryption, store_settings};
use pgherd_backup::base::BaseSettings;
use pgherd_backup::{Patience, WalArchive};
use pgherd_core::identity::SystemId;
use pgherd_core::rules::backup_options::BackupOptions;
use pgherd_core::wal::Compression;
use pgherd_objectstore::{ObjectStore, Timeouts};
use pgherd_proto::cluster::{Cluster, DataCompression, DataConfiguration};
use pgherd_telemetry::chain;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// For one part: of the usual size, that is 70 kB a second.
const PART_WITHIN: Duration = Duration::from_secs(300);
/// The store may be away for so long.
const PATIENCE: Duration = Duration::from_secs(900);

/// Everything that a backup is told.
#[derive(Debug)]
pub struct Target {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// Where in it this server's objects lie.
    pub root: String,
    /// Tags of every object.
    pub tags: Vec<(String, String)>,
    /// The archive, which has to have the WAL that the backup needs.
    pub archive: WalArchive,
    /// How it is written.
    pub settings: BaseSettings,
    /// Whether its first checkpoint is made at once.
    pub fast: bool,
    /// A name for people.
    pub name: Option<String>,
}

/// Reads the Cluster.
///
/// # Errors
/// For people: there is nowhere to put a backup, or a Secret cannot be read.
pub async fn target(cluster: &Cluster, api: &ClusterApi) -> Result<Target, String> {
    let settings = store_settings(cluster, api).await?;
    let settings = settings.ok_or("the Cluster has no spec.backup.barmanObjectStore")?;
    let store = cluster.spec.object_store();
    let data = store.and_then(|store| store.data.clone()).unwrap_or_default();
    open(settings, &data)
}

impl Target {
    /// Proves that the archive is this database system's, or nobody's yet.
    ///
    /// # Errors
    /// For people: whose it is, and what to do.
    pub async fn admit(&self, own: SystemId) -> Result<(), String> {
        let archive = self.archive.patient(Patience(self.settings.patience));
        archive.admit(own).await.map_err(|error| chain(&error))
    }
}

fn open(settings: StoreSettings, data: &DataConfiguration) -> Result<Target, String> {
    let environment = |name: &str| std::env::var(name).ok();
    let options = BackupOptions::read(&data.additional_command_args);
    if !options.ignored.is_empty() {
        tracing::warn!(options = ?options.ignored, "options of barman-cloud-backup that mean nothing here");
    }
    let of_data = StoreSettings { encryption: data.encryption.map(encryption), ..settings.clone() };
    let timeouts = Timeouts { call: PART_WITHIN, ..Timeouts::default() };
    let (store, root) = of_data.connect(timeouts, environment).map_err(|error| chain(&error))?;
    let archive = settings.open(environment).map_err(|error| chain(&error))?.archive;
    Ok(Target {
        store,
        root,
        tags: of_data.tags,
        archive,
        settings: base_settings(data, &options),
        fast: data.immediate_checkpoint || options.immediate_checkpoint,
        name: options.name,
    })
}

fn base_settings(data: &DataConfiguration, options: &BackupOptions) -> BaseSettings {
    let compression = data.compression.map(|named| match named {
        DataCompression::Bzip2 => Compression::Bzip2,
        DataCompression::Gzip => Compression::Gzip,
        DataCompression::Lz4 => Compression::Lz4,
        DataCompression::Snappy => Compression::Snappy,
    });
    let jobs = options.jobs.or_else(|| u32::try_from(data.jobs).ok()).and_then(|jobs| usize::try_from(jobs).ok());
    let usual = BaseSettings::default();
    BaseSettings {
        compression,
        jobs: jobs.and_then(NonZeroUsize::new).unwrap_or(usual.jobs),
        max_archive_size: options.max_archive_size.unwrap_or(usual.max_archive_size),
        min_part: options.min_chunk_size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usual.min_part),
        max_bandwidth: options.max_bandwidth,
        patience: PATIENCE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &serde_json::Value) -> BaseSettings {
        let data: DataConfiguration = serde_json::from_value(data.clone()).unwrap();
        base_settings(&data, &BackupOptions::read(&data.additional_command_args))
    }

    #[test]
    fn what_the_manifest_says_is_heeded_and_options_say_it_louder() {
        let seed = read(&serde_json::json!({"compression": "gzip"}));
        assert_eq!((seed.compression, seed.jobs.get()), (Some(Compression::Gzip), 2));
        let options = serde_json::json!({"jobs": 4, "additionalCommandArgs": ["--jobs=3", "--max-bandwidth", "1MB"]});
        let more = read(&options);
        assert_eq!((more.compression, more.jobs.get(), more.max_bandwidth), (None, 3, Some(1_000_000)));
        let snappy = read(&serde_json::json!({"compression": "snappy"}));
        assert_eq!(snappy.compression, Some(Compression::Snappy));
    }
}
