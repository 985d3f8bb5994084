//! What the binary can be: the archive's tiny client, the watchdog, the init container's copy, a restore drill, or the
//! manager.

use crate::config::RunArgs;
use crate::{app, drill, panics, watchdog};
use clap::{Parser, Subcommand};
use pgherd_proto::names::{DRILL_ORDER_VARIABLE, WAL_CLIENT};
use pgherd_telemetry::{LineQueue, LogSetup, Shape, chain};
use pgherd_wal_client::client;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The authorities in an image, and in the pod beside the manager.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
const COPIED_AUTHORITIES: &str = "ca-certificates.crt";

/// pgherd's manager: PID 1 of a postgres pod.
#[derive(Parser, Debug)]
#[command(name = "manager", version, about)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Supervise the postgres of this pod.
    Run {
        #[command(flatten)]
        args: Box<RunArgs>,
        /// It always is; CNPG's tools look for this word in the pod.
        #[arg(long, hide = true)]
        status_port_tls: bool,
    },
    /// Restore the cluster's archive into a throw-away instance, and check it: a restore drill.
    Verify {
        #[command(flatten)]
        run: Box<RunArgs>,
        /// What to do, JSON.
        #[arg(long, env = DRILL_ORDER_VARIABLE, default_value = "{}")]
        order: String,
    },
    /// Copy this binary to TARGET, and the WAL client and the authorities of its image beside it, as the pod's init container.
    Bootstrap {
        /// Where to.
        target: PathBuf,
    },
    /// Kill everything of postgres once the manager's deadline has passed. Started by `run`.
    #[command(hide = true)]
    Watchdog,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // First of all, and without anything else: whoever has this program only may run the WAL client's verbs with it.
    if let Some(code) = client::run_if_asked(&arguments) {
        return ExitCode::from(code);
    }
    match Cli::parse().verb {
        Verb::Run { args, status_port_tls: _ } => run(&args, |queue| app::run(&args, queue)),
        Verb::Verify { run: args, order } => run(&args, |queue| drill::run(&args, &order, queue)),
        Verb::Bootstrap { target } => reported(bootstrap(&target)),
        Verb::Watchdog => reported(match watchdog::run() {
            Ok(never) => match never {},
            Err(refused) => Err(chain(&refused)),
        }),
    }
}

fn run<F>(args: &RunArgs, program: impl FnOnce(LineQueue) -> F) -> ExitCode
where
    F: Future<Output = Result<u8, String>>,
{
    let setup = LogSetup {
        shape: Shape::Json,
        level: args.log_level.clone(),
        logger: "instance-manager".to_owned(),
        pod: Some(args.pod_name.clone()),
    };
    let queue = match pgherd_telemetry::set_up(setup.clone()) {
        Ok(queue) => queue,
        Err(error) => return reported(Err(chain(&error))),
    };
    panics::end_at_the_first(&setup, &queue);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let code = match runtime {
        Ok(runtime) => runtime.block_on(program(queue.clone())),
        Err(error) => return reported(Err(chain(&error))),
    };
    let code = match code {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            tracing::error!(%why, "the manager cannot go on");
            ExitCode::FAILURE
        }
    };
    queue.flush(core::time::Duration::from_secs(2));
    code
}

fn bootstrap(target: &Path) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|e| chain(&e))?;
    copy(&own.with_file_name(WAL_CLIENT), &target.with_file_name(WAL_CLIENT))?;
    copy(&own, target)?;
    // The image that postgres runs from may know no authorities.
    let authorities = Path::new(AUTHORITIES);
    if authorities.exists() { copy(authorities, &target.with_file_name(COPIED_AUTHORITIES)) } else { Ok(()) }
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    std::fs::copy(from, to).map(drop).map_err(|e| format!("failed to copy {} to {}: {e}", from.display(), to.display()))
}

fn reported(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("manager: {why}");
            ExitCode::FAILURE
        }
    }
}
