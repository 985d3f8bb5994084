//! Minutes of chaos: what `make chaos` does for hours. Runs of fixed seeds in each configuration, side by side, and one
//! run without the fence, which the judge must see.
//!
//! Needs root, PostgreSQL and the built binaries beside the test's own, as `make test` has them.

// Test code: the lints excuse test functions, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use pgherd_testkit::chaos::{Configuration, Ground, Run, Unfenced, run, with};
use std::path::{Path, PathBuf};
use tokio::task::JoinSet;

fn ground() -> Ground {
    assert!(nix::unistd::Uid::effective().is_root(), "these tests make namespaces and must run as root");
    let _provider = rustls::crypto::ring::default_provider().install_default();
    let own = std::env::current_exe().unwrap();
    let built = own.parent().and_then(Path::parent).unwrap().to_owned();
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let directory = built.parent().unwrap().join("test").join("chaos");
    std::fs::create_dir_all(&directory).unwrap();
    Ground { built, sources, directory }
}

/// How far the seed is that takes the place of one whose run does not count.
const NEXT: u64 = 100;

/// A run that counts. By chance one may not, as when a primary comes back before anybody has taken its place: then the
/// next seed has its turn, once.
async fn counted(ground: &Ground, seed: u64, configuration: Configuration) -> Run {
    let mut last = String::new();
    for seed in [seed, seed + NEXT] {
        let run = run(ground, seed, configuration).await.unwrap();
        let told = serde_json::to_string(&run).unwrap();
        println!("{told}");
        assert!(run.holds(), "make chaos RUNS=1 SEED={seed} CONFIGURATION={}: {told}", configuration.name());
        if run.counts() {
            return run;
        }
        println!("seed {seed}, {}: does not count", configuration.name());
        last = told;
    }
    panic!("neither of two runs counts: {last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_a_seed_break_no_promise_in_either_configuration() {
    let ground = ground();
    let mut runs = JoinSet::new();
    for (seed, configuration) in (1..).zip(Configuration::ALL) {
        let ground = ground.clone();
        runs.spawn(async move { counted(&ground, seed, configuration).await });
    }
    let mut made = 0;
    while let Some(ended) = runs.join_next().await {
        let run = ended.unwrap();
        assert!(run.verdict.is_some_and(|verdict| verdict.restored), "the archive was recovered from");
        made += 1;
    }
    assert_eq!(made, Configuration::ALL.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_judge_sees_two_writers_when_the_fence_is_off() {
    let run = Run { configuration: "unfenced".to_owned(), ..Run::default() };
    let run = with(&ground(), "unfenced", Configuration::Asynchronous, run, &Unfenced).await.unwrap();
    let verdict = run.verdict.clone().expect("a verdict");
    assert!(verdict.double_writes > 0 && !verdict.holds(), "{run:?}");
}
