//! Small tasks that run beside the driver: signals, postgres' log, the pod's annotation.

use crate::config::Config;
use crate::context::Context;
use crate::metrics::Registry;
use core::time::Duration;
use futures::future::select;
use pgherd_postgres::lines::LineSink;
use pgherd_postgres::log_pipe::LogPipe;
use pgherd_proto::member::MemberReport;
use pgherd_telemetry::{CsvLog, LineQueue, chain, record_json};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Between two tries to annotate the pod.
const ANNOTATE_AGAIN: Duration = Duration::from_millis(300);

/// Turns to true at the first SIGTERM or SIGINT.
///
/// # Errors
/// When the signals cannot be listened to.
pub fn termination() -> std::io::Result<watch::Receiver<bool>> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let (told, seen) = watch::channel(false);
    tokio::spawn(async move {
        drop(select(Box::pin(term.recv()), Box::pin(int.recv())).await);
        tracing::info!("told to stop");
        told.send_replace(true);
        // Kept open: a closed watch would look like another signal.
        told.closed().await;
    });
    Ok(seen)
}

/// Reads the FIFOs that postgres logs into, and passes each record on as CNPG's JSON.
///
/// # Errors
/// When a FIFO cannot be made.
pub fn postgres_log(config: &Config, queue: LineQueue) -> Result<impl Future<Output = ()> + use<>, String> {
    // The collector opens its plain file as well, before it knows that everything goes into the other.
    let plain = LogPipe::create(&config.log_dir().join("postgres")).map_err(|e| chain(&e))?;
    let csv = LogPipe::create(&config.log_dir().join("postgres.csv")).map_err(|e| chain(&e))?;
    let pod = config.me.name.clone();
    let lines = queue.clone();
    let (own, own_pod) = (queue, pod.clone());
    Ok(async move {
        let (mut records, mut rest) = (CsvLog::default(), CsvLog::default());
        let csv = csv.read(move |bytes| {
            records.push(bytes, |record| lines.line(record_json(record, Some(&pod)).into_bytes()));
        });
        let plain = plain.read(move |bytes| {
            rest.push(bytes, |line| own.line(record_json(line, Some(&own_pod)).into_bytes()));
        });
        let (csv, plain) = tokio::join!(csv, plain);
        tracing::error!(csv = %chain(&csv), plain = %chain(&plain), "postgres' log cannot be read any more");
    })
}

/// What postgres writes before its log collector runs.
#[must_use]
pub fn postgres_lines(config: &Config, queue: LineQueue) -> LineSink {
    let pod = config.me.name.clone();
    Arc::new(move |_, line| queue.line(record_json(line, Some(&pod)).into_bytes()))
}

/// Keeps the pod's annotation in step with the report: the latest one wins.
pub async fn annotate(context: Arc<Context>, mut reports: watch::Receiver<Option<MemberReport>>) {
    while reports.changed().await.is_ok() {
        loop {
            let Some(report) = reports.borrow_and_update().clone() else { break };
            match context.announcer.report_member(&report).await {
                Ok(()) => break,
                Err(error) => tracing::warn!(error = %chain(&error), "the pod is not annotated yet"),
            }
            tokio::time::sleep(ANNOTATE_AGAIN).await;
        }
    }
}

/// Keeps the metrics' count of dropped log lines in step.
pub async fn count_log_lines(queue: LineQueue, registry: Arc<Registry>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        let (written, dropped) = queue.totals();
        registry.set_log_lines(written, dropped);
    }
}
