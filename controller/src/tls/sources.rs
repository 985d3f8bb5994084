//! The Secrets that certificates come from: the cluster's own as they are watched, the user's as they are read.

use super::compose::{Given, Pair};
use super::names::CertificateNames;
use crate::caches::Caches;
use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use pgherd_pki::Validity;
use pgherd_proto::names;
use pgherd_proto::secrets::{CA_CRT, TLS_CRT, TLS_KEY, TRUST_CHANGED};
use pgherd_telemetry::chain;
use std::collections::BTreeMap;

/// What was found, by name.
#[derive(Clone, Debug, Default)]
pub struct Sources(BTreeMap<String, Result<Option<Secret>, String>>);

impl Sources {
    /// Those of the user, past all caches: nobody has labelled them for us.
    pub async fn brought(client: &Client, namespace: &str, wanted: &[String]) -> Self {
        let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
        // All at a time: an election may be waiting.
        let reads = wanted.iter().map(async |name| {
            let read = secrets.get_opt(name).await;
            (name.clone(), read.map_err(|error| format!("failed to read Secret {name}: {}", chain(&error))))
        });
        Self(join_all(reads).await.into_iter().collect())
    }

    /// With the cluster's own, as they are watched. A user's Secret of the same name has precedence.
    #[must_use]
    pub fn with_watched(mut self, caches: &Caches, namespace: &str, cluster: &str) -> Self {
        for name in own(cluster) {
            let watched = || Ok(caches.secret(namespace, &name).map(|secret| (*secret).clone()));
            self.0.entry(name.clone()).or_insert_with(watched);
        }
        self
    }

    /// With the cluster's own as they are stored, where none was found yet: another controller's may be new.
    pub async fn with_stored(mut self, client: &Client, namespace: &str, cluster: &str) -> Self {
        let lacking: Vec<String> = own(cluster).into_iter().filter(|name| self.get(name).is_none()).collect();
        self.0.extend(Self::brought(client, namespace, &lacking).await.0);
        self
    }

    /// One that is there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)?.as_ref().ok()?.as_ref()
    }

    /// Of a Secret its value, or why there is none.
    ///
    /// # Errors
    /// Why, for people.
    pub fn value(&self, name: &str, key: &str) -> Result<String, String> {
        let found = self.0.get(name).cloned().unwrap_or(Ok(None))?;
        let secret = found.ok_or_else(|| format!("Secret {name} is absent"))?;
        text(&secret, key).ok_or_else(|| format!("Secret {name} has no {key}"))
    }

    /// What the instances' certificates are composed of.
    #[must_use]
    pub fn given(&self, cluster: &str, wanted: &CertificateNames) -> Given {
        let pair = |name: &str| Ok(Pair { certificate: self.value(name, TLS_CRT)?, key: self.value(name, TLS_KEY)? });
        Given {
            own_authority: self.value(&names::secret_ca(cluster), CA_CRT),
            server_authority: self.value(&wanted.server_authority, CA_CRT),
            client_authority: self.value(&wanted.client_authority, CA_CRT),
            server: pair(&wanted.server),
            replication: pair(&wanted.replication),
        }
    }

    /// When each of those that postgres uses ends, as far as that can be read.
    #[must_use]
    pub fn expirations(&self, wanted: &CertificateNames) -> BTreeMap<String, i64> {
        let all = [
            (&wanted.server_authority, CA_CRT),
            (&wanted.client_authority, CA_CRT),
            (&wanted.server, TLS_CRT),
            (&wanted.replication, TLS_CRT),
        ];
        let end = |(name, key): (&String, &str)| {
            let validity = Validity::of_pem(&self.value(name, key).ok()?).ok()?;
            Some((name.clone(), validity.not_after.as_second()))
        };
        all.into_iter().filter_map(end).collect()
    }
}

/// The cluster's own, by name.
#[must_use]
pub fn own(cluster: &str) -> [String; 3] {
    [names::secret_ca(cluster), names::secret_server(cluster), names::secret_replication(cluster)]
}

/// When an authority last changed, by the Secret of what the instances use.
#[must_use]
pub fn trust_changed(instances: &Secret) -> Option<Timestamp> {
    text(instances, TRUST_CHANGED)?.parse().ok()
}

/// One value of a Secret, if it is there and a text.
#[must_use]
pub fn text(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()
}
