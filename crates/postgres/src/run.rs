//! Runs one short-lived program to its end: bounded output, a deadline, and no survivor when dropped.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::reap::{ReapError, Reaper, Signaller};

/// How much of each stream is kept; the rest is read and thrown away, so that the program never blocks.
const KEPT_BYTES: usize = 1 << 20;

/// A program did not do what it was started for.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not be started or waited for.
    #[error("failed to run {program}")]
    Reap {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: ReapError,
    },
    /// Its output could not be read.
    #[error("failed to read the output of {program}")]
    Pipe {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It took too long, and was killed with all that it had started. May be retried.
    #[error("failed to run {program}: not done after {after:?}")]
    Deadline {
        /// The program.
        program: String,
        /// The deadline.
        after: Duration,
    },
    /// It ended with another status than 0.
    #[error("failed to run {program}: {status}: {stderr}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of what it said.
        stderr: String,
    },
}

/// What a program left behind.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its first MiB of standard output.
    pub stdout: String,
    /// Its first MiB of standard error.
    pub stderr: String,
    program: String,
}

impl Output {
    /// Ok only where the status is 0.
    pub fn successful(self) -> Result<Self, RunError> {
        if self.status.success() {
            return Ok(self);
        }
        let said = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        Err(RunError::Failed { status: self.status, stderr: last_lines(said, 8), program: self.program })
    }
}

/// Kills the whole process group of a program whose caller went away or whose time is over.
struct KillOnDrop(Option<Signaller>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(signaller) = &self.0 {
            // ESRCH: it has ended by itself.
            drop(signaller.signal_group(Signal::SIGKILL));
        }
    }
}

impl Reaper {
    /// Runs `command` without input until it ends, at most for `deadline`. Cancel-safe: a dropped run kills
    /// the program's process group.
    pub async fn run(&self, command: &mut Command, deadline: Duration) -> Result<Output, RunError> {
        self.run_watched(command, deadline, |_| {}).await
    }

    /// As [`Reaper::run`], and passes each piece of standard error on while it comes (progress reports).
    pub async fn run_watched(
        &self,
        command: &mut Command,
        deadline: Duration,
        on_stderr: impl FnMut(&[u8]),
    ) -> Result<Output, RunError> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = self.spawn(command).map_err(|source| RunError::Reap { program: program.clone(), source })?;
        let mut guard = KillOnDrop(Some(child.signaller()));
        let pipe_failed = |source| RunError::Pipe { program: program.clone(), source };
        let stdout = child.stdout.take().map(tokio::process::ChildStdout::from_std).transpose().map_err(pipe_failed)?;
        let stderr = child.stderr.take().map(tokio::process::ChildStderr::from_std).transpose().map_err(pipe_failed)?;
        let all = async {
            let (out, err, status) = tokio::join!(keep(stdout, |_| {}), keep(stderr, on_stderr), child.exit.wait());
            Ok::<_, RunError>((
                out.map_err(pipe_failed)?,
                err.map_err(pipe_failed)?,
                status.map_err(|source| RunError::Reap { program: program.clone(), source })?,
            ))
        };
        let (stdout, stderr, status) = tokio::time::timeout(deadline, all)
            .await
            .map_err(|_| RunError::Deadline { program: program.clone(), after: deadline })??;
        guard.0 = None;
        Ok(Output { status, stdout: text(&stdout), stderr: text(&stderr), program })
    }
}

async fn keep(stream: Option<impl AsyncRead + Unpin>, mut on_piece: impl FnMut(&[u8])) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return Ok(kept) };
    let mut buffer = vec![0_u8; 8192];
    loop {
        let count = stream.read(&mut buffer).await?;
        let piece = buffer.get(..count).unwrap_or_default();
        if piece.is_empty() {
            return Ok(kept);
        }
        on_piece(piece);
        let room = KEPT_BYTES.saturating_sub(kept.len());
        kept.extend(piece.iter().take(room));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[tokio::test]
    async fn both_streams_and_the_status_come_back() {
        let reaper = Reaper::start().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let output = reaper.run(&mut command, Duration::from_secs(20)).await.unwrap();
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
        let error = output.successful().unwrap_err();
        assert_eq!(error.to_string(), "failed to run sh: exit status: 3: err");
    }

    #[tokio::test]
    async fn a_program_and_its_children_die_at_the_deadline() {
        let reaper = Reaper::start().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & sleep 600"]);
        let began = Instant::now();
        let error = reaper.run(&mut command, Duration::from_millis(200)).await.unwrap_err();
        assert!(matches!(error, RunError::Deadline { .. }));
        assert!(began.elapsed() < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn more_output_than_is_kept_does_not_block_the_program() {
        let reaper = Reaper::start().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "head -c 5000000 /dev/zero"]);
        let output = reaper.run(&mut command, Duration::from_secs(60)).await.unwrap();
        assert_eq!(output.stdout.len(), KEPT_BYTES);
    }
}
