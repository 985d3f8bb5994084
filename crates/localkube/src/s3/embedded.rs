//! S3 on a folder, in this process.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// The folder cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("failed to open the folder of the embedded S3: {0}")]
pub struct S3Error(String);

/// Serves the directories of `root` as buckets to whoever has the key. Ends when the future is dropped.
///
/// # Errors
/// If the folder cannot be used.
pub fn serve_folder(
    root: &Path,
    listener: TcpListener,
    access_key: &str,
    secret_key: &str,
) -> Result<impl Future<Output = ()> + Send + 'static, S3Error> {
    let files = s3s_fs::FileSystem::new(root).map_err(|error| S3Error(format!("{error:?}")))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
    let service = builder.build();
    let writing = Arc::new(Mutex::new(()));
    Ok(async move {
        let mut live = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, _)) => drop(live.spawn(serve(socket, service.clone(), Arc::clone(&writing)))),
                    Err(error) => tracing::warn!(%error, "the embedded S3 cannot accept"),
                },
                Some(_) = live.join_next() => {}
            }
        }
    })
}

async fn serve(socket: TcpStream, service: S3Service, writing: Arc<Mutex<()>>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let (service, writing) = (service.clone(), Arc::clone(&writing));
        async move {
            // s3s-fs looks whether a key is taken and then writes: of two creates of one key both could succeed.
            let create = request.method() == Method::PUT && request.headers().contains_key("if-none-match");
            let _one = if create { Some(writing.lock().await) } else { None };
            Ok::<_, Infallible>(service.call(request.map(s3s::Body::from)).await.unwrap_or_else(|error| {
                let mut answer = Response::new(s3s::Body::from(format!("{error:?}")));
                *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                answer
            }))
        }
    });
    // An error is a client that went away.
    let _ended = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), answer).await;
}
