//! An Event on one of our objects, as both programs tell it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use pgherd_core::plan::EventKind;

/// An API server refuses a longer message (`validation.go`: 1024 bytes).
const LONGEST: usize = 1000;

/// What is told.
#[derive(Clone, Copy, Debug)]
pub struct News<'a> {
    /// Whether somebody may have to act.
    pub kind: EventKind,
    /// One word, for programs.
    pub reason: &'a str,
    /// A sentence, for people.
    pub message: &'a str,
}

/// The Event: `by` is the program that tells it, `id` what no other Event on that object has.
#[must_use]
pub fn event(about: ObjectReference, news: News<'_>, by: &str, id: impl core::fmt::Display, at: Timestamp) -> Event {
    let at = Time(at);
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{id}", about.name.as_deref().unwrap_or_default())),
            namespace: about.namespace.clone(),
            ..ObjectMeta::default()
        },
        type_: Some(format!("{:?}", news.kind)),
        reason: Some(news.reason.to_owned()),
        message: Some(news.message.chars().take(LONGEST).collect()),
        involved_object: about,
        count: Some(1),
        first_timestamp: Some(at.clone()),
        last_timestamp: Some(at),
        source: Some(EventSource { component: Some(by.to_owned()), host: None }),
        ..Event::default()
    }
}
