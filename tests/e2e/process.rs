//! Programs that run as long as they are wanted, with their output in a file, and programs that are run to their end.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

/// For a program that is run to its end.
const PATIENCE: Duration = Duration::from_secs(300);

/// Starts a program that goes when its handle does; what it says is added to `log`.
pub fn start(mut command: Command, log: &Path) -> Child {
    let log = OpenOptions::new().create(true).append(true).open(log).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).kill_on_drop(true);
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a program to its end: what it says on its standard output, or the way it failed.
pub async fn run(mut command: Command) -> Result<String, String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let said = match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(said) => said.map_err(|error| format!("{command:?}: {error}"))?,
        Err(_) => return Err(format!("{command:?}: still running after {PATIENCE:?}")),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if said.status.success() {
        Ok(text(&said.stdout))
    } else {
        Err(format!("{command:?}: {}: {}\n{}", said.status, text(&said.stderr), text(&said.stdout)))
    }
}

/// The same, which has to succeed.
pub async fn must(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    run(command).await.unwrap_or_else(|error| panic!("{error}"))
}

/// The process that `pid` has started, as soon as there is one.
pub async fn child_of(pid: u32) -> u32 {
    let list = format!("/proc/{pid}/task/{pid}/children");
    let look = pgherd_testkit::wait::until("a child", Duration::from_secs(30), async || {
        let all = std::fs::read_to_string(&list).map_err(|error| format!("{list}: {error}"))?;
        all.split_whitespace().next().and_then(|first| first.parse().ok()).ok_or_else(|| "none yet".to_owned())
    });
    look.await.unwrap()
}

/// Sends a signal, by its name, to one process.
pub async fn signal(name: &str, pid: u32) {
    must("kill", &[&format!("-{name}"), &pid.to_string()]).await;
}
