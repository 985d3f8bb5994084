//! Processes of the host, told apart for good: a process id is reused; with its start time it is not, until the machine
//! is started anew and counts from the beginning. So the boot goes with it.

use std::fmt;
use std::fs;
use std::num::ParseIntError;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// One boot of this machine (`/proc/sys/kernel/random/boot_id`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BootId(u128);

impl BootId {
    /// The present one. A kernel that does not tell has only one.
    pub fn present() -> Self {
        static PRESENT: LazyLock<BootId> = LazyLock::new(|| {
            let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
            text.trim().parse().unwrap_or(BootId(0))
        });
        *PRESENT
    }
}

impl FromStr for BootId {
    type Err = ParseIntError;

    /// Hexadecimal digits, with or without a UUID's dashes.
    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        u128::from_str_radix(&text.replace('-', ""), 16).map(Self)
    }
}

impl TryFrom<String> for BootId {
    type Error = ParseIntError;

    fn try_from(text: String) -> Result<Self, ParseIntError> {
        text.parse()
    }
}

impl From<BootId> for String {
    fn from(boot: BootId) -> Self {
        boot.to_string()
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// One process, for all time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// The boot that it belongs to; none of an earlier boot is alive.
    pub boot: BootId,
    /// Its id on the host.
    pub pid: i32,
    /// Its start in clock ticks after boot (`/proc/PID/stat`, field 22).
    pub start: u64,
}

impl ProcessId {
    /// The process that has this id now.
    pub fn of(pid: i32) -> Option<Self> {
        Some(Self { boot: BootId::present(), pid, start: stat(pid)?.start })
    }

    /// This very process is still there; a zombie is not.
    pub fn is_alive(&self) -> bool {
        let is_this = |found: Stat| found.start == self.start && found.state != 'Z';
        self.boot == BootId::present() && stat(self.pid).is_some_and(is_this)
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
    let id = ProcessId { boot: BootId::present(), pid, start };
    Some(Seen { id, parent, name, command: words.join(" ").trim_end().to_owned() })
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::Signal;

    use super::{BootId, ProcessId, parse_stat};

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

    #[test]
    fn a_process_of_another_boot_is_never_alive_even_with_the_same_id_and_start() {
        let own = ProcessId::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        let before = ProcessId { boot: "ee744a46-61d4-42b0-a138-ccbbe8b0bafc".parse().unwrap(), ..own };
        assert_ne!(own.boot, before.boot);
        assert!(!before.is_alive() && !before.signal(Signal::SIGCONT));
        let text = serde_json::to_string(&own).unwrap();
        assert_eq!(serde_json::from_str::<ProcessId>(&text).unwrap(), own);
        assert!(serde_json::from_str::<ProcessId>("{\"pid\": 1, \"start\": 1}").is_err(), "no boot, no process");
        assert_eq!(own.boot, BootId::present());
    }
}
