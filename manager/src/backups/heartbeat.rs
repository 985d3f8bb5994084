//! The reports of a backup under way: that somebody is at it, whether anything moves, and what it waits for otherwise.

use super::progress::Meter;
use super::report::{ReportError, Reporter};
use crate::clock;
use core::time::Duration;
use pgherd_backup::base::Progress;
use pgherd_core::backup::{Activity, Stillness, stalled};
use pgherd_proto::backup::phase;
use pgherd_telemetry::chain;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

/// Between two reports. The controller gives up on a backup that says nothing for several of them.
const REPORT_EVERY: Duration = Duration::from_secs(2);
/// What nothing has moved for is named after so long.
const NAMED_AFTER: Duration = Duration::from_secs(5);

/// Keeps the status in step; returns why the backup is not ours any more, or why it is given up: nothing moves.
pub(super) async fn reported(reporter: &Reporter, progress: &Progress, mut status: watch::Receiver<Value>) -> String {
    let (mut meter, mut stillness) = (Meter::default(), Stillness::default());
    loop {
        let mut fields = status.borrow_and_update().clone();
        let over = phase_of(&fields) == Some(phase::COMPLETED);
        let activity = activity(&fields, progress);
        let still = stillness.look(&activity, progress.moves(), clock::now());
        if let Some(why) = stalled(&activity, still).filter(|_| !over) {
            return why;
        }
        put_progress(&mut fields, progress, &mut meter);
        put_waiting(&mut fields, &activity, still);
        // The last word is said once everything else has ended.
        if !over {
            match reporter.write(&fields).await {
                Ok(()) => {}
                Err(ReportError::Lost(why)) => return why,
                Err(error @ ReportError::Later(_)) => tracing::debug!(error = %chain(&error), "not reported yet"),
            }
        }
        tokio::select! {
            _ = status.changed() => {}
            () = tokio::time::sleep(REPORT_EVERY) => {}
        }
    }
}

/// The counters, as they stand.
pub(super) fn put_progress(fields: &mut Value, progress: &Progress, meter: &mut Meter) {
    let look = meter.look(progress, Instant::now(), jiff::Timestamp::now());
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("progress".to_owned(), json!(look));
    }
}

fn put_waiting(fields: &mut Value, activity: &Activity, still: Duration) {
    let waits = (still >= NAMED_AFTER).then(|| activity.to_string());
    let moved = jiff::Timestamp::now().checked_sub(still).ok().map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    if let Some(fields) = fields.get_mut("progress").and_then(Value::as_object_mut) {
        // Null, so that what it waited for before does not stay.
        fields.insert("waitsFor".to_owned(), json!(waits));
        fields.insert("movedAt".to_owned(), json!(moved));
    }
}

fn activity(fields: &Value, progress: &Progress) -> Activity {
    match phase_of(fields) {
        None => Activity::Preparing,
        Some(phase::RUNNING) if fields.get("beginLSN").is_none_or(Value::is_null) => Activity::Preparing,
        Some(phase::FINALIZING | phase::WAL_ARCHIVING_FAILING) => Activity::Archiving,
        _ => progress.activity(),
    }
}

fn phase_of(fields: &Value) -> Option<&str> {
    fields.get("phase").and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_what_is_waited_for_and_takes_it_back_when_something_moves() {
        let mut fields = json!({"phase": "finalizing", "progress": {}});
        let activity = activity(&fields, &Progress::default());
        assert_eq!(super::activity(&json!({"phase": "running"}), &Progress::default()), Activity::Preparing);
        put_waiting(&mut fields, &activity, Duration::from_secs(5));
        assert_eq!(fields["progress"]["waitsFor"], "its WAL to be archived");
        assert!(fields["progress"]["movedAt"].is_string());
        put_waiting(&mut fields, &activity, Duration::from_secs(4));
        assert!(fields["progress"]["waitsFor"].is_null());
    }
}
