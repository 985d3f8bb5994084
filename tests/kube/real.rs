//! The life of a cluster on the real API server, what its accounts may do there, and what becomes of it while that server
//! is away, says no, or is killed.

use std::path::PathBuf;
use std::time::Duration;

use pgherd_localkube::daemon::RealApi;
use pgherd_localkube::fault::{ControllerFault, FaultRequest, Target};
use pgherd_testkit::journal::{boottime, longest_gap};
use serde_json::Value;

use crate::bed::Bed;
use crate::install::install;
use crate::load::Load;
use crate::plane::Plane;
use crate::scenarios::edit;

/// More than two of the lease's durations.
const OUTAGE: Duration = Duration::from_secs(20);

/// A control plane with our chart in it, and a bed that works for it.
pub async fn start(name: &str) -> (Plane, Bed) {
    let directory = PathBuf::from(format!("/var/tmp/pgherd-kube-{}-{name}", std::process::id()));
    let mut plane = Plane::start(&directory).await;
    install(&mut plane).await;
    let api = RealApi { kubeconfig: plane.kubeconfig("admin"), controller: plane.kubeconfig("controller") };
    let bed = Bed::start_with(name, edit, |options| options.api = Some(api)).await;
    (plane, bed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_goes_through_its_life_on_a_real_api_server_and_does_not_notice_its_faults() {
    let (mut plane, bed) = start("kube-real").await;
    let load = bed.life().await;
    plane.keep_tenants_apart(&bed).await;
    bed.outlives_the_api_server(&mut plane, &load).await;
    bed.outlives_refusals(&mut plane, &load).await;
    bed.outlives_controllers(&load).await;
    plane.is_worked_by_a_person(&bed).await;
    bed.settle(load).await;
    bed.is_deleted().await;
    bed.down().await;
    plane.stop().await;
}

impl Bed {
    /// The server is killed and gone for a while: the same postgres writes on, since all who could take over promise not to.
    async fn outlives_the_api_server(&self, plane: &mut Plane, load: &Load) {
        let primary = self.healthy(90).await;
        let run = self.started(&primary).await;
        let since = boottime();
        self.say("the API server is killed");
        plane.kill_api().await;
        let wanted = since.saturating_add(u64::try_from(OUTAGE.as_nanos()).unwrap());
        self.until("rows without an API server", 60, async || match load.promised().last() {
            Some(last) if last.at >= wanted => Ok(()),
            last => Err(format!("{last:?}")),
        })
        .await;
        let gap = longest_gap(&load.promised(), since).unwrap();
        self.say(&format!("{OUTAGE:?} without an API server: the longest gap {:.3} s", gap.seconds()));
        plane.start_api(&[]).await;
        assert_eq!(self.healthy(120).await, primary);
        assert_eq!(self.started(&primary).await, run, "the same postgres has written all the time");
        // The controller hears of what is asked as soon as that server is back.
        let target = self.standby().await;
        let began = std::time::Instant::now();
        self.move_to(&target).await;
        self.say(&format!("a switchover after the outage took {:.1} s", began.elapsed().as_secs_f64()));
        let primary = self.healthy(90).await;
        self.hurt(load, "the postmaster killed after the outage", async || {
            self.kill(Target::Postmaster, &primary).await;
            self.another_primary(&primary, 90).await;
        })
        .await;
        self.healthy(120).await;
    }

    /// A server with room for hardly anything answers 429 to most.
    async fn outlives_refusals(&self, plane: &mut Plane, load: &Load) {
        let primary = self.healthy(90).await;
        let run = self.started(&primary).await;
        plane.kill_api().await;
        let narrow =
            ["--enable-priority-and-fairness=false", "--max-requests-inflight=1", "--max-mutating-requests-inflight=1"];
        plane.start_api(&narrow).await;
        let since = boottime();
        let refused = crowd(plane).await;
        self.say(&format!("{refused} requests of a crowd were answered 429"));
        assert!(refused > 0);
        self.written(load, 30).await;
        let gap = longest_gap(&load.promised(), since).unwrap();
        self.say(&format!("under 429: the longest gap {:.3} s", gap.seconds()));
        assert_eq!(self.started(&primary).await, run, "the same postgres has written all the time");
        plane.kill_api().await;
        plane.start_api(&[]).await;
        self.healthy(120).await;
    }

    /// The controller is killed, and then there are two of it.
    async fn outlives_controllers(&self, load: &Load) {
        self.fault(FaultRequest::Controller { what: ControllerFault::Double }).await;
        let target = self.standby().await;
        self.move_to(&target).await;
        let primary = self.healthy(90).await;
        self.hurt(load, "the postmaster killed, with two controllers", async || {
            self.kill(Target::Postmaster, &primary).await;
            self.another_primary(&primary, 60).await;
        })
        .await;
        let primary = self.healthy(120).await;
        // Nobody elects for a moment: another takes over after all, or the primary recovers in place.
        self.hurt(load, "a controller killed, and the postmaster", async || {
            self.handle.kill_controller().await.unwrap();
            self.kill(Target::Postmaster, &primary).await;
        })
        .await;
        self.fault(FaultRequest::Heal).await;
        self.healthy(120).await;
    }
}

/// Many who ask at once, as the controller (administrators are never refused), for longer than a lease lasts; answers how
/// many were told 429.
async fn crowd(plane: &Plane) -> usize {
    let until = tokio::time::Instant::now() + Duration::from_secs(12);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let client = plane.client("controller").await;
        tasks.spawn(async move {
            let mut refused = 0_usize;
            while tokio::time::Instant::now() < until {
                let request = http::Request::get("/api/v1/secrets").body(Vec::new()).unwrap();
                match client.request::<Value>(request).await {
                    Err(kube::Error::Api(status)) if status.code == 429 => refused += 1,
                    _ => {}
                }
            }
            refused
        });
    }
    tasks.join_all().await.into_iter().sum()
}
