//! A real postgres on loopback files, as an unprivileged user, with its WAL archived into a folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use pgherd_manager::backups::Server;
use pgherd_postgres::sql::{Local, Session};
use pgherd_postgres::version::Major;

const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of everything, gone with the server.
pub struct Postgres {
    root: tempfile::TempDir,
    major: Major,
}

impl Postgres {
    /// A new database, running, with checksums on its pages.
    pub fn start() -> Self {
        let root = tempfile::Builder::new().prefix("pgherd-interop-pg-").tempdir_in("/var/tmp").unwrap();
        let server = Self { root, major: *Major::installed().last().unwrap() };
        for folder in ["", "socket", "wal", "space", "restored", "restored-space"] {
            server.own(&server.folder(folder));
        }
        let pgdata = server.folder("pgdata");
        let pgdata = pgdata.to_str().unwrap();
        server.run("initdb", &["-D", pgdata, "-A", "trust", "--data-checksums", "-U", "postgres", "-N"]);
        let wal = server.folder("wal");
        let conf = format!("archive_mode = on\narchive_command = 'cp %p {}/%f'\n", wal.display());
        server.configure("pgdata", &conf);
        server.up("pgdata");
        server
    }

    /// One of its folders: `pgdata`, `wal`, `space`, `restored`, `restored-space`.
    pub fn folder(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.root.path().to_owned() } else { self.root.path().join(name) }
    }

    /// A folder of the server's user.
    pub fn own(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        self.give(folder);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(folder, mode).unwrap();
    }

    /// All that is in a folder becomes that user's.
    pub fn own_all(&self, folder: &Path) {
        self.own(folder);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.own_all(&path);
            } else {
                self.give(&path);
            }
        }
    }

    fn give(&self, path: &Path) {
        let user = nix::unistd::User::from_name("postgres").unwrap().expect("a user postgres");
        if nix::unistd::getuid().is_root() {
            nix::unistd::chown(path, Some(user.uid), Some(user.gid)).unwrap();
        }
    }

    /// Settings that every server here has, and these.
    pub fn configure(&self, folder: &str, more: &str) {
        let socket = self.folder("socket");
        let conf = format!(
            "listen_addresses = ''\nunix_socket_directories = '{}'\nshared_buffers = '16MB'\nfsync = off\n{more}",
            socket.display()
        );
        std::fs::write(self.folder(folder).join("postgresql.auto.conf"), conf).unwrap();
    }

    /// Starts the server of a data directory.
    pub fn up(&self, folder: &str) {
        let (pgdata, log) = (self.folder(folder), self.folder("").join(format!("{folder}.log")));
        let (pgdata, log) = (pgdata.to_str().unwrap(), log.to_str().unwrap().to_owned());
        self.run("pg_ctl", &["-D", pgdata, "-l", &log, "-w", "-t", "60", "start"]);
    }

    /// Stops it.
    pub fn down(&self, folder: &str) {
        let pgdata = self.folder(folder);
        self.run("pg_ctl", &["-D", pgdata.to_str().unwrap(), "-m", "immediate", "stop"]);
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Output {
        let program = self.major.bin_dir().unwrap().join(program);
        let mut command = if nix::unistd::getuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).current_dir("/").env("LC_ALL", "C").stdin(Stdio::null());
        // What it starts must not hold our pipes.
        let said = tempfile::tempfile().unwrap();
        command.stdout(said.try_clone().unwrap()).stderr(said.try_clone().unwrap());
        let status = command.status().unwrap();
        let mut text = Vec::new();
        std::io::Seek::rewind(&mut &said).unwrap();
        std::io::Read::read_to_end(&mut &said, &mut text).unwrap();
        Output { status, stdout: text, stderr: Vec::new() }
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.command(program, arguments);
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stdout));
    }

    /// How the manager would see it.
    pub fn server(&self) -> Server {
        Server { socket_dir: self.folder("socket"), port: 5432, major: self.major, pgdata: self.folder("pgdata") }
    }

    /// A session with whichever of its servers runs.
    pub async fn session(&self) -> Session {
        let socket_dir = self.folder("socket");
        let to = Local { socket_dir: &socket_dir, port: 5432, database: "postgres", application_name: "interop" };
        Session::local(to, PATIENCE).await.unwrap()
    }

    /// Runs statements.
    pub async fn execute(&self, sql: &[&str]) {
        let session = self.session().await;
        for sql in sql {
            session.batch("run a test's statement", sql, PATIENCE).await.unwrap();
        }
    }

    /// One number.
    pub async fn number(&self, sql: &str) -> i64 {
        self.session().await.scalar("ask", sql, PATIENCE).await.unwrap()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        for folder in ["pgdata", "restored"] {
            let pgdata = self.folder(folder);
            if pgdata.join("postmaster.pid").exists() {
                let _stopped = self.command("pg_ctl", &["-D", pgdata.to_str().unwrap(), "-m", "immediate", "stop"]);
            }
        }
    }
}
