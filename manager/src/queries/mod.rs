//! Metrics by queries: the default ones and the user's (`spec.monitoring`). Asked when somebody reads the page, by a role that
//! may only look, in transactions that write nothing, and kept for `metricsQueriesTTL`.

mod ask;
mod families;
mod role;
mod source;

use crate::http::View;
use crate::metrics::{Exposition, Kind};
use core::time::Duration;
use families::Families;
use pgherd_core::monitor::server_version;
use pgherd_proto::queries::Query;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

pub use role::MetricsRole;
pub use source::{DEFAULTS, follow};

/// For all of them together: Prometheus waits for a page for ten seconds, unless it is told otherwise.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// Where postgres is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Directory of its socket.
    pub socket_dir: PathBuf,
    /// The port in the socket's name.
    pub port: u16,
    /// It was told to stop: no session of ours must be what it waits for.
    pub leaving: Arc<AtomicBool>,
}

/// What is to be asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set {
    /// By their names; a user's takes the place of a default one.
    pub queries: BTreeMap<String, Query>,
    /// What cannot be asked, and why.
    pub refused: BTreeMap<String, String>,
    /// The database of those that name none.
    pub database: String,
    /// How old an answer may be.
    pub keep: Duration,
}

/// What of the server decides which queries are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Server {
    version: [u64; 3],
    primary: bool,
}

/// Answers, and what they were answers to.
pub struct Answers {
    at: Instant,
    set: Arc<Set>,
    server: Server,
    families: Families,
    failed: BTreeSet<String>,
}

/// Asks, and remembers.
pub struct Monitor {
    place: Place,
    set: watch::Sender<Arc<Set>>,
    kept: Mutex<Option<Arc<Answers>>>,
}

impl Monitor {
    /// Asks nothing until it is told what.
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self { place, set: watch::Sender::new(Arc::default()), kept: Mutex::new(None) }
    }

    /// From now on this is asked.
    pub fn ask_for(&self, set: Set) {
        self.set.send_if_modified(|now| {
            let differs = **now != set;
            if differs {
                *now = Arc::new(set);
            }
            differs
        });
    }

    /// The answers, asked for now where those that there are are too old. None, while postgres does not answer.
    pub async fn answers(&self, view: &View) -> Option<Arc<Answers>> {
        let look = view.fresh().ok()?;
        let version = server_version(u32::try_from(look.sample.version).unwrap_or_default());
        let server = Server { version, primary: !look.in_recovery() };
        // Another reader's questions are under way.
        let mut kept = timeout(ASK_WITHIN, self.kept.lock()).await.ok()?;
        let set = Arc::clone(&self.set.borrow());
        let good = kept
            .as_ref()
            .is_some_and(|kept| kept.at.elapsed() < set.keep && kept.server == server && Arc::ptr_eq(&kept.set, &set));
        if !good && !self.place.leaving.load(Ordering::Relaxed) {
            *kept = Some(Arc::new(self.ask(set, server).await));
        }
        kept.clone()
    }

    async fn ask(&self, set: Arc<Set>, server: Server) -> Answers {
        let at = Instant::now();
        let refused = set.refused.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        let mut found = ask::Found { families: Families::default(), failed: refused };
        if timeout(ASK_WITHIN, ask::all(&self.place, &set, server, &mut found)).await.is_err() {
            found.failed.insert(format!("no answer within {} s", ASK_WITHIN.as_secs()));
        }
        for why in &found.failed {
            tracing::debug!(%why, "a query of metrics failed");
        }
        Answers { at, set, server, families: found.families, failed: found.failed }
    }
}

impl Answers {
    /// Their part of the page that has `before` already: what is there is not said again.
    #[must_use]
    pub fn page(&self, before: &str) -> String {
        let mut page = Exposition::default();
        self.families.write(&mut page, before);
        let failed = if self.failed.is_empty() { 0.0 } else { 1.0 };
        page.gauge("cnpg_last_error", "1 if the last collection ended with error, 0 otherwise.", Some(failed));
        let labels: Vec<_> = self.failed.iter().map(|why| [("errorUserQueries", why.as_str())]).collect();
        page.family(
            "cnpg_errors_total",
            Kind::Counter,
            "Errors of the last collection of metrics by queries.",
            labels.iter().map(|label| (&label[..], 1.0)),
        );
        page.into_text()
    }
}
