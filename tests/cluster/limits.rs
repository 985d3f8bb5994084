//! What a pod runs out of (memory, processes), and what of its data is damaged: a page, the control file.

use std::os::unix::fs::FileExt as _;
use std::process::Command;

use kube::api::PostParams;
use pgherd_localkube::fault::{Damage, FaultRequest, Target};
use pgherd_localkube::node::process::{ProcessId, Seen, members};
use serde_json::json;

use crate::bed::{Bed, CLUSTER, NAMESPACE, long};
use crate::memory::MemoryLimit;

/// More than a cluster without much in it needs beside what it has already.
const ROOM: u64 = 160 << 20;
/// And what asks for more than that.
const HUNGRY: &str = "SELECT length(string_agg(repeat('x', 1000), '')) FROM generate_series(1, 900000)";

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_without_memory_or_processes_hands_over_and_a_damaged_page_moves_nobody() {
    let bed = Bed::hurried("limits", |cluster| {
        cluster["spec"]["bootstrap"] = json!({"initdb": {"dataChecksums": true}});
        // Else the first checkpoint of a backup is spread over minutes.
        cluster["spec"]["backup"]["barmanObjectStore"]["data"]["immediateCheckpoint"] = true.into();
    })
    .await;
    let mut primary = bed.healthy(120).await;
    let load = bed.load().await;

    for victim in [Target::Backend, Target::Postmaster, Target::Manager] {
        bed.hurt(&load, &format!("out of memory, and the kernel takes the primary's {victim:?}"), async || {
            let run = bed.run_of(&primary).await;
            bed.out_of_memory(&primary, victim).await;
            if victim == Target::Manager {
                bed.another_run(&primary, &run, 60).await;
            } else {
                bed.another_primary(&primary, 60).await;
            }
        })
        .await;
        primary = bed.healthy(120).await;
        bed.nothing_lost(&load).await;
    }

    bed.damaged_page(&primary).await;
    bed.nothing_lost(&load).await;
    primary = bed.primary().await;
    bed.damaged_control_file().await;
    bed.nothing_lost(&load).await;
    assert_eq!(bed.primary().await, primary, "a standby without a control file moves nobody");

    // Nobody could connect any more: that is no primary. Last, since who is fenced has a tail.
    let starved = [("processes", "--nproc=1:", "--nproc=4096:"), ("files", "--nofile=8:", "--nofile=1024:")];
    for (what, none, enough) in starved.into_iter().take(if long() { 2 } else { 1 }) {
        bed.hurt(&load, &format!("no more {what} at the primary"), async || {
            let (manager, inside) = bed.inside(&primary).await;
            limit(&[manager, postmaster(&inside)], none);
            bed.another_primary(&primary, 60).await;
            limit(&[manager], enough);
        })
        .await;
        primary = bed.healthy(120).await;
        bed.lost_only_apart(&load).await;
    }
    load.stop().await;
    bed.down().await;
}

impl Bed {
    /// The manager of a pod, and everything that is with it.
    async fn inside(&self, pod: &str) -> (ProcessId, Vec<Seen>) {
        let first = self.handle.process(NAMESPACE, pod, "postgres").await.unwrap();
        (first, members(first.pid))
    }

    /// Takes memory until the kernel kills `victim`: it is the largest, or is made what the kernel likes best.
    async fn out_of_memory(&self, pod: &str, victim: Target) {
        let (manager, inside) = self.inside(pod).await;
        let processes: Vec<i32> = inside.iter().map(|seen| seen.id.pid).collect();
        let name = format!("pgherd-test-{}-{}", std::process::id(), manager.pid);
        let Some(limit) = MemoryLimit::around(&name, &processes, ROOM) else {
            self.say("nobody can make a memory cgroup here: the signal is sent as the kernel would");
            return self.kill(victim, pod).await;
        };
        let liked = match victim {
            Target::Postmaster => Some(postmaster(&inside)),
            Target::Manager => Some(manager),
            _ => None,
        };
        if let Some(process) = liked {
            std::fs::write(format!("/proc/{}/oom_score_adj", process.pid), "1000").unwrap();
        }
        let said = self.ask(pod, HUNGRY).await;
        assert!(said.is_err(), "there was memory: {said:?}");
        let killed = self.until("the kernel to kill", 30, async || match limit.killed() {
            0 => Err("nobody yet".to_owned()),
            killed => Ok(killed),
        });
        let killed = killed.await;
        self.say(&format!("the kernel killed {killed}"));
        if let Some(process) = liked {
            self.until("it was the right one", 30, async || match process.is_alive() {
                true => Err(format!("process {} is there still", process.pid)),
                false => Ok(()),
            })
            .await;
        }
    }

