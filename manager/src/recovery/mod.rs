//! `bootstrap.recovery`, and a restore in place: the database as it once was, out of an archive.
//!
//! All of it happens beside the data directory, in three steps that a restart goes on from: a backup is brought back
//! into a directory of its own (cut off, it is removed and begun anew); whole and on disk, that becomes
//! `pgdata.recovering`, where postgres replays WAL up to the target and ends on a timeline of its own; proven to be
//! there and stopped in order, it becomes the data directory, as one of initdb does. Until then nobody can reach it, it
//! archives nothing, and it holds no lease; what it wrote is archived once it is served.
//!
//! An outage of the archive is waited for; it is never the end of the archive.

mod asked;
mod bring;
mod notes;
mod replay;
mod site;
mod source;
mod verify;
mod whole;

pub use asked::Asked;
pub use bring::{destination, make_ready};
pub use replay::{Course, Place, replay};
pub(crate) use replay::{Said, stop};
pub use site::{Order, Site, adopt, recover_on};
pub use source::Source;
pub(crate) use source::opened;
pub use verify::{Verdict, verify};
pub use whole::Short;

use crate::archive::Bounds;
use crate::context::Context;
use core::time::Duration;
use pgherd_core::backup::RecoveryTarget;
use pgherd_proto::cluster::Cluster;
use pgherd_proto::names::WAL_CLIENT;
use source::{reserved, taken_in_own};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Failures in a row; the pause before another try grows with them.
static FAILURES: AtomicU32 = AtomicU32::new(0);
const LONGEST_PAUSE: u32 = 60;

/// Recovers, or goes on recovering.
///
/// # Errors
/// For people: why it is not done yet. It is tried again.
pub async fn recover(cx: &Context, cluster: &Cluster, asked: Asked<'_>) -> Result<(), String> {
    let failures = FAILURES.load(Ordering::Relaxed);
    if failures > 0 {
        tokio::time::sleep(Duration::from_secs(u64::from(failures.saturating_mul(2).min(LONGEST_PAUSE)))).await;
    }
    let done = run(cx, cluster, asked).await;
    FAILURES.store(if done.is_ok() { 0 } else { failures.saturating_add(1) }, Ordering::Relaxed);
    done.map_err(|why| asked.failed(&cx.config.cluster, &why))
}

async fn run(cx: &Context, cluster: &Cluster, asked: Asked<'_>) -> Result<(), String> {
    let source = source::open(cx, cluster, asked).await?;
    let site = Site {
        volume: &cx.volume,
        nonce: &cx.config.me.nonce,
        place: Place {
            reaper: &cx.reaper,
            lock: &cx.lock,
            major: cx.major,
            folder: cx.config.controller_dir.join("recovery"),
            client: cx.config.controller_dir.join(WAL_CLIENT),
            lines: Arc::clone(&cx.postgres_lines),
            bounds: Bounds::default(),
        },
    };
    let order = Order {
        source: &source,
        fingerprint: fingerprint(cluster, asked, &source.place),
        system: if let Asked::InPlace(_) = asked { cluster.system_on_record() } else { None },
        taken: Box::pin(async { Ok(taken_in_own(cx, cluster).await?.max(reserved(cx, cluster, asked)?)) }),
    };
    recover_on(&site, order).await?;
    cx.archiving.forget();
    adopt(&site).await
}

/// Changes with whatever makes another recovery of it.
fn fingerprint(cluster: &Cluster, asked: Asked<'_>, place: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    cluster.metadata.uid.hash(&mut hasher);
    asked.text().hash(&mut hasher);
    place.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// For messages.
fn said(target: &RecoveryTarget) -> String {
    format!("{}{}", if target.exclusive { "before " } else { "" }, target.target)
}
