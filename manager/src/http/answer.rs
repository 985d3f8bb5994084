//! What a route answers, before it becomes an HTTP response.

use core::time::Duration;
use serde::Serialize;

/// The body of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Plain text: probes, as CNPG answers them.
    Text(String),
    /// JSON: status and the load-balancer paths, as Patroni answers them.
    Json(serde_json::Value),
}

/// An answer as data, so that the rules can be tested as tables.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// What it says.
    pub body: Body,
    /// How old the sample behind it is; `None` where no sample was needed.
    pub age: Option<Duration>,
}

impl Answer {
    /// 200 with a line of text.
    #[must_use]
    pub fn ok(text: impl Into<String>) -> Self {
        Self { status: 200, body: Body::Text(text.into()), age: None }
    }

    /// A failed probe: CNPG answers 500 with the reason.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { status: 500, body: Body::Text(reason.into()), age: None }
    }

    /// JSON under the given status code. A value that cannot be written is a 500 that says so.
    #[must_use]
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => Self { status, body: Body::Json(value), age: None },
            Err(error) => Self::failed(format!("failed to write the answer as JSON: {error}")),
        }
    }

    /// The same answer, with the age of the sample it rests on.
    #[must_use]
    pub fn aged(mut self, age: Option<Duration>) -> Self {
        self.age = age;
        self
    }

    /// Whether the status code is a success.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
