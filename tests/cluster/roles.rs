//! Roles, the superuser's password and further services follow the manifest and its Secrets.

use k8s_openapi::api::core::v1::{Secret, Service};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio_postgres::NoTls;

use crate::bed::{Bed, CLUSTER, NAMESPACE};

const ATTRIBUTES: &str = "SELECT concat_ws(' ', rolcanlogin, rolbypassrls, rolcreatedb, rolconnlimit, \
    pg_has_role('auditor', 'pg_monitor', 'member'), shobj_description(oid, 'pg_authid')) FROM pg_roles WHERE rolname = 'auditor'";

impl Bed {
    /// A role is made, changed, given another password, cannot be made, and is dropped; the superuser gets in and out.
    pub async fn roles_are_kept(&self, primary: &str) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), NAMESPACE);
        let secret = json!({ "metadata": { "name": "auditor" }, "type": "kubernetes.io/basic-auth",
            "stringData": { "username": "auditor", "password": "first-password" } });
        secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
        self.manage(&json!([
            { "name": "auditor", "login": true, "bypassrls": true, "connectionLimit": 3, "inRoles": ["pg_monitor"],
              "comment": "it's for audits", "passwordSecret": { "name": "auditor" } },
            { "name": "orphan", "inRoles": ["nobody_has_made_it"] },
        ]))
        .await;
        self.role_is(primary, "t t f 3 t it's for audits").await;
        self.signs_in(primary, "auditor", "first-password").await;
        self.until("the status of the roles", 30, async || {
            let status = self.cluster().await?["status"]["managedRolesStatus"].clone();
            let why = status["cannotReconcile"]["orphan"][0].as_str().unwrap_or_default().to_owned();
            let done = status["byStatus"]["reconciled"] == json!(["auditor"]) && why.contains("nobody_has_made_it");
            if done { Ok(()) } else { Err(status.to_string()) }
        })
        .await;

        self.say("a role is changed, in the manifest, by hand, and in its Secret");
        let other = Patch::Merge(json!({ "stringData": { "password": "second-password" } }));
        secrets.patch("auditor", &PatchParams::default(), &other).await.unwrap();
        self.ask(primary, "ALTER ROLE auditor CREATEDB").await.unwrap();
        self.manage(&json!([{ "name": "auditor", "login": true, "passwordSecret": { "name": "auditor" } }])).await;
        self.role_is(primary, "t f f -1 f").await;
        self.signs_in(primary, "auditor", "second-password").await;
        self.manage(&json!([{ "name": "auditor", "ensure": "absent" }])).await;
        self.role_is(primary, "").await;

        self.say("the superuser gets in, and out");
        let none = "SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = 'postgres'";
        assert_eq!(self.ask(primary, none).await.unwrap().trim(), "t", "off by default");
        self.spec(json!({ "enableSuperuserAccess": true })).await;
        self.until("the superuser's Secret", 30, async || {
            self.secret(&format!("{CLUSTER}-superuser"), "password").await.map_err(|error| format!("{error:#}"))
        })
        .await;
        let password = self.secret(&format!("{CLUSTER}-superuser"), "password").await.unwrap();
        assert!(self.secret(&format!("{CLUSTER}-superuser"), "pgpass").await.unwrap().contains(":*:postgres:"));
        self.signs_in(primary, "postgres", &password).await;
        self.no_secret_is_shown().await;
        self.spec(json!({ "enableSuperuserAccess": false })).await;
        self.until("no password", 30, async || match self.ask(primary, none).await?.trim() {
            "t" => Ok(()),
            other => Err(other.to_owned()),
        })
        .await;
    }

    /// A service is added, changed and taken away again; one of the three is left out, and comes back.
    pub async fn services_are_kept(&self) {
        let services: Api<Service> = Api::namespaced(self.client.clone(), NAMESPACE);
        let with = |kind: &str, strategy: &str| {
            json!({ "managed": { "services": { "disabledDefaultServices": ["ro"], "additional": [{
                "selectorType": "rw", "updateStrategy": strategy,
                "serviceTemplate": { "metadata": { "name": "outside", "labels": { "team": "shop" } },
                    "spec": { "type": kind } } }] } } })
        };
        let there = async |name: String, kind: Option<&str>| {
            self.until(&format!("service {name}: {kind:?}"), 40, async || {
                let found = services.get_opt(&name).await.map_err(|error| error.to_string())?;
                let spec = found.and_then(|service| service.spec);
                let said = spec.as_ref().and_then(|spec| spec.type_.as_deref());
                if said == kind { Ok(()) } else { Err(format!("{spec:?}")) }
            })
            .await;
        };
        let ro = || format!("{CLUSTER}-ro");
        self.spec(with("NodePort", "patch")).await;
        there("outside".to_owned(), Some("NodePort")).await;
        there(ro(), None).await;
        self.spec(with("ClusterIP", "replace")).await;
        there("outside".to_owned(), Some("ClusterIP")).await;
        let spec = services.get("outside").await.unwrap().spec.unwrap();
        assert_eq!(spec.selector.unwrap()["cnpg.io/instanceRole"], "primary");
        assert_eq!(spec.ports.unwrap()[0].port, 5432);
        self.spec(json!({ "managed": { "services": null } })).await;
        there("outside".to_owned(), None).await;
        there(ro(), Some("ClusterIP")).await;
    }

    async fn manage(&self, roles: &Value) {
        self.spec(json!({ "managed": { "roles": roles } })).await;
    }

    async fn spec(&self, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.clusters().patch(CLUSTER, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn role_is(&self, primary: &str, wanted: &str) {
        self.until(&format!("role auditor: {wanted:?}"), 40, async || match self.ask(primary, ATTRIBUTES).await? {
            said if said.trim() == wanted => Ok(()),
            said => Err(said),
        })
        .await;
    }

    async fn signs_in(&self, primary: &str, user: &str, password: &str) {
        let mut config = self.application(&format!("pod/{primary}")).await.unwrap();
        config.user(user).password(password).dbname("postgres");
        self.until(&format!("{user} signing in"), 40, async || match config.connect(NoTls).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        })
        .await;
    }
}
