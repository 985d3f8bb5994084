//! The log of a real postmaster on its way to stdout: each record one JSON line in CNPG's shape, and a stdout that takes
//! nothing holds nobody up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test program")]

mod user;

use pgherd_core::identity::Nonce;
use pgherd_manager::config::{Config, RunArgs};
use pgherd_manager::tasks::postgres_log;
use pgherd_postgres::sql::{Local, Session};
use pgherd_postgres::version::Major;
use pgherd_telemetry::LineQueue;
use serde_json::Value;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use user::become_postgres;

const PATIENCE: Duration = Duration::from_secs(120);
/// Only a name: the server listens on a socket in a directory of its own.
const PORT: u16 = 5432;

/// Ended with the test, however that ends.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // A postmaster told to stop at once takes its children with it.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGQUIT);
        let _ = self.0.wait();
    }
}

/// Stdout of a pod whose reader is away until it is let.
struct Stdout {
    taken: Arc<Mutex<Vec<u8>>>,
    reader: Receiver<()>,
    open: bool,
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.open {
            self.open = self.reader.recv().is_ok();
        }
        self.taken.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn program(name: &str, dir: &Path) -> Command {
    let major = Major::installed().into_iter().next().expect("an installed PostgreSQL");
    let mut command = Command::new(major.bin_dir().unwrap().join(name));
    command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command
}

/// With the settings that decide where a postmaster under the manager logs.
fn start(dir: &Path) -> Program {
    let made = program("initdb", dir).args(["-A", "trust", "-U", "postgres", "-D", "data"]).status().unwrap();
    assert!(made.success());
    let mut server = program("postgres", dir);
    server.args(["-D", "data", "-h", "", "-p", &PORT.to_string(), "-k"]).arg(dir);
    let folder = dir.join("controller/log");
    for setting in ["fsync=off", "logging_collector=on", "log_destination=csvlog", "log_filename=postgres"]
        .into_iter()
        .chain(["log_rotation_age=0", "log_rotation_size=0", "log_truncate_on_rotation=off", "log_file_mode=0600"])
    {
        server.args(["-c", setting]);
    }
    Program(server.arg("-c").arg(format!("log_directory={}", folder.display())).spawn().unwrap())
}

async fn session(dir: &Path) -> Session {
    let started = std::time::Instant::now();
    loop {
        let to = Local { socket_dir: dir, port: PORT, database: "postgres", application_name: "it's me" };
        match Session::local(to, PATIENCE).await {
            Ok(session) => return session,
            Err(error) => assert!(started.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_goes_on_while_stdout_takes_nothing_and_each_of_its_records_is_a_line_of_json_or_counted() {
    become_postgres();
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("controller/log")).unwrap();
    let args = RunArgs {
        pod_name: "demo-1".into(),
        pod_uid: "u".into(),
        pod_ip: "127.0.0.1".into(),
        namespace: "ns".into(),
        cluster_name: "demo".into(),
        node_name: String::new(),
        wal_mount: None,
        pgdata: dir.path().join("data"),
        controller_dir: dir.path().join("controller"),
        termination_log: dir.path().join("termination-log"),
        log_level: "info".into(),
    };
    let config = Config::new(&args, Nonce::from("n"));
    let taken = Arc::new(Mutex::new(Vec::new()));
    let (let_it, reader) = mpsc::channel();
    let stdout = Stdout { taken: Arc::clone(&taken), reader, open: false };
    let queue = LineQueue::new(stdout, |count| format!("{{\"dropped\":{count}}}")).unwrap();
    let reading = tokio::spawn(postgres_log(&config, queue.clone()).unwrap());
    let _postgres = start(dir.path());
    let session = session(dir.path()).await;

    // The first is kept by the queue; the last of so many are more than it keeps.
    let marked = "DO $$ BEGIN RAISE WARNING E'two \"lines\",\\nof one record'; END $$";
    session.batch("log one record", marked, PATIENCE).await.unwrap();
    let many = "DO $$ BEGIN FOR i IN 1..40000 LOOP RAISE LOG 'record %', i; END LOOP; END $$";
    session.batch("log more than a queue takes", many, PATIENCE).await.unwrap();
    let answer = session.scalar::<i32>("ask something", "SELECT 1", PATIENCE).await;
    assert_eq!(answer.unwrap(), 1, "nobody waits for the reader of the log");
    let started = std::time::Instant::now();
    while queue.totals().0 + queue.totals().1 < 40_001 {
        assert!(started.elapsed() < PATIENCE, "{:?} of the records came out of the pipe", queue.totals());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (kept, dropped) = queue.totals();
    assert!(dropped > 0, "{kept} kept");

    let_it.send(()).unwrap();
    let lines = || -> Vec<Value> {
        let text = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    };
    let told = |lines: &[Value]| lines.iter().filter_map(|line| line["dropped"].as_u64()).sum::<u64>();
    while told(&lines()) < dropped || (lines().len() as u64) < kept {
        assert!(started.elapsed() < PATIENCE * 2, "{} lines of {kept}", lines().len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let lines = lines();
    let marked = lines.iter().find(|line| line["record"]["message"] == "two \"lines\",\nof one record").expect("it");
    for (key, value) in [("logger", "postgres"), ("msg", "record"), ("level", "info"), ("logging_pod", "demo-1")] {
        assert_eq!(marked[key], value, "{marked}");
    }
    assert!(marked["ts"].as_str().unwrap().ends_with('Z'));
    let record = &marked["record"];
    for (key, value) in [
        ("error_severity", "WARNING"),
        ("sql_state_code", "01000"),
        ("user_name", "postgres"),
        ("database_name", "postgres"),
        ("application_name", "it's me"),
        ("backend_type", "client backend"),
        ("connection_from", "[local]"),
    ] {
        assert_eq!(record[key], value, "{record}");
    }
    assert!(record["process_id"].as_str().unwrap().parse::<u32>().is_ok() && record.get("leader_pid").is_none());
    let numbered =
        lines.iter().filter(|line| line["record"]["message"].as_str().is_some_and(|m| m.starts_with("record ")));
    assert!(numbered.count() > 1000);
    reading.abort();
}
