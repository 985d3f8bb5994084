//! A primary with streaming standbys on temporary directories.
#![allow(dead_code, reason = "each test program uses a part of it")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, getuid, setgid, setgroups, setuid};
use pgherd_postgres::basebackup::{CopyInto, basebackup};
use pgherd_postgres::initdb::{InitDb, initdb};
use pgherd_postgres::process::{Postgres, Postmaster, PostmasterHandle, StopMode};
use pgherd_postgres::promote::wait_ready;
use pgherd_postgres::reap::Reaper;
use pgherd_postgres::sql::{Local, Session};
use pgherd_postgres::version::Major;
use pgherd_postgres::volume_lock::VolumeLock;
use pgherd_postgres::walsenders::{ReloadError, reload};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// The machine has two cores, and each of these tests has up to three servers.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn become_postgres() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if getuid().is_root() {
            let user = User::from_name("postgres").unwrap().expect("a user postgres");
            setgroups(&[]).unwrap();
            setgid(user.gid).unwrap();
            setuid(user.uid).unwrap();
        }
    });
}

struct Server {
    name: String,
    postgres: Postgres,
    lock: VolumeLock,
    postmaster: Option<Postmaster>,
    log: Arc<Mutex<String>>,
}

impl Server {
    fn at(root: &Path, name: &str, port: u16) -> Self {
        let root = root.join(name);
        std::fs::create_dir(&root).unwrap();
        let postgres = Postgres::locate(Major::installed()[0], &root.join("pgdata"), &root, port).unwrap();
        let lock = VolumeLock::acquire(&root).unwrap();
        Self { name: name.to_owned(), lock, postgres, postmaster: None, log: Arc::default() }
    }

    fn configure(&self, more: &str) {
        let socket = self.postgres.socket_dir.display();
        let conf = format!(
            "listen_addresses = ''\nunix_socket_directories = '{socket}'\nport = {}\nshared_buffers = '16MB'\n\
             hot_standby = on\nwal_retrieve_retry_interval = '200ms'\nrestart_after_crash = off\n{more}\n\
             include 'synchronous.conf'\n",
            self.postgres.port
        );
        std::fs::write(self.postgres.pgdata.join("postgresql.conf"), conf).unwrap();
        std::fs::write(self.postgres.pgdata.join("synchronous.conf"), "").unwrap();
        let hba = "local all all trust\nlocal replication all trust\n";
        std::fs::write(self.postgres.pgdata.join("pg_hba.conf"), hba).unwrap();
    }

    async fn start(&mut self, reaper: &Reaper) {
        let handle = self.begin(reaper).await;
        drop(wait_ready(&self.postgres, &handle, PATIENCE).await.unwrap());
    }

    async fn begin(&mut self, reaper: &Reaper) -> PostmasterHandle {
        let log = Arc::clone(&self.log);
        let sink = move |_, line: &[u8]| {
            let mut log = log.lock().unwrap();
            log.push_str(&String::from_utf8_lossy(line));
            log.push('\n');
        };
        let postmaster = self.postgres.start(reaper, &self.lock, &[], Arc::new(sink)).await.unwrap();
        self.postmaster.insert(postmaster).handle()
    }

    fn conninfo(&self) -> String {
        let socket = self.postgres.socket_dir.display();
        format!("host={socket} port={} user=postgres dbname=postgres", self.postgres.port)
    }

    async fn stop(&mut self, mode: StopMode) {
        let Some(mut postmaster) = self.postmaster.take() else { return };
        postmaster.handle().stop(mode).unwrap();
        tokio::time::timeout(PATIENCE, postmaster.wait()).await.unwrap().unwrap();
    }

    async fn session(&self) -> Session {
        let to = Local {
            socket_dir: &self.postgres.socket_dir,
            port: self.postgres.port,
            database: "postgres",
            application_name: "test",
        };
        let session = Session::local(to, PATIENCE).await.unwrap();
        execute(&session, "SET synchronous_commit = on").await;
        session
    }
}

/// A primary `c-1` and its standbys. Dropping it kills them all.
pub struct Bed {
    primary: Server,
    standbys: Vec<Server>,
    reaper: Reaper,
    _root: tempfile::TempDir,
    _alone: tokio::sync::MutexGuard<'static, ()>,
}

impl Bed {
    /// Ports are only parts of sockets' names in a directory of their own: from `port` on.
    pub async fn with_standbys(port: u16, names: &[&str]) -> Self {
        let alone = ONE_AT_A_TIME.lock().await;
        become_postgres();
        let root = tempfile::tempdir().unwrap();
        let reaper = Reaper::start().unwrap();
        let mut primary = Server::at(root.path(), "c-1", port);
        let how = InitDb::default();
        initdb(&reaper, &primary.postgres, &primary.postgres.pgdata, &how, PATIENCE).await.unwrap();
        primary.configure("");
        primary.start(&reaper).await;
        let mut bed = Self { primary, standbys: Vec::new(), reaper, _root: root, _alone: alone };
        for (name, port) in names.iter().zip(port + 1..) {
            bed.add(name, port).await;
        }
        bed
    }

