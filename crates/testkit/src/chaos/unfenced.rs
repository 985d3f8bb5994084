//! The self-test: the fence is switched off, and the judge must see it. Nothing in the shipped binaries can do that: the
//! bed stops the primary's manager and its watchdog with SIGSTOP, as no fault of a real cluster does to both and to
//! nothing else, and cuts the pod off from the API and from the other instances. Its postgres goes on for clients that
//! reach it, while another is elected.

use super::knowledge::Knowledge;
use super::run::{Done, Ordeal};
use super::strike::Struck;
use crate::bed::Bed;
use crate::journal::boottime;
use crate::wait;
use anyhow::Context as _;
use core::time::Duration;
use pgherd_localkube::fault::{Cut, FaultRequest, Target};

/// How long the election and the new primary's first rows may take.
const WITHIN: Duration = Duration::from_secs(120);

/// Two writers on purpose.
pub struct Unfenced;

impl Ordeal for Unfenced {
    async fn run(&self, bed: &Bed, knowledge: &Knowledge) -> anyhow::Result<Done> {
        let old = knowledge.holder().context("nobody holds the lease")?;
        let from = boottime();
        let pod = bed.full(&old);
        let mut stopped = Vec::new();
        for target in [Target::Watchdog, Target::Manager] {
            stopped.push(bed.fault(FaultRequest::Freeze { target, pod: pod.clone() }).await?);
        }
        let from_whom = ["api", "pods"].map(str::to_owned).to_vec();
        bed.fault(FaultRequest::Cut(Cut { pods: vec![pod.clone()], from: from_whom, ..Cut::default() })).await?;
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
        let done = stopped.join("; ");
        let struck = Struck { kind: "unfenced".to_owned(), pod, primary: true, from, until: boottime(), done };
        Ok(Done { struck: vec![struck], missed: Vec::new() })
    }
}
