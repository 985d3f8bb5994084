//! The namespaces that all of it runs in, and what is left of a run: nothing. The program begins again as the first process
//! of a namespace of processes, with mounts and a network of its own; when that ends, however it ends, so does all else.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::process::must;
use crate::tools::Tools;
use crate::{cgroups, machine, tools};

/// The word by which the program knows that it is inside.
pub const INSIDE: &str = "--inside";
/// Whose number follows: the process outside.
const PREFIX: &str = "pgherd-e2e-";
/// Where a run's files are, which are many and large.
const PARENT: &str = "/var/tmp";

/// What the program does first: it finds its tools while there is a network, goes inside, and clears up.
pub fn outside(machine: &str) -> bool {
    if !nix::unistd::geteuid().is_root() {
        let own = std::env::current_exe().unwrap();
        let mut again = std::process::Command::new("sudo");
        again.args(["-n", "--preserve-env=E2E,KEEP,ONLY,PATH"]).arg(own);
        return again.status().is_ok_and(|status| status.success());
    }
    sweep();
    let _tools = Tools::find(machine);
    let directory = PathBuf::from(format!("{PARENT}/{PREFIX}{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    // The kernel ends what is inside when the thread that started it ends: so this one is the only one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ok = if machine == "kind" {
        runtime.block_on(machine::run(machine, directory.clone()))
    } else {
        runtime.block_on(go_inside(&directory))
    };
    let clean = runtime.block_on(clear(&directory));
    ok && clean
}

async fn go_inside(directory: &Path) -> bool {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc"]);
    command.args(["--propagation", "private", "--kill-child", "--"]);
    command.arg(std::env::current_exe().unwrap()).arg(INSIDE).arg(directory).kill_on_drop(true);
    // A scenario that fails says what it saw, which is enough.
    command.env("RUST_BACKTRACE", "0");
    let mut inside = command.spawn().unwrap();
    tokio::select! {
        status = inside.wait() => status.unwrap().success(),
        _ = tokio::signal::ctrl_c() => {
            inside.kill().await.unwrap();
            false
        }
    }
}

/// What runs as the first process inside.
pub fn inside(directory: &Path) -> bool {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Everything that it started ends with it.
    runtime.block_on(async {
        // Locks and sockets, which would be the machine's own.
        must("mount", &["-t", "tmpfs", "tmpfs", "/run"]).await;
        machine::run("node", directory.to_owned()).await
    })
}

/// Removes what a run had, keeps its logs, and says what could not be removed.
async fn clear(directory: &Path) -> bool {
    let logs = tools::root().join("target/e2e/logs");
    let _old = std::fs::remove_dir_all(&logs);
    std::fs::create_dir_all(&logs).unwrap();
    for entry in std::fs::read_dir(directory.join("logs")).into_iter().flatten().flatten() {
        let _copied = std::fs::copy(entry.path(), logs.join(entry.file_name()));
    }
    remove(directory).await
}

async fn remove(directory: &Path) -> bool {
    // The last processes are on their way out.
    let gone = pgherd_testkit::wait::until("an empty machine", Duration::from_secs(30), async || {
        let left = cgroups::remove(&cgroups::name(directory));
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    if let Err(error) = gone.await {
        println!("e2e: {error}");
        return false;
    }
    match std::fs::remove_dir_all(directory) {
        Ok(()) => true,
        Err(error) => {
            println!("e2e: {} is left: {error}", directory.display());
            false
        }
    }
}

/// Removes what runs left that were killed: those whose process is gone.
fn sweep() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for entry in std::fs::read_dir(PARENT).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix(PREFIX) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            println!("e2e: removing what is left of {name}");
            runtime.block_on(remove(&entry.path()));
        }
    }
}
