//! The socket: one request a connection, answered by the uploader or the restorer.

use super::restore::SharedRestorer;
use super::uploader::{Ask, REQUEST_BOUND};
use pgherd_core::wal::WalName;
use pgherd_wal_client::wire::{
    Outcome, REQUEST_HEAD, Request, Verb, decode_request, decode_request_head, encode_answer,
};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Postgres has one archiver and one startup process; pg_rewind is another. More is an error somewhere.
const MOST_CONNECTIONS: usize = 32;
/// For a client to send its request, and to take its answer.
const CLIENT_BOUND: Duration = Duration::from_secs(5);

/// Archiving and restoring could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket cannot be made.
    #[error("failed to listen for archive_command on {path}")]
    Listen {
        /// Where.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder for prefetched segments cannot be emptied or made.
    #[error("failed to prepare the folder for prefetched WAL")]
    Spool(#[source] io::Error),
}

/// Listens, for this user alone. A socket that an earlier process left behind is replaced.
pub(super) fn listen(path: &Path) -> Result<UnixListener, ServeError> {
    let listen = || {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    listen().map_err(|source| ServeError::Listen { path: path.display().to_string(), source })
}

/// Accepts until the task is dropped; its connections end with it.
pub(super) async fn serve(listener: UnixListener, asks: mpsc::Sender<Ask>, restorer: SharedRestorer) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    let (asks, restorer) = (asks.clone(), restorer.clone());
                    connections.spawn(async move {
                        // A client that went away has nobody to be told.
                        let _ended = answer(stream, asks, restorer).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(error = %error, "the archive socket does not accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(mut stream: UnixStream, asks: mpsc::Sender<Ask>, restorer: SharedRestorer) -> io::Result<()> {
    let request = tokio::time::timeout(CLIENT_BOUND, read(&mut stream)).await??;
    let (outcome, message) = match request.file.parse::<WalName>() {
        Err(error) => (unusable(request.verb), error.to_string()),
        Ok(name) => {
            let mut unexpected = [0; 1];
            tokio::select! {
                answered = carry_out(&request, name, &asks, &restorer) => answered,
                // Postgres has given up on the client: nobody waits for this any more.
                _ = stream.read(&mut unexpected) => return Ok(()),
            }
        }
    };
    let frame = encode_answer(outcome, &message);
    tokio::time::timeout(CLIENT_BOUND, stream.write_all(&frame)).await?
}

/// Postgres restores no file whose name is unknown to us, so it may believe that there is none.
fn unusable(verb: Verb) -> Outcome {
    match verb {
        Verb::Archive => Outcome::Failed,
        Verb::Restore => Outcome::NotThere,
    }
}

async fn carry_out(
    request: &Request,
    name: WalName,
    asks: &mpsc::Sender<Ask>,
    restorer: &SharedRestorer,
) -> (Outcome, String) {
    match request.verb {
        Verb::Restore => restorer.restore(name, &request.path).await,
        Verb::Archive => {
            let (reply, answered) = oneshot::channel();
            let asked = async {
                asks.send((name, reply)).await.ok()?;
                answered.await.ok()
            };
            // The uploader has its own bound; this one is for an uploader that hangs.
            match tokio::time::timeout(REQUEST_BOUND.saturating_add(CLIENT_BOUND), asked).await {
                Ok(Some(Ok(()))) => (Outcome::Done, String::new()),
                Ok(Some(Err(why))) => (Outcome::Failed, why),
                Ok(None) => (Outcome::Failed, "the manager is stopping".to_owned()),
                Err(_) => (Outcome::Failed, "the uploader does not answer".to_owned()),
            }
        }
    }
}

async fn read(stream: &mut UnixStream) -> io::Result<Request> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "not a request");
    let mut head = [0; REQUEST_HEAD];
    stream.read_exact(&mut head).await?;
    let (verb, length) = decode_request_head(head).ok_or_else(malformed)?;
    let mut rest = vec![0; usize::try_from(length).map_err(|_| malformed())?];
    stream.read_exact(&mut rest).await?;
    decode_request(verb, &rest).ok_or_else(malformed)
}
