//! A limit of memory around processes that run already: a memory cgroup, of version 1 or 2. Whoever runs over it is
//! killed by the kernel, by its own choice.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LET_GO: Duration = Duration::from_secs(10);

/// Gone with its value; what is in it then lives on without a limit.
pub struct MemoryLimit {
    directory: PathBuf,
    above: PathBuf,
    events: &'static str,
    limit: &'static str,
}

impl MemoryLimit {
    /// Around these, and whom they start from now on; what they have already does not count. None where this machine lets
    /// nobody make one.
    pub fn around(name: &str, processes: &[i32], bytes: u64) -> Option<Self> {
        let made = hierarchies().into_iter().find_map(|above| Self::below(above, name, bytes))?;
        for process in processes {
            // One that has ended meanwhile needs no limit.
            let _gone = std::fs::write(made.directory.join("cgroup.procs"), process.to_string());
        }
        Some(made)
    }

    fn below((above, unified): (PathBuf, bool), name: &str, bytes: u64) -> Option<Self> {
        if unified {
            let _there_already = std::fs::write(above.join("cgroup.subtree_control"), "+memory");
        }
        let (limit, events) =
            if unified { ("memory.max", "memory.events") } else { ("memory.limit_in_bytes", "memory.oom_control") };
        let directory = above.join(name);
        std::fs::create_dir(&directory).ok()?;
        let made = Self { directory, above, events, limit };
        // What could not be limited is removed by its end.
        std::fs::write(made.directory.join(limit), bytes.to_string()).ok().map(|()| made)
    }

    /// How many the kernel has killed.
    pub fn killed(&self) -> u64 {
        let text = std::fs::read_to_string(self.directory.join(self.events)).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
        count.unwrap_or(0)
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        for no_limit in ["max", "-1"] {
            let _other_version = std::fs::write(self.directory.join(self.limit), no_limit);
        }
        let give_up = Instant::now() + LET_GO;
        while Instant::now() < give_up {
            let inside = std::fs::read_to_string(self.directory.join("cgroup.procs")).unwrap_or_default();
            for process in inside.lines() {
                let _gone = std::fs::write(self.above.join("cgroup.procs"), process);
            }
            if std::fs::remove_dir(&self.directory).is_ok() {
                return;
            }
            // Who was killed is in it until it has gone.
            std::thread::sleep(Duration::from_millis(10));
        }
        eprintln!("{} is left", self.directory.display());
    }
}

/// Where memory is controlled, and whether that is of version 2.
fn hierarchies() -> Vec<(PathBuf, bool)> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let found = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (target, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        let memory = kind == "cgroup2" || kind == "cgroup" && options.split(',').any(|option| option == "memory");
        memory.then(|| (Path::new(target).to_owned(), kind == "cgroup2"))
    });
    found.collect()
}
