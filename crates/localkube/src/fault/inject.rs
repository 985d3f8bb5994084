//! Carrying out what was asked for, and ending it.

use super::controllers::Controllers;
use super::lasting::{Lasting, Registry, Undo};
use super::processes::{full_name, processes};
use super::request::Cut;
use super::{Done, FaultError, FaultRequest, Target, damage, names, network};
use crate::api::{FaultSwitch, Store};
use crate::net::namespace::NetworkNamespace;
use crate::node::{Kubelets, RunningPod, RunningPods};
use crate::s3::{S3Fault, S3Gate};
use nix::sys::signal::Signal;
use std::sync::Arc;

/// Everything that faults can be put on.
#[derive(Clone)]
pub struct Faults {
    pub(super) pods: RunningPods,
    pub(super) api: FaultSwitch,
    pub(super) s3: S3Gate,
    pub(super) kubelets: Kubelets,
    pub(super) controllers: Controllers,
    pub(super) network: NetworkNamespace,
    pub(super) nodes: Vec<String>,
    pub(super) store: Store,
    pub(super) registry: Registry,
    /// A volume that is repaired is off for a moment: nobody looks at one meanwhile.
    pub(super) repairs: Arc<tokio::sync::Mutex<()>>,
}

/// What [`Faults`] are made of.
pub struct FaultSetup {
    /// Pods that run.
    pub pods: RunningPods,
    /// The API's switch.
    pub api: FaultSwitch,
    /// S3's switch.
    pub s3: S3Gate,
    /// The kubelets' switch.
    pub kubelets: Kubelets,
    /// The controllers.
    pub controllers: Controllers,
    /// The cluster's network.
    pub network: NetworkNamespace,
    /// The nodes' names.
    pub nodes: Vec<String>,
    /// The cluster's objects.
    pub store: Store,
}

impl Faults {
    /// No fault is on.
    pub fn new(setup: FaultSetup) -> Self {
        let FaultSetup { pods, api, s3, kubelets, controllers, network, nodes, store } = setup;
        Self {
            pods,
            api,
            s3,
            kubelets,
            controllers,
            network,
            nodes,
            store,
            registry: Registry::default(),
            repairs: Arc::default(),
        }
    }

    /// Carries out a request; answers what was done.
    ///
    /// # Errors
    /// If there is no such pod, process, node or fault, or the network cannot be changed.
    pub async fn apply(&self, request: &FaultRequest) -> Result<Done, FaultError> {
        match request {
            FaultRequest::Kill { target, pod } => self.kill(*target, pod),
            FaultRequest::Freeze { target, pod } => self.freeze(*target, pod),
            FaultRequest::Resume { pod } => self.resume(pod),
            FaultRequest::Partition { pod, from } => {
                let cut = Cut { pods: vec![pod.clone()], from: vec![from.clone()], ..Cut::default() };
                self.cut(&cut).await
            }
            FaultRequest::Cut(cut) => self.cut(cut).await,
            FaultRequest::Link { pod, kbit, delay } => self.link(pod, *kbit, *delay).await,
            FaultRequest::Clock { pod, wall, steady } => self.clock(pod, *wall, *steady),
            FaultRequest::NoNames { pod } => self.no_names(pod),
            FaultRequest::ForceDelete { pod } => self.force_delete(pod),
            FaultRequest::KubeletApart { of } => self.kubelet_apart(of),
            FaultRequest::NodeLost { node } => self.node_lost(node),
            FaultRequest::Disk { pod, volume, what } => self.disk(pod, *volume, *what).await,
            FaultRequest::Damage { pod, what } => self.damage(pod, what).await,
            FaultRequest::LoseVolume { pod } => self.lose_volume(pod),
            FaultRequest::S3 { what } => {
                self.s3.set(*what);
                Ok(Done::lasts("s3", format!("S3: {what:?}")))
            }
            FaultRequest::Api { what } => Ok(self.api_fault(*what)),
            FaultRequest::Controller { what } => self.controller(*what),
            FaultRequest::HealOne { id } => self.heal_one(id).await,
            FaultRequest::HealPod { pod } => {
                let names = self.names_of(pod);
                let found = self.registry.take(|l| l.pod.as_ref().is_some_and(|pod| names.contains(pod)));
                self.end(found).await.map(|ended| Done::at_once(format!("{ended} faults of {pod} have ended")))
            }
            FaultRequest::Heal => {
                self.s3.set(S3Fault::None);
                self.api.heal();
                let ended = self.end(self.registry.take(|_| true)).await;
                for pod in self.pods.all() {
                    Undo::resume(&processes(&pod, Target::Pod));
                }
                ended.map(|_| Done::at_once("every lasting fault has ended"))
            }
        }
    }

