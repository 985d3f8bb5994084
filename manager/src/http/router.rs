//! The routes of ports 8000 and 9187: reading what was published, asking the driver, writing the response.

use crate::http::answer::{Answer, Body};
use crate::http::control::{ControlError, ControlRequest, ControlSender, Reply};
use crate::http::listen::Peer;
use crate::http::snapshot::{InstanceSnapshot, Sampled, View};
use crate::http::{patroni, probes, wal_file};
use crate::metrics;
use crate::queries::Monitor;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use core::time::Duration;
use http::{HeaderValue, StatusCode, header};
use pgherd_core::time::Instant;
use pgherd_proto::control::{ControlData, FenceRequest, PledgeRequest, SwitchWalRequest, TailRequest};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// How long a control request may take: longer than the second the controller gives it, short enough that a
/// driver that hangs does not gather requests.
const CONTROL_DEADLINE: Duration = Duration::from_secs(5);
/// The age of the sample behind an answer, in milliseconds.
const AGE_HEADER: &str = "pgherd-sample-age-ms";
/// Largest body of a control request.
const BODY_LIMIT: usize = 64 * 1024;

/// What the routes read, and whom they ask. Cheap to clone.
#[derive(Clone)]
pub struct Shared {
    /// What the driver last published.
    pub instance: watch::Receiver<Arc<InstanceSnapshot>>,
    /// What the sampler last saw.
    pub sample: watch::Receiver<Option<Arc<Sampled>>>,
    /// The driver's ear.
    pub control: ControlSender,
    /// `CLOCK_BOOTTIME`, read once per request.
    pub clock: fn() -> Instant,
    /// The directory whose segments may be served to a winner.
    pub wal_directory: PathBuf,
}

impl Shared {
    /// What an answer rests on, as of now.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            instance: self.instance.borrow().clone(),
            sample: self.sample.borrow().clone(),
            now: (self.clock)(),
            wall_seconds: jiff::Timestamp::now().as_duration().as_secs_f64(),
        }
    }
}

/// The router of port 8000.
pub fn status_router(shared: Shared) -> Router {
    let controls = Router::new()
        .route("/pg/tail/confirm", post(confirm_tail))
        .route("/pg/wal/switch", post(switch_wal))
        .route("/failsafe", post(pledge))
        .route("/pg/wal/{name}", get(wal))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_LIMIT))
        .route_layer(middleware::from_fn(demand_certificate));
    let orders = Router::new()
        .route("/pg/controldata", get(control_data))
        .route("/pg/fence", post(fence))
        .route("/pg/member", get(member))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_LIMIT))
        .route_layer(middleware::from_fn(demand_controller));
    Router::new()
        .route("/healthz", get(|State(s): State<Shared>| async move { respond(probes::healthz(&s.view())) }))
        .route("/readyz", get(|State(s): State<Shared>| async move { respond(probes::readyz(&s.view())) }))
        .route("/startupz", get(|State(s): State<Shared>| async move { respond(probes::startupz(&s.view())) }))
        .route("/pg/status", get(|State(s): State<Shared>| async move { respond(probes::pg_status(&s.view())) }))
        .route("/primary", get(|State(s): State<Shared>| async move { respond(patroni::primary(&s.view())) }))
        .route("/replica", get(replica))
        .route("/read-only", get(|State(s): State<Shared>| async move { respond(patroni::read_only(&s.view())) }))
        .route("/synchronous", get(|State(s): State<Shared>| async move { respond(patroni::synchronous(&s.view())) }))
        .route("/health", get(|State(s): State<Shared>| async move { respond(patroni::health(&s.view())) }))
        .route("/liveness", get(|State(s): State<Shared>| async move { respond(patroni::liveness(&s.view())) }))
        .merge(controls)
        .merge(orders)
        .merge(Router::new().route("/failsafe", get(|| async { "OK" })))
        .with_state(shared)
}

/// The router of port 9187.
pub fn metrics_router(shared: Shared, registry: Arc<metrics::Registry>, monitor: Arc<Monitor>) -> Router {
    Router::new().route(
        "/metrics",
        get(move || {
            let (shared, registry, monitor) = (shared.clone(), Arc::clone(&registry), Arc::clone(&monitor));
            async move {
                let answers = monitor.answers(&shared.view()).await;
                // Rendered afterwards, so that it is not older than the answers.
                let page = metrics::render(&shared.view(), &registry);
                let asked = answers.map(|answers| answers.page(&page)).unwrap_or_default();
                let text = page + &asked;
                ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
            }
        }),
    )
}

