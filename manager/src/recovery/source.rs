//! The archive that is recovered from, and the one that the new cluster will write to.

use super::Asked;
use crate::archive::{StoreConfig, StoreSettings};
use crate::context::Context;
use crate::store_settings::{settings_of, store_settings};
use kube::Api;
use pgherd_backup::{Catalog, Patience};
use pgherd_core::backup::RecoveryTarget;
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::Compression;
use pgherd_proto::backup::{Backup, BackupStatus};
use pgherd_proto::cluster::{Archive, BackupSource, BarmanObjectStore, Cluster};
use pgherd_telemetry::chain;

/// Where from, and up to where.
pub struct Source {
    /// Its WAL.
    pub store: StoreConfig,
    /// Its backups.
    pub catalog: Catalog,
    /// Where it is, for messages.
    pub place: String,
    /// Up to where.
    pub target: RecoveryTarget,
}

/// Finds the archive that is recovered from.
///
/// # Errors
/// For people.
pub async fn open(cx: &Context, cluster: &Cluster, asked: Asked<'_>) -> Result<Source, String> {
    let mut target = asked.target().map_err(|e| chain(&e))?;
    let archive = match asked {
        Asked::Bootstrap(asked) => cluster.spec.recovery_archive(asked).map_err(|e| chain(&e))?,
        Asked::InPlace(_) => {
            let own = cluster.spec.object_store().ok_or("the cluster has no spec.backup.barmanObjectStore")?;
            Archive::Store(&cx.api.name, own)
        }
    };
    let settings = match archive {
        Archive::Store(name, store) => settings_of(store, name, &cx.api).await?,
        Archive::OfBackup(source) => {
            let status = backup(cx, source).await?;
            // CNPG begins with that Backup's own, unless the target says otherwise.
            let own = status.backup_id.as_deref().map(str::parse).transpose().map_err(|e| chain(&e))?;
            target.backup = target.backup.or(own);
            of_backup(cx, cluster, source, status).await?
        }
    };
    let place = format!("{}/{}", settings.destination_path.trim_end_matches('/'), settings.server_name);
    let store = opened(settings)?;
    let catalog = store.archive.catalog(Patience::default());
    Ok(Source { store, catalog, place, target })
}

/// The settings of an archive that is only read: how it would be written does not matter.
pub fn opened(settings: StoreSettings) -> Result<StoreConfig, String> {
    let compression = settings.compression.filter(|compression| *compression == Compression::Gzip);
    let settings = StoreSettings { compression, ..settings };
    settings.open(|name| std::env::var(name).ok()).map_err(|e| chain(&e))
}

async fn backup(cx: &Context, source: &BackupSource) -> Result<BackupStatus, String> {
    let name = &source.name;
    let backups: Api<Backup> = Api::namespaced(cx.api.client.clone(), &cx.api.namespace);
    let found = backups.get(name).await.map_err(|e| format!("failed to read Backup {name}: {}", chain(&e)))?;
    let status = found.status.unwrap_or_default();
    match status.phase.as_deref() {
        Some(pgherd_proto::backup::phase::COMPLETED) => Ok(status),
        phase => Err(format!("Backup {name} is not completed: its phase is {:?}", phase.unwrap_or("none"))),
    }
}

/// Where the Backup says that it is. It does not say how many files are worth fetching ahead: the cluster's own archive does.
async fn of_backup(
    cx: &Context,
    cluster: &Cluster,
    source: &BackupSource,
    status: BackupStatus,
) -> Result<StoreSettings, String> {
    let destination_path = status.destination_path.filter(|path| !path.is_empty());
    let store = BarmanObjectStore {
        destination_path: destination_path.ok_or_else(|| format!("Backup {} does not say where it is", source.name))?,
        endpoint_url: status.endpoint_url,
        endpoint_ca: source.endpoint_ca.clone().or(status.endpoint_ca),
        server_name: status.server_name,
        s3_credentials: status.s3_credentials,
        wal: cluster.spec.object_store().and_then(|own| own.wal.clone()),
        ..BarmanObjectStore::default()
    };
    settings_of(&store, &cx.api.name, &cx.api).await
}

/// The highest timeline that this cluster has reserved or seen, where it is restored in place: what was reserved and
/// never archived is taken as well (I2).
///
/// # Errors
/// For people: the lease is not known.
pub fn reserved(cx: &Context, cluster: &Cluster, asked: Asked<'_>) -> Result<TimelineId, String> {
    let Asked::InPlace(_) = asked else { return Ok(TimelineId::default()) };
    let reserved = cx.lease.reserved().ok_or("the lease has not been read yet")?;
    let seen = cluster.status.as_ref().and_then(|status| status.timeline_id);
    Ok(reserved.max(seen.and_then(|id| u32::try_from(id).ok()).map(TimelineId).unwrap_or_default()))
}

/// The highest timeline in the archive that the new cluster will write to; zero where it has none, or is not archived.
///
/// # Errors
/// For people: it cannot be read, and so nobody knows which ids are free.
pub async fn taken_in_own(cx: &Context, cluster: &Cluster) -> Result<TimelineId, String> {
    let Some(settings) = store_settings(cluster, &cx.api).await? else { return Ok(TimelineId::default()) };
    let own = opened(settings)?.archive.catalog(Patience::default());
    let histories = own.histories().await.map_err(|e| format!("the cluster's own archive: {}", chain(&e)))?;
    Ok(histories.into_iter().max().unwrap_or_default())
}
