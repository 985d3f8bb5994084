//! Running another program to its end, with a deadline.

use core::time::Duration;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::process::Command;
use tokio::time::timeout;

/// A command did not do what it was run for.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be run at all.
    #[error("failed to run {what}")]
    Spawn {
        /// The command line.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It took too long, and was killed.
    #[error("failed to run {what} within {within:?}")]
    Deadline {
        /// The command line.
        what: String,
        /// How long it had.
        within: Duration,
    },
    /// It ended with another status than 0.
    #[error("failed to run {what}: {status}: {stderr}")]
    Status {
        /// The command line.
        what: String,
        /// Its end.
        status: std::process::ExitStatus,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// It did not print what was expected.
    #[error("failed to read what {what} printed")]
    Json {
        /// The command line.
        what: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// A program, and what its environment gets beside ours: secrets go there, never on a command line.
#[derive(Clone)]
pub struct Tool {
    /// Its path.
    pub program: PathBuf,
    /// Variables.
    pub env: Vec<(String, String)>,
}

impl Tool {
    /// Runs it to its end and gives what it printed. Killed when it is late, or when the future is dropped.
    ///
    /// # Errors
    /// [`CommandError`] has the command line and the end of stderr.
    pub async fn run(&self, arguments: &[&str], within: Duration) -> Result<String, CommandError> {
        let what = self.line(arguments);
        let spawned = Command::new(&self.program)
            .args(arguments)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let child = spawned.map_err(|source| CommandError::Spawn { what: what.clone(), source })?;
        let Ok(ended) = timeout(within, child.wait_with_output()).await else {
            return Err(CommandError::Deadline { what, within });
        };
        let output = ended.map_err(|source| CommandError::Spawn { what: what.clone(), source })?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let last: Vec<&str> = stderr.lines().rev().take(5).collect();
            let stderr = last.into_iter().rev().collect::<Vec<_>>().join("; ");
            return Err(CommandError::Status { what, status: output.status, stderr });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn line(&self, arguments: &[&str]) -> String {
        let program = self.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        std::iter::once(program.as_str()).chain(arguments.iter().copied()).collect::<Vec<_>>().join(" ")
    }
}

/// Reads what a command printed.
///
/// # Errors
/// [`CommandError::Json`].
pub fn json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, CommandError> {
    serde_json::from_str(text).map_err(|source| CommandError::Json { what: what.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Tool {
        Tool { program: "/bin/sh".into(), env: vec![("WORD".into(), "yes".into())] }
    }

    #[tokio::test]
    async fn what_a_command_printed_is_returned_and_a_failure_quotes_its_last_words() {
        assert_eq!(shell().run(&["-c", "echo $WORD"], Duration::from_secs(10)).await.unwrap(), "yes\n");
        let error = shell().run(&["-c", "echo no >&2; exit 3"], Duration::from_secs(10)).await.unwrap_err();
        assert_eq!(error.to_string(), "failed to run sh -c echo no >&2; exit 3: exit status: 3: no");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_at_its_deadline() {
        let error = shell().run(&["-c", "exec tail -f /dev/null"], Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(error, CommandError::Deadline { .. }), "{error}");
    }
}
