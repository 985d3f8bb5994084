//! `pgherd local`: environments on this machine.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use pgherd_localkube::daemon::{Handle, NodeOptions, UpOptions, Volumes, find, preflight, sweep, up};
use pgherd_localkube::trace;
use pgherd_proto::cluster::Cluster;
use pgherd_proto::validate::{Checked, for_people};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Environment, LocalVerb, Output};
use crate::cluster::client_of;
use crate::{args, env, fault, output, validate};

/// How often the clusters are looked at while they come up.
const POLL: Duration = Duration::from_millis(500);
/// Exit codes as a shell has them for SIGINT and SIGTERM.
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

/// Does what was asked.
pub async fn run(verb: LocalVerb, shape: Output) -> anyhow::Result<u8> {
    match verb {
        LocalVerb::Up { environment, files, s3_endpoint, nodes, volumes, clocks, postgres, no_wait, timeout } => {
            let mut options = options(&environment, files, s3_endpoint, nodes)?;
            let given: Vec<PathBuf> = postgres.into_iter().map(std::path::absolute).collect::<Result<_, _>>()?;
            options.postgres.splice(0..0, given);
            options.clocks = clocks;
            if volumes == args::Volumes::Ext4 {
                options.volumes = Volumes::Ext4;
            }
            let wait = (!no_wait).then(|| Duration::from_secs(timeout));
            start(options, wait, shape).await
        }
        LocalVerb::Down { environment, purge } => stop(&environment, purge, shape).await,
        LocalVerb::Status { environment } => status(&environment, shape).await,
        LocalVerb::Env { environment } => env::run(&environment, shape).await,
        LocalVerb::Logs { environment } => logs(&environment, shape),
        LocalVerb::Preflight { environment } => look(&environment, shape),
        LocalVerb::Trace { environment, svg, all } => trace(&environment, svg.as_deref(), all, shape),
        LocalVerb::Fault { environment, verb } => fault::run(&environment, verb, shape).await,
    }
}

fn options(
    environment: &Environment,
    files: Vec<PathBuf>,
    s3_endpoint: Option<String>,
    nodes: u8,
) -> anyhow::Result<UpOptions> {
    let helper = std::env::current_exe().context("failed to find this program's own file")?;
    let mut options = UpOptions::new(&environment.name, &helper);
    options.state_dir = std::path::absolute(environment.directory())?;
    let absolute = |path: PathBuf| path.canonicalize().with_context(|| format!("failed to find {}", path.display()));
    options.files = files.into_iter().map(absolute).collect::<anyhow::Result<_>>()?;
    if s3_endpoint.is_some() {
        let variable = |name: &str| std::env::var(name).with_context(|| format!("--s3-endpoint wants {name}"));
        options.s3_credentials = Some((variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?));
    }
    options.s3_endpoint = s3_endpoint;
    let node = |number: u8| NodeOptions { name: format!("local-{number}"), zone: format!("local-zone-{number}") };
    options.nodes = (1..=nodes.max(1)).map(node).collect();
    Ok(options)
}

/// Starts one. Interrupted (Ctrl-C) before it is ready, it is taken down again, and removed unless there
/// was something in its place before.
async fn start(options: UpOptions, wait: Option<Duration>, shape: Output) -> anyhow::Result<u8> {
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let directory = options.state_dir.clone();
    let (is_new, is_up) = (!directory.exists(), find(&directory).is_ok());
    let code = tokio::select! {
        done = bring_up(options, wait, shape) => return done,
        _ = interrupted.recv() => INTERRUPTED,
        _ = terminated.recv() => TERMINATED,
    };
    if !is_up {
        eprintln!("interrupted: what was started is taken down");
        take_down(&directory, is_new).await?;
    }
    Ok(code)
}

async fn take_down(directory: &Path, purge: bool) -> anyhow::Result<Vec<String>> {
    if let Ok(handle) = find(directory) {
        // One that does not answer yet is swept.
        let _ended = handle.down(purge).await;
    }
    let found = sweep(directory).await?;
    if purge && directory.exists() {
        std::fs::remove_dir_all(directory).with_context(|| format!("failed to remove {}", directory.display()))?;
    }
    Ok(found)
}

async fn bring_up(options: UpOptions, wait: Option<Duration>, shape: Output) -> anyhow::Result<u8> {
    for finding in preflight(&options).iter().filter(|finding| !finding.fatal) {
        eprintln!("note: {}", finding.text);
    }
    let files = options.files.clone();
    let handle = up(options).await?;
    let status = handle.status().await?;
    say_what_is_to_be_known(&files)?;
    if !shape.is_for_programs() {
        for sentence in &status.made {
            println!("{sentence}");
        }
        println!("environment {} is up: its state is in {}", status.name, handle.state_dir().display());
    }
    let ready = match wait {
        Some(wait) => wait_for_clusters(&handle, wait, shape.is_for_programs()).await?,
        None => true,
    };
    let status = handle.status().await?;
    output::print(shape, &status, || {
        format!(
            "kubectl:  export KUBECONFIG={}\npsql:     pgherd psql\nstatus:   pgherd status\nend:      pgherd local down\n",
            status.kubeconfig.display()
        )
    })?;
    Ok(u8::from(!ready))
}

/// What `pgherd validate` says about the manifests that were applied. New objects are valid, or `up` had refused them.
fn say_what_is_to_be_known(files: &[PathBuf]) -> anyhow::Result<()> {
    let mut checked = validate::check(files)?;
    checked.retain(|document| !document.findings.is_empty());
    if !checked.is_empty() {
        eprint!("{}", for_people(&checked));
    }
    if checked.iter().any(Checked::is_broken) {
        eprintln!("what cannot be applied was there before: its last valid definition stays in force");
    }
    Ok(())
}