    /// What lasts now.
    pub fn lasting(&self) -> Vec<Lasting> {
        let since = jiff::Timestamp::now();
        let mut lasting = self.registry.all();
        let mut say = |id: &str, what: String| {
            lasting.push(Lasting { id: id.to_owned(), pod: None, what, since });
        };
        if self.s3.current() != S3Fault::None {
            say("s3", format!("S3: {:?}", self.s3.current()));
        }
        let api = self.api.current();
        if api != crate::api::Faults::default() {
            say("api", format!("API: {api:?}"));
        }
        lasting
    }

    /// The pod that is meant. Of a pod that was force-deleted and the one that took its name, the new one is.
    pub(super) fn find(&self, wanted: &str) -> Result<RunningPod, FaultError> {
        let mut found = self.pods.named(wanted);
        if found.len() > 1 {
            let same = found.iter().all(|pod| found.first().is_some_and(|first| first.namespace == pod.namespace));
            if !same {
                return Err(FaultError::Pod(wanted.to_owned()));
            }
        }
        found.pop().ok_or_else(|| FaultError::Pod(wanted.to_owned()))
    }

    fn names_of(&self, pod: &str) -> Vec<String> {
        let all = self.pods.named(pod).into_iter().flat_map(|pod| [pod.uid.clone(), full_name(&pod)]);
        all.chain([pod.to_owned()]).collect()
    }

    async fn heal_one(&self, id: &str) -> Result<Done, FaultError> {
        match id {
            "s3" => self.s3.set(S3Fault::None),
            "api" => self.api.heal(),
            _ => {
                if self.registry.damaged(id).is_some_and(|file| self.hangs(&file)) {
                    return Err(FaultError::Hangs(id.to_owned()));
                }
                let found = self.registry.take(|lasting| lasting.id == id);
                if found.is_empty() {
                    return Err(FaultError::Unknown(id.to_owned()));
                }
                self.end(found).await?;
            }
        }
        Ok(Done::at_once(format!("{id} has ended")))
    }

    /// Ends them all, also after a failure; answers how many, or the first failure. Disks that cannot be written come
    /// first: others have to be. What a disk keeps lasts on, and is ended another time.
    async fn end(&self, mut found: Vec<(Lasting, Undo)>) -> Result<usize, FaultError> {
        let (count, mut first) = (found.len(), None);
        found.sort_by_key(|(_, undo)| undo.writes());
        for (lasting, undo) in found {
            let again = undo.again();
            if let Err(error) = self.undo(undo).await {
                first.get_or_insert(error);
                if let Some(undo) = again {
                    self.registry.put_back(lasting, undo);
                }
            }
        }
        first.map_or(Ok(count), Err)
    }

    async fn undo(&self, undo: Undo) -> Result<(), FaultError> {
        match undo {
            Undo::Frozen(processes) => Undo::resume(&processes),
            Undo::Cut { holders, table, flapping } => {
                if let Some(flapping) = flapping {
                    flapping.abort();
                }
                for holder in holders {
                    network::heal(holder, &table).await?;
                }
            }
            Undo::Narrow { holder, address } => network::widen(&self.network, holder, address).await?,
            Undo::Late { holder, address, relay, narrow } => {
                drop(relay);
                if holder.is_alive() {
                    network::join(&self.network, address).await?;
                }
                if narrow {
                    network::widen(&self.network, holder, address).await?;
                }
            }
            Undo::Names { hosts, before } => names::remember(&hosts, &before).map_err(FaultError::File)?,
            Undo::Clock(directory) => crate::node::clocks::reset(&directory).map_err(FaultError::File)?,
            Undo::Kubelet(whose) => self.kubelets.heal(&whose),
            Undo::Disk { directory, what } => self.heal_disk(directory, what).await?,
            Undo::Damage(saved) => {
                let done = tokio::task::spawn_blocking(move || damage::take_back(saved)).await;
                done.map_err(std::io::Error::other).flatten().map_err(FaultError::File)?;
            }
            Undo::ControllerFrozen => drop(self.controllers.signal(Signal::SIGCONT)),
            Undo::ControllerDoubled => drop(self.controllers.doubled.send_replace(false)),
            Undo::ControllerApart => self.controllers.set_apart(false),
        }
        Ok(())
    }
}
