//! The validating webhook as the API server calls it: over TLS, by the name of its Service, believing the caBundle.

use crate::api::{RELEASE_NS, Rig, until};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const SERVICE: &str = "pgherd-webhook";
const CONFIGURATION: &str = "pgherd-system-pgherd";

/// What the API server would believe by now.
async fn bundle(client: &Client) -> Option<Vec<u8>> {
    let all = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    let ByteString(bundle) =
        all.get(CONFIGURATION).await.unwrap().webhooks?.first()?.client_config.ca_bundle.clone()?;
    Some(bundle)
}

/// Posts a review as the API server does; `None` if the connection is refused.
async fn ask(port: u16, bundle: &[u8], object: &Value, old: &Value) -> Option<Value> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let name = ServerName::try_from(format!("{SERVICE}.{RELEASE_NS}.svc")).unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    let operation = if old.is_null() { "CREATE" } else { "UPDATE" };
    let body = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": { "uid": "u", "operation": operation, "object": object, "oldObject": old } })
    .to_string();
    let head = format!(
        "POST /validate?timeout=5s HTTP/1.1\r\nHost: {SERVICE}.{RELEASE_NS}.svc\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    // The other side may close without saying so.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let review: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&review["kind"], &review["response"]["uid"]), (&json!("AdmissionReview"), &json!("u")));
    Some(review["response"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_is_believed_by_its_bundle_refuses_bad_specs_and_has_a_lost_certificate_made_anew() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let more = ["--webhook-service", SERVICE, "--webhook-configuration", CONFIGURATION, "--webhook-every", "1"];
    let rig = Rig::start_with(&[&["--webhook", &address][..], &more].concat()).await;
    let client = rig.client.clone();
    let (first, _) = until("the bundle", || bundle(&client)).await;

    let good: Value = serde_yaml_ng::from_str(include_str!("../../../docs/examples/cluster.yaml")).unwrap();
    let (answer, _) = until("an answer", || ask(port, &first, &good, &Value::Null)).await;
    assert_eq!(answer["allowed"], true, "{answer}");
    assert!(answer["warnings"].to_string().contains("asynchronous"), "{answer}");
    let mut bad = good.clone();
    bad["spec"]["instances"] = json!(0);
    let answer = ask(port, &first, &bad, &Value::Null).await.unwrap();
    assert_eq!((&answer["allowed"], &answer["status"]["code"]), (&json!(false), &json!(422)), "{answer}");
    let mut smaller = good.clone();
    smaller["spec"]["storage"]["size"] = json!("1Gi");
    let answer = ask(port, &first, &smaller, &good).await.unwrap();
    assert!(answer["status"]["message"].as_str().unwrap().contains("spec.storage.size"), "{answer}");
    let schedule: Value = serde_yaml_ng::from_str(include_str!("../../../docs/examples/scheduledbackup.yaml")).unwrap();
    assert_eq!(ask(port, &first, &schedule, &Value::Null).await.unwrap()["allowed"], true);

    // Somebody empties the secret: another authority is made, published, and then served.
    let secrets = Api::<Secret>::namespaced(client.clone(), RELEASE_NS);
    let nothing = json!({ "data": { "ca.crt": "", "ca.key": "", "tls.crt": "", "tls.key": "" } });
    secrets.patch(SERVICE, &PatchParams::default(), &Patch::Merge(nothing)).await.unwrap();
    let (second, _) = until("another bundle", || async { bundle(&client).await.filter(|now| *now != first) }).await;
    let (answer, _) = until("an answer by it", || ask(port, &second, &good, &Value::Null)).await;
    assert_eq!(answer["allowed"], true);
    assert_eq!(ask(port, &first, &good, &Value::Null).await, None, "the first one is believed no more");
    rig.end().await;
}
