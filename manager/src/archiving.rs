//! The archive as this instance uses it: configured from the Cluster and its Secrets, told its role by the driver.

use crate::archive::{
    Archive, ArchivePaths, ArchiveRole, ArchiverStatus, Bounds, RestoreMode, StoreSettings, TailSource,
};
use crate::certificates::Certificates;
use crate::cluster_api::ClusterApi;
use crate::config::Config;
use crate::holder_tail::{Held, HolderTail};
use crate::http::ArchiveView;
use crate::store_settings::store_settings;
use core::time::Duration;
use pgherd_core::cluster::TailFact;
use pgherd_core::instance::ArchiveMode;
use pgherd_core::timeline::TimelineId;
use pgherd_proto::cluster::{BarmanObjectStore, Cluster};
use pgherd_telemetry::chain;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often the Secrets are looked at again: credentials are rotated without a restart.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// While they cannot be read.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// The archive, both ways.
#[derive(Clone)]
pub struct Archiving {
    archive: Archive,
    certificates: Certificates,
    pg_wal: PathBuf,
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
        let pg_wal = config.pgdata.join("pg_wal");
        Ok((Self { archive, certificates: certificates.clone(), pg_wal }, ArchivingTasks { serving }))
    }

    /// Whether archive_command may archive.
    pub fn set_mode(&self, mode: ArchiveMode) {
        match mode {
            ArchiveMode::Unchecked => {
                self.archive.set_role(ArchiveRole::Unchecked);
                self.archive.resume();
            }
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
    pub fn use_tail(&self, source: Option<TailFact>, held: Held) {
        let source = source.map(|fact| {
            let tail: Arc<dyn TailSource> =
                Arc::new(HolderTail::new(fact, self.certificates.clone(), self.pg_wal.clone(), held));
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
        view(&self.archive.status().borrow())
    }
}

fn view(status: &ArchiverStatus) -> ArchiveView {
    let ArchiverStatus { archived_count, archived_bytes, failed_count, last_failed, failing_since, progress, .. } =
        status;
    let failing = failing_since.and(last_failed.as_ref());
    ArchiveView {
        archived: *archived_count,
        archived_bytes: *archived_bytes,
        failed: *failed_count,
        error: failing.map(|failure| format!("{}: {}", failure.name, failure.reason)),
        error_kind: failing.map(|failure| failure.kind),
        caught_up_in: progress.as_ref().and_then(|progress| progress.eta),
    }
}

async fn configure(archive: Archive, mut cluster: watch::Receiver<Option<Arc<Cluster>>>, api: ClusterApi) {
    let mut known: Option<Option<StoreSettings>> = None;
    loop {
        let current = cluster.borrow_and_update().clone();
        let pause = match &current {
            None => TRY_AGAIN,
            Some(cluster) => match store_settings(cluster, &api).await {
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
        // A Cluster changes many times in a failover, and where it archives to hardly ever.
        let elsewhere = cluster.wait_for(|now| asked(now.as_ref()) != asked(current.as_ref()));
        if let Ok(Err(_)) = tokio::time::timeout(pause, elsewhere).await {
            return;
        }
    }
}

/// Where a Cluster that has been read wants to archive, if anywhere.
fn asked(cluster: Option<&Arc<Cluster>>) -> Option<Option<&BarmanObjectStore>> {
    cluster.map(|cluster| cluster.spec.object_store())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Failure;
    use std::time::SystemTime;

    #[test]
    fn what_the_archiver_did_is_what_status_and_metrics_show() {
        let now = SystemTime::now();
        let name = "000000010000000000000001".parse().unwrap();
        let failure = Failure { name, at: now, kind: "outage", refused: false, reason: "no route".to_owned() };
        let mut status = ArchiverStatus {
            archived_count: 2,
            archived_bytes: 32 << 20,
            failed_count: 1,
            last_failed: Some(failure),
            ..ArchiverStatus::default()
        };
        let shown = ArchiveView { archived: 2, archived_bytes: 32 << 20, failed: 1, ..ArchiveView::default() };
        assert_eq!(view(&status), shown, "a failure of before is none");
        status.failing_since = Some(now);
        let error = Some("000000010000000000000001: no route".to_owned());
        assert_eq!(view(&status), ArchiveView { error, error_kind: Some("outage"), ..shown });
    }
}
