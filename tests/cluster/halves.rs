//! Killed half-way: `kill -9` of the manager, of initdb, of pg_basebackup and of pg_rewind at each step that can be seen
//! on the volume. Whatever is half-made is never served, the old directory stays until the new one streams (I7), and the
//! cluster gets there all the same.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgherd_localkube::fault::FaultRequest;

use crate::apart::cut_off;
use crate::bed::{Bed, CLUSTER, NAMESPACE};
use crate::cluster::text;

/// Whom a step kills.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    Manager,
    /// The process of this name.
    Child(&'static str),
}

/// A moment on the way to a data directory, by what is on the volume and in the pod at it.
struct Step {
    what: &'static str,
    victim: Victim,
    now: fn(&Scene) -> bool,
}

/// What can be seen of one pod from outside.
struct Scene {
    volume: PathBuf,
    /// Its manager, as the host sees it.
    manager: i32,
}

impl Scene {
    fn served(&self) -> PathBuf {
        self.volume.join("pgdata")
    }

    /// A directory that is being made, or one that is kept.
    fn beside(&self, word: &str) -> Option<PathBuf> {
        let prefix = format!("pgdata.{word}-");
        let entries = std::fs::read_dir(&self.volume).ok()?.flatten();
        entries.map(|entry| entry.path()).find(|path| path.file_name().unwrap().to_string_lossy().starts_with(&prefix))
    }

    fn half(&self, word: &str, file: &str) -> bool {
        self.beside(word).is_some_and(|path| path.join(file).exists())
    }

    fn rewinds(&self) -> bool {
        self.volume.join("pgherd/rewinding").exists()
    }

    fn runs(&self, name: &str) -> bool {
        members(self.manager).iter().any(|(_, other)| other == name)
    }
}

const INITDB: [Step; 6] = [
    Step {
        what: "initdb as it begins",
        victim: Victim::Child("initdb"),
        now: |s| s.half("initdb", "") && s.runs("initdb"),
    },
    Step {
        what: "the manager, with the first file there",
        victim: Victim::Manager,
        now: |s| s.half("initdb", "PG_VERSION"),
    },
    Step {
        what: "the manager, with a control file there",
        victim: Victim::Manager,
        now: |s| s.half("initdb", "global/pg_control"),
    },
    Step {
        what: "the manager, with the directory in place",
        victim: Victim::Manager,
        now: |s| s.served().join("global/pg_control").exists(),
    },
    Step {
        what: "the first postmaster",
        victim: Victim::Child("postgres"),
        now: |s| s.served().join("postmaster.pid").exists(),
    },
    Step {
        what: "the manager, with its first postmaster",
        victim: Victim::Manager,
        now: |s| s.served().join("postmaster.pid").exists(),
    },
];

const CLONE: [Step; 4] = [
    Step {
        what: "pg_basebackup as it begins",
        victim: Victim::Child("pg_basebackup"),
        now: |s| s.half("join", "") && s.runs("pg_basebackup"),
    },
    Step {
        what: "the manager, half-way through a clone",
        victim: Victim::Manager,
        now: |s| s.half("join", "backup_label"),
    },
    Step {
        what: "the manager, with the clone in place",
        victim: Victim::Manager,
        now: |s| s.served().join("backup_label").exists(),
    },
    Step {
        what: "the clone's first postmaster",
        victim: Victim::Child("postgres"),
        now: |s| s.served().join("postmaster.pid").exists(),
    },
];

