//! `pgherd backup`: asks for a base backup, and follows it if that is wanted.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;
use pgherd_proto::backup::{Backup, BackupMethod, BackupSpec, BackupStatus, phase};
use pgherd_proto::cluster::{BackupTarget, Extra, LocalObjectReference};
use pgherd_proto::labels;
use serde_json::json;

use crate::args::{BackupFrom, ClusterArguments, Output};
use crate::cluster::find_cluster;
use crate::output;

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Cells of the bar.
const BAR: usize = 30;

/// Makes a Backup; with `wait`, goes on until it has ended. The exit code is 1 if it failed.
pub async fn run(
    cluster: &ClusterArguments,
    name: Option<String>,
    target: Option<BackupFrom>,
    wait: bool,
    shape: Output,
) -> anyhow::Result<u8> {
    let found = find_cluster(cluster).await?;
    let stamp = jiff::Timestamp::now().strftime("%Y%m%d%H%M%S");
    let name = name.unwrap_or_else(|| format!("{}-{stamp}", found.name));
    let spec = BackupSpec {
        cluster: LocalObjectReference { name: found.name.clone() },
        method: BackupMethod::BarmanObjectStore,
        target: target.map(|target| match target {
            BackupFrom::Primary => BackupTarget::Primary,
            BackupFrom::PreferStandby => BackupTarget::PreferStandby,
        }),
        plugin_configuration: None,
        online: None,
        online_configuration: None,
        extra: Extra::default(),
    };
    let mut backup = Backup::new(&name, spec);
    backup.metadata = ObjectMeta {
        name: Some(name.clone()),
        namespace: Some(found.namespace.clone()),
        labels: Some([(labels::CLUSTER.to_owned(), found.name.clone())].into()),
        ..ObjectMeta::default()
    };
    let backups: Api<Backup> = Api::namespaced(found.client.clone(), &found.namespace);
    backups.create(&PostParams::default(), &backup).await.context("failed to make the Backup")?;
    if !wait {
        let asked = json!({"backup": name, "cluster": found.name, "namespace": found.namespace});
        output::print(shape, &asked, || {
            format!("asked for backup {name}; `kubectl get -n {} backup {name}` shows how it goes", found.namespace)
        })?;
        return Ok(0);
    }
    let status = follow(&backups, &name, shape).await?;
    let done = status.phase.as_deref() == Some(phase::COMPLETED);
    output::print(shape, &json!({"backup": name, "status": status}), || ended(&name, &status))?;
    Ok(if done { 0 } else { 1 })
}

/// Shows how far it is, until it has ended: on a terminal one line that changes, else one line for each phase.
async fn follow(backups: &Api<Backup>, name: &str, shape: Output) -> anyhow::Result<BackupStatus> {
    let terminal = std::io::stderr().is_terminal();
    let mut shown = String::new();
    loop {
        let Some(found) = backups.get_opt(name).await? else { bail!("backup {name} was deleted") };
        let status = found.status.unwrap_or_default();
        let line = if terminal { bar(&status) } else { status.phase.clone().unwrap_or_default() };
        if !shape.is_for_programs() && line != shown {
            let (begin, end) = if terminal { ("\r\x1b[K", "") } else { ("", "\n") };
            // Nobody may be reading any more.
            let _closed = write!(std::io::stderr(), "{begin}{line}{end}");
            shown = line;
        }
        if status.is_done() {
            if !shape.is_for_programs() && terminal {
                let _closed = writeln!(std::io::stderr());
            }
            return Ok(status);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn bar(status: &BackupStatus) -> String {
    let phase = status.phase.as_deref().unwrap_or("new");
    let Some(progress) = &status.progress else {
        return status.error.as_ref().map_or_else(|| phase.to_owned(), |why| format!("{phase}: {why}"));
    };
    let percent = usize::try_from(progress.percent.clamp(0, 100)).unwrap_or_default();
    let full = BAR * percent / 100;
    let eta = progress.eta_seconds.filter(|_| percent < 100).map(|s| format!(", {}:{:02} left", s / 60, s % 60));
    let waits = progress.waits_for.as_ref().map(|what| format!(", waits for {what}"));
    format!(
        "{phase:<10} [{}{}] {percent:>3} %  {} of {}, {}/s{}",
        "#".repeat(full),
        "-".repeat(BAR.saturating_sub(full)),
        size(progress.bytes_done),
        size(progress.bytes_total),
        size(progress.bytes_per_second),
        waits.or(eta).unwrap_or_default()
    )
}

fn ended(name: &str, status: &BackupStatus) -> String {
    if status.phase.as_deref() != Some(phase::COMPLETED) {
        return format!("backup {name} failed: {}", status.error.as_deref().unwrap_or("nobody says why"));
    }
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let stored = status.progress.as_ref().map_or(0, |progress| progress.bytes_stored);
    let pod = status.instance_id.as_ref().map(|instance| instance.pod_name.clone()).unwrap_or_default();
    format!(
        "backup {name} is complete: id {}, from {pod}, WAL {} to {}, {} stored",
        text(&status.backup_id),
        text(&status.begin_wal),
        text(&status.end_wal),
        size(stored)
    )
}

fn size(bytes: i64) -> String {
    let mut unit = "B";
    let (mut whole, mut rest) = (u64::try_from(bytes).unwrap_or_default(), 0);
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if whole < 1024 {
            break;
        }
        (whole, rest, unit) = (whole / 1024, whole % 1024, next);
    }
    if unit == "B" { format!("{whole} B") } else { format!("{whole}.{} {unit}", rest * 10 / 1024) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgherd_proto::backup::BackupProgress;

    #[test]
    fn a_bar_shows_how_far_it_is_and_how_long_it_takes() {
        let progress = BackupProgress {
            bytes_done: 512 << 20,
            bytes_total: 1 << 30,
            percent: 50,
            bytes_per_second: 100 << 20,
            eta_seconds: Some(65),
            ..BackupProgress::default()
        };
        let status =
            BackupStatus { phase: Some("running".into()), progress: Some(progress), ..BackupStatus::default() };
        let shown = bar(&status);
        assert_eq!(
            shown,
            "running    [###############---------------]  50 %  512.0 MiB of 1.0 GiB, 100.0 MiB/s, 1:05 left"
        );
        let stands = BackupProgress { waits_for: Some("the disk".into()), ..status.progress.clone().unwrap() };
        let stands = bar(&BackupStatus { progress: Some(stands), ..status });
        assert!(stands.ends_with("MiB/s, waits for the disk"), "{stands}");
        let waits = BackupStatus {
            phase: Some("pending".into()),
            error: Some("no instance is ready".into()),
            ..BackupStatus::default()
        };
        assert_eq!(bar(&waits), "pending: no instance is ready");
    }

    #[test]
    fn how_it_ended_is_one_line() {
        let failed =
            BackupStatus { phase: Some("failed".into()), error: Some("no room".into()), ..BackupStatus::default() };
        assert_eq!(ended("b", &failed), "backup b failed: no room");
        assert_eq!([size(0), size(1023), size(1536), size(3 << 30)], ["0 B", "1023 B", "1.5 KiB", "3.0 GiB"]);
    }
}
