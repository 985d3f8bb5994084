//! The load-balancer paths that people know from Patroni: 200 or 503, with a JSON body.

use crate::http::answer::Answer;
use crate::http::probes::{accepts_connections, ready};
use crate::http::snapshot::{Role, View, phase_name};
use serde_json::{Map, Value, json};

/// The `lag` of a query could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read lag={0:?}: expected bytes, with an optional unit kB, MB, GB or TB, as in 10MB")]
pub struct LagError(String);

/// Reads `10MB` as PostgreSQL's and Patroni's settings do: a number, then B, kB, MB, GB or TB of 1024.
///
/// # Errors
/// [`LagError`] repeats what could not be read.
pub fn parse_lag(text: &str) -> Result<u64, LagError> {
    let bad = || LagError(text.to_owned());
    let trimmed = text.trim();
    let (digits, unit) =
        trimmed.split_at_checked(trimmed.bytes().take_while(u8::is_ascii_digit).count()).ok_or_else(bad)?;
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "kb" | "k" => 10,
        "mb" | "m" => 20,
        "gb" | "g" => 30,
        "tb" | "t" => 40,
        _ => return Err(bad()),
    };
    let number: u64 = digits.parse().map_err(|_| bad())?;
    number.checked_mul(1 << shift).ok_or_else(bad)
}

/// `/primary`: a running primary that holds the lease.
#[must_use]
pub fn primary(view: &View) -> Answer {
    answer(view, is_primary(view))
}

/// `/replica`: a standby that accepts connections and, where `lag` is given, has at most so many bytes that
/// the primary sent still to replay. Without a receiver the lag is unknown, so that a limit is not met.
#[must_use]
pub fn replica(view: &View, lag: Option<u64>) -> Answer {
    answer(view, is_replica(view, lag))
}

/// `/synchronous`: a standby whose word commits may wait for, as far as it can tell: it streams, and from the
/// sample that its primary last published it is in the list. Patroni's `/sync` is the same.
#[must_use]
pub fn synchronous(view: &View) -> Answer {
    let listed = || match view.instance.lease.voter {
        Some(true) => Ok(()),
        Some(false) => Err("not a synchronous standby".to_owned()),
        None => Err("replication is asynchronous".to_owned()),
    };
    answer(view, is_replica(view, None).and_then(|()| listed()))
}

/// `/read-only`: anything that answers a query.
#[must_use]
pub fn read_only(view: &View) -> Answer {
    answer(view, is_primary(view).or_else(|_| is_replica(view, None)))
}

/// `/health`: postgres is up, whatever its role.
#[must_use]
pub fn health(view: &View) -> Answer {
    answer(view, accepts_connections(view))
}

/// `/liveness`: the manager's loop turns.
#[must_use]
pub fn liveness(view: &View) -> Answer {
    let age = view.loop_age();
    let alive = age <= View::MAX_LOOP_AGE;
    answer(
        view,
        if alive { Ok(()) } else { Err(format!("the manager's loop last turned {:.1} s ago", age.as_secs_f64())) },
    )
}

fn is_primary(view: &View) -> Result<(), String> {
    if view.instance.role != Role::Primary {
        return Err("not the primary".to_owned());
    }
    ready(view)?;
    if view.fresh()?.in_recovery() { Err("still in recovery".to_owned()) } else { Ok(()) }
}

fn is_replica(view: &View, limit: Option<u64>) -> Result<(), String> {
    if view.instance.role != Role::Standby {
        return Err("not a standby".to_owned());
    }
    ready(view)?;
    let Some(limit) = limit else { return Ok(()) };
    match view.fresh()?.replay_lag_bytes() {
        Some(lag) if lag <= limit => Ok(()),
        Some(lag) => Err(format!("{lag} bytes behind, more than {limit}")),
        None => Err("the lag is unknown: nothing is being received".to_owned()),
    }
}

fn answer(view: &View, verdict: Result<(), String>) -> Answer {
    let mut body = describe(view);
    let status = match verdict {
        Ok(()) => 200,
        Err(reason) => {
            body.insert("reason".to_owned(), reason.into());
            503
        }
    };
    Answer::json(status, &Value::Object(body)).aged(view.age())
}

/// Patroni's member document, as far as it is known.
fn describe(view: &View) -> Map<String, Value> {
    let instance = &view.instance;
    let mut body = Map::new();
    let running = accepts_connections(view).is_ok();
    body.insert("state".to_owned(), if running { "running".into() } else { "stopped".into() });
    let role = match instance.role {
        Role::Primary => "primary",
        Role::Standby => "replica",
        Role::None => "uninitialized",
    };
    body.insert("role".to_owned(), role.into());
    body.insert("phase".to_owned(), phase_name(instance.phase).into());
    body.insert("patroni".to_owned(), json!({"scope": instance.identity.cluster, "name": instance.identity.pod, "version": env!("CARGO_PKG_VERSION")}));
    body.insert("pgherd".to_owned(), json!({"term": instance.lease.term.0, "holder": instance.lease.holder}));
    if let Some(age) = view.age() {
        body.insert("sample_age_ms".to_owned(), u64::try_from(age.as_millis()).unwrap_or(u64::MAX).into());
    }
    let Ok(sample) = view.fresh() else { return body };
    body.insert("server_version".to_owned(), sample.sample.version.into());
    body.insert("timeline".to_owned(), sample.timeline().0.into());
    let xlog = if sample.in_recovery() {
        json!({
            "received_location": sample.received().map(|lsn| lsn.0),
            "replayed_location": sample.replayed().map(|lsn| lsn.0),
            "paused": sample.replay_paused(),
        })
    } else {
        json!({"location": sample.written().map(|lsn| lsn.0)})
    };
    body.insert("xlog".to_owned(), xlog);
    body
}
