//! The benchmark itself: many clusters made, left alone, changed, failed over at once, and found again by a controller that
//! was started anew.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use pgherd_proto::cluster::{Cluster, phase};
use pgherd_testkit::machine::Head;
use pgherd_testkit::wait;
use serde_json::{Value, json};

use crate::controller::{Controller, cpu_seconds, program, rss_mib};
use crate::member::Name;
use crate::node::Node;
use crate::place::Place;
use crate::{served, timings};

/// Clusters in one namespace.
const PER_NAMESPACE: usize = 100;
/// Clusters that fail at the same time, and that are changed, at most.
const TOGETHER: usize = 100;
/// For each window of a measurement of what is constant.
const WINDOW: Duration = Duration::from_secs(30);

struct Bench {
    place: Place,
    client: Client,
    node: Node,
    controller: Controller,
    clusters: Vec<Name>,
    status_port: u16,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make bench-scale runs it: for minutes, and with as much memory as a real API server takes"]
async fn what_many_clusters_cost_one_controller() {
    let count = std::env::var("SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(1000);
    let own = timings::measured().remove(0).0;
    let head = Head::now(format!("make bench-scale SCALE={count} SCALE_LEASE={own}"));
    let mut bench = Bench::start(count).await;
    let made = bench.make().await;
    let leases = bench.idle().await;
    let calls = bench.calls_per_change().await;
    let elections = bench.fail_over().await;
    let rss = rss_mib(bench.controller.pid());
    let restart = bench.restart().await;
    let figures = json!({
        "controller": program(), "real_api_server": bench.place.is_real(),
        "clusters": count,
        "made_s": made,
        "rss_mib": round(rss),
        "idle_cpu_percent": leases[&own]["controller_cpu_percent"],
        "election_p50_s": at(&elections, 0.5), "election_p99_s": at(&elections, 0.99),
        "elections": elections.len(),
        "restart_to_steady_s": round(restart.as_secs_f64()),
        "api_calls_per_change": round(calls),
        "lease_writes_per_second": leases.iter().map(|(name, found)| (name.clone(), found["lease_writes_per_second"].clone())).collect::<BTreeMap<_, _>>(),
        "primary_lease": leases,
    });
    let mut report = json!(head);
    report.as_object_mut().unwrap().extend(figures.as_object().unwrap().clone());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("scale.json"), serde_json::to_string_pretty(&report).unwrap() + "\n").unwrap();
    println!("{report:#}\nscale: the report is in target/bench/scale.json");
    let Bench { place, controller, .. } = bench;
    controller.kill().await;
    place.stop().await;
}

impl Bench {
    async fn start(count: usize) -> Self {
        let place = Place::start().await;
        let client = place.admin().await;
        let clusters = (0..count).map(|n| (format!("scale-{}", n / PER_NAMESPACE), format!("c{n:04}"))).collect();
        let node = Node::start(client.clone());
        let status_port = served::listen(node.clone()).await;
        let log = place.directory.join("controller.log");
        let controller = Controller::start(&place.kubeconfig("controller"), status_port, &log);
        Self { place, client, node, controller, clusters, status_port }
    }

    /// Every cluster is made and well; answers after how many seconds.
    async fn make(&self) -> f64 {
        let began = Instant::now();
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        for number in 0..=(self.clusters.len() - 1) / PER_NAMESPACE {
            let made: Namespace =
                serde_json::from_value(json!({"metadata": {"name": format!("scale-{number}")}})).unwrap();
            namespaces.create(&PostParams::default(), &made).await.unwrap();
        }
        let make = |(namespace, name): Name| async move {
            let cluster: Cluster = serde_json::from_value(json!({
                "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": name},
                "spec": {"instances": 3, "storage": {"size": "1Gi"}, "primaryLease": timings::spec()},
            }))
            .unwrap();
            let clusters = Api::<Cluster>::namespaced(self.client.clone(), &namespace);
            clusters.create(&PostParams::default(), &cluster).await.unwrap();
        };
        futures::stream::iter(self.clusters.clone()).map(make).buffer_unordered(8).collect::<Vec<()>>().await;
        self.well().await;
        let _steady = self.controller.steady(0).await;
        let took = round(began.elapsed().as_secs_f64());
        println!("scale: {} clusters are well after {took} s", self.clusters.len());
        took
    }

    /// Waits until every cluster is.
    async fn well(&self) {
        let all = wait::until("clusters that are well", Duration::from_secs(1800), async || {
            let phase = |name: &&Name| {
                let status = self.node.cluster(name).and_then(|cluster| cluster.status);
                status.and_then(|status| status.phase).as_deref() == Some(phase::HEALTHY)
            };
            let well = self.clusters.iter().filter(phase).count();
            if well == self.clusters.len() { Ok(()) } else { Err(format!("{well} are, of {}", self.clusters.len())) }
        });
        all.await.unwrap();
    }

