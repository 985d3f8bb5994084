//! Answers that go on: watches and logs.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::error::ApiError;
use super::super::fault::Faults;
use super::super::object::{as_map, version};
use super::super::resource::ResourceInfo;
use super::super::store::{ChangeKind, WatchStart, Watcher};
use super::super::table::Include;
use super::answer::{Answer, in_form, to_json};
use super::query::Form;
use super::resources::Call;
use super::server::{ApiServer, LogOptions};

/// How often a watch that allows bookmarks gets one (there: a minute).
const BOOKMARK_EVERY: Duration = Duration::from_secs(20);
/// So long before a watch ends it gets a last one, as in the real server: whoever goes on starts from there.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);
/// The longest a watch stays open, as in the real server (there a random time up to an hour).
const LONGEST: Duration = Duration::from_secs(3600);

/// An open watch.
struct Open {
    watcher: Watcher,
    info: Arc<ResourceInfo>,
    form: Form,
    include: Include,
    /// When the next bookmark is due, where they are allowed.
    bookmark_at: Option<Instant>,
    /// The list comes first and is closed by a marked bookmark (`sendInitialEvents`).
    mark_list_end: bool,
    until: Instant,
    finished: bool,
    faults: tokio::sync::watch::Receiver<Faults>,
}

/// A watch on a collection or on one object.
pub(super) fn watch(server: &ApiServer, call: Call) -> Result<Answer, ApiError> {
    let query = &call.query;
    let mut selection = call.selection()?;
    if let Some(name) = &call.target.name {
        selection.fields = super::super::selector::FieldSelector::parse(&call.info, &format!("metadata.name={name}"))?;
    }
    let initial = query.is("sendInitialEvents");
    let start = match query.get("resourceVersion") {
        _ if initial => WatchStart::Everything,
        "" | "0" => WatchStart::Everything,
        text => {
            let bad = |_| ApiError::bad_request(format!("Invalid value: {text:?}: resourceVersion must be a number"));
            WatchStart::After(text.parse().map_err(bad)?)
        }
    };
    let timeout = query.number("timeoutSeconds").map_or(LONGEST, Duration::from_secs).min(LONGEST);
    let until = Instant::now() + timeout;
    let bookmark_at = query.is("allowWatchBookmarks").then(|| next_bookmark(Instant::now(), until));
    let (form, include) = (call.form, query.include());
    let info = Arc::clone(&call.info);
    let watcher = match server.inner.store.watch_in(call.info, call.target.namespace, selection, start) {
        // As the real server: the refusal is the one event of the watch, and clients list again
        // (kubernetes/kubernetes#25369). By its status, kube's watcher would ask for the same version for ever.
        Err(gone) if gone.code == 410 => return Ok(events(futures::stream::iter([event("ERROR", &gone.to_status())]))),
        opened => opened?,
    };
    let open = Open {
        watcher,
        info,
        form,
        include,
        bookmark_at,
        mark_list_end: initial,
        until,
        finished: false,
        faults: server.inner.faults.subscribe(),
    };
    let stream = futures::stream::unfold(open, |mut open| async move {
        let line = open.next_line().await?;
        Some((line, open))
    });
    Ok(events(stream))
}

/// As the real server's `nextBookmarkTime`.
fn next_bookmark(now: Instant, until: Instant) -> Instant {
    let regular = now + BOOKMARK_EVERY;
    until.checked_sub(LAST_BOOKMARK).filter(|last| *last > now && *last < regular).unwrap_or(regular)
}

