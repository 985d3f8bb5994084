//! What every effect works with: one instance's processes, files and connections.

use crate::archiving::Archiving;
use crate::certificates::Certificates;
use crate::cluster_api::{Announcer, ClusterApi, LeaseApi};
use crate::config::Config;
use crate::metrics::Registry;
use crate::spare_session::SpareSession;
use crate::synchrony::Synchrony;
use crate::watchdog::Watchdog;
use pgherd_core::instance::{Event, Leader, Peer};
use pgherd_core::lease::Timings;
use pgherd_core::sync::SyncSetting;
use pgherd_core::timeline::TimelineId;
use pgherd_postgres::dir::Volume;
use pgherd_postgres::fsync_probe::{FsyncProbe, ProbeError};
use pgherd_postgres::lines::LineSink;
use pgherd_postgres::process::PostmasterHandle;
use pgherd_postgres::reap::Reaper;
use pgherd_postgres::version::Major;
use pgherd_postgres::volume_lock::VolumeLock;
use pgherd_proto::cluster::Cluster;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc, watch};

/// The running postmaster.
#[derive(Clone, Debug)]
pub struct Running {
    /// Its process.
    pub handle: PostmasterHandle,
    /// It was told to stop: its end, which may be heard of when another runs already, is no news.
    pub stopping: Arc<AtomicBool>,
}

/// Shared by the driver and the effects; everything in it may be used from many tasks.
pub struct Context {
    /// Who and where.
    pub config: Config,
    /// Owner of all children.
    pub reaper: Reaper,
    /// The volume's lock, held for the manager's life.
    pub lock: VolumeLock,
    /// The volume.
    pub volume: Volume,
    /// The PostgreSQL that is installed.
    pub major: Major,
    /// The API objects.
    pub api: ClusterApi,
    /// The Lease.
    pub lease: LeaseApi,
    /// What this manager writes about itself.
    pub announcer: Announcer,
    /// The Cluster as last seen.
    pub cluster: watch::Receiver<Option<Arc<Cluster>>>,
    /// Keys and certificates.
    pub certificates: Certificates,
    /// Timings of the lease; fixed for the life of the process.
    pub timings: Timings,
    /// The archive, both ways.
    pub archiving: Archiving,
    /// Where postgres' own lines go.
    pub postgres_lines: LineSink,
    /// Back to the driver.
    pub events: mpsc::Sender<Event>,
    /// Asks the sampler to look now.
    pub nudge: Arc<Notify>,
    /// Postgres was told to stop: sessions of ours must not be what it waits for.
    pub leaving: Arc<AtomicBool>,
    /// Whom a standby is told to follow.
    pub following: watch::Sender<Option<Leader>>,
    /// The timeline that this instance writes or follows, as last known.
    pub timeline: watch::Sender<TimelineId>,
    /// What the running standby must not have less of, as its control file said when it was started.
    pub sensitive: watch::Sender<Vec<(&'static str, u32)>>,
    /// Some of that is more than the Cluster asks for.
    pub raised: AtomicBool,
    /// The password of the search in LDAP, once it was read.
    pub bind_password: watch::Sender<Option<String>>,
    /// A parameter was changed that takes effect only after a restart.
    pub pending_restart: AtomicBool,
    /// One of those parameters is decreased that a standby must not have less of than its primary.
    pub pending_decrease: AtomicBool,
    /// Another pod is labelled as the primary, as last seen.
    pub another_labelled: AtomicBool,
    /// The other members, as last seen.
    pub peers: watch::Sender<Vec<Peer>>,
    /// Whom commits wait for.
    pub synchrony: Synchrony,
    /// What is in force, for those who only show it.
    pub mirror: watch::Sender<Option<SyncSetting>>,
    /// What a step on the way to a promotion leaves to the next.
    pub spare: SpareSession,
    /// Asks for a look at the replication slots.
    pub slots_due: Notify,
    /// Which volume is full, in words for people.
    pub full: watch::Sender<Option<&'static str>>,
    /// What the metrics count where it happens.
    pub registry: Arc<Registry>,
    /// The processes that it started.
    pub processes: Processes,
}

/// The postmaster, who watches over it, and who tries its disk, as far as they were started.
#[derive(Default)]
pub struct Processes {
    watchdog: Mutex<Option<Watchdog>>,
    disk_probes: Mutex<Option<Arc<[FsyncProbe]>>>,
    postmaster: Mutex<Option<Running>>,
}

impl Context {
    /// The watchdog of the present postmaster, if one was started.
    pub fn watchdog(&self) -> MutexGuard<'_, Option<Watchdog>> {
        self.processes.watchdog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What shows that the volume of WAL takes writes, and that of the data where that is another one; their threads are
    /// started at the first call.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn disk_probes(&self) -> Result<Arc<[FsyncProbe]>, ProbeError> {
        let mut kept = self.processes.disk_probes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(probes) = kept.as_ref() {
            return Ok(Arc::clone(probes));
        }
        // Commits do not wait for it; but reads do, and the checkpoint without which WAL grows and no handover ends.
        let data = self.config.wal_mount.as_ref().map(|_| self.volume.own());
        let volumes = std::iter::once(self.config.pgdata.join("pg_wal")).chain(data);
        let probes: Arc<[FsyncProbe]> = volumes.map(|volume| FsyncProbe::new(&volume)).collect::<Result<_, _>>()?;
        Ok(Arc::clone(kept.insert(probes)))
    }

    /// The postmaster, if there is one.
    pub fn postmaster(&self) -> MutexGuard<'_, Option<Running>> {
        self.processes.postmaster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The postmaster's handle, while it runs.
    #[must_use]
    pub fn running(&self) -> Option<PostmasterHandle> {
        self.postmaster().as_ref().map(|running| running.handle.clone()).filter(|handle| handle.ended().is_none())
    }

    /// The Cluster as last seen.
    #[must_use]
    pub fn cluster_now(&self) -> Option<Arc<Cluster>> {
        self.cluster.borrow().clone()
    }
}