    /// Nothing happens but renewals; what that costs, for each setting of them.
    async fn idle(&self) -> BTreeMap<String, Value> {
        let mut found = BTreeMap::new();
        for (name, period) in timings::measured() {
            self.node.set_period(Duration::from_secs(period));
            // Until each has renewed in the new rhythm.
            tokio::time::sleep(Duration::from_secs(period * 2)).await;
            let pids = [("controller", self.controller.pid())].into_iter().chain(self.place.pids());
            let before: Vec<(&str, u32, f64)> = pids.map(|(name, pid)| (name, pid, cpu_seconds(pid))).collect();
            let (renewals, began) = (self.node.renewals.load(Ordering::Relaxed), Instant::now());
            tokio::time::sleep(WINDOW).await;
            let seconds = began.elapsed().as_secs_f64();
            let renewed = u32::try_from(self.node.renewals.load(Ordering::Relaxed) - renewals).unwrap();
            let mut line = json!({"lease_writes_per_second": round(f64::from(renewed) / seconds)});
            for (program, pid, cpu) in before {
                line[format!("{program}_cpu_percent")] = json!(round((cpu_seconds(pid) - cpu) / seconds * 100.0));
            }
            println!("scale: idle with {name}: {line}");
            found.insert(name, line);
        }
        self.node.set_period(timings::period());
        found
    }

    /// How often the API server is asked for one change, what is asked without any not counted.
    async fn calls_per_change(&self) -> f64 {
        let (began, before) = (Instant::now(), self.asked());
        tokio::time::sleep(WINDOW).await;
        let rate = (self.asked() - before) / began.elapsed().as_secs_f64();
        let (began, before) = (Instant::now(), self.asked());
        let changed: Vec<&Name> = self.clusters.iter().take(TOGETHER).collect();
        for (namespace, name) in &changed {
            let pods = Api::<Pod>::namespaced(self.client.clone(), namespace);
            let patch = Patch::Merge(json!({"metadata": {"annotations": {"example.com/changed": "yes"}}}));
            pods.patch(&format!("{name}-2"), &PatchParams::default(), &patch).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        let asked = self.asked() - before - rate * began.elapsed().as_secs_f64();
        let calls = asked / f64::from(u32::try_from(changed.len()).unwrap());
        println!("scale: {calls:.2} calls per change, {rate:.1} per second without any");
        calls
    }

    fn asked(&self) -> f64 {
        let audit = std::fs::read_to_string(self.place.directory.join("audit.jsonl")).unwrap_or_default();
        f64::from(u32::try_from(audit.lines().filter(|line| !line.contains("\"verb\":\"watch\"")).count()).unwrap())
    }

    /// Many primaries die at once; answers how many seconds after each was proven dead its successor was elected.
    async fn fail_over(&self) -> Vec<f64> {
        let failing: Vec<Name> = self.clusters.iter().take(TOGETHER).cloned().collect();
        let told = futures::future::join_all(failing.iter().map(|cluster| self.node.kill_primary(cluster))).await;
        let elected = wait::until("elections", Duration::from_secs(300), async || {
            let found: Vec<Instant> = failing.iter().filter_map(|cluster| self.node.elected(cluster, 1)).collect();
            if found.len() == failing.len() { Ok(found) } else { Err(format!("{} of {}", found.len(), failing.len())) }
        });
        let elected = elected.await.unwrap();
        let waited = elected.iter().zip(&told).map(|(elected, told)| elected.saturating_duration_since(*told));
        let mut seconds: Vec<f64> = waited.map(|waited| waited.as_secs_f64()).collect();
        seconds.sort_by(f64::total_cmp);
        println!("scale: elected after {:.3} s (p50), {:.3} s (p99)", at(&seconds, 0.5), at(&seconds, 0.99));
        self.well().await;
        seconds
    }

    /// The controller is killed, and another one started.
    async fn restart(&mut self) -> Duration {
        let log = self.place.directory.join("controller.log");
        let kubeconfig = self.place.kubeconfig("controller");
        let before = std::mem::replace(&mut self.controller, Controller::start(&kubeconfig, self.status_port, &log));
        before.kill().await;
        let clusters = u64::try_from(self.clusters.len()).unwrap();
        let took = self.controller.steady(clusters).await;
        println!("scale: steady {:.1} s after a restart", took.as_secs_f64());
        took
    }
}

fn at(sorted: &[f64], share: f64) -> f64 {
    let last = f64::from(u32::try_from(sorted.len() - 1).unwrap());
    let index = (0..sorted.len()).find(|index| f64::from(u32::try_from(*index).unwrap()) >= share * last);
    round(sorted[index.unwrap()])
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