fn events(lines: impl futures::Stream<Item = Bytes> + Send + 'static) -> Answer {
    let frames = lines.map(|line| Ok::<_, Infallible>(Frame::data(line)));
    let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

impl Open {
    /// The next event as a line, `None` when the watch is over.
    async fn next_line(&mut self) -> Option<Bytes> {
        if self.finished || !self.may_tell().await {
            return None;
        }
        if self.mark_list_end {
            // All objects of the list are pending: hand them out, then mark the end.
            match self.watcher.try_next() {
                Ok(Some(change)) if version(&change.1) <= self.watcher.position() => return Some(self.line(change)),
                Ok(_) => {
                    self.mark_list_end = false;
                    return Some(self.bookmark(true));
                }
                Err(error) => return Some(self.error(&error)),
            }
        }
        // A watch that has much to tell gets them too.
        if self.bookmark_at.is_some_and(|at| at <= Instant::now()) {
            return Some(self.due_bookmark());
        }
        let bookmark_at = self.bookmark_at.unwrap_or(self.until);
        tokio::select! {
            change = self.watcher.next() => match change {
                Ok(change) => self.may_tell().await.then(|| self.line(change)),
                Err(error) => Some(self.error(&error)),
            },
            () = tokio::time::sleep_until(self.until) => None,
            () = tokio::time::sleep_until(bookmark_at), if self.bookmark_at.is_some() => Some(self.due_bookmark()),
        }
    }

    fn due_bookmark(&mut self) -> Bytes {
        self.bookmark_at = Some(next_bookmark(Instant::now(), self.until));
        self.bookmark(false)
    }

    /// Waits while watches are stale. False when the watch is over.
    async fn may_tell(&mut self) -> bool {
        let until = self.until;
        let fresh = async { self.faults.wait_for(|faults| !faults.stale_watches).await.is_ok() };
        tokio::select! {
            fresh = fresh => fresh,
            () = tokio::time::sleep_until(until) => false,
        }
    }

    fn line(&self, (kind, object): (ChangeKind, Arc<Value>)) -> Bytes {
        let kind = match kind {
            ChangeKind::Added => "ADDED",
            ChangeKind::Modified => "MODIFIED",
            ChangeKind::Deleted => "DELETED",
        };
        event(kind, &in_form(&self.info, &object, self.form, self.include))
    }

    fn bookmark(&self, list_end: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": self.watcher.position().to_string(), "creationTimestamp": null});
        if list_end {
            as_map(&mut metadata).insert("annotations".into(), json!({"k8s.io/initial-events-end": "true"}));
        }
        let object = json!({"kind": self.info.kind, "apiVersion": self.info.api_version(), "metadata": metadata});
        event("BOOKMARK", &in_form(&self.info, &Arc::new(object), self.form, self.include))
    }

    fn error(&mut self, error: &ApiError) -> Bytes {
        self.finished = true;
        event("ERROR", &error.to_status())
    }
}

/// One of an event's kinds, which need no escaping, and the object, which is not copied for it.
fn event(kind: &str, object: &Value) -> Bytes {
    let mut line = format!(r#"{{"type":"{kind}","object":"#).into_bytes();
    line.extend(to_json(object));
    line.extend(b"}\n");
    Bytes::from(line)
}

/// `GET pods/NAME/log`.
pub(super) async fn logs(server: &ApiServer, call: &Call) -> Result<Answer, ApiError> {
    let pod = server.inner.store.get_in(&call.info, call.namespace(), call.name())?;
    let Some(logs) = server.inner.pod_logs.clone() else { return Err(ApiError::no_such_path()) };
    let query = &call.query;
    let names: VecDeque<&str> = ["containers", "initContainers"]
        .into_iter()
        .flat_map(|field| super::super::object::list(&pod, &format!("/spec/{field}")))
        .map(|container| super::super::object::text(container, "/name"))
        .collect();
    let wanted = query.get("container");
    let container = if wanted.is_empty() { names.front().copied().unwrap_or_default() } else { wanted };
    if !names.contains(&container) {
        let text = format!("container {container} is not valid for pod {}", call.name());
        return Err(ApiError::bad_request(text));
    }
    let options = LogOptions {
        container: container.to_owned(),
        follow: query.is("follow"),
        previous: query.is("previous"),
        tail_lines: query.number("tailLines"),
        since_seconds: query.number("sinceSeconds"),
        timestamps: query.is("timestamps"),
    };
    let stream = logs.logs(call.namespace().to_owned(), call.name().to_owned(), options).await?;
    let frames = stream.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
    let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(answer)
}
