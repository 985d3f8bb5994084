//! The FIFO that postgres' logging collector writes to in place of a log file.
//!
//! It is opened for reading *and* writing, so that the collector never meets a pipe without a reader, and
//! what it writes waits in the pipe while nobody reads.

use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::Mode;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// The FIFO cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("failed to use the log pipe {path:?}")]
pub struct LogPipeError {
    /// The FIFO.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// Where log bytes come out.
#[derive(Debug)]
pub struct LogPipe {
    path: PathBuf,
    receiver: pipe::Receiver,
}

impl LogPipe {
    /// Makes the FIFO, in place of whatever file has its name, and opens it. Inside a tokio runtime.
    pub fn create(path: &Path) -> Result<Self, LogPipeError> {
        let failed = |source| LogPipeError { path: path.to_owned(), source };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        match nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
        let receiver = pipe::OpenOptions::new().read_write(true).open_receiver(path).map_err(failed)?;
        Ok(Self { path: path.to_owned(), receiver })
    }

    /// Passes on what is written, for ever. `on_bytes` must not block. Cancel-safe between pieces.
    pub async fn read(mut self, mut on_bytes: impl FnMut(&[u8])) -> LogPipeError {
        let mut buffer = vec![0_u8; 64 * 1024];
        loop {
            match self.receiver.read(&mut buffer).await {
                Ok(count) => on_bytes(buffer.get(..count).unwrap_or_default()),
                Err(source) => return LogPipeError { path: self.path, source },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn what_a_writer_writes_comes_out_even_after_writers_came_and_went() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("postgres.csv");
        let pipe = LogPipe::create(&path).unwrap();
        for text in ["one\n", "two\n"] {
            std::fs::OpenOptions::new()
                .write(true)
                .open(&path)
                .map(|mut file| io::Write::write_all(&mut file, text.as_bytes()))
                .unwrap()
                .unwrap();
        }
        let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let reading = tokio::spawn(pipe.read(move |bytes| drop(sender.send(bytes.to_vec()))));
        let bytes = tokio::time::timeout(Duration::from_secs(20), seen.recv()).await.unwrap().unwrap();
        assert_eq!(bytes, b"one\ntwo\n");
        reading.abort();
    }
}
