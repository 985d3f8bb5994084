//! A panic, in a process of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test program"
)]

use pgherd_manager::panics::{EXIT_CODE, end_at_the_first};
use pgherd_telemetry::{LogSetup, Shape};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Set in the process that panics.
const VICTIM: &str = "PGHERD_TEST_PANICS";

#[test]
fn a_panic_in_any_task_ends_the_whole_process_and_says_where_it_was() {
    if std::env::var_os(VICTIM).is_some() {
        panic_in_a_task();
        return;
    }
    let own = "a_panic_in_any_task_ends_the_whole_process_and_says_where_it_was";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", own, "--nocapture"]).env(VICTIM, "1").stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(EXIT_CODE), "{said}");
    let line = said.lines().find(|line| line.contains("ends by a defect")).expect(&said);
    let line: serde_json::Value = serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
    assert_eq!(line["level"], "error");
    assert_eq!(line["logging_pod"], "db-1");
    assert!(line["error"].as_str().unwrap().contains("out of bounds"), "{line}");
    assert!(line["place"].as_str().unwrap().contains("panics.rs"), "{line}");
}

/// Others go on, and nobody waits for the task: without the hook this process would end well.
fn panic_in_a_task() {
    let setup = LogSetup {
        shape: Shape::Json,
        level: "info".to_owned(),
        logger: "instance-manager".to_owned(),
        pod: Some("db-1".to_owned()),
    };
    let queue = pgherd_telemetry::set_up(setup.clone()).unwrap();
    end_at_the_first(&setup, &queue);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let numbers: Vec<u8> = Vec::new();
        drop(tokio::spawn(async move { numbers[std::hint::black_box(0)] }));
        let _longer_than_the_hook_takes =
            tokio::time::timeout(Duration::from_secs(60), std::future::pending::<()>()).await;
    });
}
