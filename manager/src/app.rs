//! Putting a manager together: locks, clients, servers and tasks around one driver, and taking it apart again.

use crate::app_password::AppPassword;
use crate::archiving::{Archiving, ArchivingTasks};
use crate::certificates::Certificates;
use crate::cluster_api::{Announcer, ClusterApi, LeaseApi, watch_cluster};
use crate::config::{Config, METRICS_PORT, POSTGRES_PORT, RunArgs, STATUS_PORT};
use crate::context::{Context, Processes};
use crate::driver::{Driver, Ears};
use crate::effects::{incarnation, off_runtime};
use crate::extensions::Extensions;
use crate::http::{self, Limits, Security, Shared, control_channel, metrics_router, status_router};
use crate::metrics::Registry;
use crate::queries::{self, MetricsRole, Monitor, Place};
use crate::roles::Roles;
use crate::sampler::{PostgresProbe, Sampler, SamplerSettings};
use crate::spare_session::SpareSession;
use crate::synchrony::Synchrony;
use crate::{clock, condition, duty, leftovers, link, quorum, tasks};
use core::time::Duration;
use pgherd_core::identity::Nonce;
use pgherd_core::lease::Timings;
use pgherd_core::timeline::TimelineId;
use pgherd_postgres::dir::Volume;
use pgherd_postgres::reap::Reaper;
use pgherd_postgres::version::Major;
use pgherd_postgres::volume_lock::VolumeLock;
use pgherd_postgres::wal_volume::WalPlace;
use pgherd_proto::cluster::{Cluster, MonitoringConfiguration};
use pgherd_telemetry::{LineQueue, chain};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

/// Between two tries at something without which nothing can begin.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// For one look at postgres.
const SAMPLE_WITHIN: Duration = Duration::from_secs(2);
/// What is left in pg_wal is archived before the pod goes, within this.
const LAST_ARCHIVING: Duration = Duration::from_secs(20);

