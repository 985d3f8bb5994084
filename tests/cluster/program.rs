//! The program that people run, against a cluster: everything that a person does in a first hour, by the binary itself.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::process::Command;

use crate::bed::{Bed, CLUSTER};

#[tokio::test(flavor = "multi_thread")]
async fn the_program_shows_reaches_moves_and_ends_a_cluster_and_leaves_nothing_of_an_interrupted_start() {
    let bed = Bed::by_program("program").await;
    let primary = bed.healthy(60).await;

    let screen = said(bed.program(&["status"], &[]).await);
    assert!(screen.contains("The data is safe") && screen.contains("3 of 3 ready"), "{screen}");
    let view: Value = serde_json::from_str(&said(bed.program(&["status"], &["-o", "json"]).await)).unwrap();
    assert_eq!((view["safe"].as_bool(), view["primary"].as_str()), (Some(true), Some(primary.as_str())), "{view}");
    assert_eq!(view["members"].as_array().map(Vec::len), Some(3), "{view}");

    said(bed.program(&["psql"], &["--", "-qc", "CREATE TABLE kept AS SELECT 42 AS answer"]).await);
    let kept = ["--", "-Atqc", "SELECT answer FROM kept"];
    assert_eq!(said(bed.program(&["psql"], &kept).await).trim(), "42");
    let standby = bed.standby().await;
    let inside = ["--superuser", "--pod", &standby, "--", "-Atqc", "SELECT pg_is_in_recovery()"];
    assert_eq!(said(bed.program(&["psql"], &inside).await).trim(), "t");

    let logs = said(bed.program(&["logs"], &["--pod", &primary, "--tail", "5"]).await);
    assert!(logs.lines().count() == 5 && logs.lines().all(|line| line.starts_with(&primary)), "{logs}");
    let records = said(bed.program(&["logs"], &["--tail", "3", "-o", "json"]).await);
    assert!(
        records.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["record"].is_object()),
        "{records}"
    );

    let env = said(bed.program(&["local", "env"], &[]).await);
    let config = format!("export KUBECONFIG={}", bed.kubeconfig().display());
    assert!(env.lines().any(|line| line == config) && env.contains("export AWS_ENDPOINT_URL_S3=http://"), "{env}");
    let up = said(bed.program(&["local", "status"], &[]).await);
    let runs = |line: &str| line.starts_with("controller ") && line.ends_with(" running");
    assert!(up.lines().any(runs) && up.contains(&primary), "{up}");

    said(bed.program(&["local", "fault"], &["freeze", "walreceiver", &standby]).await);
    let list = said(bed.program(&["local", "fault"], &["list"]).await);
    assert!(list.contains("freeze-1") && list.contains(&standby), "{list}");
    said(bed.program(&["local", "fault"], &["heal"]).await);
    let none = said(bed.program(&["local", "fault"], &["list", "-o", "json"]).await);
    assert_eq!(serde_json::from_str::<Value>(&none).unwrap().as_array().map(Vec::len), Some(0), "{none}");

    let primary = bed.moved_about(primary).await;
    bed.worked_on(&primary).await;
    bed.slept_and_adopted().await;
    assert_eq!(said(bed.program(&["psql"], &kept).await).trim(), "42", "a cluster that was taken over has its data");
    let primary = bed.healthy(60).await;
    said(bed.program(&["local", "trace"], &[]).await);

    let done = said(bed.program(&["local", "down"], &[]).await);
    assert!(done.contains("its data stay"), "{done}");
    let gone = bed.program(&["status"], &[]).await;
    assert!(!gone.status.success() && String::from_utf8_lossy(&gone.stderr).contains("local up"), "{gone:?}");
    let (_, name) = bed.how_to_run();
    said(bed.program(&["local", "up"], &["--name", &name]).await);
    assert_eq!(said(bed.program(&["psql"], &kept).await).trim(), "42", "the next `up` goes on with the data");
    let words = ["--instance", &primary];
    let wrong = bed.program(&["promote", "nobody"], &words).await;
    assert!(String::from_utf8_lossy(&wrong.stderr).contains(CLUSTER), "it says what there is: {wrong:?}");
    bed.interrupted().await;
    said(bed.program(&["local", "down"], &["--name", &name, "--purge"]).await);
    bed.check_gone();
}

/// What it printed. It must have ended well.
pub fn said(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

impl Bed {
    /// Another environment is started beside this one, and interrupted as by Ctrl-C: at once, and while its cluster
    /// comes up.
    async fn interrupted(&self) {
        let (program, name) = self.how_to_run();
        let name = format!("{name}i");
        let directory = self.directory.with_extension("interrupted");
        let file = self.directory.join("cluster.yaml");
        for late in [false, true] {
            let mut up = Command::new(&program);
            up.args(["local", "up", "--name", &name, "-f"]).arg(&file).arg("--state-dir").arg(&directory);
            let mut up = up.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
            let pods = directory.join("processes");
            self.until("an environment on its way", 60, async || {
                let some = |path: &Path| std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
                let reached = if late { some(&pods) } else { directory.join("options.json").exists() };
                if reached { Ok(()) } else { Err(format!("late: {late}")) }
            })
            .await;
            kill(Pid::from_raw(i32::try_from(up.id().unwrap()).unwrap()), Signal::SIGINT).unwrap();
            let ended = tokio::time::timeout(Duration::from_secs(60), up.wait()).await;
            let left = self.left_of(&name, &directory);
            // Whatever is found, this test leaves nothing.
            pgherd_testkit::bed::remove(&directory).await.unwrap();
            assert_eq!(ended.expect("it ends").unwrap().code(), Some(130));
            assert!(left.is_empty(), "left of an interrupted start (late: {late}): {left:?}");
        }
        self.say("nothing is left of two interrupted starts");
    }

    fn left_of(&self, name: &str, directory: &Path) -> Vec<String> {
        let text = directory.to_str().unwrap();
        let mut left = Vec::new();
        left.extend(directory.exists().then(|| text.to_owned()));
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        left.extend(mounts.lines().filter(|line| line.contains(text)).map(str::to_owned));
        let networks = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
        let networks = networks.map(|entry| entry.file_name().to_string_lossy().into_owned());
        left.extend(networks.filter(|network| network.ends_with(&format!("-{name}"))));
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        left.extend(processes.filter_map(|entry| {
            let command = std::fs::read(entry.path().join("cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            command.contains(text).then_some(command)
        }));
        left
    }
}
