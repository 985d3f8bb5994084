//! The archive as this instance uses it: configured from the Cluster and its Secrets, told its role by the driver.

use crate::archive::{
    Archive, ArchivePaths, ArchiveRole, ArchiverStatus, Bounds, RestoreMode, StoreSettings, TailError, TailSource,
};
use crate::certificates::Certificates;
use crate::cluster_api::ClusterApi;
use crate::config::{Config, STATUS_PORT};
use crate::http::ArchiveView;
use bytes::Bytes;
use core::time::Duration;
use http::StatusCode;
use pgherd_core::cluster::TailFact;
use pgherd_core::instance::ArchiveMode;
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::{Compression, WalName};
use pgherd_dial::{Call, CallError};
use pgherd_objectstore::{Encryption, S3Credentials};
use pgherd_proto::cluster::{self, BarmanObjectStore, Cluster, SecretKeySelector, WalCompression};
use pgherd_telemetry::chain;
use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often the Secrets are looked at again: credentials are rotated without a restart.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// While they cannot be read.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// The largest answer: a WAL segment of the largest size, and some room.
const LONGEST_SEGMENT: usize = (1 << 30) + 4096;
/// For one segment to come over.
const SEGMENT_WITHIN: Duration = Duration::from_secs(5);

/// The archive, both ways.
#[derive(Clone)]
pub struct Archiving {
    archive: Archive,
    certificates: Certificates,
}

/// What runs beside it.
pub struct ArchivingTasks<F> {
    /// Serves and reconfigures until dropped.
    pub serving: F,
}

impl Archiving {
    /// Listens for postgres' clients, and follows the Cluster's backup section.
    ///
    /// # Errors
    /// For people: the socket or the spool cannot be made.
    pub async fn start(
        config: &Config,
        certificates: &Certificates,
        cluster: watch::Receiver<Option<Arc<Cluster>>>,
        api: &ClusterApi,
    ) -> Result<(Self, ArchivingTasks<impl Future<Output = ()> + Send + use<>>), String> {
        let mut tasks = JoinSet::new();
        let paths = ArchivePaths::new(&config.pgdata, &config.controller_dir);
        let archive = Archive::start(paths, Bounds::default(), &mut tasks).await.map_err(|e| chain(&e))?;
        tasks.spawn(configure(archive.clone(), cluster, api.clone()));
        let serving = async move { while tasks.join_next().await.is_some() {} };
        Ok((Self { archive, certificates: certificates.clone() }, ArchivingTasks { serving }))
    }

    /// Whether archive_command may archive.
    pub fn set_mode(&self, mode: ArchiveMode) {
        match mode {
            ArchiveMode::Primary => {
                self.archive.set_role(ArchiveRole::Primary);
                self.archive.resume();
            }
            ArchiveMode::Standby => {
                self.archive.set_role(ArchiveRole::Other);
                self.archive.resume();
            }
            ArchiveMode::Stopping => self.archive.stop(),
        }
    }

    /// Where restore_command finds the end of a dead primary's WAL.
    pub fn use_tail(&self, source: Option<TailFact>) {
        let source = source.map(|fact| {
            let tail: Arc<dyn TailSource> =
                Arc::new(HolderTail { address: fact.address, certificates: self.certificates.clone() });
            tail
        });
        self.archive.set_tail(source);
    }

    /// A promotion onto the reserved timeline begins, or is over (hole 30).
    pub fn promoting(&self, reserved: Option<(TimelineId, TimelineId)>) {
        self.archive.set_restore_mode(match reserved {
            Some((from, reserved)) => RestoreMode::Promoting { from, reserved },
            None => RestoreMode::default(),
        });
    }

    /// A standby follows a leader on this timeline: no history above it is for us.
    pub fn following(&self, timeline: TimelineId) {
        self.archive.set_restore_mode(RestoreMode::Standby { newest: Some(timeline) });
    }

    /// What the archive last did, for the Cluster's condition.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ArchiverStatus> {
        self.archive.status()
    }

    /// The data directory is another one now.
    pub fn forget(&self) {
        self.archive.forget();
    }

    /// Archives whatever waits, with postgres down.
    ///
    /// # Errors
    /// For people: what could not be archived, and why.
    pub async fn archive_all_ready(&self, bound: Duration) -> Result<(), String> {
        self.archive.resume();
        let archived = self.archive.archive_all_ready(bound).await.map_err(|e| chain(&e))?;
        if archived > 0 {
            tracing::info!(archived, "archived what was left");
        }
        Ok(())
    }

    /// The same beside a running standby. A manager that is stopping goes on stopping.
    ///
    /// # Errors
    /// As [`Archiving::archive_all_ready`].
    pub async fn archive_leftovers(&self, bound: Duration) -> Result<usize, String> {
        self.archive.archive_all_ready(bound).await.map_err(|e| chain(&e))
    }

    /// Puts whatever waits aside, durably.
    ///
    /// # Errors
    /// For people: why the data directory must not be changed.
    pub async fn put_aside(&self) -> Result<usize, String> {
        let archive = self.archive.clone();
        tokio::task::spawn_blocking(move || archive.put_aside()).await.map_err(|e| chain(&e))?.map_err(|e| chain(&e))
    }

    /// Archives what was put aside, as far as the store lets it; how many files that were.
    ///
    /// # Errors
    /// For people; what is left stays aside.
    pub async fn archive_aside(&self, bound: Duration) -> Result<usize, String> {
        self.archive.archive_aside(bound).await.map_err(|e| chain(&e))
    }

    /// Something lies aside, or it cannot be told. Blocks.
    #[must_use]
    pub fn has_aside(&self) -> bool {
        self.archive.aside().map_or(true, |files| files > 0)
    }

    /// The store did not answer when it was last asked.
    #[must_use]
    pub fn is_out_of_reach(&self) -> bool {
        self.archive.is_out_of_reach()
    }

    /// Something in pg_wal is not archived yet, or it cannot be told. Blocks.
    #[must_use]
    pub fn waiting(&self) -> bool {
        self.archive.waiting().map_or(true, |waiting| waiting > 0)
    }

    /// For status and metrics.
    #[must_use]
    pub fn view(&self) -> ArchiveView {
        let ArchiverStatus { archived_count, failed_count, last_failed, failing_since, .. } =
            self.archive.status().borrow().clone();
        ArchiveView {
            archived: archived_count,
            failed: failed_count,
            error: failing_since
                .and(last_failed.as_ref())
                .map(|failure| format!("{}: {}", failure.name, failure.reason)),
            ..ArchiveView::default()
        }
    }
}

