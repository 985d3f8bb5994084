//! A copy of a cluster's database, and its recovery from the archive alone: by postgres itself, outside of the cluster,
//! with a `restore_command` that knows nothing but a folder of files. What it ends with is what a disaster would leave.

use crate::bed::Bed;
use crate::demo::Tool;
use crate::wait;
use anyhow::{Context as _, bail, ensure};
use core::fmt::Display;
use core::time::Duration;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use pgherd_objectstore::{ObjectStore as _, list_all};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// For the copy.
const COPY: Duration = Duration::from_secs(60);
/// For everything that is replayed.
const REPLAY: Duration = Duration::from_secs(90);
/// For the end of the server.
const STOP: Duration = Duration::from_secs(10);
/// No file of the archive is longer, in bytes: a segment that was not compressed.
const LONGEST: u64 = 17 << 20;
/// Where Debian has the servers, one directory for each major version.
const SERVERS: &str = "/usr/lib/postgresql";
/// The user that a server runs as; it refuses to be root.
const USER: &str = "postgres";

/// Gives a file of the archive to postgres, whether it is compressed or not.
const RESTORE: &str = "#!/bin/sh\n\
     # $1: the folder, $2: the file's name, $3: where postgres wants it\n\
     if [ -e \"$1/$2\" ]; then exec cp \"$1/$2\" \"$3\"; fi\n\
     if [ -e \"$1/$2.gz\" ]; then gunzip -c \"$1/$2.gz\" > \"$3.part\" && exec mv \"$3.part\" \"$3\"; fi\n\
     exit 1\n";

/// A copy of the beginning.
#[derive(Debug)]
pub struct BaseCopy {
    directory: PathBuf,
}

/// A server of what was recovered.
#[derive(Debug)]
pub struct Recovered {
    server: Child,
    directory: PathBuf,
}

