//! Starting an environment and talking to it, from the command line and from tests.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::control::{Request, Status};
use super::options::Layout;
use super::preflight::preflight;
use super::sweep::{living, sweep};
use super::{DaemonError, UpOptions, endpoint, rootless};
use crate::fault::{ControllerFault, Done, FaultRequest, Lasting};
use crate::node::process::ProcessId;

/// How long the daemon may take to be ready (pods are not waited for).
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long an environment may take to go down in good order before it is swept.
const DOWN_WITHIN: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(20);

/// An environment that is up. Dropping the handle leaves it up.
#[derive(Debug, Clone)]
pub struct Handle {
    layout: Layout,
}

/// The environment in a state directory.
///
/// # Errors
/// If none is up there.
pub fn find(state_dir: &Path) -> Result<Handle, DaemonError> {
    living(state_dir).ok_or_else(|| DaemonError::NotUp(state_dir.to_owned()))?;
    Ok(Handle { layout: Layout::new(state_dir) })
}

/// A daemon that is not ready yet: it ends with whoever starts it.
struct Starting(Option<std::process::Child>);

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.0.take() {
            let _killed = daemon.kill();
            let _reaped = daemon.wait();
        }
    }
}

/// Starts an environment: sweeps what a crash left, starts the daemon in the background, waits until API, S3 and node are
/// ready and the manifests are applied.
///
/// # Errors
/// If the machine lacks something, the environment is up already, a manifest is refused, or the S3 endpoint cannot be
/// spoken to.
///
/// # Cancel safety
/// A daemon that is not ready yet is killed; [`super::sweep`] removes what it has made by then.
pub async fn up(options: UpOptions) -> Result<Handle, DaemonError> {
    options.s3_endpoint.as_deref().map(endpoint::target).transpose()?;
    let lacking: Vec<String> =
        preflight(&options).into_iter().filter(|f| f.fatal).map(|f| format!("- {}", f.text)).collect();
    if !lacking.is_empty() {
        return Err(DaemonError::Preflight(lacking.join("\n")));
    }
    if living(&options.state_dir).is_some() {
        return Err(DaemonError::AlreadyUp(options.name));
    }
    sweep(&options.state_dir).await?;
    let layout = Layout::new(&options.state_dir);
    std::fs::create_dir_all(&layout.root).map_err(DaemonError::file(&layout.root))?;
    let text = serde_json::to_vec_pretty(&options)
        .map_err(|error| DaemonError::Parse { path: layout.options(), why: error.to_string() })?;
    write_private(&layout.options(), &text)?;
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(layout.log())
        .map_err(DaemonError::file(layout.log()))?;
    let errors = log.try_clone().map_err(DaemonError::file(layout.log()))?;
    let daemon = std::process::Command::new(&options.helper)
        .arg("local-daemon")
        .arg(layout.options())
        .current_dir("/")
        .env("PATH", rootless::search_path())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(DaemonError::Start)?;
    let mut starting = Starting(Some(daemon));
    let handle = Handle { layout };
    let deadline = Instant::now().checked_add(READY_WITHIN);
    loop {
        if handle.layout.socket().exists() && handle.status().await.is_ok() {
            starting.0 = None;
            return Ok(handle);
        }
        let ended = starting.0.as_mut().is_none_or(|daemon| matches!(daemon.try_wait(), Ok(Some(_)) | Err(_)));
        if ended || deadline.is_none_or(|deadline| Instant::now() > deadline) {
            drop(starting);
            sweep(&handle.layout.root).await?;
            if let Ok(text) = std::fs::read_to_string(handle.layout.refusal()) {
                let _told_once = std::fs::remove_file(handle.layout.refusal());
                return Err(DaemonError::Invalid(text));
            }
            let log = handle.layout.log();
            let tail = std::fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<&str> = tail.lines().rev().take(5).collect();
            let tail = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
            return Err(DaemonError::Died { log, tail });
        }
        tokio::time::sleep(POLL).await;
    }
}

fn write_private(path: &Path, text: &[u8]) -> Result<(), DaemonError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut open = std::fs::OpenOptions::new();
    let mut file =
        open.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(DaemonError::file(path))?;
    file.write_all(text).map_err(DaemonError::file(path))
}

