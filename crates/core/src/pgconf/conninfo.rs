//! How a standby reaches its primary: `primary_conninfo`, and the same for `pg_basebackup` and `pg_rewind`.

use super::quote::conninfo_value;

/// The elected pod, as a standby's receiver sees it. It is the pod itself, never the `-rw` service: a service
/// can lead to a primary of yesterday.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its pod IP.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// This pod's name, by which the primary knows the standby.
    pub application_name: String,
    /// Where `streaming_replica.{crt,key}` and `server-ca.crt` lie.
    pub certificates: String,
}

impl Upstream {
    /// The role that replicates, by certificate.
    pub const USER: &'static str = "streaming_replica";

    /// The connection string, without a password: the certificate is the proof (CNPG's, but for the host).
    #[must_use]
    pub fn conninfo(&self) -> String {
        let Self { host, port, application_name, certificates } = self;
        let port = port.to_string();
        let file = |name: &str| format!("{certificates}/{name}");
        let (key, cert, root) = (file("streaming_replica.key"), file("streaming_replica.crt"), file("server-ca.crt"));
        let settings: [(&str, &str); 10] = [
            ("host", host),
            ("user", Self::USER),
            ("port", &port),
            ("sslkey", &key),
            ("sslcert", &cert),
            ("sslrootcert", &root),
            ("application_name", application_name),
            ("sslmode", "verify-ca"),
            ("dbname", "postgres"),
            ("tcp_user_timeout", "5000"),
        ];
        settings.map(|(name, value)| format!("{name}={}", conninfo_value(value))).join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_break_out_of_the_string() {
        let upstream = Upstream {
            host: "10.0.0.1' user='postgres".into(),
            port: 5432,
            application_name: r"c-2\".into(),
            certificates: "/controller/certificates".into(),
        };
        assert_eq!(
            upstream.conninfo(),
            r"host='10.0.0.1\' user=\'postgres' user='streaming_replica' port='5432' sslkey='/controller/certificates/streaming_replica.key' sslcert='/controller/certificates/streaming_replica.crt' sslrootcert='/controller/certificates/server-ca.crt' application_name='c-2\\' sslmode='verify-ca' dbname='postgres' tcp_user_timeout='5000'"
        );
    }
}
