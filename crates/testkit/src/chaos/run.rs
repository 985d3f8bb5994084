//! One run: a cluster, its clients, a schedule of faults, health again, and the judge.

use super::aftermath::judged;
use super::clients::{self, Client, Shared};
use super::configuration::Configuration;
use super::knowledge::Knowledge;
use super::report::Run;
use super::schedule::{Disks, Planned, Terms, schedule};
use super::session::TABLES;
use super::strike::{Striker, Struck};
use crate::bed::{Bed, EXAMPLE, Place, edited, keep_binaries, keep_logs, remove};
use crate::history::Recorder;
use crate::judge::{ACCOUNTS, ENDOWMENT};
use crate::recovery::BaseCopy;
use crate::wait;
use anyhow::Context as _;
use core::time::Duration;
use pgherd_localkube::daemon::{self, NodeOptions, UpOptions, Volumes};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::NoTls;

/// A new cluster may take so long until it is healthy.
const UP: Duration = Duration::from_secs(300);
/// A hurt one may take so long after the last fault has ended; then it is stuck.
const HEAL: Duration = Duration::from_secs(240);
/// Clients work at least so long.
const WORK: Duration = Duration::from_secs(60);
/// Nothing takes longer: every step has a deadline of its own.
const WHOLE: Duration = Duration::from_secs(1_200);
/// Machines, so that one can be lost.
const NODES: u8 = 3;

