//! What the S3 client makes of answers that a store gives in order: conflicts, and regions that it names in a header.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test program")]

mod scripted;

use bytes::Bytes;
use pgherd_objectstore::{ObjectStore, Put, PutOptions, S3Config, S3Credentials, S3Store, StoreError, Then};
use scripted::{Answer, Scripted};

fn config(server: &Scripted) -> S3Config {
    S3Config {
        endpoint_url: Some(server.url.clone()),
        region: Some("eu-central-1".into()),
        credentials: S3Credentials::Given {
            access_key_id: "AKIA".into(),
            secret_access_key: "sesame".into(),
            session_token: None,
        },
        ..S3Config::new("bucket")
    }
}

async fn put(server: &Scripted) -> Result<Put, StoreError> {
    S3Store::new(config(server)).put_new("key", Bytes::from_static(b"wal"), &PutOptions::default()).await
}

#[tokio::test]
async fn a_create_that_met_another_one_in_flight_is_tried_again() {
    for (then, expected) in
        [(Answer::plain(200), Put::Created), (Answer::error(412, "PreconditionFailed"), Put::Exists)]
    {
        let conflict = Answer::error(409, "ConditionalRequestConflict");
        let server = Scripted::start(vec![conflict.clone(), conflict, then]).await;
        assert_eq!(put(&server).await, Ok(expected));
        let asked = server.asked();
        assert_eq!(asked.len(), 3, "{asked:?}");
        for request in asked {
            assert_eq!(request.header("if-none-match"), Some("*"), "never a put that may replace: {request:?}");
        }
    }
}

#[tokio::test]
async fn a_create_that_meets_others_for_ever_is_an_outage_and_not_a_success() {
    let server = Scripted::start(vec![Answer::error(409, "ConditionalRequestConflict")]).await;
    let error = put(&server).await.expect_err("an outage");
    assert_eq!(error.then(), Then::RetryLater, "{error}");
    assert_eq!(server.asked().len(), 5);
}

/// The region that a request was signed for.
fn signed_for(authorization: &str) -> &str {
    authorization.split('/').nth(2).expect("a scope: key/date/region/...")
}

#[tokio::test]
async fn a_region_is_read_from_the_header_whatever_the_status_of_the_answer() {
    for status in [200, 301, 400, 403] {
        let told = Answer::plain(status).header("x-amz-bucket-region", "ap-south-1");
        let server = Scripted::start(vec![told, Answer::error(404, "NoSuchKey")]).await;
        let store = S3Store::new(S3Config { region: None, ..config(&server) });
        let got = store.get("key", 10).await;
        assert!(matches!(got, Err(StoreError::NotFound { .. })), "{status}: {got:?}");
        let asked = server.asked();
        assert!(asked[0].line.starts_with("HEAD /bucket"), "{asked:?}");
        let regions: Vec<&str> =
            asked.iter().map(|request| signed_for(request.header("authorization").expect("signed"))).collect();
        assert_eq!(regions, ["us-east-1", "ap-south-1"], "{status}");
        assert!(store.get("key", 10).await.is_err());
        assert_eq!(server.asked().len(), 3, "it is asked for once");
    }
}

#[tokio::test]
async fn without_a_region_in_the_answer_its_status_says_what_is_wrong() {
    for (status, then) in [(403, Then::AskSomeone), (404, Then::AskSomeone), (503, Then::RetryLater)] {
        let server = Scripted::start(vec![Answer::plain(status)]).await;
        let error =
            S3Store::new(S3Config { region: None, ..config(&server) }).get("key", 10).await.expect_err("no region");
        assert_eq!(error.then(), then, "{status}: {error}");
        let again = S3Store::new(S3Config { region: None, ..config(&server) }).get("key", 10).await;
        assert!(again.is_err(), "nothing is guessed");
    }
}

#[tokio::test]
async fn a_session_token_goes_along_with_every_request() {
    let server = Scripted::start(vec![Answer::error(404, "NoSuchKey")]).await;
    let credentials = S3Credentials::Given {
        access_key_id: "AKIA".into(),
        secret_access_key: "sesame".into(),
        session_token: Some("a token".into()),
    };
    let store = S3Store::new(S3Config { credentials, ..config(&server) });
    assert!(store.get("key", 10).await.is_err());
    assert_eq!(server.asked()[0].header("x-amz-security-token"), Some("a token"));
}
