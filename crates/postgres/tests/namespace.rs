//! The reaper and the fence as PID 1. This program starts itself again inside a PID namespace (`unshare`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test program")]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use pgherd_postgres::reap::Reaper;

const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("pid1") => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(orphans_are_reaped());
            runtime.block_on(a_failed_exec_loses_no_child());
            runtime.block_on(nothing_survives_the_fence());
            runtime.block_on(who_has_much_memory_to_give_back_runs_nothing_meanwhile());
        }
        Some("fat") => be_fat(),
        // Listing tests is asked of every test program.
        Some("--list") => {}
        _ => {
            let mut command = Command::new("unshare");
            if !nix::unistd::getuid().is_root() {
                command.args(["--user", "--map-root-user"]);
            }
            command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
            let status = command.arg(std::env::current_exe().unwrap()).arg("pid1").status().unwrap();
            assert!(status.success(), "{status}");
        }
    }
}

fn others() -> Vec<(u32, String)> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    pids.filter(|pid| *pid != 1)
        .filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok().map(|stat| (pid, stat)))
        .collect()
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what}: {:?}", others()));
}

/// Whose program goes on: neither a zombie nor in the kernel's exit (`PF_EXITING`, 4, of the ninth field).
fn running() -> Vec<(u32, String)> {
    let runs = |stat: &str| {
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        !matches!(fields[0], "Z" | "X") && fields[6].parse::<u64>().unwrap() & 4 == 0
    };
    others().into_iter().filter(|(_, stat)| runs(stat)).collect()
}

/// Holds half a GiB until it is killed.
fn be_fat() {
    let memory = vec![1_u8; 512 << 20];
    std::fs::write("/proc/self/comm", "fat").unwrap();
    std::thread::sleep(Duration::from_secs(600));
    drop(std::hint::black_box(memory));
}

async fn who_has_much_memory_to_give_back_runs_nothing_meanwhile() {
    let reaper = Reaper::start().unwrap();
    let child = reaper.spawn(Command::new(std::env::current_exe().unwrap()).arg("fat")).unwrap();
    until("its memory is filled", || others().iter().any(|(_, stat)| stat.contains("(fat)"))).await;
    let done = tokio::time::timeout(PATIENCE, reaper.kill_everything(|_| {})).await.unwrap().unwrap();
    assert!(running().is_empty(), "{:?}", running());
    tokio::time::timeout(PATIENCE, reaper.settled()).await.expect("it is gone soon");
    assert!(others().is_empty() && child.exit.now().is_some(), "what has settled is reaped: {:?}", others());
    println!("test who_has_much_memory_to_give_back_runs_nothing_meanwhile ... ok ({} dying)", done.dying);
}

async fn orphans_are_reaped() {
    let reaper = Reaper::start().unwrap();
    let child = reaper.spawn(Command::new("sh").args(["-c", "for i in 1 2 3; do sleep 0.2 & done; exit 4"])).unwrap();
    let status = tokio::time::timeout(PATIENCE, child.exit.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(4));
    until("no orphan is left, not even as a zombie", || others().is_empty()).await;
    println!("test orphans_are_reaped ... ok");
}

async fn a_failed_exec_loses_no_child() {
    let reaper = Reaper::start().unwrap();
    for _ in 0..200 {
        reaper.spawn(&mut Command::new("/nowhere/postgres")).unwrap_err();
        let child = reaper.spawn(&mut Command::new("true")).unwrap();
        assert!(tokio::time::timeout(PATIENCE, child.exit.wait()).await.unwrap().unwrap().success());
    }
    println!("test a_failed_exec_loses_no_child ... ok");
}

async fn nothing_survives_the_fence() {
    let reaper = Reaper::start().unwrap();
    // Sessions of their own, signals ignored, orphans, and one that keeps multiplying.
    let stubborn = "trap '' TERM INT QUIT HUP; for i in 1 2 3 4 5; do setsid sleep 600 & done; \
                    (setsid sh -c 'while :; do sleep 600 & sleep 0.01; done') & wait";
    let child = reaper.spawn(Command::new("sh").args(["-c", stubborn])).unwrap();
    until("they are many", || others().len() > 20).await;
    let done = tokio::time::timeout(PATIENCE, reaper.kill_everything(|_| {})).await.unwrap().unwrap();
    assert!(running().is_empty(), "{:?}", running());
    tokio::time::timeout(PATIENCE, reaper.settled()).await.expect("whoever is taken down is gone soon");
    until("nobody is left, not even as a zombie", || others().is_empty()).await;
    assert_eq!(child.exit.now().and_then(|status| status.signal()), Some(9));
    // Afterwards life goes on.
    let next = reaper.spawn(&mut Command::new("true")).unwrap();
    assert!(tokio::time::timeout(PATIENCE, next.exit.wait()).await.unwrap().unwrap().success());
    println!("test nothing_survives_the_fence ... ok ({} rounds, {:?})", done.rounds, done.elapsed);
}