    /// A page is damaged on a standby, which says so to whoever reads it and in its metrics, also as the primary; nobody
    /// moves by itself. A new volume has it whole.
    async fn damaged_page(&self, primary: &str) {
        let damaged = self.standby().await;
        let make = "CREATE TABLE pages WITH (autovacuum_enabled = false) AS \
                    SELECT g, repeat('x', 500) AS filler FROM generate_series(1, 2000) g";
        let read = "SELECT sum(length(filler)) FROM pages";
        self.ask_in(primary, "app", make).await.unwrap();
        // Read before the checkpoint: what hints change afterwards would be sent as whole pages, and mend it.
        let whole = self.ask_in(primary, "app", read).await.unwrap();
        self.ask(primary, "CHECKPOINT").await.unwrap();
        let file = self.ask_in(primary, "app", "SELECT pg_relation_filepath('pages')").await.unwrap();
        let reads = async |pod: &str| match self.ask_in(pod, "app", read).await {
            Ok(sum) if sum == whole => Ok(()),
            other => Err(format!("{other:?}")),
        };
        self.until("the table on the standby", 30, async || reads(&damaged).await).await;
        self.ask(&damaged, "CHECKPOINT").await.unwrap();

        let what = Damage::Page { file: Some(file.clone()), block: 3 };
        self.fault(FaultRequest::Damage { pod: self.full(&damaged), what }).await;
        // So that it is read from the disk.
        self.crash(Target::Postmaster, &damaged).await;
        self.says_damaged(&damaged, read).await;
        assert_eq!(self.healthy(60).await, primary, "a damaged page of a standby moves nobody");
        reads(primary).await.unwrap();

        self.say("the one with the damaged page becomes the primary");
        self.ask_for(&damaged).await;
        self.becomes_primary(&damaged).await;
        self.healthy(60).await;
        let run = self.started(&damaged).await;
        self.says_damaged(&damaged, read).await;
        self.backup_names_the_page(&damaged, &file).await;
        assert_eq!(self.healthy(60).await, damaged, "it is said, and is no reason to move by itself");
        assert_eq!(self.started(&damaged).await, run);

        self.say("as the runbook says: another becomes the primary, and the volume is given up");
        self.ask_for(primary).await;
        self.becomes_primary(primary).await;
        self.healthy(60).await;
        self.lose_volume(&damaged).await;
        self.healthy(120).await;
        self.until("the page whole again", 30, async || reads(&damaged).await).await;
    }

    /// A standby finds half a control file at its start, or one that postgres did not write: it is cloned anew by itself.
    async fn damaged_control_file(&self) {
        for (what, keep, garbage) in [("half of", 100, &b""[..]), ("garbage in", 8192, b"garbage")] {
            let damaged = self.standby().await;
            let before = self.identity_of(&damaged);
            self.say(&format!("{what} the control file of {damaged}, whose container is killed"));
            let control = self.data_of(&damaged).join("global/pg_control");
            let control = std::fs::OpenOptions::new().write(true).open(control).unwrap();
            control.set_len(keep).unwrap();
            control.write_all_at(garbage, 20).unwrap();
            self.kill(Target::Container, &damaged).await;
            self.until("another data directory", 60, async || match self.identity_of(&damaged) {
                now if now == before => Err("it is the same".to_owned()),
                _ => Ok(()),
            })
            .await;
            self.healthy(60).await;
        }
    }

    async fn says_damaged(&self, pod: &str, read: &str) {
        let why = self.until("an answer about the page", 30, async || match self.ask_in(pod, "app", read).await {
            Err(why) if format!("{why:#}").contains("invalid page in block 3") => Ok(format!("{why:#}")),
            other => Err(format!("{other:?}")),
        });
        let why = why.await;
        self.say(&why);
        self.counts(pod, "pgherd_checksum_failures_total ").await;
    }

    /// A base backup from there fails, names file and block, and is counted.
    async fn backup_names_the_page(&self, pod: &str, file: &str) {
        let backups = self.objects("postgresql.cnpg.io", "Backup");
        let backup = json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup", "metadata": {"name": "with-a-damaged-page"},
            "spec": {"cluster": {"name": CLUSTER}, "target": "primary"}
        });
        backups.create(&PostParams::default(), &serde_json::from_value(backup).unwrap()).await.unwrap();
        let why = self.until("the backup to fail", 60, async || {
            let found = backups.get("with-a-damaged-page").await.map_err(|error| error.to_string())?;
            let status = found.data["status"].clone();
            assert_ne!(status["phase"], "completed", "{status}");
            if status["phase"] == "failed" { Ok(status["error"].to_string()) } else { Err(status.to_string()) }
        });
        let why = why.await;
        self.say(&why);
        assert!(why.contains("block 3 of") && why.contains(file), "{why}");
        self.counts(pod, "pgherd_backup_damaged_pages_total ").await;
    }

    async fn counts(&self, pod: &str, metric: &str) {
        self.until(&format!("{metric}to say so"), 30, async || {
            let page = self.metrics(pod).await.map_err(|error| format!("{error:#}"))?;
            let line = page.lines().find(|line| line.starts_with(metric));
            match line.and_then(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()) {
                Some(count) if count > 0 => Ok(()),
                _ => Err(format!("{line:?}")),
            }
        })
        .await;
    }
}

/// The child of PID 1 that is postgres.
fn postmaster(inside: &[Seen]) -> ProcessId {
    let first = inside[0].id.pid;
    inside.iter().find(|seen| seen.name == "postgres" && seen.parent == first).expect("a postmaster").id
}

/// Sets a limit of processes that run (`prlimit(1)`), as the user that they have: others need a right for that.
fn limit(processes: &[ProcessId], what: &str) {
    let user = nix::unistd::User::from_name("postgres").unwrap().expect("a user postgres");
    for process in processes.iter().filter(|process| process.is_alive()) {
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={}", user.uid), format!("--regid={}", user.gid), "--clear-groups".to_owned()]);
        let done = command.arg("prlimit").arg(format!("--pid={}", process.pid)).arg(what).status().unwrap();
        assert!(done.success() || !process.is_alive(), "{what}");
    }
}
