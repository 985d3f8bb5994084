//! The sampling loop: a period, a nudge, a deadline, one writer of the watch.

use crate::http::Sampled;
use crate::sampler::{Look, Rooms, WalFiles, count_wal_files, room_of};
use core::time::Duration;
use pgherd_core::time::Instant;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Something that can be asked for a sample: postgres over its socket, or a script in a test.
#[async_trait::async_trait]
pub trait Probe: Send {
    /// Asks once. Cancel-safe: the deadline drops it, and the next call starts afresh.
    ///
    /// # Errors
    /// Why there is no sample, for people; without secrets.
    async fn look(&mut self) -> Result<Look, String>;
}

/// How the sampler works.
#[derive(Clone, Debug)]
pub struct SamplerSettings {
    /// Time between two samples.
    pub period: Duration,
    /// A sample that takes longer is an error.
    pub deadline: Duration,
    /// The directory to count.
    pub pg_wal: PathBuf,
    /// Where WAL's own volume is mounted, if it has one.
    pub wal_mount: Option<PathBuf>,
    /// `CLOCK_BOOTTIME`.
    pub clock: fn() -> Instant,
}

/// The task and its two ends.
pub struct Sampler {
    settings: SamplerSettings,
    nudge: Arc<Notify>,
    out: watch::Sender<Option<Arc<Sampled>>>,
}

impl Sampler {
    /// A sampler and the watch it writes.
    #[must_use]
    pub fn new(settings: SamplerSettings) -> (Self, watch::Receiver<Option<Arc<Sampled>>>) {
        let (out, seen) = watch::channel(None);
        (Self { settings, nudge: Arc::new(Notify::new()), out }, seen)
    }

    /// Notify it to be asked for a sample at once, as after a start or a promotion.
    #[must_use]
    pub fn nudge(&self) -> Arc<Notify> {
        self.nudge.clone()
    }

    /// Samples until it is dropped. A nudge that comes while a sample is taken leads to one more.
    pub async fn run(self, mut probe: impl Probe) {
        let mut ticks = interval(self.settings.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut count, mut errors) = (0_u64, 0_u64);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.nudge.notified() => {}
            }
            count += 1;
            let taken_at = (self.settings.clock)();
            let postgres = match timeout(self.settings.deadline, probe.look()).await {
                Ok(answer) => answer,
                Err(_) => Err(format!("no answer within {:?}", self.settings.deadline)),
            };
            errors += u64::from(postgres.is_err());
            let (files, rooms) = self.look_at_files().await;
            let took = (self.settings.clock)().since(taken_at);
            self.out.send_replace(Some(Arc::new(Sampled { postgres, files, rooms, taken_at, took, count, errors })));
        }
    }

    async fn look_at_files(&self) -> (WalFiles, Rooms) {
        let (directory, wal) = (self.settings.pg_wal.clone(), self.settings.wal_mount.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let rooms = Rooms { data: directory.parent().and_then(room_of), wal: wal.as_deref().and_then(room_of) };
            (count_wal_files(&directory).unwrap_or_default(), rooms)
        });
        match timeout(self.settings.deadline, looked).await {
            Ok(Ok(seen)) => seen,
            _ => (WalFiles::default(), Rooms::default()),
        }
    }
}
