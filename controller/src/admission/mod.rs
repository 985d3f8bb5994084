//! The validating webhook: what would not be put in force is refused when it is applied. It may be off, or not at hand:
//! the controller judges every spec again.

mod certificate;
mod listen;
mod review;

use certificate::{CertificateError, Keys, Place};
use core::time::Duration;
use kube::Client;
use pgherd_pki::{ClientIdentity, server_config};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// After a failure.
const RETRY: Duration = Duration::from_secs(5);

/// Where the webhook is, and where its certificate is kept and published.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where it listens.
    pub address: SocketAddr,
    /// The Service that leads to it, whose name the Secret has too.
    pub service: String,
    /// Their namespace.
    pub namespace: String,
    /// The ValidatingWebhookConfiguration that is told whom to believe, if any is.
    pub configuration: Option<String>,
    /// How often the certificate is looked at.
    pub every: Duration,
}

/// Serves it as part of `tasks`, as soon as there is a certificate.
///
/// # Errors
/// The address cannot be had.
pub async fn start(client: Client, webhook: Webhook, tasks: &mut JoinSet<()>) -> std::io::Result<()> {
    let listener = TcpListener::bind(webhook.address).await?;
    let (tell, tls) = watch::channel(None);
    tasks.spawn(listen::serve(listener, tls, review::router()));
    tasks.spawn(keep(client, webhook, tell));
    Ok(())
}

/// Keeps the certificate, makes it known, and only then serves with it.
async fn keep(client: Client, webhook: Webhook, tell: watch::Sender<Option<Arc<rustls::ServerConfig>>>) {
    let mut served: Option<Keys> = None;
    loop {
        let wait = match look(&client, &webhook).await {
            Ok(keys) => {
                if served.as_ref() != Some(&keys) {
                    let identity = ClientIdentity { certificate_pem: &keys.certificate, key_pem: &keys.key };
                    match server_config(identity, None) {
                        Ok(config) => {
                            tell.send_replace(Some(Arc::new(config)));
                            tracing::info!("serves the webhook with a new certificate");
                            served = Some(keys);
                        }
                        Err(error) => tracing::error!(error = %pgherd_telemetry::chain(&error),
                            "the webhook's certificate cannot be used"),
                    }
                }
                webhook.every
            }
            Err(error) => {
                tracing::warn!(error = %pgherd_telemetry::chain(&error), "the webhook's certificate was not kept");
                RETRY.min(webhook.every)
            }
        };
        tokio::time::sleep(wait).await;
    }
}

async fn look(client: &Client, webhook: &Webhook) -> Result<Keys, CertificateError> {
    let place = Place { namespace: &webhook.namespace, service: &webhook.service };
    let keys = certificate::keep(client, place).await?;
    if let Some(name) = &webhook.configuration {
        certificate::publish(client, name, &keys.authority).await?;
    }
    Ok(keys)
}
