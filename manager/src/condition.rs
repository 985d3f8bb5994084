//! The Cluster's `ContinuousArchiving` condition, kept by the primary's manager from what its archiver last did.

use crate::context::Context;
use crate::http::{InstanceSnapshot, Role};
use core::time::Duration;
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
            Some(Saying { holds: false, about, message: format!("{}: {}", failure.name, failure.reason) })
        }
        (_, _, Some(_)) => {
            let message = "Continuous archiving is working".to_owned();
            Some(Saying { holds: true, about: String::new(), message })
        }
        _ => None,
    }
}

async fn say(context: &Context, saying: Option<&Saying>) -> Result<(), String> {
    let Some(Saying { holds, message, .. }) = saying else { return Ok(()) };
    let reason = if *holds { reason::ARCHIVING_SUCCESS } else { reason::ARCHIVING_FAILING };
    let set = context.announcer.set_condition(condition::CONTINUOUS_ARCHIVING, *holds, reason, message);
    set.await.map_err(|error| chain(&error))
}