async fn replica(State(shared): State<Shared>, Query(query): Query<HashMap<String, String>>) -> Response {
    match query.get("lag").map(|text| patroni::parse_lag(text)) {
        None => respond(patroni::replica(&shared.view(), None)),
        Some(Ok(limit)) => respond(patroni::replica(&shared.view(), Some(limit))),
        Some(Err(error)) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

async fn demand_certificate(request: Request, next: Next) -> Response {
    match request.extensions().get::<Peer>() {
        Some(Peer { certified: true, .. }) => next.run(request).await,
        _ => (StatusCode::UNAUTHORIZED, "this path wants a certificate of the cluster's managers or controller")
            .into_response(),
    }
}

async fn demand_controller(request: Request, next: Next) -> Response {
    match request.extensions().get::<Peer>() {
        Some(Peer { controls: true, .. }) => next.run(request).await,
        _ => (StatusCode::UNAUTHORIZED, "this path wants the controller's certificate").into_response(),
    }
}

async fn fence(State(shared): State<Shared>, Json(request): Json<FenceRequest>) -> Response {
    ask(&shared, |reply| ControlRequest::Fence { request, reply })
        .await
        .map_or_else(|error| refuse(&error), |report| Json(report).into_response())
}

async fn member(State(shared): State<Shared>) -> Response {
    ask(&shared, |reply| ControlRequest::Member { reply })
        .await
        .map_or_else(|error| refuse(&error), |report| Json(report).into_response())
}

async fn confirm_tail(State(shared): State<Shared>, Json(request): Json<TailRequest>) -> Response {
    ask(&shared, |reply| ControlRequest::ConfirmTail { request, reply })
        .await
        .map_or_else(|error| refuse(&error), |confirmed| Json(confirmed).into_response())
}

async fn pledge(State(shared): State<Shared>, Json(request): Json<PledgeRequest>) -> Response {
    ask(&shared, |reply| ControlRequest::Pledge { request, reply })
        .await
        .map_or_else(|error| refuse(&error), |given| Json(given).into_response())
}

async fn switch_wal(State(shared): State<Shared>, Json(request): Json<SwitchWalRequest>) -> Response {
    ask(&shared, |reply| ControlRequest::SwitchWal { request, reply })
        .await
        .map_or_else(|error| refuse(&error), |switched| Json(switched).into_response())
}

async fn control_data(State(shared): State<Shared>) -> Response {
    ask(&shared, |reply| ControlRequest::ControlData { reply })
        .await
        .map_or_else(|error| refuse(&error), |data| Json(ControlData { data }).into_response())
}

async fn wal(State(shared): State<Shared>, Path(name): Path<String>, Query(part): Query<wal_file::Part>) -> Response {
    if !shared.view().instance.serves_tail {
        return (StatusCode::CONFLICT, "this instance is not handing over its WAL").into_response();
    }
    wal_file::segment(&shared.wal_directory, &name, part).await
}

async fn ask<T>(shared: &Shared, make: impl FnOnce(Reply<T>) -> ControlRequest) -> Result<T, ControlError> {
    let (reply, answer) = oneshot::channel();
    shared
        .control
        .try_send(make(reply))
        .map_err(|_| ControlError::Unavailable("the manager is busy or stopping".to_owned()))?;
    match tokio::time::timeout(CONTROL_DEADLINE, answer).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(ControlError::Unavailable("the manager dropped the request".to_owned())),
        Err(_) => Err(ControlError::Unavailable(format!("no answer within {CONTROL_DEADLINE:?}"))),
    }
}

fn refuse(error: &ControlError) -> Response {
    let status = match error {
        ControlError::Refused(_) => StatusCode::CONFLICT,
        ControlError::TooEarly(_) => StatusCode::TOO_EARLY,
        ControlError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, error.to_string()).into_response()
}

/// An answer as a response.
fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match answer.body {
        Body::Text(text) => (status, text).into_response(),
        Body::Json(value) => (status, Json(value)).into_response(),
    };
    if let Some(age) = answer.age {
        let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        response.headers_mut().insert(AGE_HEADER, HeaderValue::from(millis));
    }
    response
}
