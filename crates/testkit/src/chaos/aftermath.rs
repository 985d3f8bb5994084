//! After a run: the archive and the standbys get what there is, the archive is recovered from, and the judge, which is a
//! program of its own, is asked.

use super::configuration::Configuration;
use super::report::Run;
use super::strike::Struck;
use crate::bed::Bed;
use crate::demo::{Tool, json};
use crate::judge::{Archive, Case, Verdict};
use crate::recovery::{BaseCopy, Recovered};
use crate::wait;
use anyhow::Context as _;
use core::time::Duration;
use std::collections::BTreeMap;
use std::path::Path;

/// Archive and replay, each.
const SETTLE: Duration = Duration::from_secs(120);
/// The judge.
const JUDGE: Duration = Duration::from_secs(120);

/// The judge's word, and why the archive could not be recovered from, if it could not; the verdict says that, too.
pub(super) async fn judged(
    built: &Path,
    bed: &Bed,
    run: &Run,
    history: &Path,
    copy: &BaseCopy,
) -> anyhow::Result<(Verdict, Option<String>)> {
    let members = bed.members().await?;
    let full: Vec<String> = members.iter().map(|pod| bed.full(pod)).collect();
    let case = Case {
        required: run.configuration == Configuration::Synchronous.name(),
        unreadable: Struck::unreadable(&run.struck, &full),
        volume_lost: run.struck.iter().any(Struck::took_a_volume),
    };
    std::fs::write(history.join("case.json"), serde_json::to_string_pretty(&case)?)?;
    let mut databases = BTreeMap::new();
    let (mut recovered, mut failed) = (None, None);
    if run.stuck.is_none() {
        let archive = settle(bed).await?;
        std::fs::write(history.join("archive.json"), serde_json::to_string_pretty(&archive)?)?;
        match copy.recover(bed, &archive.timeline).await {
            Ok(server) => recovered = Some(server),
            Err(error) => failed = Some(format!("{error:#}")),
        }
        for pod in members {
            databases.insert(pod.clone(), bed.application_dsn(&format!("pod/{pod}")).await?);
        }
    } else {
        // Whatever answers is better than nothing.
        databases.insert(bed.primary().await?, bed.application_dsn(&bed.place.service()).await?);
    }
    let verdict = asked(built, bed, databases, recovered.as_ref(), history).await;
    if let Some(server) = recovered {
        server.stop().await;
    }
    let verdict = verdict?;
    std::fs::write(history.join("verdict.json"), serde_json::to_string_pretty(&verdict)?)?;
    // Beyond a gap that the verdict counts there was nothing to recover.
    Ok((verdict.clone(), failed.filter(|_| verdict.archive_gaps == 0)))
}

async fn asked(
    built: &Path,
    bed: &Bed,
    databases: BTreeMap<String, String>,
    recovered: Option<&Recovered>,
    history: &Path,
) -> anyhow::Result<Verdict> {
    let lines: Vec<String> = databases.iter().map(|(pod, dsn)| format!("{pod}\t{dsn}")).collect();
    let mut env = vec![("PGHERD_JUDGE_DSN".to_owned(), lines.join("\n"))];
    if let Some(server) = recovered {
        let application = bed.application(&bed.place.service()).await?;
        let database = application.get_dbname().context("the application has no database")?;
        env.push(("PGHERD_JUDGE_RESTORED".to_owned(), server.dsn(database)));
    }
    let judge = Tool { program: built.join("chaos-judge"), env };
    let path = history.to_string_lossy().into_owned();
    let text = judge.run(&[&path, "--verdict-only"], JUDGE).await?;
    Ok(json("the judge", &text)?)
}

/// Waits until the last row is archived and replayed everywhere.
async fn settle(bed: &Bed) -> anyhow::Result<Archive> {
    let primary = bed.primary().await?;
    let said = async |sql: &str| bed.ask(&primary, sql).await;
    // What was sent while its client was cut off may come long after, by a retransmission, from a client that has given up.
    let user =
        bed.application(&bed.place.service()).await?.get_user().context("the application has no user")?.to_owned();
    let sessions = format!("FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename = '{user}'");
    wait::until("the end of the clients' sessions", SETTLE, async || {
        let ended = said(&format!("SELECT count(pg_terminate_backend(pid)) {sessions}")).await;
        match ended.map_err(|error| format!("{error:#}"))?.as_str() {
            "0" => Ok(()),
            some => Err(format!("{some} are left")),
        }
    })
    .await?;
    // In one statement, so that the name is that of the segment which the switch ends.
    let last = said("SELECT pg_walfile_name(pg_switch_wal())").await?;
    let end = said("SELECT pg_current_wal_lsn()").await?;
    let timeline = u32::from_str_radix(last.get(..8).unwrap_or_default(), 16)?;
    let files = wait::until(&format!("{last} in the archive"), SETTLE, async || {
        let files = bed.archived_files().await.map_err(|error| format!("{error:#}"))?;
        let there = files.iter().any(|file| file.starts_with(&last));
        if there { Ok(files) } else { Err(format!("{} files, the last is {:?}", files.len(), files.iter().max())) }
    })
    .await?;
    for standby in bed.standbys().await? {
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{end}'");
        wait::until(&format!("{standby} at {end}"), SETTLE, async || {
            match bed.ask(&standby, &replayed).await.map_err(|error| format!("{error:#}"))? {
                yes if yes == "t" => Ok(()),
                other => Err(other),
            }
        })
        .await?;
    }
    let history = if timeline == 1 { String::new() } else { bed.archived_history(timeline).await? };
    Ok(Archive { files, timeline, history })
}
