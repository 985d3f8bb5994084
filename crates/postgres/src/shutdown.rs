//! Stopping a postmaster phase by phase: smart, fast, immediate, each within its bound.

use crate::others::{children_of, heeds_quit, rests, runs, title};
use crate::process::{PostmasterHandle, StopMode};
use core::time::Duration;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgherd_core::instance::{Stop, StopPhase};
use tokio::time::Instant;

/// Between two looks at sessions that end.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Ends the postmaster by the phases of `how`, a stop that began at `began`. Answers with the mode that ended it, or
/// nothing if it is still there after all of them. In a handover the last phase ends its sessions alone, and whoever
/// called this kills the postmaster. Nothing is promised about its children.
pub async fn shut_down(postmaster: &PostmasterHandle, how: Stop, began: Instant) -> Option<StopMode> {
    let phases = [
        (StopPhase::Smart, StopMode::Smart),
        (StopPhase::Fast, StopMode::Fast),
        (StopPhase::Immediate, StopMode::Immediate),
    ];
    for (phase, mode) in phases {
        let Some(bound) = how.bound(phase, began.elapsed()) else { continue };
        tracing::info!(?mode, ?bound, "postgres is told to stop");
        if how.is_handover() && mode == StopMode::Immediate {
            end_sessions(postmaster, bound).await;
            return Some(mode);
        }
        if let Err(error) = postmaster.stop(mode) {
            // It may have ended by itself; if it has not, the next phase tries again.
            tracing::debug!(%error, "the postmaster was not signalled");
        }
        if tokio::time::timeout(bound, postmaster.wait()).await.is_ok() {
            return Some(mode);
        }
    }
    None
}

/// Tells every session that it ends (`57P01`), while the postmaster stands still and waits for SIGKILL. Asked to stop, it
/// would take its shared memory down first, in a system call that a SIGKILL does not cut short.
///
/// Walsenders are left alone: what the sessions wrote last is on its way to the standbys, and whoever is to take over need
/// not fetch it. So is the logging collector, which heeds no SIGQUIT. Both are at an end when they wait for others.
async fn end_sessions(postmaster: &PostmasterHandle, bound: Duration) {
    if let Err(error) = postmaster.freeze() {
        tracing::debug!(%error, "the postmaster has ended already");
        return;
    }
    let give_up = Instant::now() + bound;
    let (sessions, others): (Vec<i32>, Vec<i32>) = children_of(postmaster.pid())
        .into_iter()
        .partition(|child| !is_walsender(&title(*child)) && heeds_quit(*child));
    for session in &sessions {
        // One that has ended is a zombie for as long as the postmaster stands still, and no signal moves it.
        let _ended = kill(Pid::from_raw(*session), Signal::SIGQUIT);
    }
    let over = || !sessions.iter().any(|session| runs(*session)) && others.iter().all(|other| rests(*other));
    while !over() && Instant::now() < give_up {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// By `init_ps_display` of PostgreSQL's `ps_status.c`: `postgres: CLUSTER: walsender USER ADDRESS(PORT) STATE`, the name of
/// the cluster only where there is one. A session of a user or database of that name is not told; it ends all the same.
fn is_walsender(title: &str) -> bool {
    title.strip_prefix("postgres: ").is_some_and(|rest| rest.split(' ').any(|word| word == "walsender"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walsender_is_known_by_its_title() {
        assert!(is_walsender("postgres: walsender streaming_replica 10.0.0.3(5123) streaming 0/3000060"));
        assert!(is_walsender("postgres: db: walsender streaming_replica 10.0.0.3(5123) idle"));
        assert!(!is_walsender("postgres: db: app app 10.0.0.3(5123) INSERT"));
        assert!(!is_walsender("postgres: db: walwriter "));
        assert!(!is_walsender("/usr/bin/postgres -D walsender "));
    }
}
