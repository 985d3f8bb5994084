//! Health and metrics of the controller itself.

use anyhow::Context;
use axum::Router;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::routing::get;
use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What is served.
#[derive(Clone, Default)]
pub struct State(Arc<Counters>);

#[derive(Default)]
struct Counters {
    ready: AtomicBool,
    leads: AtomicBool,
    looks: AtomicU64,
    micros: AtomicU64,
}

impl State {
    /// The watches have listed everything.
    pub fn set_ready(&self) {
        self.0.ready.store(true, Ordering::Relaxed);
    }

    /// Whether this one of several works.
    pub fn set_leads(&self, leads: bool) {
        self.0.leads.store(leads, Ordering::Relaxed);
    }

    /// One more look at a cluster.
    pub fn count(&self, took: Duration) {
        self.0.looks.fetch_add(1, Ordering::Relaxed);
        self.0.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Serves `/healthz`, `/readyz` and `/metrics` as part of `tasks`.
///
/// # Errors
/// The address cannot be had.
pub async fn serve(address: SocketAddr, state: State, tasks: &mut JoinSet<()>) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))?;
    let router = Router::new()
        .route("/healthz", get(|| async { "OK" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(state);
    tasks.spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "health and metrics are no longer served");
        }
    });
    Ok(())
}

async fn readyz(Extract(state): Extract<State>) -> (StatusCode, &'static str) {
    if state.0.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "OK")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the first lists are yet to come")
    }
}

async fn metrics(Extract(state): Extract<State>) -> String {
    let (looks, micros) = (state.0.looks.load(Ordering::Relaxed), state.0.micros.load(Ordering::Relaxed));
    let seconds = Duration::from_micros(micros).as_secs_f64();
    let leads = u8::from(state.0.leads.load(Ordering::Relaxed));
    format!(
        "# HELP pgherd_controller_leading Whether this one of several controllers works.\n\
         # TYPE pgherd_controller_leading gauge\n\
         pgherd_controller_leading {leads}\n\
         # HELP pgherd_controller_reconcile_seconds Time spent looking at clusters.\n\
         # TYPE pgherd_controller_reconcile_seconds summary\n\
         pgherd_controller_reconcile_seconds_sum {seconds}\n\
         pgherd_controller_reconcile_seconds_count {looks}\n"
    )
}
