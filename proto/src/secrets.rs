//! The Secrets of a cluster: their keys, and the values that applications read.

use crate::names;
use core::fmt;
use std::collections::BTreeMap;

/// Type of the Secrets with credentials.
pub const BASIC_AUTH: &str = "kubernetes.io/basic-auth";
/// Type of the Secrets with a certificate and its key.
pub const TLS: &str = "kubernetes.io/tls";
/// Key of an authority's certificate.
pub const CA_CRT: &str = "ca.crt";
/// Key of an authority's private key.
pub const CA_KEY: &str = "ca.key";
/// Key of the authority's secret: the certificate of the authority that will sign next, published beforehand (ours).
pub const NEXT_CRT: &str = "next.crt";
/// Key of the authority's secret: that one's key (ours).
pub const NEXT_KEY: &str = "next.key";
/// Key of `<cluster>-instance-tls`, as the file that postgres reads: whom clients and standbys believe as a server (ours).
pub const SERVER_CA: &str = "server-ca.crt";
/// The same: whom postgres believes about clients' certificates (ours).
pub const CLIENT_CA: &str = "client-ca.crt";
/// The same: what postgres shows (ours).
pub const SERVER_CRT: &str = "server.crt";
/// The same: its key (ours).
pub const SERVER_KEY: &str = "server.key";
/// The same: what standbys show (ours).
pub const REPLICATION_CRT: &str = "streaming_replica.crt";
/// The same: its key (ours).
pub const REPLICATION_KEY: &str = "streaming_replica.key";
/// The same: when somebody new was believed last, RFC 3339 (ours).
pub const TRUST_CHANGED: &str = "trust-changed";
/// Key of a certificate.
pub const TLS_CRT: &str = "tls.crt";
/// Key of a certificate's private key.
pub const TLS_KEY: &str = "tls.key";
/// Key of the user's name in a Secret of type [`BASIC_AUTH`].
pub const USERNAME: &str = "username";
/// Key of the password in a Secret of type [`BASIC_AUTH`].
pub const PASSWORD: &str = "password";

/// The keys of `<cluster>-app` (CNPG's eleven).
pub const APP_KEYS: [&str; 11] =
    [USERNAME, "user", PASSWORD, "dbname", "host", "port", "pgpass", "uri", "jdbc-uri", "fqdn-uri", "fqdn-jdbc-uri"];

/// What the values of a credentials Secret are made from.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The role.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
    /// The database; `*` for the superuser.
    pub database: &'a str,
    /// The cluster.
    pub cluster: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, password: _, database, cluster, namespace } = self;
        write!(f, "Credentials of {user} for {database} of {namespace}/{cluster}")
    }
}

impl Credentials<'_> {
    /// The Secret's values, by [`APP_KEYS`]. Names are resolved in the cluster's domain `cluster.local`.
    #[must_use]
    pub fn values(&self) -> BTreeMap<String, String> {
        let host = names::service_rw(self.cluster);
        let in_namespace = format!("{host}.{}", self.namespace);
        let in_cluster = format!("{in_namespace}.svc.cluster.local");
        let pgpass =
            [&host, &names::POSTGRES_PORT.to_string(), self.database, self.user, self.password].map(pgpass_field);
        let values = [
            self.user.to_owned(),
            self.user.to_owned(),
            self.password.to_owned(),
            self.database.to_owned(),
            host,
            names::POSTGRES_PORT.to_string(),
            format!("{}\n", pgpass.join(":")),
            self.uri(&in_namespace),
            self.jdbc_uri(&in_namespace),
            self.uri(&in_cluster),
            self.jdbc_uri(&in_cluster),
        ];
        APP_KEYS.map(str::to_owned).into_iter().zip(values).collect()
    }

    fn uri(&self, host: &str) -> String {
        let [user, password, database] = [self.user, self.password, self.database].map(percent_encoded);
        format!("postgresql://{user}:{password}@{host}:{}/{database}", names::POSTGRES_PORT)
    }

    fn jdbc_uri(&self, host: &str) -> String {
        let [user, password, database] = [self.user, self.password, self.database].map(percent_encoded);
        format!("jdbc:postgresql://{host}:{}/{database}?password={password}&user={user}", names::POSTGRES_PORT)
    }
}

/// A field of a password file (PostgreSQL documentation, "The Password File"): `:` and `\` are escaped.
fn pgpass_field(text: &str) -> String {
    text.replace('\\', "\\\\").replace(':', "\\:")
}

/// RFC 3986: all but the unreserved characters, byte by byte. `*` stays, since it stands for every database.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'*' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: Credentials<'_> =
        Credentials { user: "shop", password: "p:a/s\\s", database: "shop", cluster: "db", namespace: "prod" };

    #[test]
    fn the_eleven_keys_are_cnpgs() {
        let values = SHOP.values();
        assert_eq!(values.len(), 11);
        assert_eq!((values["host"].as_str(), values["port"].as_str()), ("db-rw", "5432"));
        assert_eq!(values["pgpass"], "db-rw:5432:shop:shop:p\\:a/s\\\\s\n");
        assert_eq!(values["uri"], "postgresql://shop:p%3Aa%2Fs%5Cs@db-rw.prod:5432/shop");
        assert_eq!(values["jdbc-uri"], "jdbc:postgresql://db-rw.prod:5432/shop?password=p%3Aa%2Fs%5Cs&user=shop");
        assert!(values["fqdn-uri"].contains("@db-rw.prod.svc.cluster.local:5432/"));
        assert!(values["fqdn-jdbc-uri"].contains("//db-rw.prod.svc.cluster.local:5432/"));
    }

    #[test]
    fn debugging_does_not_show_the_password() {
        assert!(!format!("{SHOP:?}").contains("p:a"));
    }
}
