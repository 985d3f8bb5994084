//! A run: everything is started, the scenarios follow one another, and the report is written.

use std::path::{Path, PathBuf};

use pgherd_testkit::wait;
use serde_json::Value;

use crate::cluster::{CLUSTER, Cluster};
use crate::kubectl::Kubectl;
use crate::nodes::COUNT;
use crate::place::Place;
use crate::report::Report;
use crate::store::{self, Store};
use crate::tools::{self, Tools};
use crate::world::World;
use crate::{images, scenarios};

/// What the images are called in manifests: the examples' own, and what a rolling update goes to.
fn postgres_images() -> [String; 2] {
    let image = pgherd_proto::cluster::DEFAULT_IMAGE.to_owned();
    let next = format!("{image}-next");
    [image, next]
}

/// Runs all of it in `directory`, on `node` or `kind`; whether all went as promised.
pub async fn run(machine: &str, directory: PathBuf) -> bool {
    let began = std::time::Instant::now();
    let tools = Tools::find(machine);
    std::fs::create_dir_all(directory.join("logs")).unwrap();
    let mut report = Report::now(machine, COUNT);
    let place = Place::start(machine, &directory, &tools).await;
    let address = place.address().await;
    let names = postgres_images();
    let store = store::endpoint(address);
    for archive in [
        images::pause(&directory, &tools).await,
        images::postgres(&directory, &names.each_ref().map(String::as_str), &store).await,
        tools::root().join("target/image/pgherd.tar"),
    ] {
        place.import(&archive).await;
    }
    let kubectl = Kubectl::new(&tools.kube.join("kubectl"), &place.kubeconfig(), &directory);
    report.kubernetes = version(&kubectl).await;
    let store = Store::start(&directory, &tools, address).await;
    println!("e2e: Kubernetes {} with {COUNT} nodes after {:.0} s", report.kubernetes, began.elapsed().as_secs_f64());
    let cluster = Cluster { kubectl, name: CLUSTER.to_owned() };
    let [_, next_image] = names;
    let kubernetes = report.kubernetes.clone();
    let mut world = World { directory, tools, kubernetes, place, cluster, _store: store, load: None, next_image };
    scenarios::all(&mut world, &mut report).await;
    if std::env::var("KEEP").is_ok_and(|keep| !keep.is_empty()) {
        println!("e2e: kept until ctrl-C; nsenter --all --target {} is inside", outer_pid());
        std::future::pending::<()>().await;
    }
    world.place.remove().await;
    report.duration_seconds = began.elapsed().as_secs_f64();
    write(&report, &tools::root().join("target/e2e/report.json"));
    report.is_green()
}

/// The API server's.
async fn version(kubectl: &Kubectl) -> String {
    let said = wait::until("a version", std::time::Duration::from_secs(60), async || kubectl.json(&["version"]).await);
    let said: Value = said.await.unwrap();
    said["serverVersion"]["gitVersion"].as_str().unwrap().trim_start_matches('v').to_owned()
}

/// This process, as those outside see it.
fn outer_pid() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    line.split_whitespace().next().unwrap_or_default().to_owned()
}

fn write(report: &Report, path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, serde_json::to_string_pretty(report).unwrap()).unwrap();
    let Report { passed, failed, .. } = report;
    println!("e2e: {passed} passed, {failed} failed, in {:.0} s: {}", report.duration_seconds, path.display());
}
