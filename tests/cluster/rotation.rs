//! Certificates are taken away and made anew under load: no transaction fails, no connection is dropped, and whoever
//! connects is shown the new one. Secrets that are not there change nothing, and are named. TLS is 1.3.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use pgherd_localkube::node::probe::AnyCertificate;
use pgherd_pki::{Authority, Leaf, Usage};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, SupportedProtocolVersion};
use serde_json::{Value, json};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::bed::{Bed, CLUSTER, NAMESPACE};
use crate::cluster::text;

impl Bed {
    /// The server's and the replication's certificate are deleted, and made anew by the controller.
    pub async fn certificates_rotate(&self, primary: &str) {
        let mut pods = self.standbys().await;
        pods.push(primary.to_owned());
        let mut before = Vec::new();
        for pod in &pods {
            before.push(self.shown(pod).await.unwrap());
        }
        let walsenders = "SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_replication";
        let streaming = self.ask(primary, walsenders).await.unwrap();
        let session = self.session(primary).await;
        self.say("the certificates' secrets deleted under load");
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), NAMESPACE);
        for name in [format!("{CLUSTER}-server"), format!("{CLUSTER}-replication")] {
            secrets.delete(&name, &DeleteParams::default()).await.unwrap();
        }
        for (pod, old) in pods.iter().zip(&before) {
            self.until(&format!("{pod} showing another certificate"), 60, async || match self.shown(pod).await? {
                now if now == *old => Err("it shows the old one".to_owned()),
                _ => Ok(()),
            })
            .await;
        }
        session.goes_on(self).await;
        let (done, failed) = session.end().await;
        assert_eq!(failed, None, "no transaction fails");
        assert_eq!(self.ask(primary, walsenders).await.unwrap(), streaming, "and no standby is cut off");
        self.say(&format!("rotated: {done} transactions on one connection, 0 failed"));

        self.standbys_connect_anew(primary, pods.len() - 1).await;
        let cluster = self.cluster().await.unwrap();
        let said = text(&cluster, &format!("/status/certificates/expirations/{CLUSTER}-server"));
        assert!(said.ends_with(" +0000 UTC"), "{said:?}");
    }

    /// Whoever connects anew does it with what is in force now.
    async fn standbys_connect_anew(&self, primary: &str, all: usize) {
        self.ask(primary, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_replication").await.unwrap();
        self.until("the standbys streaming again", 60, async || {
            let sql = "SELECT count(*) || ' ' || count(*) FILTER (WHERE ssl) FROM pg_stat_replication \
                       JOIN pg_stat_ssl USING (pid) WHERE state = 'streaming'";
            match self.ask(primary, sql).await? {
                said if said.trim() == format!("{all} {all}") => Ok(()),
                said => Err(said),
            }
        })
        .await;
    }

    /// Certificates of another authority are brought under load: it is believed first, and its certificates shown then.
    pub async fn the_users_authority_takes_over(&self, primary: &str) {
        let now = jiff::Timestamp::now();
        let theirs = Authority::generate("theirs", now).unwrap();
        let server = theirs.sign("db", &Usage::Server { names: vec!["db".into()] }, now).unwrap();
        let replica = theirs.sign("streaming_replica", &Usage::Client, now).unwrap();
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), NAMESPACE);
        let pair = |leaf: &Leaf| json!({ "tls.crt": leaf.certificate_pem, "tls.key": leaf.key_pem });
        for (name, values) in [
            ("theirs-ca", json!({ "ca.crt": theirs.certificate_pem() })),
            ("theirs-server", pair(&server)),
            ("theirs-replica", pair(&replica)),
        ] {
            let secret = json!({ "metadata": { "name": name }, "stringData": values });
            secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
        }
        let session = self.session(primary).await;
        self.say("the user's authority and certificates");
        let brought = json!({ "serverCASecret": "theirs-ca", "serverTLSSecret": "theirs-server",
            "clientCASecret": "theirs-ca", "replicationTLSSecret": "theirs-replica" });
        let patch = Patch::Merge(json!({ "spec": { "certificates": brought } }));
        self.clusters().patch(CLUSTER, &PatchParams::default(), &patch).await.unwrap();
        let wanted = CertificateDer::from_pem_slice(server.certificate_pem.as_bytes()).unwrap().to_vec();
        let mut pods = self.standbys().await;
        pods.push(primary.to_owned());
        for pod in &pods {
            self.until(&format!("{pod} showing theirs"), 200, async || match self.shown(pod).await? {
                shown if shown == wanted => Ok(()),
                _ => Err("it shows another".to_owned()),
            })
            .await;
        }
        session.goes_on(self).await;
        let (done, failed) = session.end().await;
        assert_eq!(failed, None, "no transaction fails");
        self.say(&format!("another authority: {done} transactions on one connection, 0 failed"));
        self.standbys_connect_anew(primary, pods.len() - 1).await;
        let cluster = self.cluster().await.unwrap();
        assert_eq!(text(&cluster, "/status/certificates/serverTLSSecret"), "theirs-server");
    }

    /// A manifest names secrets that nobody has made: the old certificates are shown on, and the status says why.
    pub async fn certificates_that_are_not_there_change_nothing(&self, primary: &str) {
        let before = self.shown(primary).await.unwrap();
        let bring = async |certificates: Value| {
            let patch = Patch::Merge(json!({ "spec": { "certificates": certificates } }));
            self.clusters().patch(CLUSTER, &PatchParams::default(), &patch).await.unwrap();
        };
        bring(json!({ "serverCASecret": "nowhere", "serverTLSSecret": "nowhere" })).await;
        self.until("the status to name the secret", 60, async || {
            let reason = text(&self.cluster().await?, "/status/phaseReason");
            if reason.contains("Secret nowhere is absent") { Ok(()) } else { Err(reason) }
        })
        .await;
        assert_eq!(self.shown(primary).await.unwrap(), before);
        bring(Value::Null).await;
        self.until("the status to be content", 60, async || {
            let reason = text(&self.cluster().await?, "/status/phaseReason");
            if reason.is_empty() { Ok(()) } else { Err(reason) }
        })
        .await;
        assert_eq!(self.shown(primary).await.unwrap(), before);
    }

    /// By postgres, as by default.
    pub async fn older_tls_is_refused(&self, pod: &str) {
        let config = self.application(&format!("pod/{pod}")).await.unwrap();
        let (host, port) = place(&config);
        for (version, taken) in [(&rustls::version::TLS12, false), (&rustls::version::TLS13, true)] {
            let (host, tls) = (host.clone(), anybody(version));
            let said = tokio::task::spawn_blocking(move || handshake(&host, port, tls)).await.unwrap();
            assert_eq!(said.is_ok(), taken, "{version:?}: {said:?}");
        }
    }

    /// The certificate that postgres shows on this pod.
    async fn shown(&self, pod: &str) -> Result<Vec<u8>, String> {
        let config = self.application(&format!("pod/{pod}")).await.map_err(|error| format!("{error:#}"))?;
        let (host, port) = place(&config);
        let shown = move || handshake(&host, port, anybody(&rustls::version::TLS13));
        tokio::task::spawn_blocking(shown).await.unwrap().map_err(|error| error.to_string())
    }

    /// One connection over TLS that writes until it is ended.
    async fn session(&self, primary: &str) -> Session {
        let mut config = self.application(&format!("pod/{primary}")).await.unwrap();
        config.ssl_mode(SslMode::Require);
        let authority = self.secret(&format!("{CLUSTER}-ca"), "ca.crt").await.unwrap();
        let tls = MakeRustlsConnect::new(pgherd_pki::client_config(&authority, None).unwrap());
        let (client, connection) = config.connect(tls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("CREATE TABLE IF NOT EXISTS rotation (n bigint)").await.unwrap();
        let (ends, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (told, count) = (Arc::clone(&ends), Arc::clone(&done));
        let task = tokio::spawn(async move {
            while !told.load(Ordering::Relaxed) {
                if let Err(error) = client.execute("INSERT INTO rotation VALUES (1)", &[]).await {
                    return Some(error.to_string());
                }
                count.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            None
        });
        Session { ends, done, task }
    }
}

struct Session {
    ends: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<Option<String>>,
}

impl Session {
    async fn goes_on(&self, bed: &Bed) {
        let before = self.done.load(Ordering::Relaxed);
        bed.until("more rows on the same connection", 20, async || {
            let now = self.done.load(Ordering::Relaxed);
            if now > before + 20 || self.task.is_finished() { Ok(()) } else { Err(format!("{now}")) }
        })
        .await;
    }

    /// How many were committed, and what failed.
    async fn end(self) -> (u64, Option<String>) {
        self.ends.store(true, Ordering::Relaxed);
        let failed = self.task.await.unwrap();
        (self.done.load(Ordering::Relaxed), failed)
    }
}

fn place(config: &Config) -> (String, u16) {
    match &config.get_hosts()[0] {
        Host::Tcp(host) => (host.clone(), config.get_ports()[0]),
        Host::Unix(path) => panic!("{path:?}"),
    }
}

/// Believes whoever answers: what is looked at is what he shows.
fn anybody(version: &'static SupportedProtocolVersion) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(ring::default_provider())))
        .with_no_client_auth()
}

/// As libpq begins: an SSLRequest (PostgreSQL documentation, "SSL Session Encryption"), then TLS.
fn handshake(host: &str, port: u16, tls: ClientConfig) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((host, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47])?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    assert_eq!(&answer, b"S", "postgres speaks TLS");
    let name = ServerName::try_from("c-rw").unwrap();
    let mut connection = ClientConnection::new(Arc::new(tls), name).map_err(std::io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(connection.peer_certificates().unwrap()[0].to_vec())
}
