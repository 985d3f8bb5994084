//! The daemon: makes the network, starts API, S3, services and node in it, then waits for the end.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::api_side::ApiSide;
use super::applier::applier;
use super::claims::Claims;
use super::control::{self, Control};
use super::events::EventLog;
use super::furnish::{self, S3Keys};
use super::options::{Layout, UpOptions, Volumes};
use super::{DaemonError, api_side, controller, endpoint, rootless};
use crate::fault::{Controllers, FaultRequest, FaultSetup, Faults};
use crate::net::address::{GATEWAY, PodAddresses, S3_PORT};
use crate::net::forward::Forwards;
use crate::net::host::HostSide;
use crate::net::namespace::NetworkNamespace;
use crate::net::{NetError, services};
use crate::node::process::ProcessId;
use crate::node::records::Records;
use crate::node::sandbox::is_single;
use crate::node::spawner::Spawner;
use crate::node::{self, Kubelets, LocalNode, NodeContext, PodUser, RunningPods, Servers, disk};
use crate::s3::{Behind, S3Gate, serve_folder};
use pgherd_proto::names::WAL_CLIENT;

/// How long pods may take to end in good order.
const PODS_END_WITHIN: Duration = Duration::from_secs(20);

pub(super) fn main(options: &str) -> ExitCode {
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", pgherd_telemetry::chain(&error));
            if let (DaemonError::Invalid(text), Some(root)) = (&error, Path::new(options).parent()) {
                // What cannot be told here is still at the end of the log.
                let _told = std::fs::write(Layout::new(root).refusal(), text);
            }
            ExitCode::FAILURE
        }
    }
}

/// Closes what the starter had open: a lock, say, that would be held for as long as the environment is up.
fn close_inherited() {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers: Vec<i32> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // The directory that was just read is among them, and closed already.
        let _closed = nix::unistd::close(number);
    }
}

fn run(options: &str) -> Result<(), DaemonError> {
    close_inherited();
    let text = std::fs::read(options).map_err(DaemonError::file(options))?;
    let options: UpOptions = serde_json::from_slice(&text)
        .map_err(|error| DaemonError::Parse { path: options.into(), why: error.to_string() })?;
    let layout = Layout::new(&options.state_dir);
    rootless::enter(&layout.covered_run())?;
    // Pods read what is written for them, whatever the mask of the shell that started this.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    // Away from the terminal: Ctrl-C there is not meant for this.
    nix::unistd::setsid().map_err(|error| DaemonError::Start(error.into()))?;
    let setup = pgherd_telemetry::LogSetup {
        shape: pgherd_telemetry::Shape::Text,
        level: "info".to_owned(),
        logger: "pgherd-local".to_owned(),
        pod: None,
    };
    let _log = pgherd_telemetry::set_up(setup).map_err(|error| DaemonError::Start(std::io::Error::other(error)))?;
    let own = i32::try_from(std::process::id()).ok().and_then(ProcessId::of);
    let text = serde_json::to_vec(&own).unwrap_or_default();
    std::fs::write(layout.daemon(), text).map_err(DaemonError::file(layout.daemon()))?;

    let network = NetworkNamespace::of(&options.name);
    let host = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("host")
        .enable_all()
        .build()
        .map_err(DaemonError::Start)?;
    host.block_on(network.create())?;
    let cluster = network.runtime(2)?;
    let host_side = HostSide::new(host.handle().clone());
    let (handle, of_daemon, record) = (cluster.handle().clone(), network.clone(), layout.daemon());
    // Spawned, not blocked on: this thread is not in the cluster's namespace.
    let served = cluster.spawn(async move { serve(options, layout, of_daemon, host_side, handle).await });
    let ended = host.block_on(served).map_err(|error| DaemonError::Start(std::io::Error::other(error)))?;
    cluster.shutdown_timeout(Duration::from_secs(2));
    let gone = host.block_on(network.delete());
    host.shutdown_timeout(Duration::from_secs(1));
    // Last of all: once it is gone, the next environment of this name makes a namespace of that name.
    let _gone = std::fs::remove_file(record);
    gone?;
    ended
}

pub(super) async fn listen(address: Ipv4Addr, port: u16) -> Result<TcpListener, NetError> {
    let address = SocketAddr::from((address, port));
    TcpListener::bind(address).await.map_err(|source| NetError::Listen { address, source })
}

