//! The programs' own log: JSON lines as CNPG writes them, or plain text for a person at a terminal.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::stdout::LineQueue;

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another subscriber is there already.
    #[error("failed to set up the log")]
    Init(#[from] TryInitError),
    /// The writing thread could not be started.
    #[error("failed to start the thread that writes the log")]
    Thread(#[from] io::Error),
    /// Not a level.
    #[error("failed to use log level {0:?}: expected error, warning, info, debug or trace")]
    Level(String),
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One JSON object a line, on stdout.
    Json,
    /// For people, on stderr.
    Text,
}

/// What a program's log is like.
#[derive(Clone, Debug)]
pub struct LogSetup {
    /// JSON or text.
    pub shape: Shape,
    /// `spec.logLevel`: error, warning, info, debug or trace.
    pub level: String,
    /// `logger`, as `instance-manager`.
    pub logger: String,
    /// `logging_pod`; None outside of a pod.
    pub pod: Option<String>,
}

/// Sets up the process' log. The queue that is returned takes lines of others (postgres) too, and is flushed
/// at the program's end.
pub fn set_up(setup: LogSetup) -> Result<LineQueue, LogError> {
    let filter = level_filter(&setup.level)?;
    let (logger, pod) = (setup.logger.clone(), setup.pod.clone());
    let dropped = move |count: u64| {
        let fields = Map::from_iter([("dropped".to_owned(), Value::from(count))]);
        line("warning", &logger, pod.as_deref(), "log lines dropped: stdout is slow", fields)
    };
    let queue = LineQueue::stdout(dropped)?;
    let registry = tracing_subscriber::registry().with(filter);
    match setup.shape {
        Shape::Json => {
            registry.with(JsonLayer { queue: queue.clone(), logger: setup.logger, pod: setup.pod }).try_init()?;
        }
        Shape::Text => {
            let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
            registry.with(layer).try_init()?;
        }
    }
    Ok(queue)
}

/// Our own crates at the given level; libraries at `warn`, unless `trace` asks for everything.
pub fn level_filter(level: &str) -> Result<EnvFilter, LogError> {
    let ours = match level {
        "error" | "info" | "debug" => level,
        "warning" | "warn" => "warn",
        "trace" => return Ok(EnvFilter::new("trace")),
        other => return Err(LogError::Level(other.to_owned())),
    };
    let libraries = if ours == "error" { "error" } else { "warn" };
    Ok(EnvFilter::new(format!("{libraries},pgherd={ours},manager={ours},controller={ours}")))
}

/// One line at level error, rendered past the subscriber: for a program that ends, perhaps inside of it. `fields` come
/// after the fixed keys and never replace them.
#[must_use]
pub fn error_line(setup: &LogSetup, message: &str, fields: Map<String, Value>) -> String {
    line("error", &setup.logger, setup.pod.as_deref(), message, fields)
}

/// One JSON line; `fields` come after the fixed keys and never replace them.
pub(crate) fn line(level: &str, logger: &str, pod: Option<&str>, message: &str, fields: Map<String, Value>) -> String {
    let mut object = Map::new();
    object.insert("level".into(), level.into());
    object.insert("ts".into(), Timestamp::now().to_string().into());
    object.insert("logger".into(), logger.into());
    object.insert("msg".into(), message.into());
    if let Some(pod) = pod {
        object.insert("logging_pod".into(), pod.into());
    }
    for (key, value) in fields {
        object.entry(key).or_insert(value);
    }
    Value::Object(object).to_string()
}

struct JsonLayer {
    queue: LineQueue,
    logger: String,
    pod: Option<String>,
}

/// The fields of a span, kept with it.
#[derive(Default)]
struct Fields(BTreeMap<String, Value>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let text = |value: Option<Value>| match value {
            Some(Value::String(text)) => Some(text),
            Some(other) => Some(other.to_string()),
            None => None,
        };
        let message = text(own.0.remove("message")).unwrap_or_default();
        let logger = text(own.0.remove("logger"));
        let mut fields: Map<String, Value> = own.0.into_iter().collect();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                for (key, value) in &of_span.0 {
                    fields.entry(key).or_insert_with(|| value.clone());
                }
            }
        }
        let logger = logger.as_deref().unwrap_or(&self.logger);
        let level = level_name(*event.metadata().level());
        self.queue.line(line(level, logger, self.pod.as_deref(), &message, fields).into_bytes());
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0.insert(field.name().to_owned(), crate::chain(value).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_a_json_line_in_cnpg_s_shape_with_the_fields_of_its_spans() {
        let kept = Kept::default();
        let queue = LineQueue::new(kept.clone(), |count| count.to_string()).unwrap();
        let layer = JsonLayer { queue: queue.clone(), logger: "instance-manager".into(), pod: Some("demo-1".into()) };
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("lease", term = 4_u64).entered();
            tracing::warn!(error = "no route", level = "mine", "lease not renewed");
        });
        queue.flush(Duration::from_secs(20));
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let line: Value = serde_json::from_str(&text).unwrap();
        assert!(line["ts"].as_str().unwrap().ends_with('Z'));
        for (key, value) in [
            ("level", "warning"),
            ("logger", "instance-manager"),
            ("msg", "lease not renewed"),
            ("logging_pod", "demo-1"),
            ("error", "no route"),
        ] {
            assert_eq!(line[key], value, "{line}");
        }
        assert_eq!(line["term"], 4);
    }

    #[test]
    fn a_level_is_cnpg_s_word_and_nothing_else() {
        for level in ["error", "warning", "info", "debug", "trace"] {
            level_filter(level).unwrap();
        }
        assert!(level_filter("loud").is_err());
    }
}
