//! The controller's life: watches, then looks, until it is told to stop.

use crate::caches::Caches;
use crate::config::Config;
use crate::queue::Queue;
use crate::reconcile::Reconciler;
use crate::{serve, sweep, unserved};
use anyhow::Context;
use kube::Client;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn run(
    client: Client,
    config: Config,
    health: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let state = serve::State::default();
    for address in [health, metrics].into_iter().flatten() {
        serve::serve(address, state.clone(), &mut tasks).await?;
    }
    stop_on_signals(stop.clone(), &mut tasks)?;
    let (waker, queue) = Queue::new();
    let caches = Caches::start(&client, &waker, &mut tasks);
    // The queue is not read while the first lists come in: so the waking must not wait for it.
    let reconciler = Arc::new(Reconciler::new(client.clone(), caches.clone(), config));
    unserved::start(&client, &mut tasks);
    sweep::start(client, caches.clone(), waker, &mut tasks);
    let ready = state.clone();
    let look = move |key| {
        let (reconciler, caches, state) = (reconciler.clone(), caches.clone(), ready.clone());
        async move {
            caches.ready().await.ok()?;
            state.set_ready();
            let started = std::time::Instant::now();
            let again = Box::pin(reconciler.reconcile(key)).await;
            state.count(started.elapsed());
            again
        }
    };
    tracing::info!("started");
    queue.run(stop, look).await;
    tasks.shutdown().await;
    tracing::info!("stopped");
    Ok(())
}

fn stop_on_signals(stop: CancellationToken, tasks: &mut JoinSet<()>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    tasks.spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}
