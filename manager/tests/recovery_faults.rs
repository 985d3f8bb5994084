//! `bootstrap.recovery` through every fault of a store, through damage, full volumes and deaths at every step: on a real S3
//! API and a real postgres. It goes on or starts over, says why it does not, and never shows a half as whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test program")]

mod pitr_bed;
mod recovery_bed;
mod user;

use pgherd_objectstore::test_server::WireFault;
use pitr_bed::PATIENCE;
use recovery_bed::{Archived, in_this_process};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

const BASE: &str = "/base/20261101T000000/data.tar";
const WAL: &str = "/wals/0000000100000000/";

/// By the SDK, by us, or by who waits for the call.
const LATE: &str = "timed out|took longer|no answer in time";

/// One of each kind; all of them are put before the parts of a recovery in the tests of those.
const LASTING: [(WireFault, &str); 5] = [
    (WireFault::Trickle(1000), LATE),
    (WireFault::CutBody, "body"),
    (WireFault::Status(403, "AccessDenied"), "403"),
    (WireFault::Status(404, "NoSuchBucket"), "NoSuchBucket"),
    (WireFault::Status(503, "SlowDown"), "503"),
];

#[test]
fn a_fault_of_the_store_delays_a_recovery_and_never_cuts_it_short() {
    runtime().block_on(async {
        let archived = Archived::start().await;
        let volume = archived.volume("faults");
        for part in [BASE, WAL] {
            for (fault, said) in LASTING {
                archived.server.set_on(part, fault);
                let why = archived.recover(&volume).await.expect_err(part);
                println!("{part} {fault:?}: {why}");
                let says = said.split('|').any(|said| why.to_lowercase().contains(&said.to_lowercase()));
                assert!(says, "{part} {fault:?}: {why}");
                assert!(!volume.join("pgdata").exists(), "{part} {fault:?}");
            }
            archived.server.set(WireFault::None);
            if part == BASE {
                // One of three requests comes through, and that is enough.
                archived.server.set_on("/", WireFault::Storm(3));
                let stormy = archived.volume("storm");
                archived.recover_within(&stormy, PATIENCE).await.unwrap();
                archived.server.set(WireFault::None);
                archived.is_whole(&stormy).await;
            }
        }
        archived.recover(&volume).await.unwrap();
        archived.is_whole(&volume).await;
    });
}

#[test]
fn a_damaged_archive_is_named_not_fetched_again_in_vain_and_recovered_once_it_is_mended() {
    runtime().block_on(async {
        let archived = Archived::start().await;
        let volume = archived.volume("damage");
        let base = format!("c{BASE}.gz");
        let segment = archived.middle().await;
        let name = segment.rsplit('/').next().unwrap().trim_end_matches(".gz").to_owned();
        let whole = [&base, &segment].map(|key| std::fs::read(archived.file(key)).unwrap());
        let tried = async |key: &str, content: Option<Vec<u8>>| {
            match content {
                Some(content) => std::fs::write(archived.file(key), content).unwrap(),
                None => std::fs::remove_file(archived.file(key)).unwrap(),
            }
            let why = archived.recover(&volume).await.expect_err(key);
            println!("{why}");
            assert!(!volume.join("pgdata").exists());
            why
        };
        // A bit that means something: among so many zeros of an almost empty segment not every one does.
        let flipped = |content: &[u8]| {
            let each = (content.len() / 2..content.len()).map(|at| {
                let mut content = content.to_vec();
                content[at] ^= 1;
                content
            });
            each.into_iter().find(|content| pgherd_backup::gunzip(content, 1 << 30).is_err())
        };
        let cut = |content: &[u8]| Some(content[..content.len() / 2].to_vec());
        // Fetched once, and not again until another object lies there.
        for content in [flipped(&whole[0]), cut(&whole[0])] {
            let why = tried(&base, content).await;
            assert!(why.contains(&base) && why.contains("damaged or cut short"), "{why}");
            archived.is_not_fetched_again(&volume, &base).await;
        }
        std::fs::write(archived.file(&base), &whole[0]).unwrap();
        let missing = tried(&segment, None).await;
        assert!(missing.contains(&name), "{missing}");
        for content in [cut(&whole[1]), flipped(&whole[1])] {
            let why = tried(&segment, content).await;
            assert!(why.contains(&segment), "{why}");
        }
        // A record that is wrong in an object that is whole: only replay can tell.
        let mut content = pgherd_backup::gunzip(&whole[1], 1 << 30).unwrap().to_vec();
        content[60] ^= 1;
        let damaged = pgherd_backup::gzip(&content).unwrap();
        let size = damaged.len().max(whole[1].len()) + 1;
        let [damaged, mended] = [&damaged, &whole[1]].map(|packed| padded(packed, size));
        archived.replace(&segment, damaged).await;
        let why = archived.recover(&volume).await.unwrap_err();
        assert!(why.contains(&name) && why.contains("is damaged there"), "{why}");
        archived.is_not_fetched_again(&volume, &name).await;
        assert!(!volume.join("pgdata.recovering").exists());
        // Of the same size and the same second: the store's tag tells.
        let stored = archived.file(&segment).metadata().unwrap().modified().unwrap();
        archived.replace(&segment, mended).await;
        File::options().write(true).open(archived.file(&segment)).unwrap().set_modified(stored).unwrap();
        archived.recover(&volume).await.unwrap();
        archived.is_whole(&volume).await;
    });
}