impl BaseCopy {
    /// Copies the database of `pod` into `directory`, without WAL: that is the archive's part.
    ///
    /// # Errors
    /// If the pod cannot be reached as a replica would, or `pg_basebackup` refuses.
    pub async fn take(bed: &Bed, pod: &str, directory: &Path) -> anyhow::Result<Self> {
        let _earlier = fs::remove_dir_all(directory);
        fs::create_dir_all(directory).with_context(|| format!("failed to make {}", directory.display()))?;
        let secret = format!("{}-replication", bed.place.cluster);
        let mut env = vec![("PGSSLMODE".to_owned(), "require".to_owned())];
        for (key, variable) in [("tls.crt", "PGSSLCERT"), ("tls.key", "PGSSLKEY")] {
            let path = directory.join(key);
            fs::write(&path, bed.secret(&secret, key).await?)?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            env.push((variable.to_owned(), path.to_string_lossy().into_owned()));
        }
        let address = bed.handle.forward(&bed.place.namespace, &format!("pod/{pod}"), 5432).await?;
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let data = directory.join("data").to_string_lossy().into_owned();
        let tool = Tool { program: newest_program("pg_basebackup")?, env };
        let from = ["-h", &host, "-p", &port, "-U", "streaming_replica", "-w"];
        let how = ["-D", &data, "-X", "none", "-c", "fast", "--no-sync", "--no-manifest"];
        let copied = tool.run(&[from.as_slice(), &how].concat(), COPY).await;
        for key in ["tls.crt", "tls.key"] {
            fs::remove_file(directory.join(key))?;
        }
        copied.with_context(|| format!("failed to copy {pod}"))?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// Takes all that the archive has, and lets postgres recover the copy from that, to the end of `timeline`: an id, or
    /// `latest`.
    ///
    /// # Errors
    /// If the archive cannot be read, or postgres does not come to its end in time.
    pub async fn recover(&self, bed: &Bed, timeline: &impl Display) -> anyhow::Result<Recovered> {
        let wal = self.directory.join("wal");
        fs::create_dir_all(&wal)?;
        let (store, location) = bed.store().await?;
        let objects = list_all(&store, &location.key("wals/")).await.context("failed to list the archive")?;
        for key in objects.iter().map(|object| &object.key) {
            let bytes = store.get(key, LONGEST).await.with_context(|| format!("failed to read {key}"))?;
            fs::write(wal.join(key.rsplit('/').next().unwrap_or(key)), &bytes)?;
        }
        self.replay(timeline).await
    }

    /// A copy that is in `directory` already: the database in `data`, the archive's files in `wal`.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Lets postgres recover the copy from the files that are there, to the end of `timeline`.
    ///
    /// # Errors
    /// If postgres does not come to its end in time.
    pub async fn replay(&self, timeline: &impl Display) -> anyhow::Result<Recovered> {
        self.configure(timeline)?;
        let server = self.start()?;
        let mut recovered = Recovered { server, directory: self.directory.clone() };
        match recovered.ready().await {
            Ok(()) => Ok(recovered),
            Err(error) => {
                let said = fs::read_to_string(recovered.log()).unwrap_or_default();
                recovered.stop().await;
                let last: Vec<&str> = said.lines().rev().take(3).collect();
                Err(error.context(format!("failed to recover from the archive: {}", last.join("; "))))
            }
        }
    }

    /// As a standby's, but for what it recovers from; nothing that the cluster configured is read.
    fn configure(&self, timeline: &impl Display) -> anyhow::Result<()> {
        let path = |name: &str| self.directory.join(name);
        let text = |name: &str| path(name).to_string_lossy().into_owned();
        fs::write(path("restore.sh"), RESTORE)?;
        fs::write(path("hba.conf"), "local all all trust\n")?;
        fs::write(path("ident.conf"), "")?;
        let settings = format!(
            "listen_addresses = ''\n\
             unix_socket_directories = '{}'\n\
             hba_file = '{}'\n\
             ident_file = '{}'\n\
             restore_command = 'sh {} {} %f %p'\n\
             recovery_target_timeline = '{timeline}'\n\
             hot_standby = off\n\
             archive_mode = off\n\
             fsync = off\n\
             logging_collector = off\n\
             shared_buffers = '64MB'\n",
            self.directory.display(),
            text("hba.conf"),
            text("ident.conf"),
            text("restore.sh"),
            text("wal"),
        );
        fs::write(path("server.conf"), settings)?;
        fs::write(path("data/postgresql.auto.conf"), "")?;
        let _of_a_standby = fs::remove_file(path("data/standby.signal"));
        fs::write(path("data/recovery.signal"), "")?;
        fs::create_dir_all(path("data/pg_wal/archive_status"))?;
        Ok(())
    }

    fn start(&self) -> anyhow::Result<Child> {
        let user = User::from_name(USER)?.with_context(|| format!("there is no user {USER}"))?;
        let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
        give(&self.directory, uid, gid)?;
        let data = self.directory.join("data");
        fs::set_permissions(&data, Permissions::from_mode(0o700))?;
        let major = fs::read_to_string(data.join("PG_VERSION")).context("the copy has no PG_VERSION")?;
        let log = File::create(self.directory.join("server.log"))?;
        Command::new(Path::new(SERVERS).join(major.trim()).join("bin/postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-c")
            .arg(format!("config_file={}", self.directory.join("server.conf").display()))
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .uid(uid)
            .gid(gid)
            .kill_on_drop(true)
            .spawn()
            .context("failed to start a server of the copy")
    }
}

impl Recovered {
    /// How to connect to one of its databases.
    #[must_use]
    pub fn dsn(&self, database: &str) -> String {
        format!("host={} port=5432 user={USER} dbname={database}", self.directory.display())
    }

    /// What the server wrote.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let dsn = self.dsn("postgres");
        let waiting = wait::until("the end of a recovery", REPLAY, async || {
            match tokio_postgres::connect(&dsn, tokio_postgres::NoTls).await {
                Ok(_connected) => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        });
        tokio::select! {
            ready = waiting => Ok(ready?),
            ended = self.server.wait() => bail!("the server ended: {}", ended?),
        }
    }

    /// Ends the server at once; nothing of it is needed any more.
    pub async fn stop(mut self) {
        let told = self.server.id().and_then(|id| i32::try_from(id).ok());
        if told.is_some_and(|id| kill(Pid::from_raw(id), Signal::SIGQUIT).is_ok()) {
            let _late = timeout(STOP, self.server.wait()).await;
        }
        let _ended = self.server.kill().await;
    }
}

/// A program of the newest server that is installed: an older one is not promised to copy it.
fn newest_program(name: &str) -> anyhow::Result<PathBuf> {
    let majors = fs::read_dir(SERVERS).with_context(|| format!("failed to list {SERVERS}"))?.flatten();
    let newest = majors.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).max();
    let program = Path::new(SERVERS).join(newest.unwrap_or(0).to_string()).join("bin").join(name);
    ensure!(program.is_file(), "{} is missing", program.display());
    Ok(program)
}

/// Makes everything below `path` a user's.
fn give(path: &Path, uid: u32, gid: u32) -> anyhow::Result<()> {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}
