//! What the local API answers to the calls of our programs is what a real one answers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use pgherd_localkube::api::{ApiConfig, ApiServer, FaultSwitch, load_or_create};
use pgherd_localkube::net::address::ServiceAddresses;
use pgherd_proto::definitions::definitions;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::dialogue::{NAMESPACE, hold};
use crate::install::install;
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

/// The local API server on a port of its own, with our definitions.
async fn local(state: &std::path::Path) -> (Client, CancellationToken) {
    let names = ["localhost".to_owned()];
    let credentials = load_or_create(state, &names, &[IpAddr::V4(Ipv4Addr::LOCALHOST)]).unwrap();
    let api = ApiServer::new(ApiConfig {
        state_dir: state.to_owned(),
        rbac: false,
        tokens: BTreeMap::new(),
        cluster_ips: Arc::new(ServiceAddresses::default()),
        pod_logs: None,
        root_ca: credentials.ca.clone(),
        faults: FaultSwitch::default(),
    })
    .unwrap();
    for definition in definitions() {
        let kind = "customresourcedefinitions.apiextensions.k8s.io";
        api.store().create(kind, "", serde_json::to_value(&definition).unwrap()).unwrap();
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    let (tls, until) = (Arc::clone(&credentials.server), stop.clone());
    tokio::spawn(async move { api.serve(listener, Some(tls), until).await });
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let file: Kubeconfig = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "local",
        "clusters": [{"name": "local", "cluster": {
            "server": format!("https://127.0.0.1:{port}"), "certificate-authority-data": encode(&credentials.ca)}}],
        "users": [{"name": "admin", "user": {
            "client-certificate-data": encode(&credentials.admin_certificate),
            "client-key-data": encode(&credentials.admin_key)}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "admin"}}],
    }))
    .unwrap();
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    (Client::try_from(config).unwrap(), stop)
}
