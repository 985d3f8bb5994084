//! Faults that last, and what ends each.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;

use super::damage::Saved;
use super::request::DiskFault;
use crate::net::relay::Relay;
use crate::node::Whose;
use crate::node::process::ProcessId;

/// A fault that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lasting {
    /// What ends it: `freeze-3`, `cut-4`, `s3`, `api`.
    pub id: String,
    /// The pod that it was put on, if it is one.
    pub pod: Option<String>,
    /// What was done, for people.
    pub what: String,
    /// Since when, RFC 3339.
    pub since: jiff::Timestamp,
}

/// How a fault is ended.
#[derive(Debug, Clone)]
pub(super) enum Undo {
    /// These were stopped.
    Frozen(Vec<ProcessId>),
    /// These pods' namespaces have this table.
    Cut { holders: Vec<ProcessId>, table: String, flapping: Option<AbortHandle> },
    /// The link of this pod is slow.
    Narrow { holder: ProcessId, address: std::net::Ipv4Addr },
    /// And this one's frames are late, or only they.
    Late { holder: ProcessId, address: std::net::Ipv4Addr, relay: Arc<Relay>, narrow: bool },
    /// This kubelet is deaf.
    Kubelet(Whose),
    /// This volume has something.
    Disk { directory: PathBuf, what: DiskFault },
    /// This pod knows no names.
    Names { hosts: PathBuf, before: String },
    /// The clocks of this pod are off: its directory for them.
    Clock(PathBuf),
    /// Data were damaged.
    Damage(Saved),
    /// The controller is stopped.
    ControllerFrozen,
    /// There are two.
    ControllerDoubled,
    /// It cannot reach the API.
    ControllerApart,
}

/// What lasts now; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Registry {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    all: BTreeMap<String, (Lasting, Undo)>,
}

impl Registry {
    /// A name for a fault that is about to be put on.
    pub fn next(&self, kind: &str) -> String {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.last = inner.last.saturating_add(1);
        format!("{kind}-{}", inner.last)
    }

    /// Notes one that was put on.
    pub fn add(&self, id: &str, pod: Option<&str>, what: &str, undo: Undo) {
        let lasting = Lasting {
            id: id.to_owned(),
            pod: pod.map(str::to_owned),
            what: what.to_owned(),
            since: jiff::Timestamp::now(),
        };
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).all.insert(id.to_owned(), (lasting, undo));
    }

    /// Those that last, in the order of their ids. What has ended by itself (its processes are gone) is forgotten.
    pub fn all(&self) -> Vec<Lasting> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.all.retain(|_, (_, undo)| !undo.is_over());
        inner.all.values().map(|(lasting, _)| lasting.clone()).collect()
    }

    /// One is like this.
    pub fn any(&self, is: impl Fn(&Undo) -> bool) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.all.values().any(|(_, undo)| is(undo))
    }

    /// The file that this one damaged.
    pub fn damaged(&self, id: &str) -> Option<PathBuf> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.all.get(id).and_then(|(_, undo)| match undo {
            Undo::Damage(saved) => Some(saved.file().to_owned()),
            _ => None,
        })
    }

    /// Notes one again that could not be ended.
    pub fn put_back(&self, lasting: Lasting, undo: Undo) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.all.insert(lasting.id.clone(), (lasting, undo));
    }

    /// Takes out those for which `is` holds.
    pub fn take(&self, is: impl Fn(&Lasting) -> bool) -> Vec<(Lasting, Undo)> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let ids: Vec<String> = inner.all.values().map(|(l, _)| l).filter(|l| is(l)).map(|l| l.id.clone()).collect();
        ids.iter().filter_map(|id| inner.all.remove(id)).collect()
    }
}

impl Undo {
    /// Whether its end writes to a volume.
    pub fn writes(&self) -> bool {
        match self {
            Self::Disk { what, .. } => matches!(what, DiskFault::Full { .. } | DiskFault::NoInodes),
            Self::Damage(_) => true,
            _ => false,
        }
    }

    /// The same, for another try, of what a volume may refuse for a while.
    pub fn again(&self) -> Option<Self> {
        match self {
            Self::Disk { directory, what } => Some(Self::Disk { directory: directory.clone(), what: *what }),
            Self::Damage(saved) => Some(Self::Damage(saved.clone())),
            _ => None,
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Frozen(all) => !all.iter().any(ProcessId::is_alive),
            Self::Cut { holders, .. } => !holders.iter().any(ProcessId::is_alive),
            Self::Narrow { holder, .. } | Self::Late { holder, .. } => !holder.is_alive(),
            Self::Clock(directory) => !directory.exists(),
            Self::Disk { directory, .. } => !crate::node::disk::image_of(directory).exists(),
            _ => false,
        }
    }

    /// Lets stopped processes run.
    pub fn resume(all: &[ProcessId]) {
        for process in all {
            process.signal(Signal::SIGCONT);
        }
    }
}
