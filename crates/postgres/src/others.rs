//! What /proc says of the other processes of this PID namespace: who may still do something, and who only waits for the
//! kernel to take his memory back.
//!
//! With tens of GiB of shared buffers the last process of a postgres takes seconds to end, though none of its
//! instructions runs any more: the kernel unmaps page by page (`exit_mmap`), and nobody has to wait for that.

use nix::sys::signal::Signal;

/// The kernel's mark of a task that has entered `do_exit` (`PF_EXITING` of `include/linux/sched.h`, the ninth field of
/// proc_pid_stat(5)): it never returns to its program, and begins no system call.
const EXITING: u64 = 0x4;

/// A process that is never mistaken for another of the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pid: u32,
    /// Ticks since boot.
    started: u64,
}

/// All other processes together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// `/proc` is that of another namespace.
    Unknown,
    /// Somebody's program goes on.
    Alive,
    /// Nobody's does. These are being taken down by the kernel.
    Dying(Vec<Process>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Alive,
    Dying {
        started: u64,
    },
    /// Its memory, files and locks are gone; there may be a zombie, and of `ours` the reaper takes it.
    Ended {
        ours: bool,
    },
}

/// None at all.
const NOBODY: Life = Life::Ended { ours: false };

/// Looks at everybody but PID 1. Who is born meanwhile is not seen; after a SIGKILL to all nobody is, but from outside.
pub(crate) fn others() -> Others {
    if std::fs::read_link("/proc/self").is_ok_and(|target| target.as_os_str() != "1") {
        return Others::Unknown;
    }
    let Some(pids) = pids() else { return Others::Unknown };
    let mut dying = Vec::new();
    for pid in pids.into_iter().filter(|pid| *pid != 1) {
        match stat(pid).as_deref().map_or(NOBODY, life) {
            Life::Alive => return Others::Alive,
            Life::Dying { started } => dying.push(Process { pid, started }),
            Life::Ended { .. } => {}
        }
    }
    Others::Dying(dying)
}

/// The children of a process that stands still: their ids are theirs as long as it does.
pub(crate) fn children_of(parent: i32) -> Vec<i32> {
    let is_child = |pid: &i32| {
        let stat = u32::try_from(*pid).ok().and_then(stat);
        stat.as_deref().and_then(|stat| field(stat, 4)) == u64::try_from(parent).ok()
    };
    pids().into_iter().flatten().filter_map(|pid| i32::try_from(pid).ok()).filter(is_child).collect()
}

/// Whether nobody is there any more, or he waits for somebody else (`S` of proc_pid_stat(5)): he has nothing left to do.
pub(crate) fn rests(pid: i32) -> bool {
    let stat = u32::try_from(pid).ok().and_then(stat);
    stat.is_none_or(|stat| life(&stat) != Life::Alive || after_name(&stat).next() == Some("S"))
}

/// Whether SIGQUIT moves him.
pub(crate) fn heeds_quit(pid: i32) -> bool {
    status(pid).is_some_and(|status| !is_in("SigIgn:", Signal::SIGQUIT, &status))
}

/// Whether he has a handler for SIGHUP, which kills whoever has none.
pub(crate) fn handles_hangup(pid: i32) -> bool {
    status(pid).is_some_and(|status| is_in("SigCgt:", Signal::SIGHUP, &status))
}

/// What he calls himself, as PostgreSQL does for those who look at processes (`update_process_title`).
pub(crate) fn title(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).trim_end_matches('\0').to_owned()
}

/// Whether a program goes on under this id.
pub(crate) fn runs(pid: i32) -> bool {
    u32::try_from(pid).ok().and_then(stat).is_some_and(|stat| life(&stat) == Life::Alive)
}

impl Process {
    /// Whether nothing is left of it, but for a zombie that somebody outside has to take.
    pub(crate) fn is_gone(self) -> bool {
        match stat(self.pid).as_deref().map_or(NOBODY, life) {
            Life::Ended { ours } => !ours,
            Life::Dying { started } => started != self.started,
            // Its id was given to another.
            Life::Alive => true,
        }
    }
}

