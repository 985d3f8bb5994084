//! A store that refuses: what people read has to name the reason, and never the secret.

use std::sync::Arc;

use bytes::Bytes;
use pgherd_backup::{Source, WalArchive, WalSettings};
use pgherd_core::wal::{Compression, WalName};
use pgherd_objectstore::{S3Store, StoreError, Then};

use crate::seaweed::{BUCKET, SECRET_KEY, Seaweed};
use crate::wal::name;

const SMALL: &str = "00000002.history";
const WRONG: &str = "not-the-secret";

fn archive(store: S3Store) -> WalArchive {
    let settings =
        WalSettings { root: "wal/refused".to_owned(), compression: Some(Compression::Gzip), ..WalSettings::default() };
    WalArchive::new(Arc::new(store), settings)
}

fn line(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

async fn put_and_get(archive: &WalArchive, file: WalName) -> (Then, &'static str, String, String) {
    let put = archive.put(file, Source::Bytes(Bytes::from_static(b"1\t0/1\tx\n"))).await.unwrap_err();
    let get = archive.get(file).await.unwrap_err();
    (put.then(), put.kind(), line(&put), line(&get))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_told_as_one() {
    let server = Seaweed::shared();
    let (then, kind, put, get) = put_and_get(&archive(server.store(BUCKET, WRONG)), name(SMALL)).await;
    assert_eq!((then, kind), (Then::AskSomeone, "forbidden"), "{put}");
    for told in [put, get] {
        assert!(told.contains("403") && told.contains("SignatureDoesNotMatch"), "{told}");
        assert!(!told.contains(WRONG) && !told.contains(SECRET_KEY), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_told_as_one_and_never_as_a_missing_file() {
    let server = Seaweed::shared();
    let (then, _, put, get) = put_and_get(&archive(server.store("no-such-bucket", SECRET_KEY)), name(SMALL)).await;
    // SeaweedFS refuses the writer before it looks for the bucket.
    assert_eq!(then, Then::AskSomeone, "{put}");
    assert!(put.contains("AccessDenied"), "{put}");
    assert!(get.contains("NoSuchBucket") && get.contains("as configured"), "{get}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_is_an_outage() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = pgherd_objectstore::S3Config {
        endpoint_url: Some(format!("http://127.0.0.1:{free}")),
        region: Some("us-east-1".to_owned()),
        credentials: pgherd_objectstore::S3Credentials::Given {
            access_key_id: "a".to_owned(),
            secret_access_key: WRONG.to_owned(),
            session_token: None,
        },
        ..pgherd_objectstore::S3Config::new(BUCKET)
    };
    let archive = archive(S3Store::new(config));
    let (then, kind, put, get) = put_and_get(&archive, name(SMALL)).await;
    assert_eq!((then, kind), (Then::RetryLater, "outage"), "{put}");
    for told in [put, get] {
        assert!(told.contains("reach the object store") && !told.contains(WRONG), "{told}");
    }
    let outage = matches!(
        archive.get(name(SMALL)).await,
        Err(pgherd_backup::WalGetError::Store { source: StoreError::Outage { .. }, .. })
    );
    assert!(outage, "an outage must not be told as the end of the archive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_behind_tls_is_believed_by_its_own_authority_and_by_no_other() {
    let server = Seaweed::shared();
    let trusted = archive(server.store_by_tls(Some(&server.authority)));
    let content = Bytes::from_static(b"1\t0/2\ttls\n");
    trusted.put(name("00000003.history"), Source::Bytes(content.clone())).await.unwrap();
    assert_eq!(trusted.get(name("00000003.history")).await.unwrap(), Some(content));

    let other = pgherd_pki::Authority::generate("another", jiff::Timestamp::now()).unwrap();
    for believed in [Some(other.certificate_pem()), None] {
        let (then, _, put, get) = put_and_get(&archive(server.store_by_tls(believed)), name(SMALL)).await;
        println!("{then:?}: {put}");
        for told in [put, get] {
            assert!(told.contains("certificate"), "{told}");
            assert!(!told.contains(SECRET_KEY), "{told}");
        }
    }
}
