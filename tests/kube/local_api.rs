//! The local API server in this process, on a port of its own, with our definitions and without rights.

use base64::Engine as _;
use pgherd_localkube::api::{ApiConfig, ApiServer, FaultSwitch, load_or_create};
use pgherd_localkube::net::address::ServiceAddresses;
use pgherd_proto::definitions::definitions;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Starts it, until `stop`; answers the kubeconfig of its administrator.
pub async fn serve(state: &Path, stop: CancellationToken) -> Value {
    let credentials = load_or_create(state, &["localhost".to_owned()], &[IpAddr::V4(Ipv4Addr::LOCALHOST)]).unwrap();
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
    let tls = Arc::clone(&credentials.server);
    tokio::spawn(async move { api.serve(listener, Some(tls), stop).await });
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "local",
        "clusters": [{"name": "local", "cluster": {
            "server": format!("https://127.0.0.1:{port}"), "certificate-authority-data": encode(&credentials.ca)}}],
        "users": [{"name": "admin", "user": {
            "client-certificate-data": encode(&credentials.admin_certificate),
            "client-key-data": encode(&credentials.admin_key)}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "admin"}}],
    })
}
