//! A real S3 API on a folder, in this process, with faults on the wire: for tests only (feature `test-server`).

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
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
    /// Nothing is answered until the fault changes.
    Silent,
    /// The head of an answer comes at once, its body at so many bytes in a second.
    Trickle(u64),
    /// The body of a request is read at so many bytes in a second.
    Sips(u64),
    /// The head of an answer and half of its body, then the connection is cut.
    CutBody,
    /// The head of an answer without a length, all of its body, and zeros for ever.
    Endless,
    /// Of so many requests one is carried out, on average; the others are answered 500 and 503 in turn.
    Storm(usize),
}

/// Bodies are sent in tenths of a second.
const TICK: Duration = Duration::from_millis(100);

/// The access key that the server knows.
pub const ACCESS_KEY: &str = "test-access-key";
/// Its secret.
pub const SECRET_KEY: &str = "test-secret-key";

/// The running server; gone when dropped.
#[derive(Debug)]
pub struct TestServer {
    address: SocketAddr,
    fault: watch::Sender<Wrong>,
    asked: Arc<AtomicUsize>,
    _accepting: JoinSet<()>,
}

/// What is wrong, and for which keys: those that contain a part.
#[derive(Clone, Debug, Default)]
struct Wrong {
    fault: WireFault,
    part: String,
    /// So many requests come through first.
    from: usize,
}

impl Wrong {
    fn strikes(&self, wanted: &str, number: usize) -> bool {
        wanted.contains(&self.part) && number >= self.from
    }
}

/// What a connection works with.
#[derive(Clone)]
struct Serving {
    service: S3Service,
    writing: Arc<Mutex<()>>,
    wrong: watch::Receiver<Wrong>,
    asked: Arc<AtomicUsize>,
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
        let fault = watch::Sender::new(Wrong::default());
        let asked = Arc::new(AtomicUsize::new(0));
        let serving = Serving { service, writing: Arc::default(), wrong: fault.subscribe(), asked: Arc::clone(&asked) };
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, serving.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, fault, asked, _accepting: accepting })
    }

    /// Changes what is wrong.
    pub fn set(&self, fault: WireFault) {
        self.set_on("", fault);
    }

    /// Changes what is wrong with requests for keys, and for lists of prefixes, that contain `part`.
    pub fn set_on(&self, part: &str, fault: WireFault) {
        self.fault.send_replace(Wrong { fault, part: part.to_owned(), from: 0 });
    }

    /// Changes what is wrong once `more` requests have come through.
    pub fn set_after(&self, more: usize, fault: WireFault) {
        let from = self.asked().saturating_add(more);
        self.fault.send_replace(Wrong { fault, part: String::new(), from });
    }

    /// Requests so far.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
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

type Body = UnsyncBoxBody<Bytes, io::Error>;
type Answer = Result<Response<Body>, io::Error>;

async fn serve(socket: TcpStream, serving: Serving) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let mut serving = serving.clone();
        async move {
            let number = serving.asked.fetch_add(1, Ordering::SeqCst);
            // s3s-fs looks whether a key is taken and then writes, so two creates of one key could both succeed.
            let writing = Arc::clone(&serving.writing);
            let _one = if request.method() == Method::PUT { Some(writing.lock().await) } else { None };
            respond(&mut serving, request, number).await
        }
    });
    // An error here is a client that went away, or the cut that a test asked for.
    let _ended = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), answer).await;
}

