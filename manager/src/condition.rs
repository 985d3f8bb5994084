//! The Cluster's `ContinuousArchiving` condition, kept by the primary's manager from what its archiver last did.

use crate::context::Context;
use crate::http::{InstanceSnapshot, Role};
use core::time::Duration;
use pgherd_proto::cluster::reason::ARCHIVING_WORKS;
use pgherd_proto::cluster::{condition, reason};
use pgherd_telemetry::chain;
use std::sync::Arc;
use tokio::sync::watch;

/// Between two looks, and two tries.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the condition is to say.
#[derive(Clone, Debug)]
struct Saying {
    holds: bool,
    reason: &'static str,
    /// File and kind of a failure: the same one again, in other words, is no news.
    about: String,
    message: String,
}

impl PartialEq for Saying {
    fn eq(&self, other: &Self) -> bool {
        (self.holds, &self.about) == (other.holds, &other.about)
    }
}

/// Keeps the condition while this instance is the primary; until it has archived or failed there is nothing to say.
pub async fn follow(context: Arc<Context>, snapshots: watch::Receiver<Arc<InstanceSnapshot>>) {
    let status = context.archiving.status();
    let mut said: Option<Saying> = None;
    loop {
        let primary = snapshots.borrow().role == Role::Primary;
        let wanted = if primary { saying(&status.borrow()) } else { None };
        if !primary {
            said = None;
        }
        if wanted.is_some() && wanted != said {
            match say(&context, wanted.as_ref()).await {
                Ok(()) => said = wanted,
                Err(why) => tracing::debug!(%why, "the condition is not written yet"),
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn saying(status: &crate::archive::ArchiverStatus) -> Option<Saying> {
    match (&status.failing_since, &status.last_failed, &status.last_archived) {
        (Some(_), Some(failure), _) => {
            let about = format!("{} {}", failure.name, failure.kind);
            let reason = if failure.refused { reason::ARCHIVE_REFUSES } else { reason::ARCHIVING_FAILING };
            let message = format!("{}: {}", failure.name, failure.reason);
            Some(Saying { holds: false, reason, about, message })
        }
        (_, _, Some(_)) => {
            let backlog = status.progress.and_then(|progress| Some((progress.ready, progress.backlog()?)));
            Some(match backlog {
                // Told again when half of it is done, or as much has come to it.
                Some((ready, told)) => {
                    let about = format!("a backlog of 2^{}", ready.checked_ilog2().unwrap_or(0));
                    works(about, format!("{ARCHIVING_WORKS}, and catches up: {told}"))
                }
                None => works(String::new(), ARCHIVING_WORKS.to_owned()),
            })
        }
        _ => None,
    }
}

fn works(about: String, message: String) -> Saying {
    Saying { holds: true, reason: reason::ARCHIVING_SUCCESS, about, message }
}

async fn say(context: &Context, saying: Option<&Saying>) -> Result<(), String> {
    let Some(Saying { holds, reason, message, .. }) = saying else { return Ok(()) };
    let set = context.announcer.set_condition(condition::CONTINUOUS_ARCHIVING, *holds, reason, message);
    set.await.map_err(|error| chain(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{ArchiverStatus, Failure};
    use pgherd_core::archive::Progress;
    use std::time::SystemTime;

    #[test]
    fn a_backlog_is_told_and_told_again_when_half_of_it_is_done() {
        let said = |ready| {
            let progress = Progress { ready, archived_per_second: 2.0, produced_per_second: 0.0, eta: None };
            let last = ("000000010000000000000001".parse().unwrap(), SystemTime::UNIX_EPOCH);
            let status =
                ArchiverStatus { last_archived: Some(last), progress: Some(progress), ..ArchiverStatus::default() };
            saying(&status).unwrap()
        };
        assert!(said(900).holds && said(900).message.contains("900 WAL files wait"), "{:?}", said(900));
        assert_eq!(said(900), said(600));
        assert_ne!(said(600), said(300));
        assert_eq!(said(3).message, ARCHIVING_WORKS);
        assert_ne!(said(16), said(3));
    }

    #[test]
    fn what_the_archive_refuses_has_a_reason_of_its_own() {
        let said = |refused| {
            let (name, at) = ("000000010000000000000001".parse().unwrap(), SystemTime::UNIX_EPOCH);
            let failure = Failure { name, at, kind: "k", refused, reason: "why".to_owned() };
            let (failing_since, last_failed) = (Some(at), Some(failure));
            saying(&ArchiverStatus { failing_since, last_failed, ..ArchiverStatus::default() }).unwrap()
        };
        assert_eq!((said(false).holds, said(false).reason), (false, reason::ARCHIVING_FAILING));
        assert_eq!((said(true).holds, said(true).reason), (false, reason::ARCHIVE_REFUSES));
    }
}
