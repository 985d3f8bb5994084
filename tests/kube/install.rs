//! What the chart installs, on a real API server: our definitions as they are committed, and the controller's account with
//! the rules of the chart and nothing else.

use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, PostParams};
use pgherd_testkit::wait;
use serde_json::{Value, json};

use crate::plane::Plane;

/// Where the controller is.
pub const SYSTEM: &str = "pgherd-system";
/// Its account, and its ClusterRole.
pub const CONTROLLER: &str = "pgherd-controller";
/// Longer than any test, in seconds.
const DAY: u32 = 86_400;

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/pgherd")
}

/// Installs it; the controller's kubeconfig is `controller`.
pub async fn install(plane: &mut Plane) {
    let client = plane.client("admin").await;
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/crds");
    // This server is older than rules in CEL: its kubectl does not know them, it refuses to apply them, and where they are
    // created it leaves them out.
    plane.must("admin", &["create", "--validate=false", "-f", crds.to_str().unwrap()]).await;
    established(&client).await;
    plane.must("admin", &["create", "namespace", SYSTEM]).await;
    plane.must("admin", &["create", "serviceaccount", CONTROLLER, "-n", SYSTEM]).await;
    let rules = std::fs::read_to_string(chart().join("files/controller-rules.yaml")).unwrap();
    let mut rules: Vec<Value> = serde_yaml_ng::from_str(&rules).unwrap();
    // Of objects that no namespace has, as the chart's `watch.nodes` gives them.
    rules.push(json!({"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "watch"]}));
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": CONTROLLER},
        "rules": rules,
    });
    let file = plane.directory.join("role.json");
    std::fs::write(&file, role.to_string()).unwrap();
    plane.must("admin", &["create", "-f", file.to_str().unwrap()]).await;
    let (role, account) = (format!("--clusterrole={CONTROLLER}"), format!("--serviceaccount={SYSTEM}:{CONTROLLER}"));
    plane.must("admin", &["create", "clusterrolebinding", CONTROLLER, &role, &account]).await;
    let token = token(&client, SYSTEM, CONTROLLER).await;
    plane.write_kubeconfig("controller", &token);
    plane.start_controllers().await;
}

async fn established(client: &Client) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let all = wait::until("established definitions", Duration::from_secs(30), async || {
        let found = definitions.list(&Default::default()).await.map_err(|error| error.to_string())?.items;
        let is = |definition: &CustomResourceDefinition, what: &str| {
            let status = definition.status.as_ref().and_then(|status| status.conditions.as_ref());
            status.into_iter().flatten().any(|condition| condition.type_ == what && condition.status == "True")
        };
        assert!(
            found.iter().all(|definition| !is(definition, "NonStructuralSchema")),
            "a schema is refused: {found:?}"
        );
        let ready = found.iter().filter(|definition| is(definition, "Established")).count();
        if ready >= 4 { Ok(()) } else { Err(format!("{ready} definitions")) }
    });
    all.await.unwrap();
}

/// A token of a service account.
pub async fn token(client: &Client, namespace: &str, account: &str) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"audiences": [], "expirationSeconds": DAY}});
    let made =
        accounts.create_subresource::<_, Value>("token", account, &PostParams::default(), &request).await.unwrap();
    made["status"]["token"].as_str().unwrap().to_owned()
}
