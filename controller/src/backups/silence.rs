//! For how long a Backup under way was not written to. An old copy proves nothing: where the API server was away, its
//! manager could not write either. So silence counts between two answers of the API server itself.

use super::waits::Waits;
use crate::clock;
use core::time::Duration;
use kube::{Api, ResourceExt};
use pgherd_core::backup::SILENT_FOR;
use pgherd_core::time::Instant;
use pgherd_proto::backup::Backup;
use std::collections::HashMap;
use tokio::sync::Mutex;

/// The watch is quick: after so long without news it is asked directly.
const ASK_AFTER: Duration = Duration::from_secs(5);

/// None is silent for so long: it was declared dead, or is over.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// A version, and since when it was answered with.
#[derive(Clone, Debug)]
struct Heard {
    version: String,
    /// It was first seen then, by whatever way.
    seen: Instant,
    /// The API server itself first answered with it then.
    answered: Option<Instant>,
}

/// What is remembered of Backups: of those under way, by uid, when they were last heard of, and since when others wait.
#[derive(Debug, Default)]
pub struct Silences {
    heard: Mutex<HashMap<String, Heard>>,
    waits: Waits,
}

impl Silences {
    /// Of those that nobody takes yet.
    pub(super) fn waits(&self) -> &Waits {
        &self.waits
    }

    /// Looks at one, and asks where it has been quiet.
    pub async fn of(&self, backups: &Api<Backup>, backup: &Backup) -> Duration {
        let (uid, version) = (backup.uid().unwrap_or_default(), backup.resource_version().unwrap_or_default());
        let now = clock::now();
        let mut heard = {
            let mut all = self.heard.lock().await;
            all.retain(|_, heard| now.since(heard.seen) < FORGET_AFTER);
            let fresh = || Heard { version: version.clone(), seen: now, answered: None };
            let heard = all.entry(uid.clone()).or_insert_with(fresh);
            if heard.answered.is_none() && heard.version != version {
                *heard = fresh();
            }
            heard.clone()
        };
        if now.since(heard.seen) < ASK_AFTER {
            return Duration::ZERO;
        }
        // Nobody waits for this answer but this cluster, of which there is one look at a time.
        let asked = tokio::time::timeout(Duration::from_secs(2), backups.get_metadata_opt(&backup.name_any())).await;
        let Ok(Ok(Some(found))) = asked else { return Duration::ZERO };
        let (found, now) = (found.resource_version().unwrap_or_default(), clock::now());
        if heard.version != found {
            self.heard.lock().await.insert(uid, Heard { version: found, seen: now, answered: None });
            return Duration::ZERO;
        }
        let since = *heard.answered.get_or_insert(now);
        self.heard.lock().await.insert(uid, heard);
        // What passed before the first answer is not known to have been silence; it is taken for as long as the ask.
        let silent = now.since(since).saturating_add(ASK_AFTER);
        silent.min(SILENT_FOR.saturating_mul(1000))
    }
}