/// After a rewind that was cut off only a clone will do, so its steps follow.
const REWIND: [Step; 3] = [
    Step { what: "the manager in a rewind", victim: Victim::Manager, now: |s| s.rewinds() && s.runs("pg_rewind") },
    Step {
        what: "the manager, half-way through the clone",
        victim: Victim::Manager,
        now: |s| s.half("join", "backup_label"),
    },
    Step {
        what: "the manager, with the clone in place of the torn directory",
        victim: Victim::Manager,
        now: |s| s.beside("old").is_some(),
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_made_whole_whenever_its_makers_are_killed() {
    let bed = Bed::hurried("halves", |_| {}).await;
    let names: Vec<String> = (1..=3).map(|number| format!("{CLUSTER}-{number}")).collect();
    bed.killed_at_each(&names[0], &INITDB).await;
    bed.killed_at_each(&names[1], &CLONE).await;
    let primary = bed.healthy(240).await;
    assert_eq!(primary, names[0], "initdb happens once");
    let load = bed.load().await;
    let system = bed.ask(&primary, "SELECT system_identifier FROM pg_control_system()").await.unwrap();
    assert_eq!(text(&bed.cluster().await.unwrap(), "/status/systemID"), system);

    cut_off(&bed, &load, &primary).await;
    let watched = bed.scene(&primary).await.volume;
    bed.fault(FaultRequest::Heal).await;
    bed.killed_at_each(&primary, &REWIND).await;
    bed.old_is_kept_until_the_new_one_streams(&primary, &watched).await;
    let next = bed.healthy(240).await;
    bed.lost_only_apart(&load).await;

    cut_off(&bed, &load, &next).await;
    bed.fault(FaultRequest::Heal).await;
    let step =
        Step { what: "pg_rewind", victim: Victim::Child("pg_rewind"), now: |s| s.rewinds() && s.runs("pg_rewind") };
    bed.killed_at_each(&next, &[step]).await;
    let last = bed.healthy(240).await;
    bed.lost_only_apart(&load).await;
    for name in &names {
        let scene = bed.scene(name).await;
        let left = ["initdb", "join", "old"].into_iter().find_map(|word| scene.beside(word));
        // What was replaced goes once the new one streams, which it does now.
        bed.until(&format!("a tidy volume of {name}"), 30, async || match left.as_ref().filter(|path| path.exists()) {
            Some(path) => Err(format!("{} is left", path.display())),
            None => Ok(()),
        })
        .await;
    }
    let now = bed.ask(&last, "SELECT system_identifier FROM pg_control_system()").await.unwrap();
    assert_eq!(now, system, "it is the database of the beginning");
    load.stop().await;
    bed.down().await;
}

impl Bed {
    /// Waits for each step in turn, and kills at once.
    async fn killed_at_each(&self, pod: &str, steps: &[Step]) {
        for step in steps {
            let scene = self.scene(pod).await;
            let (volume, now) = (scene.volume, step.now);
            let victim = step.victim;
            let first = self.until(&format!("{pod} to run"), 90, async || self.manager(pod).await).await;
            let handle = tokio::runtime::Handle::current();
            let asking = self.handle.clone();
            let name = pod.to_owned();
            let what = step.what;
            let killed = tokio::task::spawn_blocking(move || {
                let deadline = Instant::now() + Duration::from_secs(120);
                let mut manager = first;
                while Instant::now() < deadline {
                    if !Path::new("/proc").join(manager.to_string()).exists() {
                        let again = handle.block_on(asking.process(NAMESPACE, &name, "postgres"));
                        manager = again.map_or(manager, |process| process.pid);
                    }
                    let scene = Scene { volume: volume.clone(), manager };
                    if now(&scene) {
                        let members = members(manager);
                        let pid = match victim {
                            Victim::Manager => Some(manager),
                            Victim::Child(child) => members.iter().find(|(_, name)| name == child).map(|(pid, _)| *pid),
                        };
                        if let Some(pid) = pid.filter(|pid| kill(Pid::from_raw(*pid), Signal::SIGKILL).is_ok()) {
                            return pid;
                        }
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                panic!("{what}: that moment never came");
            });
            let pid = killed.await.unwrap();
            self.say(&format!("killed at {pod}: {what} (process {pid})"));
            if victim == Victim::Manager {
                self.until("its end", 30, async || {
                    let there = Path::new("/proc").join(pid.to_string()).exists();
                    if there { Err("it is there".to_owned()) } else { Ok(()) }
                })
                .await;
            }
        }
    }

    async fn manager(&self, pod: &str) -> Result<i32, String> {
        self.handle.process(NAMESPACE, pod, "postgres").await.map(|process| process.pid).map_err(|e| e.to_string())
    }

    /// The volume of a pod, once it is there.
    async fn scene(&self, pod: &str) -> Scene {
        let volumes = self.directory.join("node/volumes");
        let what = format!("the volume of {pod}");
        let volume = self.until(&what, 90, async || {
            let entries = std::fs::read_dir(&volumes).map_err(|error| error.to_string())?.flatten();
            let marked = format!("_{pod}_");
            let mut paths = entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains(&marked));
            paths.next().ok_or_else(|| "there is none".to_owned())
        });
        Scene { volume: volume.await, manager: 0 }
    }

    /// I7: by the time that the old directory goes, the new one streams.
    async fn old_is_kept_until_the_new_one_streams(&self, pod: &str, volume: &Path) {
        let scene = Scene { volume: volume.to_owned(), manager: 0 };
        self.until("the old directory to go", 120, async || match scene.beside("old") {
            Some(path) => Err(format!("{} is kept", path.display())),
            None => Ok(()),
        })
        .await;
        let received = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'";
        let streams = self.until("an answer", 30, async || self.ask(pod, received).await).await;
        assert_eq!(streams, "1", "the old directory went before the new one streamed");
    }
}

/// The processes in the PID namespace of `first`, and their names.
fn members(first: i32) -> Vec<(i32, String)> {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(inside) = namespace(&first.to_string()) else { return Vec::new() };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let of_pod = pids.filter(|pid| pid.bytes().all(|b| b.is_ascii_digit()) && namespace(pid).as_ref() == Some(&inside));
    of_pod
        .filter_map(|pid| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            Some((pid.parse().ok()?, name.trim().to_owned()))
        })
        .collect()
}
