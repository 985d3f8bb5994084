//! One run: a cluster, its clients, a schedule of faults, health again, and the judge.

use super::clients::{self, Client, Shared};
use super::configuration::Configuration;
use super::knowledge::Knowledge;
use super::report::Run;
use super::schedule::{Planned, schedule};
use super::session::TABLES;
use super::strike::{Striker, Struck};
use crate::bed::{Bed, EXAMPLE, Place, edited, keep_binaries, remove};
use crate::demo::Tool;
use crate::history::Recorder;
use crate::judge::{ACCOUNTS, Archive, Case, ENDOWMENT, Verdict};
use crate::wait;
use anyhow::Context as _;
use core::time::Duration;
use pgherd_localkube::daemon::{self, UpOptions};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

/// A new cluster may take so long until it is healthy.
const UP: Duration = Duration::from_secs(300);
/// A hurt one may take so long after the last fault has ended; then it is stuck.
const HEAL: Duration = Duration::from_secs(240);
/// Clients work at least so long.
const WORK: Duration = Duration::from_secs(60);
/// Everything after the cluster is healthy: archive, replay, judge.
const SETTLE: Duration = Duration::from_secs(120);

/// Where runs are made.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The built binaries.
    pub built: PathBuf,
    /// The root of the sources, for the example.
    pub sources: PathBuf,
    /// Histories and the logs of failures go there.
    pub directory: PathBuf,
}

impl Ground {
    /// Where the environment of a run is kept.
    fn state_of(&self, name: &str) -> PathBuf {
        // Two programs of chaos at once must not meet.
        PathBuf::from(format!("/var/tmp/pgherd-chaos-{}-{name}", std::process::id()))
    }

    /// Ends and removes what runs of this process have left that were not finished.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub async fn sweep(&self) -> anyhow::Result<()> {
        let prefix = format!("pgherd-chaos-{}-", std::process::id());
        for entry in std::fs::read_dir("/var/tmp").context("failed to list /var/tmp")?.flatten() {
            if !entry.file_name().to_string_lossy().starts_with(&prefix) {
                continue;
            }
            match daemon::find(&entry.path()) {
                Ok(up) => up.down(true).await.context("failed to end an environment")?,
                Err(_) => remove(&entry.path()).await?,
            }
        }
        Ok(())
    }
}

/// What is done to the cluster while the clients work.
pub trait Ordeal {
    /// Does it, and ends it.
    fn run(&self, bed: &Bed, knowledge: &Knowledge) -> impl Future<Output = anyhow::Result<Vec<Struck>>> + Send;
}

/// The schedule of a seed.
pub struct Scheduled(pub Vec<Planned>);

impl Ordeal for Scheduled {
    async fn run(&self, bed: &Bed, knowledge: &Knowledge) -> anyhow::Result<Vec<Struck>> {
        let mut striker = Striker::new(bed, knowledge);
        striker.run(&self.0).await?;
        Ok(striker.struck)
    }
}

/// Makes the run of a seed in a configuration. `Err` is a reason to leave the configuration out.
///
/// # Errors
/// What the cluster says that it does not support.
pub async fn run(ground: &Ground, seed: u64, configuration: Configuration) -> Result<Run, String> {
    let planned = schedule(seed);
    let name = format!("{}{seed}", configuration.name().get(..1).unwrap_or("x"));
    let run = Run { seed, configuration: configuration.name().to_owned(), planned: planned.clone(), ..Run::default() };
    with(ground, &name, configuration, run, &Scheduled(planned)).await
}

/// The same with another ordeal.
///
/// # Errors
/// What the cluster says that it does not support.
pub async fn with(
    ground: &Ground,
    name: &str,
    configuration: Configuration,
    mut run: Run,
    ordeal: &impl Ordeal,
) -> Result<Run, String> {
    let history = ground.directory.join("histories").join(name);
    let bed = match start(ground, name, configuration, &history).await {
        Ok(Ok(bed)) => bed,
        Ok(Err(why)) => return Err(why),
        Err(error) => {
            run.error = Some(format!("{error:#}"));
            return Ok(run);
        }
    };
    if let Err(error) = work(ground, &bed, &mut run, ordeal, &history).await {
        run.error = Some(format!("{error:#}"));
    }
    if !run.holds() {
        bed.keep_logs(&history.join("logs"));
        let text = serde_json::to_string_pretty(&run).unwrap_or_default();
        let _best_effort = std::fs::write(history.join("run.json"), text);
    }
    if let Err(error) = bed.down().await {
        run.error.get_or_insert(format!("{error:#}"));
    }
    Ok(run)
}

/// A cluster that lacks nothing, or why it cannot be of this configuration.
async fn start(ground: &Ground, name: &str, how: Configuration, history: &Path) -> anyhow::Result<Result<Bed, String>> {
    let _earlier = std::fs::remove_dir_all(history);
    std::fs::create_dir_all(history).context("failed to make the directory of the history")?;
    let state = ground.state_of(name);
    let program = keep_binaries(&ground.built, &ground.directory.join("bin"))?;
    let mut options = UpOptions::new(&format!("x{}-{name}", std::process::id()), &program);
    options.state_dir = state;
    let example = ground.sources.join(EXAMPLE);
    options.files = vec![edited(&example, history, |cluster| how.edit(cluster))?];
    let bed = Bed::up(options, Place::of_example()).await?;
    let wrong = match how.ready(&bed, UP).await {
        Ok(Ok(_primary)) => return Ok(Ok(bed)),
        Ok(Err(why)) => Ok(Err(why)),
        Err(late) => Err(anyhow::Error::new(late)),
    };
    bed.keep_logs(&history.join("logs"));
    bed.down().await?;
    wrong
}

