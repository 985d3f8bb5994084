//! The example's cluster, as kubectl shows it and as its instances answer through `kubectl exec`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pgherd_testkit::bed::{HEALTHY, STREAMING};
use serde_json::{Value, json};
use tokio_postgres::Config;

use crate::kubectl::{Kubectl, items};

/// The example's namespace.
pub const NAMESPACE: &str = "phoenix-guardian";
/// And its cluster.
pub const CLUSTER: &str = "phoenix-guardian-db";

/// A cluster of the example's namespace.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub kubectl: Kubectl,
    pub name: String,
}

impl Cluster {
    /// kubectl in the cluster's namespace.
    pub async fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        self.kubectl.ask(&[&["--namespace", NAMESPACE], arguments].concat()).await
    }

    /// The same, which has to succeed.
    pub async fn must(&self, arguments: &[&str]) -> String {
        self.ask(arguments).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// An object of the namespace.
    pub async fn get(&self, kind: &str, name: &str) -> Result<Value, String> {
        self.kubectl.json(&["--namespace", NAMESPACE, "get", kind, name]).await
    }

    /// Its instances' pods.
    pub async fn pods(&self) -> Result<Vec<Value>, String> {
        let selector = format!("cnpg.io/cluster={},cnpg.io/podRole=instance", self.name);
        let list = self.kubectl.json(&["--namespace", NAMESPACE, "get", "pods", "-l", &selector]).await?;
        Ok(items(&list).to_vec())
    }

    /// Who is the primary by the status.
    pub async fn primary(&self) -> Result<String, String> {
        Ok(text(&self.get("cluster", &self.name).await?, "/status/currentPrimary"))
    }

    /// The standbys' pods.
    pub async fn standbys(&self) -> Result<Vec<String>, String> {
        let primary = self.primary().await?;
        let names = self.pods().await?.iter().map(|pod| text(pod, "/metadata/name")).collect::<Vec<_>>();
        Ok(names.into_iter().filter(|name| *name != primary).collect())
    }

    /// The node of a pod.
    pub async fn node_of(&self, pod: &str) -> String {
        text(&self.get("pod", pod).await.unwrap(), "/spec/nodeName")
    }

    /// A statement, by psql in a pod's container.
    pub async fn sql(&self, pod: &str, statement: &str) -> Result<String, String> {
        let psql = ["psql", "-X", "-U", "postgres", "-d", "postgres", "-Atq", "-v", "ON_ERROR_STOP=1", "-c", statement];
        self.exec(pod, &psql).await
    }

    /// A command in a pod's container.
    pub async fn exec(&self, pod: &str, command: &[&str]) -> Result<String, String> {
        self.ask(&[&["exec", pod, "-c", "postgres", "--"], command].concat()).await
    }

    /// Whether it lacks nothing, by its own word, by its pods', and by what its primary says; answers the primary.
    pub async fn look(&self) -> Result<String, String> {
        let cluster = self.get("cluster", &self.name).await?;
        let count = |path: &str| cluster.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        let (wanted, ready) = (count("/spec/instances"), count("/status/readyInstances"));
        let (phase, primary) = (text(&cluster, "/status/phase"), text(&cluster, "/status/currentPrimary"));
        let target = text(&cluster, "/status/targetPrimary");
        if phase != HEALTHY || ready != wanted || primary != target {
            return Err(format!("{ready} of {wanted} ready, primary {primary}, target {target}, phase {phase:?}"));
        }
        let pods = self.pods().await?;
        let up = pods.iter().filter(|pod| is_ready(pod)).count();
        if pods.len() != up || u64::try_from(up).ok() != Some(wanted) {
            return Err(format!("{up} of {} pods are ready, {wanted} wanted", pods.len()));
        }
        let streaming = self.sql(&primary, STREAMING).await?;
        if streaming.parse() != Ok(wanted - 1) {
            return Err(format!("{streaming} standbys stream from {primary}"));
        }
        Ok(primary)
    }

    /// Waits until it lacks nothing; answers the primary.
    pub async fn healthy(&self, seconds: u64) -> String {
        self.kubectl.until(&format!("{} in health", self.name), seconds, async || self.look().await).await
    }

    /// Waits until somebody other than `old` is the primary; answers who.
    pub async fn another_primary(&self, old: &str, seconds: u64) -> String {
        let look = async || match self.primary().await? {
            now if now == old || now.is_empty() => Err(format!("it is {now:?}")),
            now => Ok(now),
        };
        self.kubectl.until("another primary", seconds, look).await
    }

    /// Changes the spec.
    pub async fn change(&self, spec: &Value) {
        let patch = json!({"spec": spec}).to_string();
        self.must(&["patch", "cluster", &self.name, "--type=merge", "-p", &patch]).await;
    }

    /// How the application connects, by its Secret, through the service of this suffix.
    pub async fn application(&self, suffix: &str) -> Config {
        let secret = self.get("secret", &format!("{}-app", self.name)).await.unwrap();
        let value = |key: &str| {
            let bytes = STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        let service = self.get("service", &format!("{}-{suffix}", self.name)).await.unwrap();
        let mut config = Config::new();
        config
            .host(text(&service, "/spec/clusterIP"))
            .port(5432)
            .user(value("username"))
            .password(value("password"))
            .dbname(value("dbname"))
            .application_name("e2e")
            .connect_timeout(Duration::from_secs(2));
        config
    }
}

/// Whether a pod takes clients.
pub fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    pod["metadata"]["deletionTimestamp"].is_null()
        && conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

/// A text field, empty if it is not there.
pub fn text(object: &Value, path: &str) -> String {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}
