//! The kubelet's three probes and CNPG's `/pg/status`, as functions of a view.

use crate::http::answer::Answer;
use crate::http::pg_status::status_of;
use crate::http::snapshot::{PostgresState, Role, Strategy, View, phase_name};
use pgherd_proto::member::Phase;

/// Liveness: the manager's own loop turns. Nothing about postgres, the API server or S3: restarting this
/// container mends none of them.
#[must_use]
pub fn healthz(view: &View) -> Answer {
    let age = view.loop_age();
    if age > View::MAX_LOOP_AGE {
        return Answer::failed(format!("the manager's loop last turned {:.1} s ago", age.as_secs_f64()));
    }
    Answer::ok("OK")
}

/// Startup: passes once postgres has come up, or once it is clear that a restart of the container would not
/// bring it up (readiness goes on saying no).
#[must_use]
pub fn startupz(view: &View) -> Answer {
    // A recovery from an archive, or a clone, takes as long as it takes: a restart would only begin it anew.
    let makes_data = matches!(view.instance.phase, Phase::Initializing | Phase::Joining);
    let stands = matches!(view.instance.phase, Phase::Stuck | Phase::Released | Phase::Recovering);
    if view.instance.fenced || makes_data || stands {
        return Answer::ok("Skipped");
    }
    match accepts_connections(view).and_then(|()| keeps_up(view, view.instance.startup)) {
        Ok(()) => Answer::ok("OK"),
        Err(reason) => Answer::failed(reason),
    }
    .aged(view.age())
}

/// Readiness: postgres accepts connections, by a fresh sample; a primary also holds the lease, and a standby
/// is in recovery with data to show, and not cut off from an open primary for good. A member that promotes stays ready: its standby's connections go on.
#[must_use]
pub fn readyz(view: &View) -> Answer {
    match ready(view) {
        Ok(()) => Answer::ok("OK"),
        Err(reason) => Answer::failed(reason),
    }
    .aged(view.age())
}

/// Whether the instance may get traffic, or why not.
pub(super) fn ready(view: &View) -> Result<(), String> {
    if view.instance.fenced {
        return Err("fenced".to_owned());
    }
    if !matches!(view.instance.phase, Phase::Standby | Phase::Candidate | Phase::Promoting | Phase::Primary) {
        let message = &view.instance.message;
        return Err(format!(
            "{}{}{message}",
            phase_name(view.instance.phase),
            if message.is_empty() { "" } else { ": " }
        ));
    }
    if view.instance.cannot_follow {
        return Err(view.instance.message.clone());
    }
    accepts_connections(view)?;
    let sample = view.fresh()?;
    match view.instance.role {
        Role::Primary if !view.may_write() => Err("the primary's lease has run out".to_owned()),
        Role::Standby if sample.in_recovery() && sample.replayed().is_none() && !sample.receives() => {
            Err("this standby has neither replayed nor received anything".to_owned())
        }
        Role::Primary | Role::Standby => keeps_up(view, view.instance.readiness),
        Role::None => Err("this instance is neither primary nor standby".to_owned()),
    }
}

/// Whether a standby is as near to its primary as the user wants.
fn keeps_up(view: &View, asked: Strategy) -> Result<(), String> {
    if !asked.streams || view.instance.role == Role::Primary {
        return Ok(());
    }
    let look = view.fresh()?;
    if !look.in_recovery() {
        return Ok(());
    }
    if !look.receives() {
        return Err("this standby does not stream from its primary".to_owned());
    }
    let behind = look.sender_end.zip(look.replayed()).map(|(end, replayed)| end.0.saturating_sub(replayed.0));
    match (asked.most_behind, behind) {
        (Some(most), Some(behind)) if behind > most => {
            Err(format!("this standby is {behind} bytes behind, and {most} are allowed"))
        }
        (Some(_), None) => Err("it is not known how far behind this standby is".to_owned()),
        _ => Ok(()),
    }
}

/// Whether postgres accepts connections, by the supervisor and by a fresh sample.
pub(super) fn accepts_connections(view: &View) -> Result<(), String> {
    match view.instance.postgres {
        PostgresState::Down => Err("postgres is not running".to_owned()),
        PostgresState::Starting => Err("postgres is starting".to_owned()),
        PostgresState::Stopping => Err("postgres is stopping".to_owned()),
        PostgresState::Running => view.fresh().map(|_| ()),
    }
}

/// CNPG's `/pg/status`: 200 with what is known (also while postgres is down: that is what a controller needs
/// to know), with `mightBeUnavailable` where it may not be.
#[must_use]
pub fn pg_status(view: &View) -> Answer {
    Answer::json(200, &status_of(view)).aged(view.age())
}
