//! kubeconfig files: one for the host, one for processes inside of the cluster's network.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::Kubeconfig;
use serde_json::json;

use super::DaemonError;
use crate::api::Credentials;

/// Writes one, readable by root only. JSON is YAML.
pub(super) fn write(path: &Path, server: &str, credentials: &Credentials, namespace: &str) -> Result<(), DaemonError> {
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "pgherd-local",
        "clusters": [{"name": "pgherd-local", "cluster": {
            "server": server, "certificate-authority-data": STANDARD.encode(&credentials.ca)}}],
        "users": [{"name": "admin", "user": {
            "client-certificate-data": STANDARD.encode(&credentials.admin_certificate),
            "client-key-data": STANDARD.encode(&credentials.admin_key)}}],
        "contexts": [{"name": "pgherd-local", "context": {
            "cluster": "pgherd-local", "user": "admin", "namespace": namespace}}],
    });
    write_text(path, &format!("{text:#}\n"))
}

/// Writes one that there is already.
pub(super) fn write_file(path: &Path, file: &Kubeconfig) -> Result<(), DaemonError> {
    let text = serde_yaml_ng::to_string(file);
    let text = text.map_err(|error| DaemonError::Parse { path: path.to_owned(), why: error.to_string() })?;
    write_text(path, &text)
}

fn write_text(path: &Path, text: &str) -> Result<(), DaemonError> {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(DaemonError::file(path))?;
    file.write_all(text.as_bytes()).map_err(DaemonError::file(path))
}
