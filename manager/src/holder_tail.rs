//! The crashed holder's `pg_wal`, over its manager: only what is not here is fetched.
//!
//! On the way of every failover: postgres sees a promotion only when its `restore_command` is back, and all of a
//! segment takes longer than all the rest of that way.

use crate::archive::{TailError, TailSource};
use crate::certificates::Certificates;
use crate::config::STATUS_PORT;
use bytes::Bytes;
use core::time::Duration;
use futures::future::BoxFuture;
use http::StatusCode;
use pgherd_core::archive::{Lacking, lacking};
use pgherd_core::cluster::TailFact;
use pgherd_core::lease::WalPosition;
use pgherd_core::wal::{SegmentSize, WalName};
use pgherd_dial::{Call, CallError};
use pgherd_telemetry::chain;
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

    async fn get(&self, path: String) -> Result<Option<Bytes>, TailError> {
        let tls = self.certificates.client().ok_or_else(|| TailError("no certificate yet".to_owned()))?;
        let call = Call::get(path, SEGMENT_WITHIN).up_to(LONGEST_SEGMENT);
        match pgherd_dial::ask(tls, &self.fact.address, STATUS_PORT, call).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(CallError::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
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
    async fn fetch(&self, name: WalName) -> Result<Option<Bytes>, TailError> {
        let whole = format!("/pg/wal/{name}");
        let here = self.pg_wal.join(name.to_string());
        match self.lacking(name, &here).await {
            Some(Lacking::Nothing) => Ok(None),
            Some(Lacking::Part { from, known, to }) => {
                let Some(part) = self.get(format!("{whole}?from={from}&to={to}")).await? else { return Ok(None) };
                match tokio::fs::read(&here).await.ok().and_then(|ours| joined(ours, from, known, &part)) {
                    Some(content) => Ok(Some(content)),
                    None => self.get(whole).await,
                }
            }
            None => self.get(whole).await,
        }
    }
}

/// Ours up to `from`, then the holder's, then zeros; nothing where the holder's differ before `known`.
fn joined(ours: Vec<u8>, from: u64, known: u64, part: &[u8]) -> Option<Bytes> {
    let (from, known) = (usize::try_from(from).ok()?, usize::try_from(known).ok()?);
    let both = known.checked_sub(from)?;
    if ours.get(from..known)? != part.get(..both)? {
        return None;
    }
    let mut content = ours;
    let end = from.checked_add(part.len())?;
    content.get_mut(from..end)?.copy_from_slice(part);
    content.get_mut(end..)?.fill(0);
    Some(content.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Vec<u8> {
        vec![1; 1 << 20]
    }

    #[test]
    fn ours_and_the_holders_make_one_segment_that_ends_with_the_tail() {
        let part = [vec![1; 10], vec![2; 20]].concat();
        let whole = joined(ours(), 100, 110, &part).unwrap();
        assert_eq!(whole.len(), 1 << 20);
        assert_eq!((&whole[..110], &whole[110..130]), (&[1; 110][..], &[2; 20][..]));
        assert!(whole[130..].iter().all(|byte| *byte == 0), "recycled bytes are no WAL");
    }

    #[test]
    fn another_wal_than_ours_is_not_joined_to_it() {
        assert_eq!(joined(ours(), 100, 110, &[2; 30]), None);
        assert_eq!(joined(ours(), 100, 110, &[1; 5]), None, "the answer was cut short");
        assert_eq!(joined(ours(), (1 << 20) - 1, 1 << 20, &[1; 30]), None, "or is too long");
    }
}
