//! What the local API answers to the calls of our programs is what a real one answers.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::dialogue::{NAMESPACE, hold};
use crate::install::install;
use crate::local_api;
use crate::plane::Plane;

/// Lines that differ on purpose: what the real one says, and why ours says something else.
const ON_PURPOSE: [(&str, &str); 1] =
    [("no base64: 422", "ours says 400, as to a PUT: it does not read a patch on its own, and nobody looks")];

#[tokio::test(flavor = "multi_thread")]
async fn the_local_api_answers_our_programs_as_a_real_one_does() {
    let directory = PathBuf::from(format!("/var/tmp/pgherd-kube-{}-answers", std::process::id()));
    let mut plane = Plane::start(&directory).await;
    install(&mut plane).await;
    let client = plane.client("admin").await;
    namespace(&client).await;
    let real = hold(client).await;
    plane.stop().await;

    let state = tempfile::tempdir().unwrap();
    let (client, stop) = local(state.path()).await;
    namespace(&client).await;
    let ours = hold(client).await;
    stop.cancel();

    assert!(real.len() > 50, "{} answers", real.len());
    let mut wrong = Vec::new();
    for (number, line) in real.iter().enumerate() {
        let (here, known) = (ours.get(number), ON_PURPOSE.iter().any(|(said, _)| said == line));
        match (here == Some(line), known) {
            (false, false) => wrong.push(format!("real: {line}\nours: {}", here.map_or("(nothing)", String::as_str))),
            (true, true) => wrong.push(format!("the same, and listed as different: {line}")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {} answers differ:\n{}", wrong.len(), real.len(), wrong.join("\n"));
    println!("{} answers are the same, {} differ on purpose", real.len() - ON_PURPOSE.len(), ON_PURPOSE.len());
}

async fn namespace(client: &Client) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let made: Namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}})).unwrap();
    namespaces.create(&PostParams::default(), &made).await.unwrap();
    // Pods are refused until their account is there.
    let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let there = pgherd_testkit::wait::until("the default account", std::time::Duration::from_secs(30), async || {
        accounts.get("default").await.map(drop).map_err(|error| error.to_string())
    });
    there.await.unwrap();
}

/// The local API server, and what ends it.
async fn local(state: &std::path::Path) -> (Client, CancellationToken) {
    let stop = CancellationToken::new();
    let file: Kubeconfig = serde_json::from_value(local_api::serve(state, stop.clone()).await).unwrap();
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    (Client::try_from(config).unwrap(), stop)
}
