//! The watchdog below a real PID 1. This program starts itself again inside a PID namespace (`unshare`), as
//! the manager ("pid1"), and there once more as the watchdog.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test program")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgherd_manager::clock;
use pgherd_manager::watchdog::{SUBCOMMAND, Watchdog, run};
use pgherd_postgres::reap::{self, Reaper};

const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some(SUBCOMMAND) => {
            let refused = run().expect_err("it never ends well");
            eprintln!("{refused}");
            std::process::exit(1);
        }
        Some("pid1") => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            match arguments[2].as_str() {
                "deadline" => runtime.block_on(a_passed_deadline_kills_and_goes_on_killing()),
                "frozen" => runtime.block_on(arm_and_wait_to_be_frozen()),
                other => panic!("no scenario {other}"),
            }
        }
        // Listing tests is asked of every test program.
        Some("--list") => {}
        _ => {
            assert!(in_namespace("deadline").wait().unwrap().success());
            println!("test a_passed_deadline_kills_and_goes_on_killing ... ok");
            a_frozen_manager_s_processes_are_killed();
            println!("test a_frozen_manager_s_processes_are_killed ... ok");
        }
    }
}

/// Starts this program as PID 1 of a new PID namespace; it dies with the returned child.
fn in_namespace(scenario: &str) -> Child {
    let mut command = Command::new("unshare");
    if !nix::unistd::getuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(std::env::current_exe().unwrap());
    command.args(["pid1", scenario]).stdout(Stdio::piped()).spawn().unwrap()
}

fn sleeper(reaper: &Reaper) -> reap::Child {
    reaper.spawn(Command::new("setsid").args(["sleep", "600"])).unwrap()
}

async fn a_passed_deadline_kills_and_goes_on_killing() {
    let reaper = Reaper::start().unwrap();
    let watchdog = Watchdog::spawn(&reaper).unwrap();
    assert!(watchdog.alive() && watchdog.deadline().is_none() && !watchdog.extend(clock::now()));

    let began = Instant::now();
    watchdog.arm(clock::now().plus(Duration::from_secs(60)));
    watchdog.arm(clock::now().plus(Duration::from_millis(300)));
    let child = sleeper(&reaper);
    let status = tokio::time::timeout(PATIENCE, child.exit.wait()).await.unwrap().unwrap();
    assert_eq!(status.signal(), Some(9));
    assert!(began.elapsed() >= Duration::from_millis(300), "killed before the deadline");

    // Still overdue: whatever is started now is killed as well.
    for _ in 0..3 {
        let late = sleeper(&reaper);
        let status = tokio::time::timeout(PATIENCE, late.exit.wait()).await.unwrap().unwrap();
        assert_eq!(status.signal(), Some(9));
    }
    assert!(watchdog.alive() && watchdog.kills() >= 4);

    watchdog.disarm();
    let spared = sleeper(&reaper);
    watchdog.arm(clock::now().plus(Duration::from_secs(60)));
    assert!(watchdog.extend(clock::now().plus(Duration::from_secs(90))));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(spared.exit.now().is_none(), "killed though the deadline lies ahead");

    // The fence kills the watchdog too, and a new one can be had.
    reaper.kill_everything(|_| {}).await.unwrap();
    tokio::time::timeout(PATIENCE, spared.exit.wait()).await.unwrap().unwrap();
    let dead = async {
        while watchdog.alive() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, dead).await.expect("the watchdog is killed too");
    let again = Watchdog::spawn(&reaper).unwrap();
    assert!(again.alive());
    let pid = again.pid();
    drop(again);
    let gone = async {
        while std::path::Path::new(&format!("/proc/{pid}")).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("a dropped watchdog ends");
}

async fn arm_and_wait_to_be_frozen() {
    let reaper = Reaper::start().unwrap();
    let watchdog = Watchdog::spawn(&reaper).unwrap();
    let child = sleeper(&reaper);
    watchdog.arm(clock::now().plus(Duration::from_millis(500)));
    println!("armed");
    std::io::stdout().flush().unwrap();
    let status = tokio::time::timeout(PATIENCE, child.exit.wait()).await.unwrap().unwrap();
    assert_eq!(status.signal(), Some(9));
    println!("killed");
}

fn a_frozen_manager_s_processes_are_killed() {
    let mut outer = in_namespace("frozen");
    let mut lines = BufReader::new(outer.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "armed");
    let manager = children_of(i32::try_from(outer.id()).unwrap())[0];
    kill(Pid::from_raw(manager), Signal::SIGSTOP).unwrap();
    let give_up = Instant::now() + PATIENCE;
    // The manager cannot reap it while it is frozen, so it stays a zombie.
    while !children_of(manager).iter().any(|pid| state(*pid) == Some('Z')) {
        assert!(Instant::now() < give_up, "nothing was killed: {:?}", children_of(manager));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(state(manager), Some('T'), "the manager was frozen all the time");
    kill(Pid::from_raw(manager), Signal::SIGCONT).unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "killed");
    assert!(outer.wait().unwrap().success());
}

fn children_of(pid: i32) -> Vec<i32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    children.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect()
}

fn state(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}