#[test]
fn a_manager_that_is_killed_at_any_step_of_a_recovery_goes_on_or_starts_over() {
    if let Some(code) = in_this_process() {
        std::process::exit(code);
    }
    let own = "a_manager_that_is_killed_at_any_step_of_a_recovery_goes_on_or_starts_over";
    runtime().block_on(async {
        let archived = Archived::start().await;
        // How many requests it takes when nobody is killed.
        let whole = archived.volume("whole");
        let before = archived.server.asked();
        let output = ended(archived.process(own, &whole)).await;
        assert!(output.status.success(), "{output:?}");
        let requests = archived.server.asked() - before;
        archived.is_whole(&whole).await;

        let volume = archived.volume("killed");
        let is_there = |path: &str| volume.join(path).exists();
        // Gone on with, it takes fewer than from the beginning.
        for number in [1, 2, 3, 4, 6, 10, requests / 2] {
            let before = archived.server.asked();
            let late = || archived.server.asked() >= before + number;
            killed_when(archived.process(own, &volume), &volume, late).await;
            assert!(!is_there("pgdata"), "killed after {number} of {requests} requests");
            println!("killed after {number} requests: {:?}", names(&volume));
        }
        // At the end of the replay, and between that and the last step.
        for step in 0..3_u32 {
            let replayed = || is_there("pgdata.recovering") && !is_there("pgdata.recovering/recovery.signal");
            let mut since = None;
            let late = || {
                let ended = is_there("pgdata") || replayed();
                if ended && since.is_none() {
                    since = Some(Instant::now());
                }
                since.is_some_and(|at: Instant| at.elapsed() >= Duration::from_millis(200) * step)
            };
            killed_when(archived.process(own, &volume), &volume, late).await;
            println!("killed {} ms after the end of the replay: {:?}", step * 200, names(&volume));
            if is_there("pgdata") {
                break;
            }
        }
        let output = ended(archived.process(own, &volume)).await;
        assert!(output.status.success(), "{output:?}");
        archived.is_whole(&volume).await;
        assert_eq!(names(&volume).iter().filter(|name| name.contains("restore-")).count(), 0, "nothing half is left");
    });
}

#[test]
fn a_volume_that_fills_up_ends_a_recovery_with_that_reason_and_a_larger_one_goes_on() {
    if let Some(code) = in_this_process() {
        std::process::exit(code);
    }
    let own = "a_volume_that_fills_up_ends_a_recovery_with_that_reason_and_a_larger_one_goes_on";
    runtime().block_on(async {
        let archived = Archived::start().await;
        let volume = archived.volume("full");
        // A small file system that nobody else sees, and that goes with the shell; the ballast is how small it is.
        let script = r#"
            mount -t tmpfs -o size=256m,mode=700 tmpfs "$1" || exit 99
            for left in 8 34 none; do
                rm -f "$1/ballast"
                used=$(du -sm "$1" | cut -f1)
                [ $left = none ] || fallocate -l $((256 - used - left))M "$1/ballast" || exit 98
                echo "== left: $left"
                "$2" --exact "$3" --nocapture
                echo "== code: $?"
                [ -e "$1/pgdata" ] && echo "== whole"
            done
            rm -rf "$1/ballast"; cp -a "$1" "$1.copy""#;
        let process = archived.process(own, &volume);
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-current-user", "--keep-caps", "--mount", "sh", "-c", script, "sh"]);
        command.arg(&volume).arg(process.get_program()).arg(own);
        command.envs(process.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = ended(command).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let parts: Vec<&str> = said.split("== left: ").skip(1).collect();
        assert_eq!(parts.len(), 3, "{output:?}");
        assert!(parts[0].contains("the volume is full") && parts[0].contains("== code: 1"), "{}", parts[0]);
        let full = parts[1].contains("No space left") || parts[1].contains("the volume is full");
        assert!(full && parts[1].contains("== code: 1"), "{}", parts[1]);
        assert!(!parts[0].contains("== whole") && !parts[1].contains("== whole"), "{said}");
        assert!(parts[2].contains("== code: 0") && parts[2].contains("== whole"), "{}", parts[2]);
        archived.is_whole(&volume.with_extension("copy")).await;
    });
}

/// The same gzip file, made longer by a comment in its header (RFC 1952).
fn padded(packed: &[u8], size: usize) -> Vec<u8> {
    let mut longer = packed.to_vec();
    assert_eq!(longer[3], 0, "no optional fields yet");
    longer[3] = 1 << 4;
    let comment = vec![b'-'; size - packed.len() - 1];
    longer.splice(10..10, comment.into_iter().chain([0]));
    longer
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn names(volume: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(volume).unwrap().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

async fn ended(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

/// Kills a process as soon as that is so, and what it has started, which in a pod would die with it.
async fn killed_when(mut command: Command, volume: &Path, mut late: impl FnMut() -> bool) {
    let mut child: Child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !late() && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "it hangs: {:?}", names(volume));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for directory in ["pgdata.recovering", "pgdata"] {
        let Ok(text) = std::fs::read_to_string(volume.join(directory).join("postmaster.pid")) else { continue };
        let Some(pid) = text.lines().next().and_then(|line| line.trim().parse().ok()) else { continue };
        if std::fs::read_link(format!("/proc/{pid}/cwd")).ok() != Some(volume.join(directory)) {
            continue;
        }
        // The children end by themselves once it is gone; the volume's lock waits for them.
        let _gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
}
