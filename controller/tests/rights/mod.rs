//! What managers may do is brought up to date: with the spec, and by a controller whose rules are newer.

use crate::api::{Rig, until};
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use pgherd_proto::cluster::Cluster;
use serde_json::{Value, json};

const NS: &str = "default";

#[tokio::test(flavor = "multi_thread")]
async fn rights_follow_the_spec_and_those_that_an_older_controller_gave_are_brought_up_to_date() {
    let mut rig = Rig::start(1).await;
    let client = rig.client.clone();
    let clusters = Api::<Cluster>::namespaced(client.clone(), NS);
    let object = json!({ "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": { "name": "c" },
        "spec": { "instances": 1, "storage": { "size": "1Gi" } } });
    clusters.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    let (roles, bindings) = (Api::<Role>::namespaced(client.clone(), NS), Api::<RoleBinding>::namespaced(client, NS));
    let (made, _) = until("the role", || async { roles.get_opt("c").await.unwrap() }).await;
    let (bound, _) = until("the binding", || async { bindings.get_opt("c").await.unwrap() }).await;
    assert!(grants(&made, "failoverquorums/status", "c"), "{:?}", made.rules);

    // The spec names another secret: its managers are to read it.
    assert!(!grants(&made, "secrets", "admin"));
    let spec = json!({ "spec": { "superuserSecret": { "name": "admin" } } });
    clusters.patch("c", &PatchParams::default(), &Patch::Merge(spec)).await.unwrap();
    until("the secret in the role", || async {
        grants(&roles.get("c").await.unwrap(), "secrets", "admin").then_some(())
    })
    .await;
    let rules = roles.get("c").await.unwrap().rules.unwrap();

    // An older controller knew of fewer rules, and bound them to another account.
    rig.between_two_controllers(async || {
        let older: Vec<&PolicyRule> = rules.iter().filter(|rule| !is_of(rule, "failoverquorums/status")).collect();
        let patch = Patch::Merge(json!({ "rules": older }));
        roles.patch("c", &PatchParams::default(), &patch).await.unwrap();
        let other = json!([{ "kind": "ServiceAccount", "name": "other", "namespace": NS }]);
        bindings.patch("c", &PatchParams::default(), &Patch::Merge(json!({ "subjects": other }))).await.unwrap();
    })
    .await;
    until("the rules of today", || async {
        (roles.get("c").await.unwrap().rules.as_ref() == Some(&rules)).then_some(())
    })
    .await;
    let (now, _) = until("the account of today", || async {
        let now = bindings.get("c").await.unwrap();
        (now.subjects == bound.subjects).then_some(now)
    })
    .await;
    assert_eq!((now.uid(), roles.get("c").await.unwrap().uid()), (bound.uid(), made.uid()), "nothing was made anew");

    // Nobody's object is taken over.
    rig.between_two_controllers(async || {
        let theirs = json!({ "metadata": { "ownerReferences": Value::Null }, "rules": [] });
        roles.patch("c", &PatchParams::default(), &Patch::Merge(theirs)).await.unwrap();
        let other = json!([{ "kind": "ServiceAccount", "name": "other", "namespace": NS }]);
        bindings.patch("c", &PatchParams::default(), &Patch::Merge(json!({ "subjects": other }))).await.unwrap();
    })
    .await;
    // The binding comes after the role, and is the cluster's still.
    until("the account of today", || async {
        (bindings.get("c").await.unwrap().subjects == bound.subjects).then_some(())
    })
    .await;
    assert_eq!(roles.get("c").await.unwrap().rules.unwrap_or_default(), []);
    rig.end().await;
}

fn is_of(rule: &PolicyRule, resource: &str) -> bool {
    rule.resources.iter().flatten().any(|name| name == resource)
}

fn grants(role: &Role, resource: &str, object: &str) -> bool {
    let names = |rule: &PolicyRule| rule.resource_names.iter().flatten().any(|name| name == object);
    role.rules.iter().flatten().any(|rule| is_of(rule, resource) && names(rule))
}
