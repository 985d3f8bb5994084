//! How clients connect: with the application's Secret, through a service or straight to a pod.

use super::Bed;
use anyhow::Context as _;
use core::time::Duration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use tokio_postgres::Config;

/// CNPG's port for postgres.
const POSTGRES: u16 = 5432;

impl Bed {
    /// One value of a Secret.
    ///
    /// # Errors
    /// If there is no such Secret or key.
    pub async fn secret(&self, name: &str, key: &str) -> anyhow::Result<String> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.place.namespace);
        let secret = secrets.get(name).await.with_context(|| format!("failed to read Secret {name}"))?;
        let data = secret.data.unwrap_or_default();
        let value = data.get(key).with_context(|| format!("failed to find {key} in Secret {name}"))?;
        Ok(String::from_utf8(value.0.clone())?)
    }

    /// How the application connects to `target`: a service's name, or `pod/NAME`.
    ///
    /// # Errors
    /// If it does not exist, or the application's Secret is missing.
    pub async fn application(&self, target: &str) -> anyhow::Result<Config> {
        let secret = format!("{}-app", self.place.cluster);
        let address = self.handle.forward(&self.place.namespace, target, POSTGRES).await?;
        let mut config = Config::new();
        config
            .host(address.ip().to_string())
            .port(address.port())
            .user(self.secret(&secret, "username").await?)
            .password(self.secret(&secret, "password").await?)
            .dbname(self.secret(&secret, "dbname").await?)
            .application_name("pgherd-testkit")
            .connect_timeout(Duration::from_secs(2));
        Ok(config)
    }

    /// The same as a connection string, for another program's environment.
    ///
    /// # Errors
    /// As [`Bed::application`].
    pub async fn application_dsn(&self, target: &str) -> anyhow::Result<String> {
        let secret = format!("{}-app", self.place.cluster);
        let address = self.handle.forward(&self.place.namespace, target, POSTGRES).await?;
        let quoted = |text: String| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        Ok(format!(
            "host={} port={} user={} password={} dbname={}",
            address.ip(),
            address.port(),
            quoted(self.secret(&secret, "username").await?),
            quoted(self.secret(&secret, "password").await?),
            quoted(self.secret(&secret, "dbname").await?),
        ))
    }
}
