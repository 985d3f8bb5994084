//! `kubectl logs`: the files that the containers' keepers write.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use tokio::io::AsyncReadExt;

use crate::api::object::{list, text, uid};
use crate::api::{ApiError, GroupResource, LogOptions, LogStream, PodLogs, Store};

/// How often a followed log is looked at.
const POLL: Duration = Duration::from_millis(200);

/// Logs below `directory`; the store says which pod is meant.
pub(super) struct LogFiles {
    pub directory: PathBuf,
    pub store: std::sync::OnceLock<Store>,
}

impl PodLogs for LogFiles {
    fn logs(
        &self,
        namespace: String,
        pod: String,
        options: LogOptions,
    ) -> BoxFuture<'static, Result<LogStream, ApiError>> {
        let found = self.file(&namespace, &pod, &options);
        Box::pin(async move {
            let path = found?;
            let text = tokio::fs::read(&path).await.unwrap_or_default();
            let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
            if let Some(tail) = options.tail_lines {
                let skip = lines.len().saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX));
                lines.drain(..skip);
            }
            let since = options.since_seconds.and_then(|seconds| {
                jiff::Timestamp::now().checked_sub(jiff::SignedDuration::from_secs(i64::try_from(seconds).ok()?)).ok()
            });
            let shown: Vec<u8> =
                lines.iter().filter_map(|line| show(line, since, options.timestamps)).flatten().collect();
            let first = stream::once(std::future::ready(Bytes::from(shown)));
            if !options.follow {
                return Ok(first.boxed());
            }
            let at = u64::try_from(text.len()).unwrap_or(u64::MAX);
            let rest = stream::unfold((path, at, options.timestamps), |(path, at, timestamps)| async move {
                let (chunk, at) = more(&path, at).await?;
                let whole: Vec<u8> = chunk
                    .split_inclusive(|b| *b == b'\n')
                    .filter_map(|line| show(line, None, timestamps))
                    .flatten()
                    .collect();
                Some((Bytes::from(whole), (path, at, timestamps)))
            });
            Ok(first.chain(rest).boxed())
        })
    }
}

impl LogFiles {
    fn file(&self, namespace: &str, pod: &str, options: &LogOptions) -> Result<PathBuf, ApiError> {
        let missing = || ApiError::not_found(&GroupResource::from("pods"), pod);
        let object = self.store.get().ok_or_else(missing)?.get("pods", namespace, pod)?;
        let container = if options.container.is_empty() {
            list(&object, "/spec/containers").first().map(|container| text(container, "/name")).unwrap_or_default()
        } else {
            &options.container
        };
        let statuses =
            list(&object, "/status/containerStatuses").iter().chain(list(&object, "/status/initContainerStatuses"));
        let status = statuses.into_iter().find(|status| text(status, "/name") == container);
        let restarts = status.and_then(|status| status.get("restartCount")?.as_u64()).unwrap_or(0);
        let attempt = if options.previous {
            restarts.checked_sub(1).ok_or_else(|| {
                ApiError::bad_request(format!("previous terminated container {container:?} in pod {pod:?} not found"))
            })?
        } else {
            restarts
        };
        let of = format!("{namespace}_{pod}_{}", uid(&object));
        Ok(self.directory.join("logs").join(of).join(container).join(format!("{attempt}.log")))
    }
}

/// What is new after `at`, whole lines only; `None` once the file is gone.
async fn more(path: &Path, at: u64) -> Option<(Vec<u8>, u64)> {
    loop {
        tokio::time::sleep(POLL).await;
        let length = tokio::fs::metadata(path).await.ok()?.len();
        // Shorter than before: it was rotated.
        let from = if length < at { 0 } else { at };
        if length == from {
            continue;
        }
        let mut file = tokio::fs::File::open(path).await.ok()?;
        tokio::io::AsyncSeekExt::seek(&mut file, std::io::SeekFrom::Start(from)).await.ok()?;
        let mut chunk = Vec::new();
        file.read_to_end(&mut chunk).await.ok()?;
        let whole = chunk.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end.saturating_add(1));
        if whole > 0 {
            chunk.truncate(whole);
            return Some((chunk, from.saturating_add(u64::try_from(whole).ok()?)));
        }
    }
}

/// A line `TIME STREAM F TEXT` as it is shown, or nothing if it is too old.
fn show(line: &[u8], since: Option<jiff::Timestamp>, timestamps: bool) -> Option<Vec<u8>> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?;
    let content = parts.nth(2)?;
    if since.is_some_and(|since| time.parse::<jiff::Timestamp>().is_ok_and(|at| at < since)) {
        return None;
    }
    Some(if timestamps { [time.as_bytes(), b" ", content].concat() } else { content.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::show;

    #[test]
    fn a_line_is_shown_with_or_without_its_time_and_only_if_it_is_new_enough() {
        let line = b"2026-01-01T00:00:00.000000001Z stdout F hello world\n";
        assert_eq!(show(line, None, false).unwrap(), b"hello world\n");
        assert!(show(line, None, true).unwrap().starts_with(b"2026-01-01T00:00:00.000000001Z hello"));
        assert!(show(line, Some("2026-01-02T00:00:00Z".parse().unwrap()), false).is_none());
    }
}
