//! An API server that knows its script: it answers exactly the calls that a test expects, in their order, and
//! remembers every call too many, too few, or with another body.
//!
//! ```ignore
//! let scenario = Scenario::new().get("/api/v1/namespaces/ns/pods/p", json!({"metadata": {"name": "p"}}));
//! let (client, script) = scenario.client();
//! // ... use the client ...
//! script.finish();
//! ```

use http::{Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One expected call and its answer.
#[derive(Clone, Debug)]
struct Call {
    method: &'static str,
    path: String,
    body: Option<Value>,
    status: u16,
    answer: Value,
}

/// A script in the making.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    calls: VecDeque<Call>,
}

impl Scenario {
    /// Nothing is expected yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next call, answered with `status` and `answer`. `path` has no query. With `body`, every field of it must
    /// be in the request's body as it is here; fields that are not in it may be anything.
    #[must_use]
    pub fn call(mut self, method: &'static str, path: &str, body: Option<Value>, status: u16, answer: Value) -> Self {
        self.calls.push_back(Call { method, path: path.to_owned(), body, status, answer });
        self
    }

    /// A read that finds `answer`.
    #[must_use]
    pub fn get(self, path: &str, answer: Value) -> Self {
        self.call("GET", path, None, 200, answer)
    }

    /// A read that finds nothing.
    #[must_use]
    pub fn missing(self, path: &str) -> Self {
        self.call("GET", path, None, 404, refusal(404, "NotFound"))
    }

    /// A creation with at least the fields of `body`, which is also the answer.
    #[must_use]
    pub fn create(self, path: &str, body: Value) -> Self {
        self.call("POST", path, Some(body.clone()), 201, body)
    }

    /// A patch with at least the fields of `body`, which is also the answer.
    #[must_use]
    pub fn patch(self, path: &str, body: Value) -> Self {
        self.call("PATCH", path, Some(body.clone()), 200, body)
    }

    /// A deletion.
    #[must_use]
    pub fn delete(self, path: &str, body: Value) -> Self {
        self.call("DELETE", path, Some(body), 200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
    }

    /// A client of this server, and the script to be finished when the test is done with it.
    #[must_use]
    pub fn client(self) -> (Client, Script) {
        let script = Script(Arc::new(Mutex::new(State { calls: self.calls, problems: Vec::new() })));
        let served = script.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let served = served.clone();
            async move { Ok::<_, Infallible>(served.answer(request).await) }
        });
        (Client::new(service, "default"), script)
    }
}

/// The body of an API server's refusal.
#[must_use]
pub fn refusal(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason, "code": code})
}

#[derive(Debug, Default)]
struct State {
    calls: VecDeque<Call>,
    problems: Vec<String>,
}

/// What is left of a script.
#[derive(Clone, Debug)]
pub struct Script(Arc<Mutex<State>>);

impl Script {
    /// Fails the test unless every expected call was made, in order, and no other.
    ///
    /// # Panics
    /// With every difference.
    pub fn finish(self) {
        let state = self.state();
        let missing = state.calls.iter().map(|call| format!("missing: {} {}", call.method, call.path));
        let all: Vec<String> = state.problems.iter().cloned().chain(missing).collect();
        assert!(all.is_empty(), "the calls differ from the scenario:\n{}", all.join("\n"));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let bytes = body.collect_bytes().await.unwrap_or_default();
        let sent: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let (method, path) = (head.method.as_str().to_owned(), head.uri.path().to_owned());
        let mut state = self.state();
        let (status, answer) = match state.calls.pop_front() {
            Some(call) if call.method == method && call.path == path => {
                if let Some(expected) = call.body.as_ref().filter(|expected| !contains(&sent, expected)) {
                    state.problems.push(format!("{method} {path}: expected {expected} in {sent}"));
                }
                (call.status, call.answer)
            }
            Some(call) => {
                state.problems.push(format!("extra: {method} {path}, where {} {} was next", call.method, call.path));
                state.calls.push_front(call);
                (500, refusal(500, "Unexpected"))
            }
            None => {
                state.problems.push(format!("extra: {method} {path}, after the last expected call"));
                (500, refusal(500, "Unexpected"))
            }
        };
        let mut response = Response::new(Body::from(answer.to_string().into_bytes()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response
    }
}

/// Whether every field of `expected` is in `value`; lists are compared whole.
fn contains(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Object(value), Value::Object(expected)) => {
            expected.iter().all(|(key, expected)| value.get(key).is_some_and(|value| contains(value, expected)))
        }
        _ => value == expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;
    use kube::Api;

    const PATH: &str = "/api/v1/namespaces/ns/pods/p";

    fn pods(client: Client) -> Api<Pod> {
        Api::namespaced(client, "ns")
    }

    #[tokio::test]
    async fn the_expected_calls_are_answered() {
        let (client, script) = Scenario::new().get(PATH, json!({"metadata": {"name": "p"}})).missing(PATH).client();
        assert!(pods(client.clone()).get_opt("p").await.unwrap().is_some());
        assert!(pods(client).get_opt("p").await.unwrap().is_none());
        script.finish();
    }

    #[tokio::test]
    #[should_panic(expected = "missing: GET")]
    async fn a_call_that_is_not_made_fails_the_test() {
        let (_client, script) = Scenario::new().missing(PATH).client();
        script.finish();
    }

    #[tokio::test]
    #[should_panic(expected = "extra: GET")]
    async fn a_call_too_many_fails_the_test() {
        let (client, script) = Scenario::new().client();
        assert!(pods(client).get("p").await.is_err());
        script.finish();
    }
}
