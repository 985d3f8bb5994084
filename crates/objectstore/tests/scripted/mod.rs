//! An HTTP server that gives the answers of a script, one for each request, the last one again and again.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    pub fn plain(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    /// An error as S3 words it.
    pub fn error(status: u16, code: &str) -> Self {
        Self { body: format!("<Error><Code>{code}</Code><Message>scripted</Message></Error>"), ..Self::plain(status) }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// The head of a request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `PUT /bucket/key?x HTTP/1.1`.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The running server; gone when dropped.
pub struct Scripted {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _serving: JoinSet<()>,
}

impl Scripted {
    pub async fn start(script: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (script, seen) = (Arc::new(script), Arc::clone(&asked));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, Arc::clone(&script), Arc::clone(&seen)));
            }
        });
        Self { url, asked, _serving: serving }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("unpoisoned").clone()
    }
}

/// Answers requests until the client goes away.
async fn serve(socket: TcpStream, script: Arc<Vec<Answer>>, seen: Arc<Mutex<Vec<Asked>>>) {
    let mut socket = BufReader::new(socket);
    while let Some(asked) = request(&mut socket).await {
        let head = asked.line.starts_with("HEAD");
        let number = {
            let mut seen = seen.lock().expect("unpoisoned");
            seen.push(asked);
            seen.len()
        };
        let answer = script.get(number - 1).or(script.last()).expect("an answer");
        let mut text = format!("HTTP/1.1 {} scripted\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
        for (name, value) in &answer.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        if !head {
            text.push_str(&answer.body);
        }
        if socket.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn request(socket: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut lines = lines.into_iter();
    let asked = Asked {
        line: lines.next()?,
        headers: lines
            .filter_map(|line| line.split_once(':').map(|(k, v)| (k.to_ascii_lowercase(), v.trim().to_owned())))
            .collect(),
    };
    let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    if asked.header("expect").is_some() {
        socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
    }
    let mut body = vec![0_u8; length];
    socket.read_exact(&mut body).await.ok()?;
    Some(asked)
}
