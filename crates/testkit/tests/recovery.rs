//! A copy of a real database, recovered from the files of an archive and from nothing else.
//!
//! Needs root, and PostgreSQL where Debian has it.

// Test code: the lints excuse test functions, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nix::unistd::User;
use pgherd_testkit::recovery::BaseCopy;
use pgherd_testkit::wait;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio_postgres::NoTls;

/// A database that archives into a folder.
struct Source {
    root: PathBuf,
    bin: PathBuf,
}

impl Source {
    fn new(root: &Path) -> Self {
        let servers = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed").flatten();
        let newest = servers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).max().unwrap();
        let bin = PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"));
        let user = User::from_name("postgres").unwrap().expect("there is a user postgres");
        for directory in [root.to_owned(), root.join("copy"), root.join("copy/wal")] {
            fs::create_dir_all(&directory).unwrap();
            fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
            chown(&directory, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        let source = Self { root: root.to_owned(), bin };
        source.run("initdb", &["-D", &source.data(), "-A", "trust", "--no-sync"]);
        let settings = format!(
            "listen_addresses = ''\nunix_socket_directories = '{0}'\nfsync = off\narchive_mode = on\n\
             archive_command = 'gzip -c %p > {0}/part && mv {0}/part {0}/copy/wal/%f.gz'\n",
            root.display()
        );
        fs::write(root.join("source/postgresql.conf"), settings).unwrap();
        source
    }

    fn data(&self) -> String {
        self.root.join("source").to_string_lossy().into_owned()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(self.bin.join(program));
        // A server that goes on must not keep a pipe of ours open.
        let done = command.args(arguments).current_dir(&self.root).stdin(Stdio::null()).stdout(Stdio::null()).status();
        assert!(done.unwrap().success(), "{program} {arguments:?}");
    }

    fn start(&self) {
        let log = self.root.join("source.log").to_string_lossy().into_owned();
        self.run("pg_ctl", &["-D", &self.data(), "-l", &log, "-w", "start"]);
    }

    fn stop(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "-m", "fast", "stop"]);
    }

    async fn sql(&self, statements: &str) {
        let (client, connection) = tokio_postgres::connect(&self.dsn(), NoTls).await.unwrap();
        let driver = tokio::spawn(connection);
        client.batch_execute(statements).await.unwrap();
        drop(client);
        let _ended = driver.await;
    }

    fn dsn(&self) -> String {
        format!("host={} port=5432 user=postgres dbname=postgres", self.root.display())
    }

    /// Ends the segment, and waits until the archive has it; answers its name.
    async fn switch(&self) -> String {
        let segment: String = value(&self.dsn(), "SELECT pg_walfile_name(pg_switch_wal())").await;
        let file = self.root.join(format!("copy/wal/{segment}.gz"));
        wait::until("the segment in the archive", Duration::from_secs(30), async || {
            if file.exists() { Ok(()) } else { Err(format!("no {}", file.display())) }
        })
        .await
        .unwrap();
        segment
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if Path::new(&self.data()).join("postmaster.pid").exists() {
            self.stop();
        }
    }
}

async fn value<T: for<'a> tokio_postgres::types::FromSql<'a>>(dsn: &str, sql: &str) -> T {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    let value = client.query_one(sql, &[]).await.unwrap().get(0);
    drop(client);
    let _ended = driver.await;
    value
}

#[tokio::test]
async fn a_copy_comes_back_with_all_that_was_archived_on_every_timeline_and_with_less_where_a_segment_lacks() {
    assert!(nix::unistd::Uid::effective().is_root(), "this test starts servers as another user and must run as root");
    let dir = tempfile::Builder::new().prefix("pgherd-recovery-").tempdir_in("/var/tmp").unwrap();
    let source = Source::new(dir.path());
    let copy = dir.path().join("copy");
    source.start();
    source.sql("CREATE TABLE kept (n int)").await;
    let from = dir.path().to_string_lossy().into_owned();
    let into = copy.join("data").to_string_lossy().into_owned();
    source.run("pg_basebackup", &["-h", &from, "-D", &into, "-X", "none", "-c", "fast", "--no-sync", "--no-manifest"]);
    source.sql("INSERT INTO kept VALUES (1)").await;
    source.switch().await;
    source.sql("INSERT INTO kept VALUES (2)").await;
    source.stop();
    fs::write(dir.path().join("source/standby.signal"), "").unwrap();
    source.start();
    source.sql("SELECT pg_promote()").await;
    source.sql("INSERT INTO kept VALUES (3)").await;
    let last = source.switch().await;
    assert!(last.starts_with("00000002"), "{last}");
    source.stop();

    let untouched = dir.path().join("untouched");
    assert!(Command::new("cp").arg("-a").arg(&copy).arg(&untouched).status().unwrap().success());
    let recovered = BaseCopy::at(&copy).replay(&2).await.unwrap();
    let count: i64 = value(&recovered.dsn("postgres"), "SELECT count(*) FROM kept").await;
    recovered.stop().await;
    assert_eq!(count, 3);

    fs::remove_file(untouched.join(format!("wal/{last}.gz"))).unwrap();
    let recovered = BaseCopy::at(&untouched).replay(&2).await;
    let count: i64 = match &recovered {
        Ok(less) => value(&less.dsn("postgres"), "SELECT count(*) FROM kept").await,
        // Postgres would not even come so far as the timeline.
        Err(_) => 0,
    };
    if let Ok(less) = recovered {
        less.stop().await;
    }
    assert!(count < 3, "the last row was in the segment that lacks");
}
