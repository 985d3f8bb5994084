//! The node: runs the pods that are bound to it as processes with namespaces of their own, and reports them as a kubelet
//! does. One task per pod owns everything of it; nobody else writes its status.

mod backoff;
mod binding;
pub mod clocks;
mod container;
mod context;
pub mod disk;
mod env;
mod ephemeral;
mod error;
mod image;
mod kubelets;
mod lost;
mod notices;
mod pod_sandbox;
pub mod probe;
pub mod process;
pub mod records;
mod run_container;
mod runner;
pub mod sandbox;
pub mod spawner;
mod status;
mod volumes;
mod worker;

pub use context::{LocalNode, NodeContext, PodUser, TokenFor, TokenIssuer};
pub use error::NodeError;
pub use image::{DEBIAN, Servers};
pub use kubelets::{Deaf, Kubelets, Whose};
pub use runner::{RunningContainer, RunningPod, RunningPods, run};
pub use volumes::{bytes, claim_directory};