async fn serve(
    options: UpOptions,
    layout: Layout,
    network: NetworkNamespace,
    host: HostSide,
    runtime: tokio::runtime::Handle,
) -> Result<(), DaemonError> {
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    make_directories(&layout)?;
    let api = api_side::start(&options, &layout, &host, &mut tasks, &stop).await?;
    let store = api.store.clone();
    let keys = furnish::s3_keys(&options, &layout.api())?;
    let gate = start_s3(&options, &layout, &keys, host.clone(), &mut tasks, &stop).await?;
    let buckets = options.s3_endpoint.is_none().then(|| layout.s3());
    let apply = applier(store.clone(), keys, buckets, Servers::below(&options.postgres));

    let (names_known, names) = watch::channel(Vec::new());
    tasks.spawn(services::run(store.clone(), names_known, stop.clone()));
    let events = EventLog::open(&layout.events()).map_err(DaemonError::file(layout.events()))?;
    tasks.spawn(events.clone().run(store.clone(), stop.clone()));
    let records = Records::open(&layout.processes()).map_err(DaemonError::file(layout.processes()))?;
    let spawner = start_spawner(&network, runtime.clone())?;
    let context =
        Arc::new(node_context(&options, &layout, &api, network.clone(), names, spawner.clone(), records.clone())?);
    let user = context.owner_for(context.user);
    let claims = Claims { store: store.clone(), directory: layout.node(), volumes: options.volumes, user };
    tasks.spawn(claims.run(stop.clone()));
    let pods = RunningPods::default();
    let node_stop = CancellationToken::new();
    let node = tokio::spawn(node::run(Arc::clone(&context), pods.clone(), node_stop.clone()));

    let forwards = Forwards::new(host, runtime);
    api.access.for_host(&layout, &forwards).await?;
    let controller_stop = CancellationToken::new();
    let made = apply(&options.files)?;
    for sentence in &made {
        tracing::info!(made = sentence, "the local environment made or applied something");
    }
    let controllers = Controllers::default();
    controller::start_all(&controllers, &options, &layout, &api.access, &context, &mut tasks, &controller_stop).await?;
    let control = Arc::new(Control {
        name: options.name.clone(),
        kubeconfig: layout.kubeconfig(),
        store,
        forwards,
        pods: pods.clone(),
        faults: Faults::new(FaultSetup {
            pods: pods.clone(),
            api: api.faults.clone(),
            s3: gate,
            kubelets: context.kubelets.clone(),
            controllers: controllers.clone(),
            network,
            nodes: options.nodes.iter().map(|node| node.name.clone()).collect(),
            store: api.store.clone(),
        }),
        controllers,
        events,
        made,
        apply: Box::new(apply),
        stop: CancellationToken::new(),
        at_once: CancellationToken::new(),
    });
    let (asked, at_once) = (control.stop.clone(), control.at_once.clone());
    let socket = tokio::spawn(Arc::clone(&control).run(control::listen(&layout.socket())?));
    tracing::info!(environment = options.name, "the local environment is up");
    wait_for_end(&asked).await;
    tracing::info!("the local environment goes down");
    // Nothing ends that is stopped, cut off, or waits for a disk.
    if let Err(error) = control.faults.apply(&FaultRequest::Heal).await {
        tracing::warn!(error = pgherd_telemetry::chain(&error), "a fault cannot be ended");
    }
    controller_stop.cancel();
    context.stopping.cancel();
    if !at_once.is_cancelled() {
        end_pods(&pods).await;
    }
    node_stop.cancel();
    stop.cancel();
    // Each has been told to stop; what does not is dropped with the runtime.
    let _ended = tokio::time::timeout(Duration::from_secs(3), async {
        let _node = node.await;
        let _socket = socket.await;
        while tasks.join_next().await.is_some() {}
    })
    .await;
    disk::release_all(&layout.node()).await;
    let _gone = std::fs::remove_file(layout.socket());
    Ok(())
}

async fn wait_for_end(asked: &CancellationToken) {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return asked.cancelled().await;
    };
    tokio::select! {
        () = asked.cancelled() => {}
        _ = term.recv() => asked.cancel(),
        _ = int.recv() => asked.cancel(),
    }
}

