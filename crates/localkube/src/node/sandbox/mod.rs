//! Inside of a pod: small programs (hidden verbs of the `pgherd` binary) that hold namespaces and become containers.
//!
//! - `local-pause` holds a pod's network, IPC and UTS namespaces, as the pause container does.
//! - `local-container` joins them, makes PID and mount namespaces, keeps the log, and tells the node how it ended.
//! - `local-init` is PID 1 of those: it builds the root, drops its rights and becomes the container's program.
//! - `local-exec` becomes another program that dies with the daemon.
//!
//! Each dies with its parent (`PR_SET_PDEATHSIG`), so a killed daemon leaves no process behind.

mod error;
mod identity;
mod init;
mod log;
mod pause;
mod root;
mod shim;
mod spec;

pub use error::SandboxError;
pub use identity::{become_within, is_single};
pub use shim::{Exit, Started};
pub use spec::{ContainerSpec, Mount, MountKind};

use std::path::PathBuf;
use std::process::ExitCode;

/// Runs a hidden verb, if `arguments` (without the program's name) are one. To be called first thing in `main`, before
/// there are other threads.
pub fn run_hidden(arguments: &[String]) -> Option<ExitCode> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["local-pause", hostname] => pause::run(hostname),
        ["local-container", spec] => shim::run(&PathBuf::from(spec)),
        ["local-init", spec] => init::run(&PathBuf::from(spec)),
        ["local-exec", program, rest @ ..] => pause::execute(program, rest),
        _ => return None,
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", pgherd_telemetry::chain(&error));
            // As a container runtime answers when it could not start a container.
            ExitCode::from(128)
        }
    })
}
