//! Reads a stream of postgres line by line, and never lets a slow receiver hold postgres up.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longer lines are passed on in pieces.
const LONGEST_LINE: usize = 64 * 1024;

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Takes each line, without its newline. It must not block: it runs on the async runtime.
pub type LineSink = Arc<dyn Fn(Stream, &[u8]) + Send + Sync>;

/// Reads until the end of the stream; an error ends it as well, since there is nobody to tell but the log.
pub async fn read_lines(mut source: impl AsyncRead + Unpin, stream: Stream, sink: LineSink) {
    let mut buffer = vec![0_u8; 8192];
    let mut line = Vec::new();
    loop {
        match source.read(&mut buffer).await {
            Ok(count) if count > 0 => {
                for &byte in buffer.get(..count).unwrap_or_default() {
                    if byte != b'\n' {
                        line.push(byte);
                    }
                    if byte == b'\n' || line.len() >= LONGEST_LINE {
                        sink(stream, &line);
                        line.clear();
                    }
                }
            }
            Ok(_) => break,
            Err(error) => {
                tracing::warn!(?stream, %error, "output of postgres cannot be read any more");
                break;
            }
        }
    }
    if !line.is_empty() {
        sink(stream, &line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    async fn lines_of(text: &[u8]) -> Vec<Vec<u8>> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&seen);
        let sink: LineSink = Arc::new(move |_, line| writer.lock().unwrap().push(line.to_vec()));
        read_lines(text, Stream::Stdout, sink).await;
        seen.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn lines_come_out_whole_and_a_last_one_without_newline_too() {
        assert_eq!(lines_of(b"one\n\ntwo").await, vec![b"one".to_vec(), vec![], b"two".to_vec()]);
    }

    #[tokio::test]
    async fn an_endless_line_comes_out_in_pieces() {
        let pieces = lines_of(&vec![b'x'; LONGEST_LINE * 2 + 5]).await;
        assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [LONGEST_LINE, LONGEST_LINE, 5]);
    }
}
