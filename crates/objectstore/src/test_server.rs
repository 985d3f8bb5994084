//! A real S3 API on a folder, in this process, with faults on the wire: for tests only (feature `test-server`).

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::{S3Config, S3Credentials, S3Store};

/// What is wrong on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WireFault {
    /// Nothing.
    #[default]
    None,
    /// Every request is answered with this status and S3 error code, without looking at it.
    Status(u16, &'static str),
    /// The connection is cut as soon as a request's head has been read.
    Reset,
    /// The request is carried out, then the connection is cut instead of an answer.
    AnswerLost,
}

/// The access key that the server knows.
pub const ACCESS_KEY: &str = "test-access-key";
/// Its secret.
pub const SECRET_KEY: &str = "test-secret-key";

/// The running server; gone when dropped.
#[derive(Debug)]
pub struct TestServer {
    address: SocketAddr,
    fault: watch::Sender<WireFault>,
    _accepting: JoinSet<()>,
}

impl TestServer {
    /// Serves the folders in `root` as buckets on an ephemeral port of 127.0.0.1.
    pub async fn start(root: &Path) -> io::Result<Self> {
        let files = s3s_fs::FileSystem::new(root).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let fault = watch::Sender::new(WireFault::None);
        let seen = fault.subscribe();
        let writing = Arc::new(Mutex::new(()));
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, service.clone(), Arc::clone(&writing), seen.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, fault, _accepting: accepting })
    }

    /// Changes what is wrong.
    pub fn set(&self, fault: WireFault) {
        self.fault.send_replace(fault);
    }

    /// What a client gives as `endpointURL`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How a client reaches a bucket here.
    #[must_use]
    pub fn config(&self, bucket: &str) -> S3Config {
        S3Config {
            endpoint_url: Some(self.endpoint()),
            region: Some("eu-central-1".to_owned()),
            credentials: S3Credentials::Given {
                access_key_id: ACCESS_KEY.to_owned(),
                secret_access_key: SECRET_KEY.to_owned(),
                session_token: None,
            },
            ..S3Config::new(bucket)
        }
    }

    /// A client for a bucket here.
    #[must_use]
    pub fn store(&self, bucket: &str) -> S3Store {
        S3Store::new(self.config(bucket))
    }
}

type Answer = Result<Response<s3s::Body>, io::Error>;

async fn serve(socket: TcpStream, service: S3Service, writing: Arc<Mutex<()>>, fault: watch::Receiver<WireFault>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let (service, writing, fault) = (service.clone(), Arc::clone(&writing), *fault.borrow());
        async move {
            // s3s-fs looks whether a key is taken and then writes, so two creates of one key could both succeed.
            let _one = if request.method() == Method::PUT { Some(writing.lock().await) } else { None };
            respond(&service, request, fault).await
        }
    });
    // An error here is a client that went away, or the cut that a test asked for.
    let _ended = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), answer).await;
}

async fn respond(service: &S3Service, request: Request<Incoming>, fault: WireFault) -> Answer {
    let cut = || io::Error::other("cut by the test");
    match fault {
        WireFault::Reset => Err(cut()),
        WireFault::Status(status, code) => {
            let body = format!("<Error><Code>{code}</Code><Message>injected</Message></Error>");
            let mut answer = Response::new(s3s::Body::from(body));
            *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Ok(answer)
        }
        WireFault::None | WireFault::AnswerLost => {
            let answer = carry_out(service, request).await.map_err(|_| cut())?;
            if fault == WireFault::AnswerLost { Err(cut()) } else { Ok(answer) }
        }
    }
}

async fn carry_out(service: &S3Service, request: Request<Incoming>) -> Result<Response<s3s::Body>, Infallible> {
    let request = request.map(s3s::Body::from);
    Ok(service.call(request).await.unwrap_or_else(|error| {
        let mut answer = Response::new(s3s::Body::from(format!("{error:?}")));
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer
    }))
}
