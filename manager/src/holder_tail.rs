//! The crashed holder's `pg_wal`, over its manager: only what is not here is fetched, and written behind what is.
//!
//! On the way of every failover: postgres sees a promotion only when its `restore_command` is back, and all of a
//! segment takes longer than all the rest of that way.

use crate::archive::{TailAnswer, TailError, TailSource};
use crate::certificates::Certificates;
use crate::config::STATUS_PORT;
use crate::effects::off_runtime;
use core::time::Duration;
use futures::future::BoxFuture;
use http::StatusCode;
use pgherd_core::archive::{Lacking, lacking};
use pgherd_core::cluster::TailFact;
use pgherd_core::lease::WalPosition;
use pgherd_core::wal::{SegmentSize, WalName};
use pgherd_dial::{Call, CallError};
use pgherd_telemetry::chain;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest answer: a WAL segment of the largest size, and some room.
const LONGEST_SEGMENT: usize = (1 << 30) + 4096;
/// For one segment to come over.
const SEGMENT_WITHIN: Duration = Duration::from_secs(5);
/// For our own postgres to say what it has: less than is waited for the holder.
const HELD_WITHIN: Duration = Duration::from_millis(300);

/// Asks our own postgres how far its WAL on disk goes.
pub type Held = Arc<dyn Fn() -> BoxFuture<'static, Option<WalPosition>> + Send + Sync>;

/// Fetches from one holder.
pub struct HolderTail {
    fact: TailFact,
    certificates: Certificates,
    pg_wal: PathBuf,
    held: Held,
}

impl HolderTail {
    /// From the holder that `fact` names, for the postgres that has this `pg_wal`.
    #[must_use]
    pub fn new(fact: TailFact, certificates: Certificates, pg_wal: PathBuf, held: Held) -> Self {
        Self { fact, certificates, pg_wal, held }
    }

    async fn get(&self, path: String) -> Result<TailAnswer, TailError> {
        let tls = self.certificates.client().ok_or_else(|| TailError("no certificate yet".to_owned()))?;
        let call = Call::get(path, SEGMENT_WITHIN).up_to(LONGEST_SEGMENT);
        match pgherd_dial::ask(tls, &self.fact.address, STATUS_PORT, call).await {
            Ok(bytes) => Ok(TailAnswer::Content(bytes)),
            Err(CallError::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(TailAnswer::Absent),
            Err(error) => Err(TailError(chain(&error))),
        }
    }

    /// What is lacking of a segment that lies here.
    async fn lacking(&self, name: WalName, here: &Path) -> Option<Lacking> {
        let WalName::Segment(segment) = name else { return None };
        let size = SegmentSize::new(tokio::fs::metadata(here).await.ok()?.len()).ok()?;
        let held = tokio::time::timeout(HELD_WITHIN, (self.held)()).await.unwrap_or_default();
        Some(lacking(segment, size, held, self.fact.end))
    }
}

#[async_trait::async_trait]
impl TailSource for HolderTail {
    async fn fetch(&self, name: WalName) -> Result<TailAnswer, TailError> {
        let whole = format!("/pg/wal/{name}");
        let here = self.pg_wal.join(name.to_string());
        let Some(lacking) = self.lacking(name, &here).await else { return self.get(whole).await };
        let (from, known, to) = match lacking {
            Lacking::Nothing => return Ok(TailAnswer::Here),
            Lacking::Part { known: 0, .. } => return self.get(whole).await,
            Lacking::Part { from, known, to } => (from, known, to),
        };
        let part = match self.get(format!("{whole}?from={from}&to={to}")).await? {
            TailAnswer::Content(part) => part,
            nothing => return Ok(nothing),
        };
        match off_runtime(move || append(&here, from, known, &part).map_err(|error| error.to_string())).await {
            Ok(true) => Ok(TailAnswer::Here),
            Ok(false) => self.get(whole).await,
            Err(why) => Err(TailError(format!("{name} cannot be completed: {why}"))),
        }
    }
}

/// Writes the holder's bytes behind ours, durably, as a WAL receiver does: postgres reads them next, and need not wait
/// for a whole segment to be written. `part` begins at `from`; false, and nothing is written, where it is another WAL
/// than ours before `known`. Blocks.
fn append(segment: &Path, from: u64, known: u64, part: &[u8]) -> io::Result<bool> {
    let Some((both, new)) = usize::try_from(known.saturating_sub(from)).ok().and_then(|at| part.split_at_checked(at))
    else {
        return Ok(false);
    };
    let file = File::options().read(true).write(true).open(segment)?;
    let mut ours = vec![0; both.len()];
    file.read_exact_at(&mut ours, from)?;
    if ours != both {
        return Ok(false);
    }
    file.write_all_at(new, known)?;
    file.sync_data()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [vec![1; 110], vec![9; 90]].concat()).unwrap();
        file
    }

    #[test]
    fn the_holders_bytes_are_written_behind_ours() {
        let file = segment();
        assert!(append(file.path(), 100, 110, &[vec![1; 10], vec![2; 20]].concat()).unwrap());
        let now = std::fs::read(file.path()).unwrap();
        assert_eq!(now, [vec![1; 110], vec![2; 20], vec![9; 70]].concat(), "as long as before");
    }

    #[test]
    fn another_wal_than_ours_is_not_written_behind_it() {
        let file = segment();
        let before = std::fs::read(file.path()).unwrap();
        assert!(!append(file.path(), 100, 110, &[2; 30]).unwrap());
        assert!(!append(file.path(), 100, 110, &[1; 5]).unwrap(), "the answer was cut short");
        assert_eq!(std::fs::read(file.path()).unwrap(), before);
    }
}
