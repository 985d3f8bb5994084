//! The resident uploader: one task that owns the queue, the uploads in flight and those who wait for them.

use super::control::{ArchiveRole, Archiving, Control, StoreConfig};
use super::put::put_own;
use super::reach::Reach;
use super::ready::list_ready;
use super::status::{ArchiverStatus, Failure};
use pgherd_backup::{Stored, WalPutError};
use pgherd_core::archive::{Backoff, CatchUp, Finished, Queue, Standing};
use pgherd_core::time::Instant;
use pgherd_core::wal::WalName;
use pgherd_objectstore::Then;
use pgherd_telemetry::chain;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// How long a request waits inside the manager before postgres is told that it failed (and asks again).
pub(super) const REQUEST_BOUND: Duration = Duration::from_secs(60);
/// A refused file is looked at again, in case a person has moved what was in the way.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
/// The folder is listed this often without being asked, for the status.
const LIST_EVERY: Duration = Duration::from_secs(5);
/// And not more often than this when being asked.
const LIST_AT_MOST: Duration = Duration::from_millis(200);
/// After a promotion the clients come back first: a segment costs a core for a tenth of a second.
const AFTER_PROMOTION: Duration = Duration::from_secs(1);
/// One upload, compression included; the store has its own bound on each call.
const UPLOAD_BOUND: Duration = Duration::from_secs(150);

/// A request on its way to the uploader: the file, and where the answer goes.
pub(super) type Ask = (WalName, oneshot::Sender<Result<(), String>>);

struct Waiter {
    name: WalName,
    until: Instant,
    reply: oneshot::Sender<Result<(), String>>,
}

/// All of it.
pub(super) struct Uploader {
    pgdata: PathBuf,
    pg_wal: PathBuf,
    control: watch::Receiver<Control>,
    asks: mpsc::Receiver<Ask>,
    status: Arc<watch::Sender<ArchiverStatus>>,
    queue: Queue,
    catch_up: CatchUp,
    waiters: Vec<Waiter>,
    /// What comes of each: the bytes that the archive holds now.
    uploads: JoinSet<(WalName, Result<u64, WalPutError>)>,
    listing: JoinSet<std::io::Result<Vec<WalName>>>,
    listed: Instant,
    generation: u64,
    role: ArchiveRole,
    held_until: Option<Instant>,
    failures: u32,
    blocked_until: Option<Instant>,
    reasons: HashMap<WalName, String>,
    reach: Reach,
}

impl Uploader {
    pub(super) fn new(
        pgdata: &Path,
        control: watch::Receiver<Control>,
        asks: mpsc::Receiver<Ask>,
        status: Arc<watch::Sender<ArchiverStatus>>,
        reach: Reach,
    ) -> Self {
        Self {
            pgdata: pgdata.to_owned(),
            pg_wal: pgdata.join("pg_wal"),
            control,
            asks,
            status,
            queue: Queue::new(NonZeroUsize::MIN),
            catch_up: CatchUp::default(),
            waiters: Vec::new(),
            uploads: JoinSet::new(),
            listing: JoinSet::new(),
            listed: Instant(0),
            generation: 0,
            role: ArchiveRole::Other,
            held_until: None,
            failures: 0,
            blocked_until: None,
            reasons: HashMap::new(),
            reach,
        }
    }

