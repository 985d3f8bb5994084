//! The controller that is measured: a process of its own, asked by its metrics and by /proc.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// A controller that has more to do than when it is idle for so long has failed.
const PATIENCE: Duration = Duration::from_secs(600);
const HALF: Duration = Duration::from_millis(500);

/// One that runs.
pub struct Controller {
    child: Child,
    metrics: u16,
    started: Instant,
}

/// The program that is measured.
pub fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/controller");
    std::env::var_os("SCALE_CONTROLLER").map_or(built, PathBuf::from)
}

impl Controller {
    pub fn start(kubeconfig: &Path, status_port: u16, log: &Path) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let metrics = listener.local_addr().unwrap().port();
        drop(listener);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(program());
        command.arg("run").arg("--status-port").arg(status_port.to_string());
        command.arg("--metrics").arg(format!("127.0.0.1:{metrics}"));
        command.env("KUBECONFIG", kubeconfig).env("RUST_BACKTRACE", "1").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let started = Instant::now();
        Self { child: command.spawn().expect("the controller is built"), metrics, started }
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// How many looks it has taken.
    pub async fn looks(&self) -> Option<u64> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.metrics)).await.ok()?;
        let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok()?;
        text.lines()
            .find_map(|line| line.strip_prefix("pgherd_controller_reconcile_seconds_count ")?.trim().parse().ok())
    }

    /// Since its start, until it had looked at each of so many clusters and had no more to do than when it is idle.
    pub async fn steady(&self, clusters: u64) -> Duration {
        let (mut before, mut busy) = (0, self.started);
        loop {
            let looks = self.looks().await.unwrap_or_default();
            let fresh = looks.saturating_sub(std::mem::replace(&mut before, looks));
            if looks >= clusters && fresh <= clusters / 40 + 1 {
                return busy - self.started;
            }
            busy = Instant::now();
            assert!(busy - self.started < PATIENCE, "{looks} looks, {fresh} of them in the last half second");
            tokio::time::sleep(HALF).await;
        }
    }
}

/// CPU seconds that a process has used.
pub fn cpu_seconds(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u32>().unwrap();
    // Of a hundred a second, as Linux counts for programs.
    f64::from(ticks(11) + ticks(12)) / 100.0
}

/// Resident memory in MiB.
pub fn rss_mib(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    f64::from(line.trim().trim_end_matches(" kB").parse::<u32>().unwrap()) / 1024.0
}
