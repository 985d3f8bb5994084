//! `wal-archive PATH` and `wal-restore NAME PATH`: what postgres runs. Blocking, and nothing but a socket; the main of
//! the manager knows the verbs too, and calls this before anything else.

use crate::wire::{ANSWER_HEAD, Outcome, Request, SOCKET, SOCKET_VARIABLE, Verb, decode_answer_head, encode_request};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the manager's socket may be missing.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the manager may take for one file: longer than its own bounds.
const ARCHIVE_ANSWER: Duration = Duration::from_secs(150);
const RESTORE_ANSWER: Duration = Duration::from_secs(900);
/// For archiving: it did not work. Never above 125, which would restart postgres' archiver.
const FAILED: u8 = 1;
/// For restoring: there is no such file.
const NOT_THERE: u8 = 1;
/// For restoring: above 125, so that postgres aborts its recovery instead of taking this for the end of WAL
/// (PostgreSQL documentation, `restore_command`).
const ABORT: u8 = 200;

/// If these arguments (without the program's name) are one of the two verbs, carries it out and tells the exit
/// status; else nothing, and the caller goes on.
#[must_use]
pub fn run_if_asked(arguments: &[String]) -> Option<u8> {
    let socket = std::env::var_os(SOCKET_VARIABLE).map_or_else(|| PathBuf::from(SOCKET), PathBuf::from);
    let (verb, rest) = arguments.split_first()?;
    match verb.as_str() {
        "wal-archive" => Some(archive(&socket, rest)),
        "wal-restore" => Some(restore(&socket, rest)),
        _ => None,
    }
}

/// Asks for one file to be archived; 0 once the store has it. The path is the last argument.
#[must_use]
pub fn archive(socket: &Path, arguments: &[String]) -> u8 {
    // CNPG's own command has options before the path; the path is always last.
    let Some(path) = arguments.last().map(PathBuf::from) else {
        say("wal-archive: the path of a WAL file is missing");
        return FAILED;
    };
    let Some(file) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else {
        say(&format!("wal-archive: {} names no file", path.display()));
        return FAILED;
    };
    let request = Request { verb: Verb::Archive, file: file.clone(), path };
    match ask(socket, &request, ARCHIVE_ANSWER) {
        Ok((Outcome::Done, _)) => 0,
        Ok((_, why)) => {
            say(&format!("wal-archive: {file} is not archived: {why}"));
            FAILED
        }
        Err(error) => {
            say(&format!("wal-archive: {file} is not archived: the manager did not answer: {error}"));
            FAILED
        }
    }
}

/// Asks for one file (first argument) to be written to a path (second); 0 if it was, 1 if it is proven not to be there.
#[must_use]
pub fn restore(socket: &Path, arguments: &[String]) -> u8 {
    let [file, path] = arguments else {
        say("wal-restore: expected the name of a WAL file and a path");
        return ABORT;
    };
    let request = Request { verb: Verb::Restore, file: file.clone(), path: PathBuf::from(path) };
    match ask(socket, &request, RESTORE_ANSWER) {
        Ok((Outcome::Done, _)) => 0,
        Ok((Outcome::NotThere, why)) => {
            if !why.is_empty() {
                say(&format!("wal-restore: {file}: {why}"));
            }
            NOT_THERE
        }
        Ok((Outcome::Failed | Outcome::Abort, why)) => {
            say(&format!("wal-restore: it is unknown whether {file} is in the archive, stopping here: {why}"));
            ABORT
        }
        Err(error) => {
            say(&format!("wal-restore: it is unknown whether {file} is in the archive: no answer: {error}"));
            ABORT
        }
    }
}

fn say(line: &str) {
    // There is nobody to tell when stderr is closed.
    let _told = writeln!(io::stderr(), "{line}");
}

fn ask(socket: &Path, request: &Request, patience: Duration) -> io::Result<(Outcome, String)> {
    let malformed = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let frame = encode_request(request).ok_or_else(|| malformed("the path is too long or not UTF-8"))?;
    let mut stream = connect(socket)?;
    stream.set_write_timeout(Some(CONNECT))?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(&frame)?;
    let mut head = [0; ANSWER_HEAD];
    stream.read_exact(&mut head)?;
    let (outcome, length) = decode_answer_head(head).ok_or_else(|| malformed("the answer makes no sense"))?;
    let mut message = Vec::new();
    stream.take(u64::from(length)).read_to_end(&mut message)?;
    Ok((outcome, String::from_utf8_lossy(&message).into_owned()))
}

/// The manager may be about to listen, so a missing socket is waited for.
fn connect(socket: &Path) -> io::Result<UnixStream> {
    let started = Instant::now();
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(error) if started.elapsed() >= CONNECT => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