/// What every environment of a run is called first; then comes the process that made it.
const PREFIX: &str = "pgherd-chaos-";

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
        PathBuf::from(format!("/var/tmp/{PREFIX}{}-{name}", std::process::id()))
    }

    /// Where the copy of its beginning is kept.
    fn copy_of(&self, name: &str) -> PathBuf {
        self.state_of(&format!("{name}-copy"))
    }

    /// Ends and removes what runs of this process have left that were not finished, and those of processes that are no
    /// more.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub async fn sweep(&self) -> anyhow::Result<()> {
        for entry in std::fs::read_dir("/var/tmp").context("failed to list /var/tmp")?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(process) = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()) else { continue };
            let own = process == std::process::id().to_string();
            if !own && Path::new("/proc").join(process).exists() {
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

/// What was done to a cluster.
#[derive(Debug, Default)]
pub struct Done {
    /// Faults that were put on.
    pub struck: Vec<Struck>,
    /// Kinds that found nobody whom they could be put on, and why.
    pub missed: Vec<String>,
}

/// What is done to the cluster while the clients work.
pub trait Ordeal {
    /// Does it, and ends it.
    fn run(&self, bed: &Bed, knowledge: &Knowledge) -> impl Future<Output = anyhow::Result<Done>> + Send;
}

/// The schedule of a seed.
pub struct Scheduled(pub Vec<Planned>);

impl Ordeal for Scheduled {
    async fn run(&self, bed: &Bed, knowledge: &Knowledge) -> anyhow::Result<Done> {
        let mut striker = Striker::new(bed, knowledge);
        striker.run(&self.0).await?;
        Ok(Done { struck: striker.struck, missed: striker.missed })
    }
}

/// Makes the run of a seed in a configuration. `Err` is a reason to leave the configuration out.
///
/// # Errors
/// What the cluster says that it does not support.
pub async fn run(ground: &Ground, seed: u64, configuration: Configuration) -> Result<Run, String> {
    let terms = Terms::of(seed, configuration == Configuration::Synchronous);
    let planned = schedule(seed, terms);
    let name = format!("{}{seed}", configuration.name().get(..1).unwrap_or("x"));
    let run = Run {
        seed,
        configuration: configuration.name().to_owned(),
        disks: terms.disks != Disks::None,
        wal_volumes: terms.disks == Disks::WalApart,
        clocks: terms.clocks,
        planned: planned.clone(),
        ..Run::default()
    };
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
    let began = Instant::now();
    let history = ground.directory.join("histories").join(name);
    let bed = match start(ground, name, configuration, &run, &history).await {
        Ok(Ok(bed)) => bed,
        Ok(Err(why)) => return Err(why),
        Err(error) => {
            run.error = Some(format!("{error:#}"));
            return Ok(run);
        }
    };
    let copy = ground.copy_of(name);
    match timeout(WHOLE, work(ground, &bed, &mut run, ordeal, &history, &copy)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => run.error = Some(format!("{error:#}")),
        Err(_) => run.error = Some(format!("it was not over within {WHOLE:?}")),
    }
    if run.holds() {
        let _best_effort = std::fs::remove_dir_all(&history);
    } else {
        bed.keep_logs(&history.join("logs"));
        keep_logs(&copy, &history.join("logs"));
        let text = serde_json::to_string_pretty(&run).unwrap_or_default();
        let _best_effort = std::fs::write(history.join("run.json"), text);
    }
    let _never_made = std::fs::remove_dir_all(copy);
    if let Err(error) = bed.down().await {
        run.error.get_or_insert(format!("{error:#}"));
    }
    run.total_seconds = began.elapsed().as_secs();
    Ok(run)
}

/// A cluster that lacks nothing, or why it cannot be of this configuration.
async fn start(
    ground: &Ground,
    name: &str,
    how: Configuration,
    Run { disks, wal_volumes, clocks, .. }: &Run,
    history: &Path,
) -> anyhow::Result<Result<Bed, String>> {
    let _earlier = std::fs::remove_dir_all(history);
    std::fs::create_dir_all(history).context("failed to make the directory of the history")?;
    let state = ground.state_of(name);
    let program = keep_binaries(&ground.built, &ground.directory.join("bin"))?;
    let mut options = UpOptions::new(&format!("x{}-{name}", std::process::id()), &program);
    options.state_dir = state;
    let node = |number: u8| NodeOptions { name: format!("n{number}"), zone: format!("z{number}") };
    options.nodes = (1..=NODES).map(node).collect();
    options.volumes = if *disks { Volumes::Ext4 } else { Volumes::Directory };
    options.clocks = *clocks;
    let example = ground.sources.join(EXAMPLE);
    let edit = |cluster: &mut Value| {
        how.edit(cluster);
        if *disks {
            // Without checksums nobody could tell that a page was damaged.
            specify(cluster, "bootstrap", json!({ "initdb": { "dataChecksums": true } }));
        }
        if *wal_volumes {
            specify(cluster, "walStorage", json!({ "size": "10Gi" }));
        }
    };
    options.files = vec![edited(&example, history, edit)?];
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

fn specify(cluster: &mut Value, field: &str, value: Value) {
    if let Some(spec) = cluster.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert(field.to_owned(), value);
    }
}

async fn work(
    ground: &Ground,
    bed: &Bed,
    run: &mut Run,
    ordeal: &impl Ordeal,
    history: &Path,
    copy: &Path,
) -> anyhow::Result<()> {
    furnish(bed).await.context("failed to make the tables")?;
    let standby = bed.standbys().await?.pop().context("there is no standby")?;
    let copy = BaseCopy::take(bed, &standby, copy).await?;
    let knowledge = Knowledge::default();
    let mut followers = JoinSet::new();
    followers.spawn(knowledge.clone().follow_pods(bed.clone()));
    let recorder = Recorder::create(&history.join("lease.jsonl"))?;
    followers.spawn(knowledge.clone().follow_lease(bed.clone(), recorder));
    let shared = Arc::new(Shared::default());
    let mut crowd = crowd(bed, &knowledge, &shared, history, run.seed).await?;
    written(&shared, 50, UP).await?;
    let began = Instant::now();
    let Done { struck, missed } = ordeal.run(bed, &knowledge).await?;
    (run.struck, run.missed) = (struck, missed);
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
    let (verdict, failed) = judged(&ground.built, bed, run, history, &copy).await?;
    (run.verdict, run.error) = (Some(verdict), failed);
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
