//! One environment of the local kind per test, in a directory of its own, gone with the test however it ends.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use kube::api::{Api, DynamicObject};
use pgherd_localkube::daemon::{self, UpOptions};
use pgherd_localkube::fault::{FaultRequest, Target};
use pgherd_testkit::bed::{self, EXAMPLE, Place, edited, keep_binaries, keep_logs, remove};
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Where the example puts its cluster.
pub const NAMESPACE: &str = "phoenix-guardian";
/// What the example calls it.
pub const CLUSTER: &str = "phoenix-guardian-db";

const PREFIX: &str = "pgherd-cluster-";
/// So many clusters at once: a test mostly waits, for a lease to lapse or a volume to be copied. Two cores carry two; more
/// would starve each other.
static PLACES: Semaphore = Semaphore::const_new(2);

/// Whether the variants that take minutes are wanted too.
pub fn long() -> bool {
    std::env::var("CLUSTER_LONG").is_ok_and(|long| long == "1")
}

/// An environment with the example's cluster in it. What it has beyond the shared one fails the test by itself.
pub struct Bed {
    inner: bed::Bed,
    pub directory: PathBuf,
    options: UpOptions,
    name: String,
    finished: bool,
    _place: SemaphorePermit<'static>,
}

impl Deref for Bed {
    type Target = bed::Bed;

    fn deref(&self) -> &bed::Bed {
        &self.inner
    }
}

impl Bed {
    /// The example as it is, with `edit` made to its Cluster.
    pub async fn start(name: &str, edit: impl FnOnce(&mut Value)) -> Self {
        Self::start_with(name, edit, |_| {}).await
    }

    /// The same, where containers are started again almost at once however often they end.
    pub async fn hurried(name: &str, edit: impl FnOnce(&mut Value)) -> Self {
        Self::start_with(name, edit, |options| {
            options.backoff_scale = 0.02;
            options.node_grace = Duration::from_millis(800);
        })
        .await
    }

    /// With `adjust` made to the environment's options.
    pub async fn start_with(name: &str, edit: impl FnOnce(&mut Value), adjust: impl FnOnce(&mut UpOptions)) -> Self {
        let (place, mut options) = prepare(name, edit).await;
        adjust(&mut options);
        let inner = bed::Bed::up(options.clone(), Place::of_example()).await.unwrap();
        Self::of(name, inner, options, place)
    }

    /// The example as it is, brought up by the program that people run.
    pub async fn by_program(name: &str) -> Self {
        let (place, options) = prepare(name, |_| {}).await;
        let file = options.files[0].to_str().unwrap();
        let said = run_program(&options, &["local", "up"], &["--name", &options.name, "-f", file]).await;
        if !said.status.success() {
            remove(&options.state_dir).await.unwrap();
            panic!("{said:?}");
        }
        let handle = daemon::find(&options.state_dir).unwrap();
        let inner = bed::Bed::of(handle, Place::of_example()).await.unwrap();
        Self::of(name, inner, options, place)
    }

    fn of(name: &str, inner: bed::Bed, options: UpOptions, place: SemaphorePermit<'static>) -> Self {
        let directory = options.state_dir.clone();
        Self { inner, directory, options, name: name.to_owned(), finished: false, _place: place }
    }

    /// The program that people run, on this environment: what it said, whatever it ended with.
    pub async fn program(&self, verb: &[&str], rest: &[&str]) -> Output {
        run_program(&self.options, verb, rest).await
    }

    /// How the program is called here: its path, and the environment's name.
    pub fn how_to_run(&self) -> (PathBuf, String) {
        (self.options.helper.clone(), self.options.name.clone())
    }

    /// Down in good order, with the data kept, and up again.
    pub async fn down_and_up(&mut self) {
        self.inner.handle.clone().down(false).await.unwrap();
        let options = UpOptions { files: Vec::new(), ..self.options.clone() };
        self.inner = bed::Bed::up_again(options, Place::of_example()).await.unwrap();
    }

