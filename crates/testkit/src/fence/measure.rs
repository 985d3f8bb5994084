//! One measurement: a healthy cluster, a crowd, a cut, and the time until nothing of postgres is left.

use super::crowd::Crowd;
use super::report::Fenced;
use crate::bed::Bed;
use crate::wait;
use anyhow::{Context as _, ensure};
use core::time::Duration;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, LogParams};
use pgherd_localkube::fault::{Cut, FaultRequest};
use pgherd_localkube::node::process::{ProcessId, members};
use serde_json::Value;
use std::time::Instant;

/// Longer than this no fence takes.
const GONE_WITHIN: Duration = Duration::from_secs(30);
/// What the manager logs once nothing of it runs.
const GONE: &str = "no process of postgres runs any more";

/// Cuts the primary off from the API and from its standbys, not from its clients, and waits for its end. What it wrote
/// alone is nobody's: replication is asynchronous.
///
/// # Errors
/// The step that could not be done, and why.
pub async fn measure(bed: &Bed, connections: u32) -> anyhow::Result<Fenced> {
    let primary = bed.healthy(Duration::from_secs(300)).await?;
    let direct = bed.application(&format!("pod/{primary}")).await?;
    bed.ask_in(&primary, "app", "CREATE TABLE IF NOT EXISTS fence (n int); GRANT ALL ON fence TO app").await?;
    let crowd = Crowd::start(&direct, connections);
    let all = wait::until("the crowd to write", Duration::from_secs(60), async || match crowd.connected() {
        now if now == u64::from(connections) && crowd.rows() > 10 * now => Ok(()),
        now => Err(format!("{now} of {connections} are connected, {} rows", crowd.rows())),
    });
    all.await?;
    let first = bed.handle.process(&bed.place.namespace, &primary, "postgres").await?.pid;
    let processes = of_postgres(first).len();
    let from = ["api", "pods", "controller"].map(str::to_owned).to_vec();
    let began = jiff::Timestamp::now();
    bed.fault(FaultRequest::Cut(Cut { pods: vec![bed.full(&primary)], from, ..Cut::default() })).await?;
    let cut = Instant::now();
    let gone = tokio::task::spawn_blocking(move || until_gone(first)).await??;
    let renewed = renewed(bed).await?;
    // The same clock for both: the renewal's is the wall clock of this machine.
    let since_gone = gone.elapsed();
    let since_renewal = Duration::try_from(jiff::Timestamp::now().duration_since(renewed))?;
    let kill_ms = killing(bed, &primary, began).await;
    let rows = crowd.rows();
    drop(crowd);
    bed.fault(FaultRequest::Heal).await?;
    Ok(Fenced {
        renewal_to_gone_s: since_renewal.saturating_sub(since_gone).as_secs_f64(),
        cut_to_gone_s: gone.duration_since(cut).as_secs_f64(),
        processes,
        kill_ms,
        rows,
    })
}

fn of_postgres(first: i32) -> Vec<ProcessId> {
    members(first).into_iter().filter(|seen| seen.name == "postgres").map(|seen| seen.id).collect()
}

/// When the last one was seen to be gone. Who was born meanwhile is looked for when all that were known are gone: with
/// hundreds of processes a look takes milliseconds.
fn until_gone(first: i32) -> anyhow::Result<Instant> {
    let began = Instant::now();
    loop {
        let known = of_postgres(first);
        if known.is_empty() {
            return Ok(Instant::now());
        }
        while known.iter().any(ProcessId::is_alive) {
            ensure!(began.elapsed() < GONE_WITHIN, "{} processes are there after {GONE_WITHIN:?}", known.len());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The last renewal that was stored. Asked for while nobody else can have taken the lease yet.
async fn renewed(bed: &Bed) -> anyhow::Result<jiff::Timestamp> {
    let leases: Api<Lease> = Api::namespaced(bed.client.clone(), &bed.place.namespace);
    let spec = leases.get(&bed.place.cluster).await.context("failed to read the Lease")?.spec;
    let at = spec.and_then(|spec| spec.renew_time).context("the Lease has no renewTime")?;
    Ok(at.0)
}

/// How long the manager killed, by its log.
async fn killing(bed: &Bed, pod: &str, since: jiff::Timestamp) -> Option<f64> {
    let params = LogParams { container: Some("postgres".to_owned()), tail_lines: Some(2000), ..LogParams::default() };
    let said = wait::until("the manager's word", Duration::from_secs(5), async || {
        let text = bed.pods().logs(pod, &params).await.map_err(|error| error.to_string())?;
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let of_kill = lines.filter(|line| line.get("msg").and_then(Value::as_str) == Some(GONE));
        let late = of_kill.filter(|line| {
            let at = line.get("ts").and_then(Value::as_str).and_then(|ts| ts.parse::<jiff::Timestamp>().ok());
            at.is_some_and(|at| at >= since)
        });
        let milliseconds = late.filter_map(|line| line.get("elapsed_ms").and_then(Value::as_f64)).next();
        milliseconds.ok_or_else(|| "nothing".to_owned())
    });
    said.await.ok()
}
