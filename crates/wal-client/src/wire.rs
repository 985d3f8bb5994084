//! The frames on the socket. Only std: the client has to start in a millisecond.
//!
//! Request: `PGW1`, a verb, the length of the rest (u32, big endian), then the file's name, a zero, and a path.
//! Answer: an outcome, the length of the rest, and a sentence for people.

use std::path::PathBuf;

/// Where the socket is, unless [`SOCKET_VARIABLE`] says otherwise.
pub const SOCKET: &str = "/controller/run/.pgherd-archive.sock";
/// Names another socket.
pub const SOCKET_VARIABLE: &str = "PGHERD_ARCHIVE_SOCKET";
/// Longest frame, head excluded: a name and a path.
pub const LONGEST: u32 = 8192;
/// Bytes in the head of a request.
pub const REQUEST_HEAD: usize = 9;
/// Bytes in the head of an answer.
pub const ANSWER_HEAD: usize = 5;

const MAGIC: &[u8; 4] = b"PGW1";

/// What postgres wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `archive_command`.
    Archive,
    /// `restore_command`.
    Restore,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub verb: Verb,
    /// Name of the WAL file (`%f`).
    pub file: String,
    /// `%p`, as postgres gave it.
    pub path: PathBuf,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Archived, or restored.
    Done,
    /// Restoring: there is no such file.
    NotThere,
    /// It did not work; postgres may ask again.
    Failed,
    /// Restoring: it is not known whether there is such a file, so the recovery must not go on.
    Abort,
}

/// The frame of a request.
#[must_use]
pub fn encode_request(request: &Request) -> Option<Vec<u8>> {
    let path = request.path.to_str()?;
    let mut rest = request.file.clone().into_bytes();
    rest.push(0);
    rest.extend_from_slice(path.as_bytes());
    let length = u32::try_from(rest.len()).ok().filter(|length| *length <= LONGEST)?;
    let verb = match request.verb {
        Verb::Archive => 1,
        Verb::Restore => 2,
    };
    let mut frame = MAGIC.to_vec();
    frame.push(verb);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.append(&mut rest);
    Some(frame)
}

/// The verb, and how many bytes follow.
#[must_use]
pub fn decode_request_head(head: [u8; REQUEST_HEAD]) -> Option<(Verb, u32)> {
    let (magic, rest) = head.split_first_chunk::<4>()?;
    let (verb, length) = rest.split_first()?;
    let verb = match verb {
        1 => Verb::Archive,
        2 => Verb::Restore,
        _ => return None,
    };
    let length = u32::from_be_bytes(*length.first_chunk::<4>()?);
    (magic == MAGIC && length <= LONGEST).then_some((verb, length))
}

/// The request, from what followed its head.
#[must_use]
pub fn decode_request(verb: Verb, rest: &[u8]) -> Option<Request> {
    let (file, path) = std::str::from_utf8(rest).ok()?.split_once('\0')?;
    Some(Request { verb, file: file.to_owned(), path: PathBuf::from(path) })
}

/// The frame of an answer; a long sentence is cut.
#[must_use]
pub fn encode_answer(outcome: Outcome, message: &str) -> Vec<u8> {
    let code = match outcome {
        Outcome::Done => 0,
        Outcome::NotThere => 1,
        Outcome::Failed => 2,
        Outcome::Abort => 3,
    };
    let kept: String = message.chars().take(1000).collect();
    let length = u32::try_from(kept.len()).unwrap_or(0);
    let mut frame = vec![code];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(kept.as_bytes());
    frame
}

/// The outcome, and how many bytes follow.
#[must_use]
pub fn decode_answer_head(head: [u8; ANSWER_HEAD]) -> Option<(Outcome, u32)> {
    let (code, length) = head.split_first()?;
    let outcome = match code {
        0 => Outcome::Done,
        1 => Outcome::NotThere,
        2 => Outcome::Failed,
        3 => Outcome::Abort,
        _ => return None,
    };
    let length = u32::from_be_bytes(*length.first_chunk::<4>()?);
    (length <= LONGEST).then_some((outcome, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_and_an_answer_come_back() {
        let request = Request { verb: Verb::Restore, file: "00000002.history".into(), path: "pg_wal/X".into() };
        let frame = encode_request(&request).expect("fits");
        let (verb, length) = decode_request_head(*frame.first_chunk().expect("a head")).expect("a request");
        assert_eq!(length as usize, frame.len() - REQUEST_HEAD);
        assert_eq!(decode_request(verb, &frame[REQUEST_HEAD..]), Some(request));
        for outcome in [Outcome::Done, Outcome::NotThere, Outcome::Failed, Outcome::Abort] {
            let frame = encode_answer(outcome, "why");
            assert_eq!(decode_answer_head(*frame.first_chunk().expect("a head")), Some((outcome, 3)));
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert_eq!(decode_request_head(*b"PGW2\x01\0\0\0\x01"), None);
        assert_eq!(decode_request_head(*b"PGW1\x09\0\0\0\x01"), None);
        assert_eq!(decode_request_head(*b"PGW1\x01\xff\0\0\x01"), None);
        assert_eq!(decode_request(Verb::Archive, b"no zero"), None);
    }
}
