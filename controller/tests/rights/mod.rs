//! What managers may do is brought up to date: with the spec, and by a controller whose rules are newer.

use crate::api::{Rig, until};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
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

#[tokio::test(flavor = "multi_thread")]
async fn an_account_follows_its_template_and_keeps_what_others_gave_it() {
    let rig = Rig::start(1).await;
    let clusters = Api::<Cluster>::namespaced(rig.client.clone(), NS);
    let accounts = Api::<ServiceAccount>::namespaced(rig.client.clone(), NS);
    let object = json!({ "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": { "name": "c" },
        "spec": { "instances": 1, "storage": { "size": "1Gi" } } });
    clusters.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    let (made, _) = until("the account", || async { accounts.get_opt("c").await.unwrap() }).await;
    let merge = PatchParams::default();
    let theirs = json!({ "metadata": { "annotations": { "theirs": "x" } }, "imagePullSecrets": [{ "name": "pull" }] });
    accounts.patch("c", &merge, &Patch::Merge(theirs)).await.unwrap();

    for role in ["arn:1", "arn:2"] {
        let metadata = json!({ "labels": { "team": "shop" }, "annotations": { "eks.amazonaws.com/role-arn": role } });
        let spec = json!({ "spec": { "serviceAccountTemplate": { "metadata": metadata } } });
        clusters.patch("c", &merge, &Patch::Merge(spec)).await.unwrap();
        let (now, _) = until("the role in the account", || async {
            let now = accounts.get("c").await.unwrap();
            (now.annotations().get("eks.amazonaws.com/role-arn").map(String::as_str) == Some(role)).then_some(now)
        })
        .await;
        assert_eq!((now.uid(), now.labels()["team"].as_str()), (made.uid(), "shop"));
        assert_eq!((now.annotations()["theirs"].as_str(), now.labels()["cnpg.io/cluster"].as_str()), ("x", "c"));
        assert_eq!(now.image_pull_secrets.map(|all| all.len()), Some(1));
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_managers_of_a_cluster_reach_their_own_lease_secrets_and_status_and_nothing_of_another_tenant() {
    let rig = Rig::start(1).await;
    let client = rig.client.clone();
    for namespace in ["mine", "theirs"] {
        let object: Namespace = serde_json::from_value(json!({ "metadata": { "name": namespace } })).unwrap();
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &object).await.unwrap();
        let object = json!({ "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": { "name": "c" },
            "spec": { "instances": 1, "storage": { "size": "1Gi" } } });
        let clusters = Api::<Cluster>::namespaced(client.clone(), namespace);
        clusters.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
        let bindings = Api::<RoleBinding>::namespaced(client.clone(), namespace);
        until("the binding", || async { bindings.get_opt("c").await.unwrap() }).await;
        let leases = Api::<Lease>::namespaced(client.clone(), namespace);
        until("the lease", || async { leases.get_opt("c").await.unwrap() }).await;
        let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
        until("the secret", || async { secrets.get_opt("c-app").await.unwrap() }).await;
    }
    let account = Api::<ServiceAccount>::namespaced(client.clone(), "mine");
    let token = account.create_token_request("c", &PostParams::default(), &TokenRequest::default()).await.unwrap();
    let me = rig.client_of(&token.status.unwrap().token);

    Api::<Lease>::namespaced(me.clone(), "mine").get("c").await.unwrap();
    Api::<Secret>::namespaced(me.clone(), "mine").get("c-app").await.unwrap();
    let said = Patch::Merge(json!({ "status": { "systemID": "7" } }));
    Api::<Cluster>::namespaced(me.clone(), "mine").patch_status("c", &PatchParams::default(), &said).await.unwrap();

    let refused = |answer: Result<(), kube::Error>| match answer {
        Err(kube::Error::Api(status)) => assert_eq!(status.code, 403, "{status:?}"),
        other => panic!("it was not refused: {other:?}"),
    };
    let none = PatchParams::default();
    refused(Api::<Secret>::namespaced(me.clone(), "mine").list(&ListParams::default()).await.map(drop));
    refused(Api::<Secret>::namespaced(me.clone(), "mine").get("another").await.map(drop));
    refused(Api::<Pod>::namespaced(me.clone(), "mine").delete("c-1", &DeleteParams::default()).await.map(drop));
    let spec = Patch::Merge(json!({ "spec": { "instances": 2 } }));
    refused(Api::<Cluster>::namespaced(me.clone(), "mine").patch("c", &none, &spec).await.map(drop));
    refused(Api::<Lease>::namespaced(me.clone(), "theirs").get("c").await.map(drop));
    refused(Api::<Secret>::namespaced(me.clone(), "theirs").get("c-app").await.map(drop));
    refused(Api::<Cluster>::namespaced(me.clone(), "theirs").get("c").await.map(drop));
    refused(Api::<Cluster>::namespaced(me.clone(), "theirs").patch_status("c", &none, &said).await.map(drop));
    refused(Api::<Pod>::namespaced(me.clone(), "theirs").list(&ListParams::default()).await.map(drop));
    rig.end().await;
}

fn is_of(rule: &PolicyRule, resource: &str) -> bool {
    rule.resources.iter().flatten().any(|name| name == resource)
}

fn grants(role: &Role, resource: &str, object: &str) -> bool {
    let names = |rule: &PolicyRule| rule.resource_names.iter().flatten().any(|name| name == object);
    role.rules.iter().flatten().any(|rule| is_of(rule, resource) && names(rule))
}