async fn respond(serving: &mut Serving, request: Request<Incoming>, number: usize) -> Answer {
    let wanted = request.uri().to_string().replace("%2F", "/");
    let fault = loop {
        let wrong = serving.wrong.borrow_and_update().clone();
        match wrong.fault {
            WireFault::Silent if wrong.strikes(&wanted, number) => {
                serving.wrong.changed().await.map_err(io::Error::other)?;
            }
            fault if wrong.strikes(&wanted, number) => break fault,
            _ => break WireFault::None,
        }
    };
    let cut = || io::Error::other("cut by the test");
    match fault {
        WireFault::Reset => Err(cut()),
        WireFault::Status(status, code) => refused(status, code),
        // Scattered: a client that asks three things again and again is not to meet the same answers for ever.
        WireFault::Storm(one_of) if (number.wrapping_mul(0x9E37_79B9) >> 16).checked_rem(one_of) != Some(0) => {
            match number % 2 {
                0 => refused(500, "InternalError"),
                _ => refused(503, "SlowDown"),
            }
        }
        WireFault::AnswerLost => {
            carry_out(&serving.service, request).await.map_err(|_| cut())?;
            Err(cut())
        }
        WireFault::None | WireFault::Silent | WireFault::Storm(_) => {
            let answer = carry_out(&serving.service, request).await.map_err(|_| cut())?;
            Ok(answer.map(|body| body.map_err(io::Error::other).boxed_unsync()))
        }
        WireFault::Sips(rate) => {
            let (head, body) = request.into_parts();
            let body = sip(body, rate, &mut serving.wrong).await?;
            let answer = carry_out(&serving.service, Request::from_parts(head, body)).await.map_err(|_| cut())?;
            Ok(answer.map(|body| body.map_err(io::Error::other).boxed_unsync()))
        }
        WireFault::CutBody | WireFault::Trickle(_) | WireFault::Endless => {
            let answer = carry_out(&serving.service, request).await.map_err(|_| cut())?;
            let (mut head, body) = answer.into_parts();
            let body = BodyExt::collect(body).await.map_err(io::Error::other)?.to_bytes();
            let body = match fault {
                WireFault::Trickle(rate) => trickle(body, rate),
                WireFault::Endless => {
                    head.headers.remove(http::header::CONTENT_LENGTH);
                    endless(body)
                }
                _ => half(&body, cut()),
            };
            Ok(Response::from_parts(head, body))
        }
    }
}

fn refused(status: u16, code: &str) -> Answer {
    let body = format!("<Error><Code>{code}</Code><Message>injected</Message></Error>");
    let mut answer = Response::new(Full::from(body).map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Ok(answer)
}

fn half(body: &Bytes, then: io::Error) -> Body {
    let first = body.slice(..body.len() / 2);
    let frames = stream::iter([Ok(Frame::data(first))]).chain(stream::once(async move {
        // What was sent has to arrive before the connection goes.
        tokio::time::sleep(TICK).await;
        Err(then)
    }));
    StreamBody::new(frames).boxed_unsync()
}

fn trickle(body: Bytes, rate: u64) -> Body {
    let each = usize::try_from(rate / 10).unwrap_or(usize::MAX).max(1);
    let frames = stream::unfold(body, move |mut left| async move {
        if left.is_empty() {
            return None;
        }
        tokio::time::sleep(TICK).await;
        let some = left.split_to(each.min(left.len()));
        Some((Ok(Frame::data(some)), left))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// All of a body, slowly; once something else is wrong, or nothing, nobody waits for the rest.
async fn sip(mut body: Incoming, rate: u64, wrong: &mut watch::Receiver<Wrong>) -> io::Result<Bytes> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(some) = frame.map_err(io::Error::other)?.into_data() else { continue };
        let millis = u64::try_from(some.len()).unwrap_or(u64::MAX).saturating_mul(1000).checked_div(rate);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(millis.unwrap_or(u64::MAX))) => all.extend_from_slice(&some),
            _ = wrong.changed() => return Err(io::Error::other("cut by the test")),
        }
    }
    Ok(all.into())
}

fn endless(body: Bytes) -> Body {
    let zeros = Bytes::from_static(&[0; 16 << 10]);
    let more = stream::unfold(zeros, |zeros| async move {
        // Faster than anybody calls slow, and slow enough that nobody's memory is full before his patience ends.
        tokio::time::sleep(Duration::from_millis(2)).await;
        Some((Ok(Frame::data(zeros.clone())), zeros))
    });
    StreamBody::new(stream::once(async move { Ok(Frame::data(body)) }).chain(more)).boxed_unsync()
}

async fn carry_out(
    service: &S3Service,
    request: Request<impl Into<s3s::Body>>,
) -> Result<Response<s3s::Body>, Infallible> {
    let request = request.map(Into::into);
    Ok(service.call(request).await.unwrap_or_else(|error| {
        let mut answer = Response::new(s3s::Body::from(format!("{error:?}")));
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer
    }))
}
