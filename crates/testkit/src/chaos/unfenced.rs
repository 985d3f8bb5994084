//! The self-test: the fence is switched off, and the judge must see it. Nothing in the shipped binaries can do that: the
//! bed stops the primary's manager and its watchdog with SIGSTOP, as no fault of a real cluster does to both and to
//! nothing else, and cuts the pod off from the API and from the other instances. Its postgres goes on for clients that
//! reach it, while another is elected.

use super::knowledge::Knowledge;
use super::run::Ordeal;
use super::strike::Struck;
use crate::bed::Bed;
use crate::journal::boottime;
use crate::wait;
use anyhow::{Context as _, ensure};
use core::time::Duration;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgherd_localkube::fault::FaultRequest;

/// How long the election and the new primary's first rows may take.
const WITHIN: Duration = Duration::from_secs(120);

/// Two writers on purpose.
pub struct Unfenced;

impl Ordeal for Unfenced {
    async fn run(&self, bed: &Bed, knowledge: &Knowledge) -> anyhow::Result<Vec<Struck>> {
        let old = knowledge.holder().context("nobody holds the lease")?;
        let from = boottime();
        let pod = bed.full(&old);
        let stopped = stop_the_fence(bed, &old).await?;
        for peer in bed.standbys().await?.iter().map(|name| bed.full(name)).chain(["api".to_owned()]) {
            bed.fault(FaultRequest::Partition { pod: pod.clone(), from: peer }).await?;
        }
        let changed = wait::until("another holder of the lease", WITHIN, async || match knowledge.holder() {
            Some(holder) if holder != old => Ok(()),
            other => Err(format!("{other:?}")),
        });
        changed.await?;
        let writes = wait::until("another primary that writes", WITHIN, async || {
            let primary = bed.primary().await.map_err(|error| format!("{error:#}"))?;
            let rows = format!("SELECT count(*) > 0 FROM chaos_rows WHERE instance <> '{old}'");
            let app = bed.application(&format!("pod/{primary}")).await.map_err(|error| format!("{error:#}"))?;
            let database = app.get_dbname().unwrap_or("app").to_owned();
            match bed.ask_in(&primary, &database, &rows).await.map_err(|error| format!("{error:#}"))? {
                yes if yes == "t" => Ok(()),
                other => Err(other),
            }
        });
        writes.await?;
        // Long enough for the old one's prober to have its turn, too.
        tokio::time::sleep(Duration::from_secs(3)).await;
        bed.fault(FaultRequest::Heal).await?;
        let done = format!("SIGSTOP to {stopped:?}");
        Ok(vec![Struck { kind: "unfenced".to_owned(), pod, primary: true, from, until: boottime(), done }])
    }
}

/// Stops PID 1 of the container and every other process of the manager's program.
async fn stop_the_fence(bed: &Bed, pod: &str) -> anyhow::Result<Vec<i32>> {
    let first = bed.handle.process(&bed.place.namespace, pod, "postgres").await?;
    let mut stopped = Vec::new();
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", first.pid)).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|id| id.parse().ok());
    for id in children.chain([first.pid]) {
        let name = std::fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
        if name.trim() != "postgres" {
            kill(Pid::from_raw(id), Signal::SIGSTOP).with_context(|| format!("failed to stop process {id}"))?;
            stopped.push(id);
        }
    }
    ensure!(stopped.len() >= 2, "expected a manager and its watchdog in {pod}, found {stopped:?}");
    Ok(stopped)
}
