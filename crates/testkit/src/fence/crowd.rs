//! Clients that write all the time, each in a session of its own, straight to one instance.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_postgres::{Config, NoTls};

/// Between two rows of one client: so many clients with no pause measure the machine.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two attempts to connect.
const RECONNECT: Duration = Duration::from_millis(200);

/// The clients; they end with it.
#[derive(Debug)]
pub struct Crowd {
    connected: Arc<AtomicU64>,
    rows: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Crowd {
    /// So many clients. The table `fence (n int)` must be there.
    #[must_use]
    pub fn start(config: &Config, clients: u32) -> Self {
        let (connected, rows) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let mut tasks = JoinSet::new();
        for _ in 0..clients {
            let (config, connected, rows) = (config.clone(), Arc::clone(&connected), Arc::clone(&rows));
            tasks.spawn(async move {
                loop {
                    // Its end is the fault that is measured.
                    let _ended = write(&config, &connected, &rows).await;
                    tokio::time::sleep(RECONNECT).await;
                }
            });
        }
        Self { connected, rows, _tasks: tasks }
    }

    /// Sessions that are open.
    #[must_use]
    pub fn connected(&self) -> u64 {
        self.connected.load(Ordering::Relaxed)
    }

    /// Rows that were acknowledged.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }
}

/// Counts a session for as long as it is there.
struct Counted<'a>(&'a AtomicU64);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn write(config: &Config, connected: &AtomicU64, rows: &AtomicU64) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let insert = client.prepare("INSERT INTO fence VALUES (1)").await?;
    connected.fetch_add(1, Ordering::Relaxed);
    let _counted = Counted(connected);
    loop {
        client.execute(&insert, &[]).await?;
        rows.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(PAUSE).await;
    }
}
