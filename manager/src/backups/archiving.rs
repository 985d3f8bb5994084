//! A copy that is whole waits for its WAL to be archived: where archiving fails, its phase and its error say so.

use super::take::Tell;
use super::target::Target;
use super::wal::{Needed, archived};
use crate::context::Context;
use core::time::Duration;
use pgherd_core::backup::{archive_refuses, archiving_fails};
use pgherd_proto::backup::phase;
use pgherd_proto::cluster::condition::archiving_failure;
use serde_json::{Value, json};

/// Between two looks at the Cluster's condition.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Waits until the archive has the WAL, and tells how that goes.
///
/// # Errors
/// For people: which segment is missing after how long, and why archiving fails where it does.
pub(super) async fn awaited(cx: &Context, target: &Target, needed: Needed, told: &Tell<'_>) -> Result<(), String> {
    let result = tokio::select! {
        result = archived(cx, &target.archive, needed) => result,
        why = refused(cx, told) => return Err(archive_refuses(&why)),
    };
    say(told, None);
    result.map_err(|why| match failure(cx) {
        Some((failure, _)) => format!("{why}; archiving fails: {failure}"),
        None => why,
    })
}

/// Tells how archiving goes, until the archive refuses the WAL.
async fn refused(cx: &Context, told: &Tell<'_>) -> String {
    let mut said: Option<String> = None;
    loop {
        let failing = match failure(cx) {
            Some((why, true)) => return why,
            Some((why, false)) => Some(why),
            None => None,
        };
        if failing != said {
            say(told, failing.as_deref());
            said = failing;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Why it fails, and whether it will go on failing.
fn failure(cx: &Context) -> Option<(String, bool)> {
    let cluster = cx.cluster_now()?;
    let failure = archiving_failure(&cluster.status.as_ref()?.conditions)?;
    Some((failure.why.to_owned(), failure.lasting))
}

fn say(told: &Tell<'_>, failing: Option<&str>) {
    told.status.send_if_modified(|status| put(status, failing));
}

/// Whether that is another status than before.
fn put(status: &mut Value, failing: Option<&str>) -> bool {
    let Some(fields) = status.as_object_mut() else { return false };
    let phase = if failing.is_some() { phase::WAL_ARCHIVING_FAILING } else { phase::FINALIZING };
    let before = fields.insert("phase".to_owned(), json!(phase));
    let error = failing.map(archiving_fails);
    let error_before = fields.insert("error".to_owned(), json!(error));
    before != Some(json!(phase)) || error_before.unwrap_or_default() != json!(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_archiving_fails_the_phase_says_so_with_what_to_do_and_goes_back_afterwards() {
        let mut status = json!({"phase": "finalizing"});
        assert!(!put(&mut status, None), "nothing new");
        assert!(put(&mut status, Some("403 AccessDenied")));
        assert_eq!(status["phase"], "walArchivingFailing");
        let error = status["error"].as_str().unwrap();
        assert!(error.contains("mend") && error.ends_with("403 AccessDenied"), "{error}");
        assert!(put(&mut status, None));
        assert_eq!((&status["phase"], &status["error"]), (&json!("finalizing"), &Value::Null));
    }
}