    /// Runs until every handle is gone.
    pub(super) async fn run(mut self) {
        self.take_in_control();
        loop {
            let now = crate::clock::now();
            self.answer_late(now);
            self.start(now);
            let pause = self.pause(now);
            tokio::select! {
                changed = self.control.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.take_in_control();
                }
                Some((name, reply)) = self.asks.recv() => self.request(name, reply),
                Some(ended) = self.uploads.join_next() => {
                    if let Ok((name, result)) = ended {
                        self.finished(name, result);
                    }
                }
                Some(listed) = self.listing.join_next() => {
                    if let Ok(Ok(ready)) = listed {
                        self.observed(ready);
                    }
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn store(&self) -> Option<StoreConfig> {
        match &self.control.borrow().archiving {
            Archiving::To(config) => Some(config.clone()),
            Archiving::Unknown | Archiving::Off => None,
        }
    }

    /// Level-triggered: whatever changed, what holds now is carried through.
    fn take_in_control(&mut self) {
        let (generation, stopping, role, configured) = {
            let control = self.control.borrow_and_update();
            let configured = match control.archiving {
                Archiving::Unknown => None,
                Archiving::Off => Some(false),
                Archiving::To(_) => Some(true),
            };
            (control.generation, control.stopping, control.role, configured)
        };
        if generation != self.generation {
            self.generation = generation;
            // Another store, other credentials or another data directory: start over. An upload that is cut off
            // here and was stored all the same is found equal when it is done again.
            self.uploads = JoinSet::new();
            self.queue.forget();
            self.reasons.clear();
            self.failures = 0;
            self.blocked_until = None;
            self.listed = Instant(0);
            self.status.send_modify(|status| {
                status.configured = configured;
                status.refused.clear();
                status.failing_since = None;
            });
        }
        if role == ArchiveRole::Primary && self.role != role {
            self.held_until = Some(crate::clock::now().plus(AFTER_PROMOTION));
        }
        self.role = role;
        if stopping {
            self.fail_all("the manager is stopping");
        } else if role == ArchiveRole::Other {
            self.fail_all("this instance is not the primary");
        } else if configured == Some(false) {
            self.waiters.drain(..).for_each(|waiter| drop(waiter.reply.send(Ok(()))));
        } else {
            for waiter in &self.waiters {
                let _standing = self.queue.request(waiter.name);
            }
        }
    }

    fn fail_all(&mut self, why: &str) {
        for waiter in self.waiters.drain(..) {
            self.queue.answered(waiter.name);
            // Nobody listens any more if the client has gone.
            let _gone = waiter.reply.send(Err(why.to_owned()));
        }
        self.uploads = JoinSet::new();
        self.queue.forget();
    }

    fn request(&mut self, name: WalName, reply: oneshot::Sender<Result<(), String>>) {
        let refusal = {
            let control = self.control.borrow();
            match (&control.archiving, control.role) {
                _ if control.stopping => Some(Err("the manager is stopping".to_owned())),
                (_, ArchiveRole::Other) => Some(Err("this instance is not the primary".to_owned())),
                (Archiving::Off, ArchiveRole::Primary | ArchiveRole::Unchecked) => Some(Ok(())),
                (Archiving::Unknown | Archiving::To(_), ArchiveRole::Primary | ArchiveRole::Unchecked) => None,
            }
        };
        if let Some(answer) = refusal {
            let _gone = reply.send(answer);
            return;
        }
        let until = crate::clock::now().plus(REQUEST_BOUND);
        let waiter = Waiter { name, until, reply };
        match self.queue.request(name) {
            Standing::Archived => self.answer(waiter, Ok(())),
            Standing::Refused => {
                let why = self.reason(name);
                self.answer(waiter, Err(why));
            }
            Standing::Uploading | Standing::Queued | Standing::Waiting { .. } => self.waiters.push(waiter),
        }
        self.list(LIST_AT_MOST);
    }

    fn answer(&mut self, waiter: Waiter, answer: Result<(), String>) {
        self.queue.answered(waiter.name);
        let _gone = waiter.reply.send(answer);
    }

    fn reason(&self, name: WalName) -> String {
        let waiting = || match self.control.borrow().archiving {
            Archiving::Unknown => "the Cluster's backup section has not been read yet".to_owned(),
            Archiving::Off | Archiving::To(_) => "still on its way to the object store".to_owned(),
        };
        self.reasons.get(&name).cloned().unwrap_or_else(waiting)
    }

    /// Answers those whose time is up, and forgets those who hung up.
    fn answer_late(&mut self, now: Instant) {
        let (late, waiting) =
            self.waiters.drain(..).partition(|waiter| waiter.until <= now || waiter.reply.is_closed());
        self.waiters = waiting;
        let late: Vec<Waiter> = late;
        for waiter in late {
            let why = self.reason(waiter.name);
            self.answer(waiter, Err(why));
        }
    }

    fn start(&mut self, now: Instant) {
        let allowed = {
            let control = self.control.borrow();
            !control.stopping && control.role == ArchiveRole::Primary
        };
        let Some(config) = self.store().filter(|_| allowed) else { return };
        self.list(LIST_EVERY);
        if self.held_until.max(self.blocked_until).is_some_and(|until| until > now) {
            return;
        }
        // After a failure one upload at a time is the probe, not a storm of them.
        self.queue.set_width(if self.failures == 0 { config.max_parallel } else { NonZeroUsize::MIN });
        for name in self.queue.start_uploads(now) {
            let (archive, pgdata) = (config.archive.clone(), self.pgdata.clone());
            let file = self.pg_wal.join(name.to_string());
            self.uploads.spawn(async move {
                // A file that cannot be read is the put's to complain of.
                let bytes = tokio::fs::metadata(&file).await.map_or(0, |file| file.len());
                let put = put_own(&archive, pgdata, name, file);
                let result = tokio::time::timeout(UPLOAD_BOUND, put).await.unwrap_or_else(|_| {
                    let source = std::io::Error::from(std::io::ErrorKind::TimedOut);
                    Err(WalPutError::Read { name, source })
                });
                if matches!(result, Ok(Stored::GaveWay)) {
                    tracing::warn!(file = %name, "the archive has another history of a timeline that was given up");
                }
                (name, result.map(|_stored| bytes))
            });
        }
    }

    fn finished(&mut self, name: WalName, result: Result<u64, WalPutError>) {
        let now = crate::clock::now();
        match result {
            Ok(bytes) => {
                self.reach.answered();
                self.queue.finished(name, Finished::Archived);
                self.reasons.remove(&name);
                self.failures = 0;
                self.blocked_until = None;
                self.status.send_modify(|status| {
                    status.archived_count = status.archived_count.saturating_add(1);
                    status.archived_bytes = status.archived_bytes.saturating_add(bytes);
                    status.last_archived = Some((name, SystemTime::now()));
                });
                self.reply_to(name, &Ok(()));
                self.list(LIST_AT_MOST);
            }
            Err(error) => self.failed(name, &error, now),
        }
        let refused: Vec<WalName> = self.queue.refused().collect();
        let works = self.failures == 0 && refused.is_empty();
        self.status.send_modify(|status| {
            status.refused = refused;
            if works {
                status.failing_since = None;
            }
        });
    }

    fn failed(&mut self, name: WalName, error: &WalPutError, now: Instant) {
        let reason = match error.advice() {
            Some(advice) => format!("{}: {advice}", chain(error)),
            None => chain(error),
        };
        self.reasons.insert(name, reason.clone());
        match error.then() {
            Then::GiveUp => {
                tracing::error!(file = %name, error = %reason, "a WAL file is refused by the archive");
                self.queue.finished(name, Finished::Refused { at: now.plus(REFUSED_PAUSE) });
                self.reply_to(name, &Err(reason.clone()));
            }
            Then::Believe | Then::RetryLater | Then::AskSomeone => {
                self.reach.failed(&reason);
                // Those that failed together count once.
                if self.blocked_until.is_none_or(|until| until <= now) {
                    self.failures = self.failures.saturating_add(1);
                    self.blocked_until = Some(now.plus(Backoff::STORE.pause(self.failures, rand::random())));
                    if self.failures == 1 {
                        tracing::warn!(file = %name, error = %reason, "archiving fails, and is tried again");
                    }
                }
                self.queue.finished(name, Finished::Retry { at: self.blocked_until.unwrap_or(now) });
            }
        }
        self.status.send_modify(|status| {
            let at = SystemTime::now();
            status.failed_count = status.failed_count.saturating_add(1);
            status.failing_since.get_or_insert(at);
            let refused = error.is_refusal();
            status.last_failed = Some(Failure { name, at, kind: error.kind(), refused, reason });
        });
    }

    fn reply_to(&mut self, name: WalName, answer: &Result<(), String>) {
        let (asked, others) = self.waiters.drain(..).partition(|waiter| waiter.name == name);
        self.waiters = others;
        let asked: Vec<Waiter> = asked;
        for waiter in asked {
            self.answer(waiter, answer.clone());
        }
    }

    /// Lists the folder on a blocking thread, unless that was done a moment ago or is under way.
    fn list(&mut self, at_least_apart: Duration) {
        let now = crate::clock::now();
        if self.listing.is_empty() && now.since(self.listed) >= at_least_apart {
            self.listed = now;
            let pg_wal = self.pg_wal.clone();
            self.listing.spawn_blocking(move || list_ready(&pg_wal));
        }
    }

    fn observed(&mut self, ready: Vec<WalName>) {
        self.reasons.retain(|name, _| ready.contains(name) || self.waiters.iter().any(|w| w.name == *name));
        let waiting = ready.len();
        self.queue.observe(ready);
        let now = crate::clock::now();
        self.status.send_if_modified(|status| {
            let archived = status.archived_count;
            let progress = self.catch_up.observe(now, u64::try_from(waiting).unwrap_or(u64::MAX), archived);
            let changed = status.ready != waiting || status.progress != Some(progress);
            status.ready = waiting;
            status.progress = Some(progress);
            changed
        });
    }

    /// Until something has to be looked at without an event.
    fn pause(&self, now: Instant) -> Duration {
        let wakes = self.waiters.iter().map(|waiter| waiter.until);
        let wakes = wakes.chain(self.held_until).chain(self.blocked_until).chain(self.queue.next_wake());
        let next = wakes.filter(|at| *at > now).map(|at| at.since(now)).min();
        next.unwrap_or(LIST_EVERY).min(LIST_EVERY)
    }
}
