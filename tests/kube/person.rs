//! What the tool's page says that people may: whoever has that Role can use every verb, and without its last rule is told
//! what is missing.

use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::bed::{Bed, CLUSTER, NAMESPACE};
use crate::install::{CONTROLLER, token};
use crate::plane::Plane;

const PAGE: &str = include_str!("../../docs/reference/tool.md");
const PERSON: &str = "operator";
const WATCHER: &str = "watcher";

/// The rules of the Role on the page, as they stand there.
fn rules() -> Vec<Value> {
    let (_, chapter) = PAGE.split_once("## What a person may").unwrap();
    let (_, block) = chapter.split_once("```yaml\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let role: Value = serde_yaml_ng::from_str(block).unwrap();
    role["rules"].as_array().unwrap().clone()
}

impl Plane {
    /// Every verb, as somebody with that Role; `plan` with the controller's own as well, as the page says.
    pub async fn is_worked_by_a_person(&self, bed: &Bed) {
        let all = rules();
        let (secrets, rest): (Vec<Value>, Vec<Value>) =
            all.iter().cloned().partition(|rule| rule["resources"].as_array().unwrap().contains(&json!("secrets")));
        assert!(secrets.len() == 1 && rest.len() > 5, "the page has changed: {all:?}");
        self.person(PERSON, &all).await;
        let role = format!("--clusterrole={CONTROLLER}");
        let account = format!("--serviceaccount={NAMESPACE}:{PERSON}");
        self.must("admin", &["create", "rolebinding", "planner", "-n", NAMESPACE, &role, &account]).await;
        self.person(WATCHER, &rest).await;

        let primary = bed.healthy(90).await;
        let standby = bed.standby().await;
        let report = self.directory.join("report.tar.gz");
        let report = report.to_str().unwrap();
        // The pods' node is ours: this server cannot ask it for logs.
        assert!(self.can(PERSON, "get", "pods/one", "log", NAMESPACE).await, "logs");
        let report: &[&str] = &["report", "cluster", CLUSTER, "-f", report];
        let certificate: &[&str] = &["certificate", "mine", "--cnpg-cluster", CLUSTER, "--cnpg-user", "app"];
        let asks: [&[&str]; 10] = [
            &["status", CLUSTER],
            &["plan", CLUSTER],
            report,
            &["hibernate", "status", CLUSTER],
            &["reload", CLUSTER],
            &["maintenance", "set", CLUSTER],
            &["maintenance", "unset", CLUSTER],
            certificate,
            &["backup", CLUSTER, "--backup-name", "by-a-person", "--wait"],
            &["fencing", "on", CLUSTER, &standby],
        ];
        for ask in asks {
            self.does(bed, PERSON, ask).await;
        }
        self.does(bed, PERSON, &["fencing", "off", CLUSTER, &standby]).await;
        bed.healthy(90).await;
        self.does(bed, PERSON, &["promote", CLUSTER, &standby]).await;
        bed.another_primary(&primary, 60).await;
        bed.healthy(90).await;
        self.does(bed, PERSON, &["restart", CLUSTER, &primary]).await;
        bed.healthy(120).await;
        self.does(bed, PERSON, &["destroy", CLUSTER, &primary]).await;
        bed.healthy(120).await;
        self.does(bed, PERSON, &["backup", "verify", CLUSTER]).await;

        for ask in [&["status", CLUSTER][..], &["fencing", "off", CLUSTER, "*"]] {
            self.does(bed, WATCHER, ask).await;
        }
        let refused = self.tool(bed, WATCHER, certificate).await;
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && why.contains("secrets"), "it says what is missing: {refused:?}");
        let told = self.tool(bed, WATCHER, report).await;
        assert!(told.status.success(), "a report without Secrets: {told:?}");
    }

    /// An account with a Role of its own; its kubeconfig has its name.
    async fn person(&self, name: &str, rules: &[Value]) {
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": name, "namespace": NAMESPACE}, "rules": rules,
        });
        let file = self.directory.join(format!("{name}.json"));
        std::fs::write(&file, role.to_string()).unwrap();
        self.must("admin", &["create", "-f", file.to_str().unwrap()]).await;
        self.must("admin", &["create", "serviceaccount", name, "-n", NAMESPACE]).await;
        let (role, account) = (format!("--role={name}"), format!("--serviceaccount={NAMESPACE}:{name}"));
        self.must("admin", &["create", "rolebinding", name, "-n", NAMESPACE, &role, &account]).await;
        let token = token(&self.client("admin").await, NAMESPACE, name).await;
        self.write_kubeconfig(name, &token);
    }

    async fn does(&self, bed: &Bed, who: &str, words: &[&str]) {
        let done = self.tool(bed, who, words).await;
        assert!(done.status.success(), "{who} cannot {words:?}: {done:?}");
        bed.say(&format!("{who} can {}", words.join(" ")));
    }

    async fn tool(&self, bed: &Bed, who: &str, words: &[&str]) -> Output {
        let (program, _) = bed.how_to_run();
        let mut tool = Command::new(program);
        tool.args(words).args(["--kube", "-n", NAMESPACE]).env("KUBECONFIG", self.kubeconfig(who));
        tool.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap()
    }
}
