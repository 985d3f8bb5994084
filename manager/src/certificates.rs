//! The cluster's certificates: read from its Secrets, written for postgres and libpq, turned into TLS settings.

use crate::cluster_api::ClusterApi;
use crate::http;
use core::time::Duration;
use k8s_openapi::api::core::v1::Secret;
use pgherd_pki::{ClientIdentity, client_config, server_config};
use pgherd_postgres::files::write_durable_if_changed;
use pgherd_proto::{names, secrets};
use pgherd_telemetry::chain;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// While a Secret is missing (the controller makes them), and later to notice a rotation.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
const LOOK_FOR_ROTATION: Duration = Duration::from_secs(30);

/// One set of certificates, as PEM.
#[derive(Clone, PartialEq, Eq)]
struct Pems {
    ca: String,
    server_crt: String,
    server_key: String,
    client_crt: String,
    client_key: String,
}

/// What the set is used for.
#[derive(Clone, Default)]
struct Settings {
    client: Option<Arc<rustls::ClientConfig>>,
}

/// The certificates of this instance, kept up to date by [`Certificates::follow`].
#[derive(Clone)]
pub struct Certificates {
    settings: watch::Receiver<Settings>,
    server: watch::Receiver<Option<Arc<rustls::ServerConfig>>>,
}

/// The task that keeps them.
pub struct CertificateKeeper {
    api: ClusterApi,
    directory: PathBuf,
    settings: watch::Sender<Settings>,
    server: watch::Sender<Option<Arc<rustls::ServerConfig>>>,
}

impl Certificates {
    /// Nothing yet, and the task that will fetch them into `directory`.
    #[must_use]
    pub fn new(api: ClusterApi, directory: &Path) -> (Self, CertificateKeeper) {
        let (settings, settings_seen) = watch::channel(Settings::default());
        let (server, server_seen) = watch::channel(None);
        let keeper = CertificateKeeper { api, directory: directory.to_owned(), settings, server };
        (Self { settings: settings_seen, server: server_seen }, keeper)
    }

    /// Waits until they are there.
    pub async fn ready(&self) {
        // The sender lives as long as the manager.
        drop(self.settings.clone().wait_for(|settings| settings.client.is_some()).await);
    }

    /// For requests to other managers: shows the replication certificate, believes the cluster's CA.
    #[must_use]
    pub fn client(&self) -> Option<Arc<rustls::ClientConfig>> {
        self.settings.borrow().client.clone()
    }

    /// The same, for SQL sessions with another instance.
    #[must_use]
    pub fn postgres_client(&self) -> Option<rustls::ClientConfig> {
        self.client().map(|config| rustls::ClientConfig::clone(&config))
    }

    /// For the status port.
    #[must_use]
    pub fn server(&self) -> http::TlsSource {
        self.server.clone()
    }
}

impl CertificateKeeper {
    /// Fetches until dropped; `changed` is called after each change on disk.
    pub async fn follow(self, changed: impl Fn()) {
        let mut known: Option<Pems> = None;
        loop {
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
            tokio::time::sleep(pause).await;
        }
    }

    async fn fetch(&self) -> Result<Pems, String> {
        let name = &self.api.name;
        // The authority's certificate is beside its leaves, and its key is not: a manager has no business with that.
        let (server, replication) =
            tokio::try_join!(self.secret(names::secret_server(name)), self.secret(names::secret_replication(name)),)?;
        Ok(Pems {
            ca: text(&server, secrets::CA_CRT)?,
            server_crt: text(&server, secrets::TLS_CRT)?,
            server_key: text(&server, secrets::TLS_KEY)?,
            client_crt: text(&replication, secrets::TLS_CRT)?,
            client_key: text(&replication, secrets::TLS_KEY)?,
        })
    }

    async fn secret(&self, name: String) -> Result<Secret, String> {
        match tokio::time::timeout(Duration::from_secs(5), self.api.secrets.get(&name)).await {
            Ok(found) => found.map_err(|error| format!("failed to read Secret {name}: {}", chain(&error))),
            Err(_) => Err(format!("failed to read Secret {name}: no answer")),
        }
    }

    async fn install(&self, pems: &Pems) -> Result<(), String> {
        let shown = ClientIdentity { certificate_pem: &pems.server_crt, key_pem: &pems.server_key };
        let mut server = server_config(shown, Some(&pems.ca)).map_err(|e| chain(&e))?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        let identity = ClientIdentity { certificate_pem: &pems.client_crt, key_pem: &pems.client_key };
        let client = client_config(&pems.ca, Some(identity)).map_err(|e| chain(&e))?;
        let (directory, pems) = (self.directory.clone(), pems.clone());
        tokio::task::spawn_blocking(move || write(&directory, &pems)).await.map_err(|e| chain(&e))??;
        self.server.send_replace(Some(Arc::new(server)));
        self.settings.send_replace(Settings { client: Some(Arc::new(client)) });
        Ok(())
    }
}

fn write(directory: &Path, pems: &Pems) -> Result<(), String> {
    let files = [
        ("server.crt", &pems.server_crt),
        ("server.key", &pems.server_key),
        ("client-ca.crt", &pems.ca),
        ("server-ca.crt", &pems.ca),
        ("streaming_replica.crt", &pems.client_crt),
        ("streaming_replica.key", &pems.client_key),
    ];
    for (name, content) in files {
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
