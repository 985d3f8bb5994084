//! Processes killed, stopped and let go on.

use nix::sys::signal::Signal;

use super::inject::Faults;
use super::lasting::Undo;
use super::process::choose;
use super::{Done, FaultError, Target};
use crate::node::RunningPod;
use crate::node::process::{ProcessId, members};

impl Faults {
    pub(super) fn kill(&self, target: Target, pod: &str) -> Result<Done, FaultError> {
        let found = self.find(pod)?;
        let mut told = signal(&found, target, Signal::SIGKILL).1;
        if target == Target::Pod
            && let Some(holder) = found.holder.filter(|holder| holder.signal(Signal::SIGKILL))
        {
            told.push(format!("sandbox ({})", holder.pid));
        }
        if told.is_empty() {
            return Err(FaultError::Process { pod: pod.to_owned(), target });
        }
        Ok(Done::at_once(format!("SIGKILL to {} of {}", told.join(", "), found.name)))
    }

    pub(super) fn freeze(&self, target: Target, pod: &str) -> Result<Done, FaultError> {
        let found = self.find(pod)?;
        let (mut frozen, told) = signal(&found, target, Signal::SIGSTOP);
        if told.is_empty() {
            return Err(FaultError::Process { pod: pod.to_owned(), target });
        }
        // Whoever was being forked meanwhile: once more, parents stand still now.
        if matches!(target, Target::Container | Target::Pod | Target::Postgres | Target::Backends) {
            let before = frozen.clone();
            let late = processes(&found, target).into_iter().filter(|id| !before.contains(id));
            frozen.extend(late.filter(|id| id.signal(Signal::SIGSTOP)));
        }
        let text = format!("SIGSTOP to {} of {}", told.join(", "), found.name);
        let id = self.registry.next("freeze");
        self.registry.add(&id, Some(&full_name(&found)), &text, Undo::Frozen(frozen));
        Ok(Done::lasts(id, text))
    }

    pub(super) fn resume(&self, pod: &str) -> Result<Done, FaultError> {
        let found = self.find(pod)?;
        let name = full_name(&found);
        for (_, undo) in self.registry.take(|l| l.id.starts_with("freeze-") && l.pod.as_ref() == Some(&name)) {
            if let Undo::Frozen(frozen) = undo {
                Undo::resume(&frozen);
            }
        }
        let (_, told) = signal(&found, Target::Pod, Signal::SIGCONT);
        Ok(Done::at_once(format!("SIGCONT to {} of {}", told.join(", "), found.name)))
    }
}

pub(super) fn full_name(pod: &RunningPod) -> String {
    format!("{}/{}", pod.namespace, pod.name)
}

pub(super) fn processes(pod: &RunningPod, target: Target) -> Vec<ProcessId> {
    let all = pod.containers.values().map(|container| members(container.process.pid));
    all.flat_map(|inside| choose(target, &inside).into_iter().map(|seen| seen.id).collect::<Vec<_>>()).collect()
}

/// Signals the processes that are meant; answers who got it, for the record and for people.
pub(super) fn signal(pod: &RunningPod, target: Target, signal: Signal) -> (Vec<ProcessId>, Vec<String>) {
    let (mut reached, mut told) = (Vec::new(), Vec::new());
    for container in pod.containers.values() {
        let inside = members(container.process.pid);
        for seen in choose(target, &inside) {
            if seen.id.signal(signal) {
                reached.push(seen.id);
                told.push(format!("{} ({})", seen.name, seen.id.pid));
            }
        }
    }
    (reached, told)
}