    async fn add(&mut self, name: &str, port: u16) {
        let mut standby = Server::at(self._root.path(), name, port);
        let source = self.primary.conninfo();
        let into = standby.postgres.pgdata.clone();
        let place = CopyInto { pgdata: into.clone(), ..CopyInto::default() };
        basebackup(&self.reaper, &standby.postgres, &source, &place, PATIENCE, |_| {}).await.unwrap();
        standby.configure(&format!("primary_conninfo = '{source} application_name={name}'"));
        std::fs::write(into.join("standby.signal"), "").unwrap();
        standby.start(&self.reaper).await;
        let session = self.session().await;
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = '{name}' AND state = 'streaming')"
        );
        until(async || session.scalar::<bool>("look for the standby", &sql, PATIENCE).await.unwrap()).await;
        self.standbys.push(standby);
    }

    pub async fn session(&self) -> Session {
        self.primary.session().await
    }

    pub async fn standby(&self, name: &str) -> Session {
        self.server(name).session().await
    }

    fn server(&self, name: &str) -> &Server {
        self.standbys.iter().find(|one| one.name == name).unwrap()
    }

    pub fn log_of(&self, name: &str) -> String {
        self.server(name).log.lock().unwrap().clone()
    }

    pub fn pgdata_of(&self, name: &str) -> PathBuf {
        self.server(name).postgres.pgdata.clone()
    }

    pub fn conninfo_of(&self, name: &str) -> String {
        self.server(name).conninfo()
    }

    pub fn handle_of(&self, name: &str) -> PostmasterHandle {
        self.server(name).postmaster.as_ref().unwrap().handle()
    }

    /// Adds settings to a standby's configuration, for its next start or reload.
    pub fn configure(&self, name: &str, more: &str) {
        let file = self.pgdata_of(name).join("postgresql.auto.conf");
        let before = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{before}{more}\n")).unwrap();
    }

    /// Starts a standby that may not come up.
    pub async fn begin(&mut self, name: &str) {
        let standby = self.standbys.iter_mut().find(|one| one.name == name).unwrap();
        standby.begin(&self.reaper).await;
    }

    pub async fn takes_sessions(&self, name: &str) -> bool {
        let Postgres { socket_dir, port, .. } = &self.server(name).postgres;
        let to = Local { socket_dir, port: *port, database: "postgres", application_name: "test" };
        Session::local(to, PATIENCE).await.is_ok()
    }

    pub async fn stop_primary(&mut self, mode: StopMode) {
        self.primary.stop(mode).await;
    }

    pub fn pgdata(&self) -> PathBuf {
        self.primary.postgres.pgdata.clone()
    }

    pub fn socket(&self) -> PathBuf {
        self.primary.postgres.socket_dir.clone()
    }

    pub fn local<'a>(&self, socket_dir: &'a Path) -> Local<'a> {
        Local { socket_dir, port: self.primary.postgres.port, database: "postgres", application_name: "test" }
    }

    pub fn handle(&self) -> PostmasterHandle {
        self.primary.postmaster.as_ref().unwrap().handle()
    }

    pub fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.pgdata().join(file)).unwrap()
    }

    pub fn write(&self, file: &str, text: &str) {
        std::fs::write(self.pgdata().join(file), text).unwrap();
    }

    /// Writes the list and reloads, as the manager does.
    pub async fn set(&mut self, names: &str) -> Result<(), ReloadError> {
        self.write("synchronous.conf", &format!("synchronous_standby_names = '{names}'\n"));
        let socket = self.socket();
        reload(self.local(&socket), &self.handle(), names, PATIENCE).await
    }

    pub async fn stop(&mut self, name: &str) {
        self.standbys.iter_mut().find(|one| one.name == name).unwrap().stop(StopMode::Immediate).await;
    }

    pub async fn resume(&mut self, name: &str) {
        let standby = self.standbys.iter_mut().find(|one| one.name == name).unwrap();
        standby.start(&self.reaper).await;
    }

    /// Stops the receiver of a standby where it stands, so that it acknowledges nothing.
    pub fn freeze(&self, name: &str) {
        self.signal_receiver(name, Signal::SIGSTOP);
    }

    pub fn thaw(&self, name: &str) {
        self.signal_receiver(name, Signal::SIGCONT);
    }

    fn signal_receiver(&self, name: &str, signal: Signal) {
        let standby = self.standbys.iter().find(|one| one.name == name).unwrap();
        let postmaster = standby.postmaster.as_ref().unwrap().handle().pid();
        for pid in children(postmaster) {
            let title = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&title).contains("walreceiver") {
                kill(Pid::from_raw(pid), signal).unwrap();
            }
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        for server in self.standbys.iter_mut().chain([&mut self.primary]) {
            if let Some(postmaster) = server.postmaster.take() {
                let pid = postmaster.handle().pid();
                let all = children(pid);
                for pid in [vec![pid], all].concat() {
                    // One that is gone already is what was wanted.
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
        }
    }
}

fn children(parent: i32) -> Vec<i32> {
    let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

pub async fn execute(session: &Session, sql: &str) {
    session.batch("run a test's statement", sql, PATIENCE).await.unwrap();
}

pub async fn until(condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("in time");
}
