//! The environment behind `pgherd local`: one daemon in the background that has everything of it, and a handle to it.
//!
//! [`up`] starts the daemon and waits until it is ready; [`Handle`] talks to it over a UNIX socket in its state directory;
//! [`sweep`] clears what a crash left. Hidden verbs of the binary that embeds this ([`run_hidden`]) are the daemon itself
//! and the processes of pods.

mod api_side;
mod applier;
mod claims;
mod control;
mod controller;
mod endpoint;
mod error;
mod events;
mod furnish;
mod handle;
mod kubeconfig;
mod logs;
mod manifests;
mod options;
mod preflight;
mod rootless;
mod serve;
mod sweep;

pub use control::{Request, Status};
pub use endpoint::EndpointError;
pub use error::DaemonError;
pub use events::Event;
pub use handle::{Handle, find, up};
pub use options::{NodeOptions, RealApi, STATE_ROOT, UpOptions, Volumes, state_root};
pub use preflight::{Finding, preflight};
pub use sweep::sweep;

use std::process::ExitCode;

/// Runs a hidden verb, if `arguments` (without the program's name) are one. To be called first thing in `main`, before
/// there are other threads.
pub fn run_hidden(arguments: &[String]) -> Option<ExitCode> {
    if let [verb, options] = arguments
        && verb == "local-daemon"
    {
        return Some(serve::main(options));
    }
    crate::node::sandbox::run_hidden(arguments)
}
