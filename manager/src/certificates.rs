//! The cluster's certificates: read from its Secret, written for postgres and libpq, turned into TLS settings.

use crate::cluster_api::ClusterApi;
use crate::http;
use core::time::Duration;
use k8s_openapi::api::core::v1::Secret;
use pgherd_pki::{ClientIdentity, client_config, server_config};
use pgherd_postgres::files::write_durable_if_changed;
use pgherd_proto::cluster::{CertificatesStatus, Cluster};
use pgherd_proto::{names, secrets};
use pgherd_telemetry::chain;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// While a Secret is missing (the controller makes them), and later to notice a rotation.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
const LOOK_FOR_ROTATION: Duration = Duration::from_secs(30);

/// The files of the one Secret that postgres and libpq read, by name.
const FILES: [&str; 6] = [
    secrets::SERVER_CA,
    secrets::CLIENT_CA,
    secrets::SERVER_CRT,
    secrets::SERVER_KEY,
    secrets::REPLICATION_CRT,
    secrets::REPLICATION_KEY,
];
/// What the managers show each other, and whom they believe.
const OWN: [&str; 3] = [secrets::CA_CRT, secrets::TLS_CRT, secrets::TLS_KEY];

/// One set of certificates, as PEM, by key.
type Pems = BTreeMap<&'static str, String>;

/// What the set is used for.
#[derive(Clone, Default)]
struct Settings {
    client: Option<Arc<rustls::ClientConfig>>,
    postgres: Option<Arc<rustls::ClientConfig>>,
}

/// The certificates of this instance, kept up to date by [`Certificates::follow`].
#[derive(Clone)]
pub struct Certificates {
    settings: watch::Receiver<Settings>,
    server: watch::Receiver<Option<Arc<rustls::ServerConfig>>>,
    metrics: watch::Receiver<Option<Arc<rustls::ServerConfig>>>,
}

/// The task that keeps them.
pub struct CertificateKeeper {
    api: ClusterApi,
    directory: PathBuf,
    settings: watch::Sender<Settings>,
    server: watch::Sender<Option<Arc<rustls::ServerConfig>>>,
    metrics: watch::Sender<Option<Arc<rustls::ServerConfig>>>,
}

impl Certificates {
    /// Nothing yet, and the task that will fetch them into `directory`.
    #[must_use]
    pub fn new(api: ClusterApi, directory: &Path) -> (Self, CertificateKeeper) {
        let (settings, settings_seen) = watch::channel(Settings::default());
        let (server, server_seen) = watch::channel(None);
        let (metrics, metrics_seen) = watch::channel(None);
        let keeper = CertificateKeeper { api, directory: directory.to_owned(), settings, server, metrics };
        (Self { settings: settings_seen, server: server_seen, metrics: metrics_seen }, keeper)
    }

    /// Waits until they are there.
    pub async fn ready(&self) {
        // The sender lives as long as the manager.
        drop(self.settings.clone().wait_for(|settings| settings.client.is_some()).await);
    }

    /// For requests to other managers: shows the managers' certificate, believes the cluster's own CA.
    #[must_use]
    pub fn client(&self) -> Option<Arc<rustls::ClientConfig>> {
        self.settings.borrow().client.clone()
    }

    /// For SQL sessions with another instance: shows the replication certificate, believes the servers' CA.
    #[must_use]
    pub fn postgres_client(&self) -> Option<rustls::ClientConfig> {
        self.settings.borrow().postgres.clone().map(|config| rustls::ClientConfig::clone(&config))
    }

    /// For the metrics, where they are served by TLS: postgres' own certificate (CNPG's `monitoring.tls`).
    #[must_use]
    pub fn metrics(&self) -> http::TlsSource {
        self.metrics.clone()
    }

    /// For the status port.
    #[must_use]
    pub fn server(&self) -> http::TlsSource {
        self.server.clone()
    }
}

