//! Carrying out what was asked for.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::network::{self, Peer};
use super::process::choose;
use super::{ApiFault, FaultRequest, Target};
use crate::api::{Cut, FaultSwitch};
use crate::net::NetError;
use crate::node::process::{Seen, members};
use crate::node::{RunningPod, RunningPods};
use crate::s3::{S3Fault, S3Gate};

/// Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// No pod of that name runs here, or more than one.
    #[error("no single running pod is called {0}")]
    Pod(String),
    /// The pod has no such process now.
    #[error("{pod} has no {target:?} process now")]
    Process {
        /// The pod.
        pod: String,
        /// Who was looked for.
        target: Target,
    },
    /// nftables refused.
    #[error("failed to change the pod's network")]
    Network(#[from] NetError),
}

/// Everything that faults can be put on.
#[derive(Clone)]
pub struct Faults {
    /// Pods that run.
    pub pods: RunningPods,
    /// The API's switch.
    pub api: FaultSwitch,
    /// S3's switch.
    pub s3: S3Gate,
}

impl Faults {
    /// Carries out a request; answers what was done, for people.
    ///
    /// # Errors
    /// If there is no such pod or process, or the network cannot be changed.
    pub async fn apply(&self, request: &FaultRequest) -> Result<String, FaultError> {
        match request {
            FaultRequest::Kill { target, pod } => self.signal(*target, pod, Signal::SIGKILL),
            FaultRequest::Freeze { target, pod } => self.signal(*target, pod, Signal::SIGSTOP),
            FaultRequest::Resume { pod } => self.signal(Target::Pod, pod, Signal::SIGCONT),
            FaultRequest::Partition { pod, from } => self.partition(pod, from).await,
            FaultRequest::S3 { what } => {
                self.s3.set(*what);
                Ok(format!("S3: {what:?}"))
            }
            FaultRequest::Api { what } => {
                match *what {
                    ApiFault::Off => self.api.cut_everyone(Cut::Reset),
                    ApiFault::Silent => self.api.cut_everyone(Cut::Silent),
                    ApiFault::Slow(milliseconds) => self.api.set_latency(Duration::from_millis(milliseconds)),
                    ApiFault::Errors { count, status } => self.api.fail_next(count, status),
                }
                Ok(format!("API: {what:?}"))
            }
            FaultRequest::Heal => self.heal().await,
        }
    }

    /// What lasts now, for people.
    pub fn lasting(&self) -> Vec<String> {
        let mut lasting = Vec::new();
        if self.s3.current() != S3Fault::None {
            lasting.push(format!("S3: {:?}", self.s3.current()));
        }
        let api = self.api.current();
        if api != crate::api::Faults::default() {
            lasting.push(format!("API: {api:?}"));
        }
        lasting
    }

    fn find(&self, wanted: &str) -> Result<RunningPod, FaultError> {
        let is = |pod: &RunningPod| pod.name == wanted || format!("{}/{}", pod.namespace, pod.name) == wanted;
        let mut found = self.pods.all().into_iter().filter(is);
        match (found.next(), found.next()) {
            (Some(pod), None) => Ok(pod),
            _ => Err(FaultError::Pod(wanted.to_owned())),
        }
    }

    fn signal(&self, target: Target, pod: &str, signal: Signal) -> Result<String, FaultError> {
        let found = self.find(pod)?;
        let mut told = Vec::new();
        for container in found.containers.values() {
            let inside = members(container.process.pid);
            for Seen { id, name, .. } in choose(target, &inside) {
                if id.signal(signal) {
                    told.push(format!("{name} ({})", id.pid));
                }
            }
        }
        if target == Target::Pod
            && signal == Signal::SIGKILL
            && let Some(holder) = found.holder.filter(|holder| holder.signal(signal))
        {
            told.push(format!("sandbox ({})", holder.pid));
        }
        if told.is_empty() {
            return Err(FaultError::Process { pod: pod.to_owned(), target });
        }
        Ok(format!("{signal} to {} of {}", told.join(", "), found.name))
    }

    async fn partition(&self, pod: &str, from: &str) -> Result<String, FaultError> {
        let one = self.find(pod)?;
        let holder = one.holder.ok_or_else(|| FaultError::Pod(pod.to_owned()))?;
        let peer = match from {
            "api" => Peer::Api,
            "s3" => Peer::S3,
            "all" => Peer::All,
            other => Peer::Address(self.find(other)?.address.ok_or_else(|| FaultError::Pod(other.to_owned()))?),
        };
        network::cut(holder, peer).await?;
        Ok(format!("{} is cut off from {from}", one.name))
    }

    async fn heal(&self) -> Result<String, FaultError> {
        self.s3.set(S3Fault::None);
        self.api.heal();
        for pod in self.pods.all() {
            if let Some(holder) = pod.holder {
                network::heal(holder).await?;
            }
            for container in pod.containers.values() {
                for seen in members(container.process.pid) {
                    seen.id.signal(Signal::SIGCONT);
                }
            }
        }
        Ok("every lasting fault has ended".to_owned())
    }
}