/// Runs the manager of one pod; its exit code.
///
/// # Errors
/// For people: what the environment lacks.
pub async fn run(args: &RunArgs, queue: LineQueue) -> Result<u8, String> {
    if std::process::id() != 1 {
        return Err("`manager run` has to be PID 1 of its container: its fence is a kill of every process that it \
                    can see, which anywhere else would be somebody else's"
            .to_owned());
    }
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "a TLS provider was set already".to_owned())?;
    let nonce = Nonce(uuid::Uuid::new_v4().to_string());
    let config = Config::new(args, nonce);
    // The last words of this container: proof of death for whoever finds them there (rule L2).
    std::fs::write(&args.termination_log, &config.me.nonce.0)
        .map_err(|e| format!("failed to write {}: {e}", args.termination_log.display()))?;
    make_directories(&config)?;
    let terminate = tasks::termination().map_err(|e| chain(&e))?;
    let reaper = Reaper::start().map_err(|e| chain(&e))?;
    let Some(lock) = unless_told(&terminate, lock_volume(config.volume())).await else { return Ok(0) };
    let volume = config.volumes_of(&config.pgdata);
    let Some(()) = unless_told(&terminate, settle_wal(&volume)).await else { return Ok(0) };
    close_to_others(&volume).await;
    let major = major(&config.pgdata)?;
    tracing::info!(major = major.number(), nonce = %config.me.nonce, "manager started");

    let client = kube_client().await?;
    let api = ClusterApi::new(&client, &config.namespace, &config.cluster);
    let Some(cluster) = unless_told(&terminate, read_cluster(&api)).await else { return Ok(0) };
    let timings = timings(&cluster);
    let mut running = JoinSet::new();
    let (certificates, keeper) = Certificates::new(api.clone(), &config.certificates_dir());
    let (cluster_out, cluster_seen) = watch::channel(Some(Arc::new(cluster)));
    let (archiving, ArchivingTasks { serving }) =
        Archiving::start(&config, &certificates, cluster_seen.clone(), &api).await?;
    running.spawn(serving);
    running.spawn(tasks::postgres_log(&config, queue.clone())?);

    let (sampler, samples) = Sampler::new(SamplerSettings {
        period: Duration::from_secs(1),
        deadline: Duration::from_secs(3),
        pg_wal: config.pgdata.join("pg_wal"),
        wal_mount: config.wal_mount.clone(),
        clock: clock::now,
    });
    let (events, events_in) = mpsc::channel(64);
    let (seen, seen_in) = mpsc::channel(64);
    let (control, control_in) = control_channel();
    let postgres_lines = tasks::postgres_lines(&config, queue.clone());
    let leaving = Arc::new(AtomicBool::new(false));
    let registry = Arc::new(Registry::default());
    let context = Arc::new(Context {
        volume,
        lease: LeaseApi::new(api.clone()),
        announcer: Announcer::new(api.clone(), &config.me.name, &config.me.pod_uid, &config.me.address),
        config: config.clone(),
        reaper,
        lock,
        major,
        api: api.clone(),
        cluster: cluster_seen,
        certificates: certificates.clone(),
        timings,
        archiving,
        postgres_lines,
        events,
        nudge: sampler.nudge(),
        leaving: Arc::clone(&leaving),
        following: watch::Sender::new(None),
        timeline: watch::Sender::new(TimelineId::default()),
        sensitive: watch::Sender::new(Vec::new()),
        raised: AtomicBool::new(false),
        another_labelled: AtomicBool::new(false),
        bind_password: watch::Sender::new(None),
        pending_restart: AtomicBool::new(false),
        pending_decrease: AtomicBool::new(false),
        peers: watch::Sender::new(Vec::new()),
        synchrony: Synchrony::default(),
        mirror: watch::Sender::new(None),
        spare: SpareSession::default(),
        slots_due: Notify::new(),
        full: watch::Sender::new(None),
        registry: Arc::clone(&registry),
        processes: Processes::default(),
    });
    let probe = PostgresProbe::new(config.socket_dir(), POSTGRES_PORT, SAMPLE_WITHIN, leaving);
    running.spawn(sampler.run(probe));
    running.spawn(crate::slots::keep(Arc::clone(&context)));
    running.spawn(crate::backups::keep(Arc::clone(&context)));
    running.spawn(link::report(Arc::clone(&context), samples.clone()));
    let reloading = Arc::clone(&context);
    running.spawn(keeper.follow(context.cluster.clone(), move || crate::effects::reload(&reloading)));
    let _watches = watch_cluster(&api, context.lease.clone(), &seen);

    running.spawn(tasks::count_log_lines(queue.clone(), Arc::clone(&registry)));
    let (report, reported) = watch::channel(None);
    let (snapshot, snapshots) = watch::channel(Arc::default());
    running.spawn(tasks::annotate(Arc::clone(&context), reported));
    running.spawn(leftovers::archive(Arc::clone(&context)));
    running.spawn(condition::follow(Arc::clone(&context), snapshots.clone()));
    running.spawn(quorum::follow(Arc::clone(&context), snapshots.clone()));
    running.spawn(crate::retention::keep(Arc::clone(&context), snapshots.clone()));
    running.spawn(crate::preview::keep(Arc::clone(&context), snapshots.clone()));
    running.spawn(duty::keep::<AppPassword>(Arc::clone(&context), snapshots.clone()));
    running.spawn(duty::keep::<MetricsRole>(Arc::clone(&context), snapshots.clone()));
    running.spawn(duty::keep::<Extensions>(Arc::clone(&context), snapshots.clone()));
    running.spawn(crate::ldap::follow(Arc::clone(&context)));
    running.spawn(duty::keep::<Roles>(Arc::clone(&context), snapshots.clone()));
    let (socket_dir, leaving) = (config.socket_dir(), Arc::clone(&context.leaving));
    let monitor = Arc::new(Monitor::new(Place { socket_dir, port: POSTGRES_PORT, leaving }));
    running.spawn(queries::follow(Arc::clone(&context), Arc::clone(&monitor)));
    let shared = Shared {
        instance: snapshots,
        sample: samples,
        control,
        clock: clock::now,
        wal_directory: config.pgdata.join("pg_wal"),
    };
    let status = Security::Tls(certificates.server());
    serve(&mut running, STATUS_PORT, status, status_router(shared.clone())).await?;
    let asked = context.cluster.clone();
    let by_tls = move || {
        let cluster = asked.borrow();
        let monitoring = cluster.as_ref().and_then(|cluster| cluster.spec.monitoring.as_ref());
        monitoring.is_some_and(MonitoringConfiguration::serves_tls)
    };
    let metrics = Security::AsAsked(certificates.metrics(), Box::new(by_tls));
    serve(&mut running, METRICS_PORT, metrics, metrics_router(shared, registry, monitor)).await?;

    let driver = Driver::new(Arc::clone(&context), cluster_out, report, snapshot);
    let code = driver.run(Ears { events: events_in, seen: seen_in, control: control_in, terminate }).await;
    if let Err(why) = context.archiving.archive_all_ready(LAST_ARCHIVING).await {
        tracing::warn!(%why, "some WAL is not archived yet; it stays on the volume, and is when it comes back");
    }
    tracing::info!(code, "manager leaves");
    running.shutdown().await;
    Ok(code)
}

