//! Hears of a postmaster's end when its own children do: by the pipe whose writing end it alone has
//! (`postmaster_alive_fds` of PostgreSQL's `postmaster.c`).
//!
//! The kernel closes it in `do_exit`, and tells the parent at the very end of that. Between the two the children end,
//! each with all of its memory, and where processors are scarce the postmaster gets its last turn after them: 50 ms and
//! more, for which clients would wait.

use crate::others::runs;
use std::io;
use std::path::{Path, PathBuf};
use tokio::net::unix::pipe::{OpenOptions, Receiver};

/// `O_ACCMODE` and `O_NONBLOCK` of Linux, as `/proc/PID/fdinfo` has them.
const ACCESS_MODE: u32 = 0o3;
const NON_BLOCKING: u32 = 0o4000;

/// The reading end of one postmaster's pipe.
#[derive(Debug)]
pub struct DeathWatch {
    pid: i32,
    pipe: Receiver,
}

/// What a process has open of a pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
struct End {
    path: PathBuf,
    /// `pipe:[inode]`.
    pipe: String,
    flags: u32,
}

impl DeathWatch {
    /// Opens it; nothing where the postmaster has not made it yet, or has ended.
    ///
    /// # Errors
    /// What cannot be looked at; then its end is heard of from the kernel alone.
    pub fn of(pid: i32) -> io::Result<Option<Self>> {
        let ends = ends(pid)?;
        let Some(path) = death_pipe(&ends) else { return Ok(None) };
        // Non-blocking: where the postmaster has ended meanwhile, nobody would ever come to write. Closed on exec, as all files.
        Ok(Some(Self { pid, pipe: OpenOptions::new().open_receiver(path)? }))
    }

    /// Waits until the postmaster runs nothing any more. Cancel-safe.
    pub async fn ended(self) {
        // Nothing is ever written to it: it can be read once nobody can write any more.
        let hung_up = self.pipe.readable().await;
        if hung_up.is_err() || runs(self.pid) {
            tracing::warn!(pid = self.pid, "the postmaster's pipe says that it has ended, and /proc that it has not");
            std::future::pending::<()>().await;
        }
    }
}

fn ends(pid: i32) -> io::Result<Vec<End>> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(process.join("fd"))? {
        let entry = entry?;
        let info = process.join("fdinfo").join(entry.file_name());
        // Opened and closed while we look.
        let (Ok(target), Ok(info)) = (std::fs::read_link(entry.path()), std::fs::read_to_string(info)) else {
            continue;
        };
        if let (Some(pipe), Some(flags)) = (pipe_of(&target), flags(&info)) {
            found.push(End { path: entry.path(), pipe, flags });
        }
    }
    Ok(found)
}

fn pipe_of(target: &Path) -> Option<String> {
    target.to_str().filter(|target| target.starts_with("pipe:[")).map(str::to_owned)
}

/// Of `/proc/PID/fdinfo` (proc_pid_fdinfo(5)).
fn flags(info: &str) -> Option<u32> {
    let octal = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
    u32::from_str_radix(octal.trim(), 8).ok()
}

/// The one pipe that it has both ends of and reads without waiting. That of its logging collector it reads waiting.
fn death_pipe(ends: &[End]) -> Option<&Path> {
    let mut pipes = ends.iter().filter(|end| {
        let reads = end.flags & ACCESS_MODE == 0 && end.flags & NON_BLOCKING != 0;
        reads && ends.iter().any(|other| other.pipe == end.pipe && other.flags & ACCESS_MODE == 1)
    });
    // Of two it cannot be said which.
    pipes.next().filter(|_| pipes.next().is_none()).map(|end| end.path.as_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(path: &str, pipe: &str, flags: u32) -> End {
        End { path: path.into(), pipe: pipe.to_owned(), flags }
    }

    #[test]
    fn the_pipe_is_told_from_that_of_the_logging_collector_and_those_of_whoever_started_it() {
        let mut ends = vec![
            end("1", "pipe:[37]", 0o1),
            end("3", "pipe:[36]", 0o4000),
            end("4", "pipe:[36]", 0o1),
            end("5", "pipe:[37]", 0),
            end("6", "pipe:[12]", 0o4000),
        ];
        assert_eq!(death_pipe(&ends), Some(Path::new("3")));
        ends.extend([end("7", "pipe:[40]", 0o2004000), end("8", "pipe:[40]", 0o2000001)]);
        assert_eq!(death_pipe(&ends), None, "one of two");
        assert_eq!(death_pipe(&[]), None);
    }

    #[test]
    fn flags_are_octal() {
        assert_eq!(flags("pos:\t0\nflags:\t02004000\nmnt_id:\t15\n"), Some(0o2004000));
        assert_eq!(flags("pos:\t0\n"), None);
    }
}
