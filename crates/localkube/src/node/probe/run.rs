//! Asking again and again.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Probe;
use tokio::sync::mpsc;

use super::request::ask;
use super::{Counter, Verdict};

/// How often is asked until the first good answer, where the probe's own period is longer: a start is noticed at once.
const QUICK: Duration = Duration::from_millis(200);

/// Which of a container's probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    /// Holds the others back until it has passed once.
    Startup,
    /// Decides whether services lead here.
    Readiness,
    /// Restarts the container.
    Liveness,
}

/// A verdict, sent when it changes.
#[derive(Debug, Clone)]
pub struct ProbeResult {
    /// Of which probe.
    pub kind: ProbeKind,
    /// What it is.
    pub verdict: Verdict,
    /// The last bad answer, for people; empty if it passes.
    pub message: String,
}

/// Asks until it is dropped, or the receiver is, or a startup probe has passed.
pub async fn run(
    kind: ProbeKind,
    probe: Probe,
    address: Ipv4Addr,
    ports: BTreeMap<String, u16>,
    verdicts: mpsc::Sender<ProbeResult>,
) {
    let seconds = |value: Option<i32>, default: u64| {
        Duration::from_secs(
            value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0).unwrap_or(default),
        )
    };
    let count = |value: Option<i32>, default: u32| value.and_then(|value| u32::try_from(value).ok()).unwrap_or(default);
    let period = seconds(probe.period_seconds, 10);
    let timeout = seconds(probe.timeout_seconds, 1);
    let mut counter = Counter::new(count(probe.success_threshold, 1), count(probe.failure_threshold, 3), period);
    let began = Instant::now();
    let mut current = None;
    let delay = u64::from(count(probe.initial_delay_seconds, 0));
    tokio::time::sleep(Duration::from_secs(delay)).await;
    loop {
        let asked = ask(&probe, address, |name| ports.get(name).copied());
        let answer = tokio::time::timeout(timeout, asked)
            .await
            .unwrap_or_else(|_| Err("context deadline exceeded (Client.Timeout exceeded)".to_owned()));
        let verdict = counter.answer(answer.is_ok(), began.elapsed());
        if let Some(verdict) = verdict.filter(|verdict| current != Some(*verdict)) {
            current = Some(verdict);
            let message = answer.err().unwrap_or_default();
            if verdicts.send(ProbeResult { kind, verdict, message }).await.is_err() {
                return;
            }
            if kind == ProbeKind::Startup && verdict == Verdict::Passing {
                return;
            }
        }
        let quick = kind != ProbeKind::Liveness && current != Some(Verdict::Passing);
        tokio::time::sleep(if quick { QUICK.min(period) } else { period }).await;
    }
}