async fn work(ground: &Ground, bed: &Bed, run: &mut Run, ordeal: &impl Ordeal, history: &Path) -> anyhow::Result<()> {
    furnish(bed).await.context("failed to make the tables")?;
    let knowledge = Knowledge::default();
    let mut followers = JoinSet::new();
    followers.spawn(knowledge.clone().follow_pods(bed.clone()));
    let recorder = Recorder::create(&history.join("lease.jsonl"))?;
    followers.spawn(knowledge.clone().follow_lease(bed.clone(), recorder));
    let shared = Arc::new(Shared::default());
    let mut crowd = crowd(bed, &knowledge, &shared, history, run.seed).await?;
    written(&shared, 50, UP).await?;
    let began = Instant::now();
    run.struck = ordeal.run(bed, &knowledge).await?;
    let healed = Instant::now();
    if let Some(left) = WORK.checked_sub(began.elapsed()) {
        tokio::time::sleep(left).await;
    }
    match bed.healthy(HEAL).await {
        Ok(_) => run.healed_seconds = healed.elapsed().as_secs(),
        Err(late) => run.stuck = Some(late.to_string()),
    }
    if run.stuck.is_none()
        && let Err(late) = written(&shared, 50, HEAL).await
    {
        run.stuck = Some(format!("{late:#}"));
    }
    run.seconds = began.elapsed().as_secs();
    run.timelines = u64::try_from(knowledge.timelines()).unwrap_or(u64::MAX);
    shared.stop();
    while let Some(ended) = crowd.join_next().await {
        ended.context("failed to run a client")?.context("failed to write a history")?;
    }
    run.verdict = Some(judged(ground, bed, run, history).await?);
    Ok(())
}

async fn furnish(bed: &Bed) -> anyhow::Result<()> {
    let config = bed.application(&bed.place.service()).await?;
    let (client, connection) = config.connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    client.batch_execute(TABLES).await?;
    let endow = format!("INSERT INTO chaos_accounts SELECT id, {ENDOWMENT} FROM generate_series(1, {ACCOUNTS}) AS id");
    client.batch_execute(&endow).await?;
    drop(client);
    let _ = driver.await;
    Ok(())
}

async fn crowd(
    bed: &Bed,
    knowledge: &Knowledge,
    shared: &Arc<Shared>,
    history: &Path,
    seed: u64,
) -> anyhow::Result<JoinSet<std::io::Result<()>>> {
    let mut crowd = JoinSet::new();
    let client = |number: i32, pause: u64| {
        let recorder = Recorder::create(&history.join(format!("client-{number:02}.jsonl")))?;
        let (knowledge, shared) = (knowledge.clone(), shared.clone());
        anyhow::Ok(Client { number, knowledge, recorder, pause: Duration::from_millis(pause), shared })
    };
    let primary = bed.application(&bed.place.service()).await?;
    for number in 1..=2 {
        crowd.spawn(clients::append(client(number, 15)?, primary.clone()));
    }
    for number in 11..=12 {
        let own = seed.wrapping_add(u64::try_from(number).unwrap_or(0));
        crowd.spawn(clients::transfer(client(number, 25)?, primary.clone(), own));
    }
    for (number, service) in [(21, "-ro"), (22, "-r"), (23, "-rw")] {
        let config = bed.application(&format!("{}{service}", bed.place.cluster)).await?;
        crowd.spawn(clients::read(client(number, 200)?, config));
    }
    for (number, pod) in (31..).zip(bed.members().await?) {
        crowd.spawn(clients::probe(client(number, 100)?, bed.clone(), primary.clone(), pod));
    }
    Ok(crowd)
}

async fn written(shared: &Shared, rows: u64, within: Duration) -> Result<(), wait::Timeout> {
    let before = shared.acknowledged();
    wait::until("rows being acknowledged", within, async || match shared.acknowledged() {
        now if now >= before + rows => Ok(()),
        now => Err(format!("{} since", now - before)),
    })
    .await
}

/// Lets the archive and the standbys have what there is, and asks the judge, which is a program of its own.
async fn judged(ground: &Ground, bed: &Bed, run: &Run, history: &Path) -> anyhow::Result<Verdict> {
    let case = Case {
        required: run.configuration == Configuration::Synchronous.name(),
        unreadable: Struck::unreadable(&run.struck),
    };
    std::fs::write(history.join("case.json"), serde_json::to_string_pretty(&case)?)?;
    let mut databases = BTreeMap::new();
    if run.stuck.is_none() {
        let archive = settle(bed).await?;
        std::fs::write(history.join("archive.json"), serde_json::to_string_pretty(&archive)?)?;
        for pod in bed.members().await? {
            databases.insert(pod.clone(), bed.application_dsn(&format!("pod/{pod}")).await?);
        }
    } else {
        // Whatever answers is better than nothing.
        databases.insert(bed.primary().await?, bed.application_dsn(&bed.place.service()).await?);
    }
    let lines: Vec<String> = databases.iter().map(|(pod, dsn)| format!("{pod}\t{dsn}")).collect();
    let judge = Tool {
        program: ground.built.join("chaos-judge"),
        env: vec![("PGHERD_JUDGE_DSN".to_owned(), lines.join("\n"))],
    };
    let path = history.to_string_lossy().into_owned();
    let text = judge.run(&[&path, "--verdict-only"], SETTLE).await?;
    let verdict: Verdict = crate::demo::json("the judge", &text)?;
    std::fs::write(history.join("verdict.json"), serde_json::to_string_pretty(&verdict)?)?;
    Ok(verdict)
}

/// Waits until the last row is archived and replayed everywhere.
async fn settle(bed: &Bed) -> anyhow::Result<Archive> {
    let primary = bed.primary().await?;
    let said = async |sql: &str| bed.ask(&primary, sql).await;
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
