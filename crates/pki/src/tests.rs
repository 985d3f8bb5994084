//! Certificates made here, used by rustls on both ends.

use super::*;
use jiff::{Timestamp, ToSpan};
use std::io::{Read, Write};
use std::sync::Arc;

fn identity(leaf: &Leaf) -> ClientIdentity<'_> {
    ClientIdentity { certificate_pem: &leaf.certificate_pem, key_pem: &leaf.key_pem }
}

/// Greets over TLS in memory; gives the common outcome of both ends, and whether a client certificate came.
fn greet(server: rustls::ServerConfig, client: rustls::ClientConfig, name: &str) -> Result<bool, String> {
    let mut server = rustls::ServerConnection::new(Arc::new(server)).map_err(|e| e.to_string())?;
    let name = name.to_owned().try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(client), name).map_err(|e| e.to_string())?;
    client.writer().write_all(b"hello").unwrap();
    for _ in 0..10 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().map_err(|e| format!("server: {e}"))?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().map_err(|e| format!("client: {e}"))?;
        }
    }
    let mut greeting = [0; 5];
    server.reader().read_exact(&mut greeting).map_err(|e| e.to_string())?;
    Ok(server.peer_certificates().is_some())
}

fn server_leaf(authority: &Authority) -> Leaf {
    let names = vec!["demo-rw".to_owned(), "10.213.0.7".to_owned()];
    authority.sign("demo-rw", &Usage::Server { names }, Timestamp::now()).unwrap()
}

#[test]
fn a_client_believes_the_authority_whatever_the_host_name() {
    let authority = Authority::generate("demo", Timestamp::now()).unwrap();
    let leaf = server_leaf(&authority);
    let user = authority.sign("streaming_replica", &Usage::Client, Timestamp::now()).unwrap();
    for (client_identity, shown) in [(None, false), (Some(identity(&user)), true)] {
        let server = server_config(identity(&leaf), Some(authority.certificate_pem())).unwrap();
        let client = client_config(authority.certificate_pem(), client_identity).unwrap();
        assert_eq!(greet(server, client, "another.name"), Ok(shown));
    }
}

#[test]
fn a_stranger_is_refused_on_both_ends() {
    let (ours, theirs) = (
        Authority::generate("demo", Timestamp::now()).unwrap(),
        Authority::generate("demo", Timestamp::now()).unwrap(),
    );
    let (leaf, stranger) = (server_leaf(&ours), server_leaf(&theirs));
    let server = server_config(identity(&stranger), None).unwrap();
    let client = client_config(ours.certificate_pem(), None).unwrap();
    assert!(greet(server, client, "demo-rw").unwrap_err().starts_with("client: "));
    let server = server_config(identity(&leaf), Some(ours.certificate_pem())).unwrap();
    let client = client_config(ours.certificate_pem(), Some(identity(&stranger))).unwrap();
    assert!(greet(server, client, "demo-rw").unwrap_err().starts_with("server: "));
}

#[test]
fn an_expired_server_is_refused() {
    let then = Timestamp::now().checked_sub((91 * 24).hours()).unwrap();
    let authority = Authority::generate("demo", Timestamp::now()).unwrap();
    let leaf = authority.sign("demo-rw", &Usage::Server { names: vec!["demo-rw".into()] }, then).unwrap();
    let server = server_config(identity(&leaf), None).unwrap();
    let client = client_config(authority.certificate_pem(), None).unwrap();
    assert!(greet(server, client, "demo-rw").is_err());
}

#[test]
fn an_authority_survives_being_stored_and_loaded() {
    let first = Authority::generate("demo", Timestamp::now()).unwrap();
    let again = Authority::from_pem(first.certificate_pem(), &first.key_pem()).unwrap();
    let leaf = server_leaf(&again);
    let server = server_config(identity(&leaf), None).unwrap();
    assert!(greet(server, client_config(first.certificate_pem(), None).unwrap(), "demo-rw").is_ok());
    let other = Authority::generate("demo", Timestamp::now()).unwrap();
    assert!(matches!(Authority::from_pem(first.certificate_pem(), &other.key_pem()), Err(PkiError::Mismatch)));
}

#[test]
fn a_certificate_is_renewed_in_its_last_week_and_after_its_end() {
    let made = Timestamp::now();
    let authority = Authority::generate("demo", made).unwrap();
    let end = authority.validity().unwrap().not_after;
    assert_eq!(end.as_second(), made.as_second() + 90 * 86_400);
    let at = |days: i64| Timestamp::from_second(made.as_second() + days * 86_400).unwrap();
    assert_eq!([0, 82, 83, 90, 91].map(|day| renewal_due(end, at(day))), [false, false, true, true, true]);
}

#[test]
fn garbage_is_an_error_and_a_key_is_never_shown() {
    assert!(Authority::from_pem("x", "y").is_err());
    assert!(client_config("", None).is_err());
    let authority = Authority::generate("demo", Timestamp::now()).unwrap();
    let shown = format!("{authority:?} {:?}", server_leaf(&authority));
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
}

/// `openssl ecparam -name prime256v1 -genkey -noout`, and a certificate for it.
const SEC1_KEY: &str = include_str!("../testdata/sec1.key");
const SEC1_CA: &str = include_str!("../testdata/sec1.crt");

#[test]
fn an_authority_whose_key_cnpg_wrote_signs_too() {
    assert!(SEC1_KEY.contains("BEGIN EC PRIVATE KEY"));
    let authority = Authority::from_pem(SEC1_CA, SEC1_KEY).unwrap();
    let leaf = server_leaf(&authority);
    assert!(is_signed_by(&leaf.certificate_pem, SEC1_CA).unwrap());
}

#[test]
fn while_one_authority_follows_another_both_are_believed() {
    let (old, new) = (
        Authority::generate("demo", Timestamp::now()).unwrap(),
        Authority::generate("demo", Timestamp::now()).unwrap(),
    );
    let bundle = format!("{}{}", old.certificate_pem(), new.certificate_pem());
    for (signer, other) in [(&old, &new), (&new, &old)] {
        let leaf = server_leaf(signer);
        assert!(is_signed_by(&leaf.certificate_pem, signer.certificate_pem()).unwrap());
        assert!(!is_signed_by(&leaf.certificate_pem, other.certificate_pem()).unwrap());
        let server = server_config(identity(&leaf), Some(&bundle)).unwrap();
        let user = identity(&leaf);
        assert_eq!(greet(server, client_config(&bundle, Some(user)).unwrap(), "demo-rw"), Ok(true));
    }
    let both = Authority::from_pem(&bundle, &old.key_pem()).unwrap();
    assert_eq!(both.certificate_pem(), bundle, "the first signs, all are handed on");
    assert_eq!(first_certificate(&bundle).unwrap().trim(), old.certificate_pem().trim());
}
