//! The chart by Helm, and what the example takes for granted (docs/how-to/kubernetes.md).

use std::path::PathBuf;

use serde_json::json;

use crate::cluster::NAMESPACE;
use crate::process::{must, run};
use crate::store::{ACCESS_KEY, SECRET_KEY};
use crate::tools;
use crate::world::World;

/// Where the controllers are.
const SYSTEM: &str = "pgherd-system";
/// What `make e2e` calls the image that it builds.
const REPOSITORY: &str = "pgherd.test/pgherd";
const TAG: &str = "e2e";
/// The class of the example's volumes.
const CLASS: &str = "gp3-encrypted";
/// The oldest minor version of Kubernetes that the chart is for.
const OLDEST: u32 = 25;

impl World {
    /// `helm install`, and two controllers that are ready.
    pub async fn install_chart(&self) {
        let chart = self.chart().await.display().to_string();
        let image = format!("image.repository={REPOSITORY},image.tag={TAG}");
        let mut command = self.cluster.kubectl.command(&self.tools.helm);
        command.args(["install", "pgherd", &chart, "--namespace", SYSTEM, "--create-namespace", "--set", &image]);
        if self.is_older() {
            // It has no policy/v1, and does not know rules in definitions: it leaves them out.
            command.args(["--set", "podDisruptionBudget.enabled=false"]);
            command.args(["--server-side=false", "--disable-openapi-validation"]);
        }
        run(command).await.unwrap_or_else(|error| panic!("{error}"));
        let rollout = ["-n", SYSTEM, "rollout", "status", "deployment/pgherd", "--timeout=240s"];
        self.cluster.kubectl.must(&rollout).await;
    }

    /// The namespace, the credentials, and the class of volumes.
    pub async fn provide(&self) {
        let kubectl = &self.cluster.kubectl;
        kubectl.must(&["create", "namespace", NAMESPACE]).await;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "aws-creds", "namespace": NAMESPACE},
            "stringData": {"ACCESS_KEY_ID": ACCESS_KEY, "SECRET_ACCESS_KEY": SECRET_KEY},
        });
        kubectl.apply(&secret).await;
        self.place.make_class(kubectl, &self.directory, CLASS).await;
    }

    /// The examples, as they are.
    pub async fn apply_examples(&self) {
        let file = |name: &str| tools::root().join("docs/examples").join(name).display().to_string();
        let kubectl = &self.cluster.kubectl;
        kubectl.must(&["apply", "-f", &file("cluster.yaml")]).await;
        kubectl.must(&["apply", "--namespace", NAMESPACE, "-f", &file("scheduledbackup.yaml")]).await;
    }

    /// The chart; an older server is given it without its lower bound.
    async fn chart(&self) -> PathBuf {
        let chart = tools::root().join("charts/pgherd");
        if !self.is_older() {
            return chart;
        }
        let copy = self.directory.join("chart");
        must("cp", &["-r", &chart.display().to_string(), &copy.display().to_string()]).await;
        let file = copy.join("Chart.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("kubeVersion:")).collect();
        std::fs::write(&file, kept.join("\n")).unwrap();
        copy
    }

    /// Whether the server is older than what the chart is for.
    fn is_older(&self) -> bool {
        self.kubernetes
            .split('.')
            .nth(1)
            .and_then(|minor| minor.parse::<u32>().ok())
            .is_some_and(|minor| minor < OLDEST)
    }
}