impl CertificateKeeper {
    /// Fetches until dropped, at once where the Cluster says that a certificate is another; `changed` is called after
    /// each change on disk.
    pub async fn follow(self, mut cluster: watch::Receiver<Option<Arc<Cluster>>>, changed: impl Fn()) {
        let mut known: Option<Pems> = None;
        loop {
            let said = in_use(cluster.borrow_and_update().as_deref());
            let pause = match self.fetch().await {
                Ok(fresh) => {
                    if known.as_ref() != Some(&fresh) {
                        match self.install(&fresh).await {
                            Ok(()) => {
                                tracing::info!("certificates installed");
                                known = Some(fresh);
                                changed();
                            }
                            Err(why) => tracing::error!(%why, "the certificates were not installed"),
                        }
                    }
                    LOOK_FOR_ROTATION
                }
                Err(why) => {
                    tracing::debug!(%why, "the certificates are not there");
                    if known.is_some() { LOOK_FOR_ROTATION } else { LOOK_AGAIN }
                }
            };
            let others = cluster.wait_for(|cluster| in_use(cluster.as_deref()) != said);
            let nobody_tells = matches!(tokio::time::timeout(pause, others).await, Ok(Err(_)));
            if nobody_tells {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// One Secret, that the controller changes as a whole: there is never half of a change in it.
    async fn fetch(&self) -> Result<Pems, String> {
        let secret = self.secret(names::secret_instances(&self.api.name)).await?;
        OWN.into_iter().chain(FILES).map(|key| Ok((key, text(&secret, key)?))).collect()
    }

    async fn secret(&self, name: String) -> Result<Secret, String> {
        match tokio::time::timeout(Duration::from_secs(5), self.api.secrets.get(&name)).await {
            Ok(found) => found.map_err(|error| format!("failed to read Secret {name}: {}", chain(&error))),
            Err(_) => Err(format!("failed to read Secret {name}: no answer")),
        }
    }

    async fn install(&self, pems: &Pems) -> Result<(), String> {
        let [ca, shown] =
            [pems.get(secrets::CA_CRT), pems.get(secrets::SERVER_CA)].map(|pem| pem.map_or("", String::as_str));
        let own = identity(pems, secrets::TLS_CRT, secrets::TLS_KEY);
        let replication = identity(pems, secrets::REPLICATION_CRT, secrets::REPLICATION_KEY);
        let mut server = server_config(own, Some(ca)).map_err(|e| chain(&e))?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        // What postgres can use may be nothing that we can; the rest does not depend on it.
        let metrics = server_config(identity(pems, secrets::SERVER_CRT, secrets::SERVER_KEY), None)
            .inspect_err(|error| tracing::warn!(error = %chain(error), "metrics cannot be served by TLS"));
        let client = client_config(ca, Some(own)).map_err(|e| chain(&e))?;
        let postgres = client_config(shown, Some(replication)).map_err(|e| chain(&e))?;
        let (directory, pems) = (self.directory.clone(), pems.clone());
        tokio::task::spawn_blocking(move || write(&directory, &pems)).await.map_err(|e| chain(&e))??;
        self.server.send_replace(Some(Arc::new(server)));
        self.metrics.send_replace(metrics.ok().map(Arc::new));
        let settings = Settings { client: Some(Arc::new(client)), postgres: Some(Arc::new(postgres)) };
        self.settings.send_replace(settings);
        Ok(())
    }
}

fn identity<'a>(pems: &'a Pems, crt: &str, key: &str) -> ClientIdentity<'a> {
    let text = |key: &str| pems.get(key).map_or("", String::as_str);
    ClientIdentity { certificate_pem: text(crt), key_pem: text(key) }
}

/// What the Cluster says of the certificates in use: it is another when they are.
fn in_use(cluster: Option<&Cluster>) -> Option<CertificatesStatus> {
    cluster?.status.as_ref()?.certificates.as_deref().cloned()
}

fn write(directory: &Path, pems: &Pems) -> Result<(), String> {
    for (name, content) in pems.iter().filter(|(name, _)| FILES.contains(*name)) {
        write_durable_if_changed(&directory.join(name), content.as_bytes(), 0o600).map_err(|e| chain(&e))?;
    }
    Ok(())
}

fn text(secret: &Secret, key: &str) -> Result<String, String> {
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    let bytes =
        secret.data.as_ref().and_then(|data| data.get(key)).ok_or_else(|| format!("Secret {name} has no {key}"))?;
    String::from_utf8(bytes.0.clone()).map_err(|_| format!("{key} of Secret {name} is no text"))
}
