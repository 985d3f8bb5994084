//! Kubelets, nodes, the API and the controller.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::inject::Faults;
use super::lasting::Undo;
use super::processes::{full_name, signal};
use super::request::ControllerFault;
use super::{ApiFault, Done, FaultError, Target};
use crate::api::{Cut, DeleteOptions};
use crate::node::{Deaf, Whose};

impl Faults {
    pub(super) fn force_delete(&self, pod: &str) -> Result<Done, FaultError> {
        let found = self.find(pod)?;
        let whose = Whose::Pod(found.uid.clone());
        self.kubelets.set(whose.clone(), Deaf::Apart);
        let options = DeleteOptions { grace: Some(0), uid: Some(found.uid.clone()), ..DeleteOptions::default() };
        if let Err(error) = self.store.delete("pods", &found.namespace, &found.name, &options) {
            self.kubelets.heal(&whose);
            return Err(FaultError::Api(error.to_string()));
        }
        let text = format!("{} is deleted and runs on, as {}", found.name, found.uid);
        let id = self.registry.next("force-delete");
        self.registry.add(&id, Some(&found.uid), &text, Undo::Kubelet(whose));
        Ok(Done::lasts(id, text))
    }

    pub(super) fn kubelet_apart(&self, of: &str) -> Result<Done, FaultError> {
        let (whose, pod) = match of.strip_prefix("node/") {
            Some(node) => (Whose::Node(self.node(node)?), None),
            None => {
                let found = self.find(of)?;
                (Whose::Pod(found.uid.clone()), Some(full_name(&found)))
            }
        };
        self.kubelets.set(whose.clone(), Deaf::Apart);
        let text = format!("the kubelet of {of} does not hear the API");
        let id = self.registry.next("kubelet");
        self.registry.add(&id, pod.as_deref(), &text, Undo::Kubelet(whose));
        Ok(Done::lasts(id, text))
    }

    pub(super) fn node(&self, name: &str) -> Result<String, FaultError> {
        let found = self.nodes.iter().find(|node| *node == name);
        found.cloned().ok_or_else(|| FaultError::Node(name.to_owned()))
    }

    pub(super) fn node_lost(&self, node: &str) -> Result<Done, FaultError> {
        let whose = Whose::Node(self.node(node)?);
        self.kubelets.set(whose.clone(), Deaf::Stopped);
        let mut killed = Vec::new();
        for pod in self.pods.all().into_iter().filter(|pod| pod.node == node) {
            signal(&pod, Target::Pod, Signal::SIGKILL);
            if let Some(holder) = pod.holder {
                holder.signal(Signal::SIGKILL);
            }
            killed.push(pod.name);
        }
        let text = format!("node {node} is lost with {}", killed.join(", "));
        let id = self.registry.next("node");
        self.registry.add(&id, None, &text, Undo::Kubelet(whose));
        Ok(Done::lasts(id, text))
    }

    pub(super) fn api_fault(&self, what: ApiFault) -> Done {
        match what {
            ApiFault::None => self.api.heal(),
            ApiFault::Off => self.api.cut_everyone(Cut::Reset),
            ApiFault::Silent => self.api.cut_everyone(Cut::Silent),
            ApiFault::Slow(milliseconds) => self.api.set_latency(Duration::from_millis(milliseconds)),
            ApiFault::Errors { count, status } => self.api.fail_next(count, status),
            ApiFault::StaleWatches => self.api.hold_watches(),
            ApiFault::DropWatches => self.api.drop_connections(),
            ApiFault::Forget => {
                self.store.forget_history();
                self.api.drop_connections();
            }
        }
        let text = format!("API: {what:?}");
        match what {
            ApiFault::None | ApiFault::DropWatches | ApiFault::Forget => Done::at_once(text),
            _ => Done::lasts("api", text),
        }
    }

    pub(super) fn controller(&self, what: ControllerFault) -> Result<Done, FaultError> {
        let (kind, text, undo) = match what {
            ControllerFault::Kill => {
                let killed = self.controllers.signal(Signal::SIGKILL);
                return killed.then(|| Done::at_once("the controller was killed")).ok_or(FaultError::Controller);
            }
            ControllerFault::Freeze => {
                if !self.controllers.signal(Signal::SIGSTOP) {
                    return Err(FaultError::Controller);
                }
                ("freeze", "the controller is frozen", Undo::ControllerFrozen)
            }
            ControllerFault::Double => {
                self.controllers.doubled.send_replace(true);
                ("double", "two controllers run", Undo::ControllerDoubled)
            }
            ControllerFault::Apart => {
                self.controllers.set_apart(true);
                ("apart", "the controller is cut off from the API", Undo::ControllerApart)
            }
        };
        let id = format!("controller-{kind}");
        self.registry.add(&id, None, text, undo);
        Ok(Done::lasts(id, text))
    }
}
