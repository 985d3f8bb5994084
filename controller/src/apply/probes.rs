//! How the kubelet asks how an instance is, by `spec.probes`.

use super::Blueprint;
use k8s_openapi::api::core::v1::{HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use pgherd_proto::cluster::{LivenessProbe, ProbeWithStrategy};
use pgherd_proto::names;

/// CNPG's period of the liveness probe and the timeout of each, in seconds.
const LIVENESS_PERIOD: i32 = 10;
const TIMEOUT: i32 = 5;
/// An instance that comes up is to be seen at once; CNPG asks every 10 s.
const STARTUP_PERIOD: i32 = 1;
const READINESS_PERIOD: i32 = 2;
const FAILURES: i32 = 3;

/// What a user may say of any probe; CNPG's own defaulting writes zeros for what is not given.
#[derive(Default)]
struct Given {
    delay: Option<i32>,
    timeout: Option<i32>,
    period: Option<i32>,
    successes: Option<i32>,
    failures: Option<i32>,
    grace: Option<i64>,
}

impl From<&ProbeWithStrategy> for Given {
    fn from(probe: &ProbeWithStrategy) -> Self {
        Self {
            delay: positive(probe.initial_delay_seconds),
            timeout: positive(probe.timeout_seconds),
            period: positive(probe.period_seconds),
            successes: positive(probe.success_threshold),
            failures: positive(probe.failure_threshold),
            grace: probe.termination_grace_period_seconds,
        }
    }
}

impl From<&LivenessProbe> for Given {
    fn from(probe: &LivenessProbe) -> Self {
        Self {
            delay: positive(probe.initial_delay_seconds),
            timeout: positive(probe.timeout_seconds),
            period: positive(probe.period_seconds),
            successes: positive(probe.success_threshold),
            failures: positive(probe.failure_threshold),
            grace: probe.termination_grace_period_seconds,
        }
    }
}

fn positive(seconds: Option<i32>) -> Option<i32> {
    seconds.filter(|seconds| *seconds > 0)
}

/// Until it succeeds, nothing else is asked: as long as `startDelay` says.
pub(super) fn startup(blueprint: Blueprint<'_>) -> Probe {
    let given = blueprint.spec.probes.as_ref().and_then(|probes| probes.startup.as_ref());
    let given = given.map(Given::from).unwrap_or_default();
    let start = i32::try_from(blueprint.desired.start_delay.as_secs()).unwrap_or(i32::MAX);
    let period = given.period.unwrap_or(STARTUP_PERIOD);
    probe("/startupz", period, within(start, period), &given)
}

/// Whether clients are sent to it.
pub(super) fn readiness(blueprint: Blueprint<'_>) -> Probe {
    let given = blueprint.spec.probes.as_ref().and_then(|probes| probes.readiness.as_ref());
    let given = given.map(Given::from).unwrap_or_default();
    probe("/readyz", given.period.unwrap_or(READINESS_PERIOD), FAILURES, &given)
}

/// Whether its manager lives.
pub(super) fn liveness(blueprint: Blueprint<'_>) -> Probe {
    let given = blueprint.spec.probes.as_ref().and_then(|probes| probes.liveness.as_ref());
    let given = given.map(Given::from).unwrap_or_default();
    let period = given.period.unwrap_or(LIVENESS_PERIOD);
    let failures = positive(blueprint.spec.liveness_probe_timeout).map_or(FAILURES, |timeout| within(timeout, period));
    probe("/healthz", period, failures, &given)
}

/// How many failures are that many seconds.
fn within(seconds: i32, period: i32) -> i32 {
    let whole = seconds.checked_div(period).unwrap_or(seconds);
    let rest = seconds.checked_rem(period).unwrap_or(0);
    whole.saturating_add(i32::from(rest > 0)).max(1)
}

fn probe(path: &str, period: i32, failures: i32, given: &Given) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(i32::from(names::STATUS_PORT)),
            scheme: Some("HTTPS".to_owned()),
            ..HTTPGetAction::default()
        }),
        initial_delay_seconds: given.delay,
        period_seconds: Some(period),
        timeout_seconds: Some(given.timeout.unwrap_or(TIMEOUT)),
        success_threshold: given.successes,
        failure_threshold: Some(given.failures.unwrap_or(failures)),
        termination_grace_period_seconds: given.grace,
        ..Probe::default()
    }
}