impl Handle {
    /// For kubectl and clients on the host.
    pub fn api_kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig()
    }

    /// The daemon's process.
    ///
    /// # Errors
    /// If it is not up any more.
    pub fn daemon(&self) -> Result<ProcessId, DaemonError> {
        living(&self.layout.root).ok_or_else(|| DaemonError::NotUp(self.layout.root.clone()))
    }

    /// The state directory.
    pub fn state_dir(&self) -> &Path {
        &self.layout.root
    }

    /// What is up.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub async fn status(&self) -> Result<Status, DaemonError> {
        self.ask(&Request::Status).await
    }

    /// An address of the host that leads to a port of `service` (`NAME` of a Service, or `pod/NAME`).
    ///
    /// # Errors
    /// If there is no such service or pod.
    pub async fn forward(&self, namespace: &str, service: &str, port: u16) -> Result<SocketAddr, DaemonError> {
        let (namespace, name) = (namespace.to_owned(), service.to_owned());
        self.ask(&Request::Forward { namespace, name, port }).await
    }

    /// Puts a fault on; answers what was done, for people.
    ///
    /// # Errors
    /// If there is no such pod or process.
    pub async fn fault(&self, request: FaultRequest) -> Result<String, DaemonError> {
        Ok(self.inject(request).await?.text)
    }

    /// Puts a fault on; answers what was done, and the id that ends it (`HealOne`) if it lasts.
    ///
    /// # Errors
    /// If there is no such pod or process.
    pub async fn inject(&self, request: FaultRequest) -> Result<Done, DaemonError> {
        self.ask(&Request::Fault { request }).await
    }

    /// The faults that last.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub async fn faults(&self) -> Result<Vec<Lasting>, DaemonError> {
        self.ask(&Request::Faults).await
    }

    /// The event log; one [`super::Event`] a line.
    pub fn event_log(&self) -> PathBuf {
        self.layout.events()
    }

    /// PID 1 of a container, as the host sees it.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn process(&self, namespace: &str, pod: &str, container: &str) -> Result<ProcessId, DaemonError> {
        let (namespace, pod, container) = (namespace.to_owned(), pod.to_owned(), container.to_owned());
        self.ask(&Request::Process { namespace, pod, container }).await
    }

    /// Applies manifests, making what they take for granted; answers what was done.
    ///
    /// # Errors
    /// If one is refused.
    pub async fn apply(&self, files: Vec<PathBuf>) -> Result<Vec<String>, DaemonError> {
        self.ask(&Request::Apply { files }).await
    }

    /// SIGKILL to the controller; it is started again.
    ///
    /// # Errors
    /// If none runs.
    pub async fn kill_controller(&self) -> Result<String, DaemonError> {
        self.fault(FaultRequest::Controller { what: ControllerFault::Kill }).await
    }

    /// Ends the environment, and sweeps whatever is left of it. Data stay in the state directory unless `purge`, which
    /// does not give pods the time to end in good order either.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub async fn down(self, purge: bool) -> Result<(), DaemonError> {
        let asked: Result<Value, _> = self.ask(&Request::Down { at_once: purge }).await;
        let deadline = Instant::now().checked_add(DOWN_WITHIN);
        while asked.is_ok()
            && living(&self.layout.root).is_some()
            && deadline.is_some_and(|deadline| Instant::now() < deadline)
        {
            tokio::time::sleep(POLL).await;
        }
        sweep(&self.layout.root).await?;
        if purge {
            std::fs::remove_dir_all(&self.layout.root).map_err(DaemonError::file(&self.layout.root))?;
        }
        Ok(())
    }

    async fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T, DaemonError> {
        let path = self.layout.socket();
        let parse =
            |error: serde_json::Error| DaemonError::Parse { path: self.layout.socket(), why: error.to_string() };
        let mut stream = UnixStream::connect(&path).await.map_err(DaemonError::file(&path))?;
        let line = serde_json::to_string(request).map_err(parse)?;
        stream.write_all(format!("{line}\n").as_bytes()).await.map_err(DaemonError::file(&path))?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).await.map_err(DaemonError::file(&path))?;
        let mut answer: Value = serde_json::from_str(&answer).map_err(parse)?;
        if let Some(error) = answer.get("error").and_then(Value::as_str) {
            return Err(DaemonError::Refused(error.to_owned()));
        }
        serde_json::from_value(answer.get_mut("ok").map(Value::take).unwrap_or_default()).map_err(parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_s3_that_wants_tls_is_refused_before_anything_is_started() {
        let directory = tempfile::tempdir().unwrap();
        let mut options = UpOptions::new("tls", Path::new("/nowhere/pgherd"));
        options.state_dir = directory.path().join("state");
        options.s3_endpoint = Some("https://s3.example.com".to_owned());
        let error = up(options).await.unwrap_err();
        assert!(matches!(error, DaemonError::Endpoint(_)), "{error}");
        assert!(!directory.path().join("state").exists());
    }
}
