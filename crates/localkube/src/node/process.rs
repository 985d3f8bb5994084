//! Processes of the host, told apart for good: a process id is reused, a process id with its start time is not.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// One process, for all time until the next boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its id on the host.
    pub pid: i32,
    /// Its start in clock ticks after boot (`/proc/PID/stat`, field 22).
    pub start: u64,
}

impl ProcessId {
    /// The process that has this id now.
    pub fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, start: stat(pid)?.start })
    }

    /// This very process is still there; a zombie is not.
    pub fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|found| found.start == self.start && found.state != 'Z')
    }

    /// Sends a signal to this very process. False if it is gone.
    pub fn signal(&self, signal: Signal) -> bool {
        self.is_alive() && kill(Pid::from_raw(self.pid), signal).is_ok()
    }
}

/// A process as `/proc` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Which one.
    pub id: ProcessId,
    /// Its parent's id.
    pub parent: i32,
    /// The program's short name.
    pub name: String,
    /// Its command line; postgres writes there what it is doing.
    pub command: String,
}

struct Stat {
    state: char,
    parent: i32,
    start: u64,
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&text)
}

/// The name in parentheses may itself have blanks and parentheses: what counts comes after the last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let start = fields.nth(17)?.parse().ok()?;
    Some(Stat { state, parent, start })
}

/// All processes in the PID namespace of `init` and in those below it, `init` first.
pub fn members(init: i32) -> Vec<Seen> {
    let Some(wanted) = namespace_of(init) else { return Vec::new() };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut found: Vec<Seen> =
        pids.filter(|pid| namespace_of(*pid).as_ref() == Some(&wanted)).filter_map(look).collect();
    found.sort_by_key(|seen| (seen.id.pid != init, seen.id.start, seen.id.pid));
    found
}

fn namespace_of(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

fn look(pid: i32) -> Option<Seen> {
    let Stat { parent, start, .. } = stat(pid)?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned();
    let raw = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> =
        raw.split(|byte| *byte == 0).map(|word| std::ffi::OsStr::from_bytes(word).to_string_lossy()).collect();
    Some(Seen { id: ProcessId { pid, start }, parent, name, command: words.join(" ").trim_end().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::{ProcessId, parse_stat};

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_shift_the_fields() {
        let text = "42 (a ) (b) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.state, stat.parent, stat.start), ('S', 7, 98765));
    }

    #[test]
    fn another_process_with_the_same_id_is_not_taken_for_this_one() {
        let own = ProcessId::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.is_alive());
        assert!(!ProcessId { start: own.start + 1, ..own }.is_alive());
    }
}