/// The crashed holder's pg_wal, over its manager.
struct HolderTail {
    address: String,
    certificates: Certificates,
}

#[async_trait::async_trait]
impl TailSource for HolderTail {
    async fn fetch(&self, name: WalName) -> Result<Option<Bytes>, TailError> {
        let tls = self.certificates.client().ok_or_else(|| TailError("no certificate yet".to_owned()))?;
        let call = Call::get(format!("/pg/wal/{name}"), SEGMENT_WITHIN).up_to(LONGEST_SEGMENT);
        match pgherd_dial::ask(tls, &self.address, STATUS_PORT, call).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(CallError::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
            Err(error) => Err(TailError(chain(&error))),
        }
    }
}

async fn configure(archive: Archive, mut cluster: watch::Receiver<Option<Arc<Cluster>>>, api: ClusterApi) {
    let mut known: Option<Option<StoreSettings>> = None;
    loop {
        let current = cluster.borrow_and_update().clone();
        let pause = match current {
            None => TRY_AGAIN,
            Some(cluster) => match wanted(&cluster, &api).await {
                Ok(fresh) => {
                    if known.as_ref() != Some(&fresh) {
                        apply(&archive, fresh.clone());
                        known = Some(fresh);
                    }
                    LOOK_AGAIN
                }
                Err(why) => {
                    tracing::warn!(%why, "the archive is not configured");
                    TRY_AGAIN
                }
            },
        };
        if let Ok(Err(_)) = tokio::time::timeout(pause, cluster.changed()).await {
            return;
        }
    }
}

fn apply(archive: &Archive, settings: Option<StoreSettings>) {
    match settings.map(|settings| settings.open(|name| std::env::var(name).ok())).transpose() {
        Ok(store) => {
            tracing::info!(on = store.is_some(), "archive configured");
            archive.configure(store);
        }
        Err(error) => tracing::error!(error = %chain(&error), "spec.backup.barmanObjectStore cannot be used"),
    }
}

async fn wanted(cluster: &Cluster, api: &ClusterApi) -> Result<Option<StoreSettings>, String> {
    let Some(store) = cluster.spec.backup.as_ref().and_then(|backup| backup.barman_object_store.clone()) else {
        return Ok(None);
    };
    let wal = store.wal.clone().unwrap_or_default();
    let endpoint_ca = match &store.endpoint_ca {
        Some(selector) => Some(secret(api, selector).await?.into_bytes()),
        None => None,
    };
    let region = match store.s3_credentials.as_ref().and_then(|c| c.region.as_ref()) {
        Some(selector) => Some(secret(api, selector).await?),
        None => None,
    };
    Ok(Some(StoreSettings {
        credentials: credentials(&store, api).await?,
        server_name: store.server_name.clone().unwrap_or_else(|| api.name.clone()),
        destination_path: store.destination_path,
        endpoint_url: store.endpoint_url,
        endpoint_ca,
        region,
        compression: wal.compression.map(compression),
        encryption: wal.encryption.map(|encryption| match encryption {
            cluster::Encryption::Aes256 => Encryption::Aes256,
            cluster::Encryption::AwsKms => Encryption::AwsKms,
        }),
        max_parallel: usize::try_from(wal.max_parallel).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN),
        tags: Vec::new(),
        history_tags: Vec::new(),
    }))
}

fn compression(named: WalCompression) -> Compression {
    match named {
        WalCompression::Bzip2 => Compression::Bzip2,
        WalCompression::Gzip => Compression::Gzip,
        WalCompression::Lz4 => Compression::Lz4,
        WalCompression::Snappy => Compression::Snappy,
        WalCompression::Xz => Compression::Xz,
        WalCompression::Zstd => Compression::Zstd,
    }
}

async fn credentials(store: &BarmanObjectStore, api: &ClusterApi) -> Result<S3Credentials, String> {
    let given = store.s3_credentials.clone().unwrap_or_default();
    let (Some(id), Some(key)) = (&given.access_key_id, &given.secret_access_key) else {
        return Ok(S3Credentials::Ambient);
    };
    let session_token = match &given.session_token {
        Some(selector) => Some(secret(api, selector).await?),
        None => None,
    };
    Ok(S3Credentials::Given {
        access_key_id: secret(api, id).await?,
        secret_access_key: secret(api, key).await?,
        session_token,
    })
}

/// One value of a Secret, without the newline that people leave at its end.
async fn secret(api: &ClusterApi, selector: &SecretKeySelector) -> Result<String, String> {
    let SecretKeySelector { name, key, .. } = selector;
    let found = api.secrets.get(name).await.map_err(|e| format!("failed to read Secret {name}: {}", chain(&e)))?;
    let bytes =
        found.data.and_then(|mut data| data.remove(key)).ok_or_else(|| format!("Secret {name} has no key {key}"))?;
    let text = String::from_utf8(bytes.0).map_err(|_| format!("{key} of Secret {name} is no text"))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