/// SIGTERM to every container, then the time to follow it.
async fn end_pods(pods: &RunningPods) {
    let containers = || pods.all().into_iter().flat_map(|pod| pod.containers.into_values());
    containers().for_each(|container| {
        container.process.signal(Signal::SIGTERM);
    });
    let gone = async {
        while containers().any(|container| container.process.is_alive()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(PODS_END_WITHIN, gone).await.is_err() {
        tracing::warn!("not every pod has ended in time; the rest is killed");
    }
}

fn make_directories(layout: &Layout) -> Result<(), DaemonError> {
    use std::os::unix::fs::PermissionsExt;
    // The pods' user passes through the outer ones to its volumes; API and S3 are root's alone.
    for (path, mode) in
        [(layout.root.clone(), 0o755), (layout.node(), 0o755), (layout.api(), 0o700), (layout.s3(), 0o700)]
    {
        std::fs::create_dir_all(&path).map_err(DaemonError::file(&path))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).map_err(DaemonError::file(&path))?;
    }
    Ok(())
}

async fn start_s3(
    options: &UpOptions,
    layout: &Layout,
    keys: &S3Keys,
    host: HostSide,
    tasks: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Result<S3Gate, DaemonError> {
    let behind = match &options.s3_endpoint {
        Some(endpoint) => Behind::Host(host, endpoint::target(endpoint)?),
        None => {
            let listener = listen(Ipv4Addr::LOCALHOST, 0).await?;
            let address = listener.local_addr().map_err(DaemonError::Start)?;
            let server = serve_folder(&layout.s3(), listener, &keys.id, &keys.secret)?;
            let stop = stop.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = server => {}
                    () = stop.cancelled() => {}
                }
            });
            Behind::Cluster(address)
        }
    };
    let gate = S3Gate::default();
    let (listener, runner, stop) = (listen(GATEWAY, S3_PORT).await?, gate.clone(), stop.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = runner.run(listener, behind) => {}
            () = stop.cancelled() => {}
        }
    });
    Ok(gate)
}

fn start_spawner(network: &NetworkNamespace, runtime: tokio::runtime::Handle) -> Result<Spawner, DaemonError> {
    let path = network.path();
    let file = std::fs::File::open(&path).map_err(DaemonError::file(&path))?;
    Spawner::start(runtime, move || setns(file, CloneFlags::CLONE_NEWNET).map_err(Into::into))
        .map_err(DaemonError::Start)
}

fn node_context(
    options: &UpOptions,
    layout: &Layout,
    api: &ApiSide,
    network: NetworkNamespace,
    names: watch::Receiver<Vec<crate::net::hosts::ServiceName>>,
    spawner: Spawner,
    records: Records,
) -> Result<NodeContext, DaemonError> {
    let unknown = || DaemonError::Preflight(format!("- the system user {} is missing", options.user));
    let user = nix::unistd::User::from_name(&options.user).ok().flatten().ok_or_else(unknown)?;
    let manager = options.manager.as_ref().map(|binary| -> Result<std::path::PathBuf, DaemonError> {
        // Copies of its own: a build may replace the originals, and a link must be on the pods' file system.
        let copy = layout.node().join("manager");
        for (from, to) in
            [(binary.with_file_name(WAL_CLIENT), copy.with_file_name(WAL_CLIENT)), (binary.clone(), copy.clone())]
        {
            let _old = std::fs::remove_file(&to);
            std::fs::copy(&from, &to).map_err(DaemonError::file(to))?;
        }
        Ok(copy)
    });
    let clocks = options.clocks.then(|| {
        crate::node::clocks::build(&layout.node()).map_err(DaemonError::file(layout.node().join("clocks.so")))
    });
    let mut env = options.env.clone();
    for (name, value) in
        [("AWS_ENDPOINT_URL_S3", format!("http://{GATEWAY}:{S3_PORT}")), ("AWS_REGION", "us-east-1".to_owned())]
    {
        env.entry(name.to_owned()).or_insert(value);
    }
    Ok(NodeContext {
        store: api.store.clone(),
        nodes: options.nodes.iter().map(|n| LocalNode { name: n.name.clone(), zone: n.zone.clone() }).collect(),
        helper: options.helper.clone(),
        manager: manager.transpose()?,
        directory: layout.node(),
        user: PodUser { uid: user.uid.as_raw(), gid: user.gid.as_raw() },
        single_identity: is_single(),
        network,
        addresses: PodAddresses::default(),
        names,
        env,
        token: Arc::clone(&api.token),
        spawner,
        records,
        backoff_scale: options.backoff_scale,
        node_grace: options.node_grace,
        servers: Servers::below(&options.postgres),
        host_mounts: options.host_mounts.clone(),
        clocks: clocks.transpose()?,
        own_file_systems: options.volumes == Volumes::Ext4,
        kubelets: Kubelets::default(),
        stopping: CancellationToken::new(),
    })
}
