//! The controller's life: watches, and looks while it leads, until it is told to stop.

use crate::caches::{Caches, Key};
use crate::config::{Config, Election};
use crate::due::Cause;
use crate::queue::{Queue, Waker};
use crate::reconcile::Reconciler;
use crate::watched::Scope;
use crate::{admission, leader, serve, sweep, unserved};
use anyhow::Context;
use core::time::Duration;
use kube::Client;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What a process is, beside what is the same for every cluster.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where health is served.
    pub health: Option<SocketAddr>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// The namespaces that are looked after.
    pub scope: Scope,
    /// Where manifests are judged before they are stored.
    pub webhook: Option<admission::Webhook>,
    /// Among several of them one works; without, this one does.
    pub election: Option<Election>,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn run(client: Client, config: Config, settings: Settings) -> anyhow::Result<()> {
    let Settings { health, metrics, scope, webhook, election } = settings;
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let state = serve::State::default();
    for address in [health, metrics].into_iter().flatten() {
        serve::serve(address, state.clone(), &mut tasks).await?;
    }
    if let Some(webhook) = webhook {
        let address = webhook.address;
        let started = admission::start(client.clone(), webhook, &mut tasks).await;
        started.with_context(|| format!("failed to listen on {address}"))?;
    }
    stop_on_signals(stop.clone(), &mut tasks)?;
    let (waker, queue) = Queue::new();
    let caches = Caches::start(&client, &scope, &waker, &mut tasks);
    let listed = (caches.clone(), state.clone());
    tasks.spawn(async move {
        if listed.0.ready().await.is_ok() {
            listed.1.set_ready();
        }
    });
    let (tell, leads) = watch::channel(election.is_none());
    sweep::start(client.clone(), scope, caches.clone(), leads.clone(), &mut tasks);
    unserved::start(&client, &leads, &mut tasks);
    let leading = election.map(|Election { namespace, name }| {
        tokio::spawn(leader::run(client.clone(), namespace, name, tell, stop.clone()))
    });
    let work = Work { client, config, caches, state, current: watch::Sender::default() };
    tasks.spawn(work.clone().follow(leads, waker));
    tracing::info!("started");
    queue.run(stop, move |key, cause| work.clone().look(key, cause)).await;
    if let Some(leading) = leading {
        // The lease is released before the process ends, so that the next one need not wait for it.
        let _ = leading.await;
    }
    tasks.shutdown().await;
    tracing::info!("stopped");
    Ok(())
}

/// What this process does while it leads.
#[derive(Clone)]
struct Work {
    client: Client,
    config: Config,
    caches: Caches,
    state: serve::State,
    current: watch::Sender<Option<Arc<Reconciler>>>,
}

impl Work {
    /// Whoever begins to lead remembers as little as one that was just started: what it remembered of an earlier time may
    /// have changed twice.
    async fn follow(self, mut leads: watch::Receiver<bool>, waker: Waker) {
        loop {
            let now = *leads.borrow_and_update();
            self.state.set_leads(now);
            let begin = || Arc::new(Reconciler::new(self.client.clone(), self.caches.clone(), self.config.clone()));
            self.current.send_replace(now.then(begin));
            if now && self.caches.ready().await.is_ok() {
                for key in self.caches.keys() {
                    waker.wake(key).await;
                }
            }
            if leads.changed().await.is_err() {
                return;
            }
        }
    }

    /// One look, if it is ours; else whoever begins to lead looks at all.
    async fn look(self, key: Key, cause: Cause) -> Option<Duration> {
        self.caches.ready().await.ok()?;
        let reconciler = self.current.borrow().clone()?;
        let started = std::time::Instant::now();
        let again = reconciler.reconcile(key, cause).await;
        self.state.count(started.elapsed());
        again
    }
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