    /// Objects of a kind in the cluster's namespace.
    pub fn objects(&self, group: &str, kind: &str) -> Api<DynamicObject> {
        self.inner.objects(group, kind)
    }

    /// SIGKILL to a process of a pod.
    pub async fn kill(&self, target: Target, pod: &str) {
        self.fault(FaultRequest::Kill { target, pod: self.full(pod) }).await;
    }

    /// The same, where there may be no such process at the moment.
    pub async fn strike(&self, target: Target, pod: &str) -> Result<String, String> {
        self.inner.kill(target, pod).await.map_err(|error| format!("{error:#}"))
    }

    /// Any fault.
    pub async fn fault(&self, request: FaultRequest) {
        let done = self.inner.fault(request).await.unwrap();
        self.say(&done);
    }

    /// SQL on an instance, as the superuser.
    pub async fn ask(&self, pod: &str, sql: &str) -> Result<String, String> {
        self.inner.ask(pod, sql).await.map_err(|error| format!("{error:#}"))
    }

    /// One line of progress, with the time, so that logs can be read beside it.
    pub fn say(&self, line: &str) {
        println!("{} {}: {line}", jiff::Timestamp::now().strftime("%H:%M:%S%.3f"), self.name);
    }

    /// Ends the environment in good order, and looks whether anything is left.
    pub async fn down(self) {
        self.inner.clone().down().await.unwrap();
        self.check_gone();
    }

    /// Looks whether anything is left of an environment that was ended.
    pub fn check_gone(mut self) {
        self.finished = true;
        assert!(!self.directory.exists(), "{} is left", self.directory.display());
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        assert!(!mounts.contains(self.directory.to_str().unwrap()), "a mount is left");
    }

    /// What the failed test leaves to read.
    fn keep_logs(&self) {
        let to = built().parent().unwrap().join("test").join("cluster").join(&self.name);
        let _old = std::fs::remove_dir_all(&to);
        keep_logs(&self.directory, &to);
        let _none = std::fs::copy(self.directory.join("journal"), to.join("journal"));
        eprintln!("logs of {} are in {}", self.name, to.display());
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        self.keep_logs();
        let directory = self.directory.clone();
        // A runtime cannot be entered from within another one's thread.
        let sweeping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            if let Err(error) = runtime.block_on(remove(&directory)) {
                eprintln!("{error:#}");
            }
        });
        let _told = sweeping.join();
    }
}

/// What an environment of that name is started with, and the right to do it.
async fn prepare(name: &str, edit: impl FnOnce(&mut Value)) -> (SemaphorePermit<'static>, UpOptions) {
    assert!(nix::unistd::Uid::effective().is_root(), "these tests make namespaces and must run as root");
    let place = PLACES.acquire().await.expect("nobody closes it");
    let _provider = rustls::crypto::ring::default_provider().install_default();
    sweep_the_dead().await;
    let directory = PathBuf::from(format!("/var/tmp/{PREFIX}{}-{name}", std::process::id()));
    let program = keep_binaries(&built(), &directory.join("bin")).unwrap();
    let mut options = UpOptions::new(&format!("c{}{name}", std::process::id()), &program);
    options.state_dir.clone_from(&directory);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(EXAMPLE);
    options.files = vec![edited(&example, &directory, edit).unwrap()];
    (place, options)
}

async fn run_program(options: &UpOptions, verb: &[&str], rest: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(&options.helper);
    command.args(verb).arg("--state-dir").arg(&options.state_dir).args(rest);
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    tokio::time::timeout(Duration::from_secs(300), command.output()).await.expect("the program ends").unwrap()
}

/// Environments whose test was killed: their names carry its process id.
async fn sweep_the_dead() {
    for entry in std::fs::read_dir("/var/tmp").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            remove(&entry.path()).await.unwrap();
        }
    }
}

/// `target/debug`, where cargo puts the binaries that tests of other packages need.
fn built() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().and_then(Path::parent).unwrap().to_owned()
}