fn pids() -> Option<Vec<u32>> {
    let entries = std::fs::read_dir("/proc").ok()?;
    Some(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// proc_pid_stat(5) of a process that is there.
pub(crate) fn stat(pid: u32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

/// What follows the name, which may hold brackets and blanks itself: the third field and those after it.
pub(crate) fn after_name(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace()
}

/// A number, by its place in proc_pid_stat(5).
fn field(stat: &str, place: usize) -> Option<u64> {
    after_name(stat).nth(place.checked_sub(3)?)?.parse().ok()
}

fn status(pid: i32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/status")).ok()
}

/// One of the sets of signals of proc_pid_status(5).
fn is_in(set: &str, signal: Signal, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix(set));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let bit = u32::try_from(signal as i32 - 1).ok().and_then(|place| 1_u64.checked_shl(place));
    mask.zip(bit).is_some_and(|(mask, bit)| mask & bit != 0)
}

/// What cannot be understood counts as alive.
fn life(stat: &str) -> Life {
    let numbers = (field(stat, 4), field(stat, 9), field(stat, 20), field(stat, 22));
    let (Some(state), (Some(parent), Some(flags), Some(threads), Some(started))) = (after_name(stat).next(), numbers)
    else {
        return Life::Alive;
    };
    match state {
        // State and flags are those of the first thread: others may go on.
        _ if threads > 1 => Life::Alive,
        "Z" | "X" => Life::Ended { ours: parent == 1 },
        _ if flags & EXITING != 0 => Life::Dying { started },
        _ => Life::Alive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, state: &str, flags: u64, threads: u64) -> String {
        format!(
            "12 ({name}) {state} 1 12 12 0 -1 {flags} 0 0 0 0 1 1 0 0 20 0 {threads} 0 777 4096 100 18446744073709551615"
        )
    }

    #[test]
    fn whoever_has_entered_the_kernels_exit_runs_nothing_any_more() {
        assert_eq!(life(&line("postgres", "R", 0x0040_0144, 1)), Life::Dying { started: 777 });
        assert_eq!(life(&line("postgres", "D", 0x0040_0144, 1)), Life::Dying { started: 777 });
        assert_eq!(life(&line("postgres", "R", 0x0040_0140, 1)), Life::Alive);
        assert_eq!(life(&line("java", "S", 0x0040_0144, 2)), Life::Alive, "another thread goes on");
        assert_eq!(life(&line("postgres", "Z", 0x0040_014c, 1)), Life::Ended { ours: true });
        assert_eq!(
            life(&line("java", "Z", 0x0040_014c, 2)),
            Life::Alive,
            "its first thread has ended, another has not"
        );
    }

    #[test]
    fn what_signals_do_to_somebody_is_read_from_his_status() {
        let status = "Name:\tpostgres\nSigBlk:\t0\nSigIgn:\t0000000001301006\nSigCgt:\t0000000000000a01\n";
        assert!(is_in("SigIgn:", Signal::SIGQUIT, status) && is_in("SigIgn:", Signal::SIGINT, status));
        assert!(!is_in("SigIgn:", Signal::SIGHUP, status));
        assert!(is_in("SigCgt:", Signal::SIGHUP, status) && is_in("SigCgt:", Signal::SIGUSR2, status));
        assert!(!is_in("SigCgt:", Signal::SIGQUIT, status) && !is_in("SigCgt:", Signal::SIGHUP, ""));
    }

    #[test]
    fn a_name_may_hold_anything_and_what_is_not_understood_is_alive() {
        assert_eq!(life(&line("a) Z 4 (b", "S", 0, 1)), Life::Alive);
        assert_eq!(life(""), Life::Alive);
        assert_eq!(life("12 (postgres"), Life::Alive);
        assert_eq!(life("12 (postgres) R 1 x"), Life::Alive);
    }
}