fn make_directories(config: &Config) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    for directory in [config.socket_dir(), config.certificates_dir(), config.log_dir(), config.temp_dir()] {
        std::fs::create_dir_all(&directory).map_err(|e| format!("failed to make {}: {e}", directory.display()))?;
    }
    std::fs::set_permissions(config.certificates_dir(), std::fs::Permissions::from_mode(0o700))
        .map_err(|e| format!("failed to close the certificates' directory to others: {e}"))
}

async fn lock_volume(volume: &Path) -> VolumeLock {
    loop {
        match VolumeLock::acquire(volume) {
            Ok(lock) => return lock,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the volume is not ours yet: no postgres without its lock");
            }
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

/// Before anything is started on it. A kubelet opens it to the pod's `fsGroup` each time that it mounts the volume.
async fn close_to_others(volume: &Volume) {
    let closing = volume.clone();
    match off_runtime(move || closing.close_to_others().map_err(|e| chain(&e))).await {
        Ok(false) => {}
        Ok(true) => tracing::info!("the data directory was open to its group, and is closed again"),
        // Postgres will say what it does not like.
        Err(why) => tracing::warn!(%why, "the data directory may be open to others"),
    }
}

/// Before anything looks into `pg_wal`.
async fn settle_wal(volume: &Volume) {
    loop {
        let (settling, anew) = (volume.clone(), incarnation());
        match off_runtime(move || settling.settle_wal(&anew).map_err(|e| chain(&e))).await {
            Ok(WalPlace::Here) => return,
            Ok(WalPlace::Moved) => return tracing::info!("WAL was moved to its own volume"),
            Ok(WalPlace::Lost) => {
                return tracing::error!("WAL was lost with its volume: this instance has to be cloned anew");
            }
            Ok(WalPlace::Back) => return tracing::warn!("the volume of WAL that had been lost is back"),
            Err(why) => tracing::warn!(%why, "WAL is not where it belongs yet: no postgres without it"),
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

fn major(pgdata: &Path) -> Result<Major, String> {
    if pgdata.join("PG_VERSION").exists() {
        return Major::of_data_directory(pgdata).map_err(|e| chain(&e));
    }
    Major::installed().into_iter().next_back().ok_or_else(|| "no PostgreSQL is installed in this image".to_owned())
}

pub(crate) async fn kube_client() -> Result<kube::Client, String> {
    let mut config = kube::Config::infer().await.map_err(|e| chain(&e))?;
    config.connect_timeout = Some(Duration::from_secs(2));
    kube::Client::try_from(config).map_err(|e| chain(&e))
}

/// Nothing can begin without the Cluster: it says what is to be served, and who made it.
pub(crate) async fn read_cluster(api: &ClusterApi) -> Cluster {
    loop {
        match tokio::time::timeout(Duration::from_secs(5), api.clusters.get(&api.name)).await {
            Ok(Ok(cluster)) => return cluster,
            Ok(Err(error)) => tracing::warn!(error = %chain(&error), "the Cluster cannot be read yet"),
            Err(_) => tracing::warn!("the API server does not answer"),
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

/// Waits for what may not come, a deleted Cluster for one, unless this process is told to end: nothing of postgres runs yet.
async fn unless_told<T>(terminate: &watch::Receiver<bool>, awaited: impl Future<Output = T>) -> Option<T> {
    let mut terminate = terminate.clone();
    tokio::select! {
        came = awaited => Some(came),
        Ok(_) = terminate.wait_for(|told| *told) => {
            tracing::info!("told to end before there was anything to end");
            None
        }
    }
}

fn timings(cluster: &Cluster) -> Timings {
    let wanted = cluster.spec.timings();
    match wanted.check() {
        Ok(timings) => timings,
        Err(error) => {
            tracing::error!(error = %chain(&error), "spec.primaryLease is not safe: the defaults are used");
            Timings::default()
        }
    }
}

async fn serve(running: &mut JoinSet<()>, port: u16, security: Security, router: axum::Router) -> Result<(), String> {
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let listener = TcpListener::bind(address).await.map_err(|e| format!("failed to listen on port {port}: {e}"))?;
    running.spawn(async move {
        if let Err(error) = http::serve(listener, security, router, Limits::default()).await {
            tracing::error!(port, error = %chain(&error), "a server of the manager ended");
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_never_comes_is_waited_for_only_until_the_pod_is_told_to_end() {
        let (tell, told) = watch::channel(false);
        assert_eq!(unless_told(&told, async { 7 }).await, Some(7));
        let never = unless_told(&told, std::future::pending::<()>());
        let (came, _) = tokio::join!(never, async { tell.send_replace(true) });
        assert_eq!(came, None);
    }
}
