//! Seeded simulation: three real machines, the real election, and everything between them made up: the lease's
//! store, the watches, postgres, its volumes, the clients and the faults. An oracle judges each instant.
//!
//! `make sim` widens it; `make sim SEED=42` repeats one run of each kind and prints its log.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a simulation that goes wrong is to stop there"
)]

mod clients;
mod controller;
mod dice;
mod directory;
mod effects;
mod faults;
mod node;
mod oracle;
mod pledges;
mod process;
mod store;
mod synchronous;
mod tail;
mod world;

use faults::Kind;
use world::World;

/// Enough to meet every fault in every phase now and then; a few seconds in a debug build.
const SEEDS: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

fn run(seed: u64, kind: Kind, keep_log: bool) -> Result<World, (String, Vec<String>)> {
    let mut world = World::new(seed, keep_log);
    world.sync = kind.replication();
    faults::schedule(&mut world, kind);
    match world.run() {
        Ok(()) => Ok(world),
        Err(why) => Err((why, world.log)),
    }
}

fn run_all(test: &str, kind: Kind) {
    if let Some(seed) = number("SEED") {
        let (log, why) = match run(seed, kind, true) {
            Ok(world) => (world.log, None),
            Err((why, log)) => (log, Some(why)),
        };
        println!("{}", log.join("\n"));
        assert_eq!(why, None, "seed {seed}");
        return;
    }
    let seeds = number("SEEDS").unwrap_or(SEEDS);
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get() as u64).min(8);
    let failed = std::thread::scope(|scope| {
        let work = |thread| {
            move || (0..seeds).filter(|s| s % threads == thread).find_map(|s| Some((s, run(s, kind, false).err()?.0)))
        };
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(work(thread))).collect();
        handles.into_iter().filter_map(|handle| handle.join().expect("a run does not panic")).min()
    });
    if let Some((seed, why)) = failed {
        let log = run(seed, kind, true).err().map(|(_, log)| log).unwrap_or_default();
        let tail = log.iter().skip(log.len().saturating_sub(60)).cloned().collect::<Vec<_>>().join("\n");
        panic!("{tail}\n{why}\nrepeat: make sim SEED={seed} TEST={test}");
    }
}

#[test]
fn while_every_volume_can_be_read_nothing_acknowledged_is_lost() {
    run_all("while_every_volume_can_be_read_nothing_acknowledged_is_lost", Kind::Gentle);
}

#[test]
fn whatever_fails_one_instance_writes_and_the_cluster_comes_back() {
    run_all("whatever_fails_one_instance_writes_and_the_cluster_comes_back", Kind::Harsh);
}

#[test]
fn i3_where_commits_wait_for_another_member_no_acknowledged_one_is_ever_lost() {
    run_all("i3_where_commits_wait_for_another_member_no_acknowledged_one_is_ever_lost", Kind::Required(1));
}

#[test]
fn i3_where_commits_wait_for_two_others_no_acknowledged_one_is_ever_lost() {
    run_all("i3_where_commits_wait_for_two_others_no_acknowledged_one_is_ever_lost", Kind::Required(2));
}

#[test]
fn i3_where_commits_wait_while_there_is_somebody_no_acknowledged_one_is_ever_lost() {
    run_all("i3_where_commits_wait_while_there_is_somebody_no_acknowledged_one_is_ever_lost", Kind::Preferred);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let ends = || run(7, Kind::Harsh, true).map_or_else(|(_, log)| log, |world| world.log);
    assert_eq!(ends(), ends());
}