/// Until every cluster has as many ready instances as it wants. Says each step once.
async fn wait_for_clusters(handle: &Handle, wait: Duration, quiet: bool) -> anyhow::Result<bool> {
    let client = client_of(&handle.api_kubeconfig()).await?;
    let (clusters, pods): (Api<Cluster>, Api<Pod>) = (Api::all(client.clone()), Api::all(client));
    let began = Instant::now();
    let mut told = String::new();
    loop {
        let all = clusters.list(&ListParams::default()).await?.items;
        // A status may still be that of before the last `down`; a pod is ready only if its container says so now.
        let running = pods.list(&ListParams::default()).await?.items;
        let open: Vec<String> = all.iter().filter_map(|cluster| progress(cluster, &running)).collect();
        let line = open.join("; ");
        if line != told && !quiet && !line.is_empty() {
            println!("{:>4}s  {line}", began.elapsed().as_secs());
        }
        told = line;
        if open.is_empty() {
            return Ok(true);
        }
        if began.elapsed() > wait {
            eprintln!("not ready after {} s; it goes on in the background", wait.as_secs());
            return Ok(false);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What a cluster still lacks, for people; `None` if nothing.
fn progress(cluster: &Cluster, pods: &[Pod]) -> Option<String> {
    let status = cluster.status.as_ref();
    let own = |pod: &&Pod| {
        pod.metadata.namespace == cluster.metadata.namespace
            && pod.labels().get("cnpg.io/cluster") == cluster.metadata.name.as_ref()
    };
    let is_ready = |pod: &&Pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
    };
    let running = i64::try_from(pods.iter().filter(own).filter(is_ready).count()).unwrap_or(i64::MAX);
    let ready = i64::from(status.and_then(|status| status.ready_instances).unwrap_or(0)).min(running);
    let wanted = cluster.spec.instances;
    let phase =
        status.and_then(|status| status.phase.clone()).unwrap_or_else(|| "not seen by the controller yet".into());
    let name = cluster.metadata.name.clone().unwrap_or_default();
    (ready < i64::from(wanted)).then(|| format!("{name}: {ready} of {wanted} ready, {phase}"))
}

async fn stop(environment: &Environment, purge: bool, shape: Output) -> anyhow::Result<u8> {
    let directory = environment.directory();
    let text = match find(&directory) {
        Ok(handle) => {
            handle.down(purge).await?;
            if purge { "ended, and its data removed" } else { "ended; its data stay for the next `up`" }.to_owned()
        }
        Err(_) => {
            let found = take_down(&directory, purge).await?;
            if found.is_empty() { "nothing was up".to_owned() } else { format!("swept {}", found.join(", ")) }
        }
    };
    output::print(shape, &json!({"environment": environment.name, "done": text}), || {
        format!("environment {}: {text}", environment.name)
    })?;
    Ok(0)
}

async fn status(environment: &Environment, shape: Output) -> anyhow::Result<u8> {
    let status = find(&environment.directory())?.status().await?;
    output::print(shape, &status, || {
        let mut rows = vec![
            vec!["API".to_owned(), format!("https://{}", status.api)],
            vec!["kubeconfig".to_owned(), status.kubeconfig.display().to_string()],
            vec!["S3".to_owned(), format!("http://{} (in pods: {})", status.s3, status.s3_inner)],
            vec!["controller".to_owned(), if status.controller { "running" } else { "not running" }.to_owned()],
        ];
        rows.extend(status.pods.iter().map(|(name, address)| vec![format!("pod {name}"), address.clone()]));
        rows.extend(status.faults.iter().map(|fault| vec!["fault".to_owned(), fault.clone()]));
        output::table(&rows)
    })?;
    Ok(0)
}

fn logs(environment: &Environment, shape: Output) -> anyhow::Result<u8> {
    let read = |name: &str| {
        let path = environment.directory().join(name);
        std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))
    };
    let daemon = read("daemon.log")?;
    let controller = read("controller.log").unwrap_or_default();
    let value =
        json!({"daemon": daemon.lines().collect::<Vec<_>>(), "controller": controller.lines().collect::<Vec<_>>()});
    output::print(shape, &value, || format!("--- daemon\n{daemon}\n--- controller\n{controller}"))?;
    Ok(0)
}

fn trace(environment: &Environment, picture: Option<&Path>, all: bool, shape: Output) -> anyhow::Result<u8> {
    let path = environment.directory().join("events.jsonl");
    let log = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let events = trace::read(&log);
    let events = if all { events } else { trace::last_failover(&events) };
    if events.is_empty() {
        bail!("no failover was noted in {}", path.display());
    }
    if let Some(picture) = picture {
        std::fs::write(picture, trace::svg(&events))
            .with_context(|| format!("failed to write {}", picture.display()))?;
    }
    output::print(shape, &events, || trace::text(&events))?;
    Ok(0)
}

fn look(environment: &Environment, shape: Output) -> anyhow::Result<u8> {
    let findings = preflight(&options(environment, Vec::new(), None, 1)?);
    let values: Vec<_> = findings.iter().map(|f| json!({"fatal": f.fatal, "text": f.text})).collect();
    output::print(shape, &values, || match findings.as_slice() {
        [] => "this machine has everything that a local environment needs".to_owned(),
        some => some.iter().map(|f| format!("{}: {}\n", if f.fatal { "lacks" } else { "note" }, f.text)).collect(),
    })?;
    if findings.iter().any(|finding| finding.fatal) {
        bail!("a local environment cannot run here yet");
    }
    Ok(0)
}
