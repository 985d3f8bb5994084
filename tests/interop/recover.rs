//! What barman backed up, we bring back: a real server with a tablespace, its WAL archived and its base backups taken by
//! barman, each compressed in its own way; recovered by us to a restore point.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgherd_backup::{Catalog, Destination, Patience, Survey};
use pgherd_core::backup::{RecoveryTarget, Target, choose};
use pgherd_core::pgconf::recovery::{Replay, settings};
use pgherd_core::wal::WalName;
use pgherd_objectstore::list_all;
use pgherd_postgres::version::Major;

use crate::seaweed::{ACCESS_KEY, BUCKET, SECRET_KEY, Seaweed};
use crate::wal::archive;

const PATIENCE: Duration = Duration::from_secs(60);
const SERVER: &str = "barmans";

/// Postgres as its own user, in a folder of his.
struct Postgres {
    bin: PathBuf,
    root: PathBuf,
    ids: (u32, u32),
    running: Option<Child>,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Postgres {
    fn new(root: &Path) -> Self {
        let user = nix::unistd::User::from_name("postgres").unwrap().expect("a user postgres");
        let ids = (user.uid.as_raw(), user.gid.as_raw());
        let postgres =
            Self { bin: Major::installed()[0].bin_dir().unwrap(), root: root.to_owned(), ids, running: None };
        postgres.own(root);
        postgres
    }

    /// Gives a folder to the user, with all that is in it.
    fn own(&self, path: &Path) {
        let (uid, gid) = self.ids;
        std::os::unix::fs::lchown(path, Some(uid), Some(gid)).unwrap();
        if path.is_dir() && !path.is_symlink() {
            for entry in std::fs::read_dir(path).unwrap() {
                self.own(&entry.unwrap().path());
            }
        }
    }

    fn command(&self, mut command: Command) -> Command {
        command.uid(self.ids.0).gid(self.ids.1).current_dir(&self.root).env("LC_ALL", "C");
        command
    }

    fn program(&self, name: &str) -> Command {
        self.command(Command::new(self.bin.join(name)))
    }

    fn start(&mut self, pgdata: &Path, settings: &[String], environment: &[(&str, &str)]) {
        let log = std::fs::File::create(self.root.join("log")).unwrap();
        let mut command = self.program("postgres");
        command.arg("-D").arg(pgdata).args(["-c", "listen_addresses=", "-c", "shared_buffers=16MB"]);
        command.arg("-c").arg(format!("unix_socket_directories={}", self.root.display()));
        for setting in settings {
            command.arg("-c").arg(setting);
        }
        command.envs(environment.iter().copied()).stdin(Stdio::null()).stderr(log.try_clone().unwrap()).stdout(log);
        self.running = Some(command.spawn().unwrap());
    }

    fn ask(&self, sql: &str) -> Output {
        let mut psql = self.program("psql");
        psql.args(["-X", "-A", "-t", "-q", "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-h"]).arg(&self.root);
        psql.args(["-c", sql, "postgres"]).output().unwrap()
    }

    fn run(&self, sql: &str) -> String {
        let said = self.ask(sql);
        assert!(said.status.success(), "{sql}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    }

    /// Waits until it writes.
    fn wait(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.ask("SELECT pg_is_in_recovery()");
            if said.status.success() && said.stdout.starts_with(b"f") {
                return;
            }
            let log = || std::fs::read_to_string(self.root.join("log")).unwrap_or_default();
            let ended = self.running.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "postgres is not there: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn stop(&mut self) {
        let Some(mut child) = self.running.take() else { return };
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        let _gone = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGQUIT);
        let _ended = child.wait();
    }
}

/// A server of which barman takes six backups, with rows between them. Answers how many there are at the point.
fn barmans_work(server: &Seaweed, postgres: &mut Postgres) -> u32 {
    let pgdata = postgres.root.join("pgdata");
    let made = postgres.program("initdb").args(["-U", "postgres", "-A", "trust", "-D"]).arg(&pgdata).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::create_dir(postgres.root.join("space")).unwrap();
    postgres.own(&postgres.root.join("space"));
    let barman = |program: &str| {
        format!("{} --endpoint-url {}", server.tools.join("bin").join(program).display(), server.endpoint)
    };
    let archive = format!("{} --gzip s3://{BUCKET}/wal {SERVER} %p", barman("barman-cloud-wal-archive"));
    let environment =
        [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY), ("AWS_DEFAULT_REGION", "us-east-1")];
    let settings = ["archive_mode=on".to_owned(), format!("archive_command={archive}"), "fsync=off".to_owned()];
    postgres.start(&pgdata, &settings, &environment);
    postgres.wait();
    let space = postgres.root.join("space");
    postgres.run(&format!("CREATE TABLESPACE ts LOCATION '{}'", space.display()));
    postgres.run("CREATE TABLE kept (id int) TABLESPACE ts");
    let ways: [&[&str]; 6] = [
        &["--gzip"],
        &["--bzip2", "--name", "nightly"],
        &[],
        &["--snappy"],
        &["--lz4"],
        // In parts: `data.tar`, `data_0001.tar`, ... It is the size of what is stored that counts.
        &["--max-archive-size", "8MB"],
    ];
    for (number, options) in ways.into_iter().enumerate() {
        postgres.run(&format!("INSERT INTO kept SELECT generate_series(1, 1000) + {number} * 1000"));
        // Backups are named by the second.
        let second = postgres.run("SELECT date_trunc('second', clock_timestamp())::text");
        let mut backup = postgres.command(server.command("barman-cloud-backup"));
        backup.args(["--endpoint-url", &server.endpoint, "--immediate-checkpoint", "-U", "postgres", "-h"]);
        backup.arg(&postgres.root).args(options).args([&format!("s3://{BUCKET}/wal"), SERVER]);
        let said = backup.output().unwrap();
        assert!(said.status.success(), "{options:?}: {}", String::from_utf8_lossy(&said.stderr));
        while postgres.run("SELECT date_trunc('second', clock_timestamp())::text") == second {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    postgres.run("INSERT INTO kept SELECT generate_series(1, 500) + 10000");
    postgres.run("SELECT pg_create_restore_point('before the mistake')");
    postgres.run("DELETE FROM kept");
    let last = postgres.run("SELECT pg_walfile_name(pg_switch_wal())");
    let deadline = Instant::now() + PATIENCE;
    while postgres.run(&format!("SELECT coalesce(last_archived_wal >= '{last}', false) FROM pg_stat_archiver")) != "t" {
        assert!(Instant::now() < deadline, "{last} is not archived");
        std::thread::sleep(Duration::from_millis(100));
    }
    postgres.stop();
    6500
}

/// Every WAL file, read by us, for a `restore_command` that only copies.
async fn all_wal(server: &Seaweed, survey: &Survey, folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    let ours = archive(server, SERVER, None);
    for object in &survey.wal {
        if matches!(object.name, WalName::Segment(_)) {
            let content = ours.get(object.name).await.unwrap().unwrap();
            std::fs::write(folder.join(object.name.to_string()), content).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_barman_backed_up_we_recover_to_a_restore_point() {
    let server = Seaweed::shared();
    let folder = tempfile::Builder::new().prefix("pgherd-recover-").tempdir().unwrap();
    let mut postgres = Postgres::new(folder.path());
    let rows = barmans_work(&server, &mut postgres);
    let catalog =
        Catalog::new(Arc::new(server.store(BUCKET, SECRET_KEY)), &format!("wal/{SERVER}"), Patience::default());
    let survey = catalog.survey().await.unwrap();
    assert_eq!(survey.backups.len(), 6);
    let folder_of_parts = format!("wal/{SERVER}/base/{}/", survey.backups[5].entry.id);
    let parts = list_all(&server.store(BUCKET, SECRET_KEY), &folder_of_parts).await.unwrap();
    let parts: Vec<_> = parts.into_iter().map(|object| object.key).collect();
    assert!(parts.iter().any(|key| key.ends_with("/data_0001.tar")), "{parts:?}");
    assert_eq!(survey.backups[1].entry.name.as_deref(), Some("nightly"));
    let wal = folder.path().join("wal");
    all_wal(&server, &survey, &wal).await;
    for backup in &survey.backups {
        let id = &backup.entry.id;
        let target = Target::Name("before the mistake".to_owned());
        let wanted = RecoveryTarget { target, backup: Some(id.clone()), ..RecoveryTarget::default() };
        let choice = choose(&survey.entries(), &survey.archived, &wanted).unwrap();
        let spaces = &backup.info.as_ref().unwrap().tablespaces;
        assert_eq!(spaces.len(), 1);
        let to = Destination {
            pgdata: folder.path().join(format!("restored-{id}")),
            tablespaces: vec![(spaces[0].oid, folder.path().join(format!("space-{id}")))],
            wide: 4,
            progress: Arc::default(),
        };
        let restored = catalog.restore(backup, &to).await.unwrap();
        println!("{id}: {} bytes fetched, {} written", restored.fetched, restored.written);
        std::fs::write(to.pgdata.join("recovery.signal"), "").unwrap();
        postgres.own(folder.path());
        let restore = format!("cp {}/%f %p", wal.display());
        let sockets = folder.path().to_string_lossy().into_owned();
        let along = choice.along.timeline();
        let replay = Replay { target: &wanted, along, restore: &restore, sockets: &sockets, sensitive: &[] };
        postgres.start(&to.pgdata, &settings(replay), &[]);
        postgres.wait();
        assert_eq!(postgres.run("SELECT count(*) FROM kept"), rows.to_string(), "{id}");
        let where_it_is = postgres.run("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'ts'");
        assert_eq!(where_it_is, to.tablespaces[0].1.to_string_lossy(), "{id}");
        postgres.stop();
    }
}
