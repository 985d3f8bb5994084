//! Watching what is stored, whatever becomes of the store.
//!
//! One that is put back from a copy counts its versions from there again. A watch that is taken up from the version that
//! was seen last is told nothing until as many changes were made anew, which may be days, and no error says so
//! (kubernetes/kubernetes#107457). No API server runs while a store is put back, so that every watch breaks: after any
//! break that a server did not give a reason for, what there is is listed again.

use core::fmt::Debug;
use futures::stream::{BoxStream, Stream, StreamExt, unfold};
use kube::runtime::watcher::{self, Config, Error, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

/// As the client's own, and lists again after a break. It ends only if that does.
pub fn watcher<K>(api: Api<K>, config: Config) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    unfold((api, config, None), |(api, config, known)| async move {
        let begin = || watcher::watcher(api.clone(), config.clone()).boxed();
        let mut events: BoxStream<'static, _> = known.unwrap_or_else(begin);
        let event = events.next().await?;
        let known = if event.as_ref().is_err_and(broke) { None } else { Some(events) };
        Some((event, (api, config, known)))
    })
}

/// Whether the server may be another one by now. What it refuses with a reason (403, 410, 429) it has seen itself.
fn broke(error: &Error) -> bool {
    match error {
        Error::WatchStartFailed(kube::Error::Api(status)) | Error::WatchFailed(kube::Error::Api(status)) => {
            status.code >= 500
        }
        Error::WatchStartFailed(_) | Error::WatchFailed(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_break_that_no_server_gave_a_reason_for_what_there_is_is_listed_again() {
        let says = |code| kube::Error::Api(kube::core::Status::failure("", "").with_code(code).boxed());
        let gone = || kube::Error::Service(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)));
        assert!(broke(&Error::WatchStartFailed(gone())) && broke(&Error::WatchFailed(gone())));
        assert!(broke(&Error::WatchStartFailed(says(503))), "of a balancer with nobody behind it");
        for code in [403, 410, 429] {
            assert!(!broke(&Error::WatchStartFailed(says(code))) && !broke(&Error::WatchFailed(says(code))), "{code}");
        }
        assert!(!broke(&Error::InitialListFailed(gone())), "it is listed again anyhow");
    }
}
