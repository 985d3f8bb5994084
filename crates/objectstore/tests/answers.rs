//! What the S3 client sends with an object, and what it makes of answers that a store gives in order: conflicts, and regions
//! that it names in a header.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test program")]

mod scripted;

use bytes::Bytes;
use pgherd_objectstore::{
    Encryption, ObjectStore, Put, PutOptions, S3Config, S3Credentials, S3Store, StoreError, Then,
};
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

/// The requests: their methods, and whether they had the condition.
fn requests(server: &Scripted) -> Vec<String> {
    let asked = server.asked();
    let told = asked.iter().map(|request| {
        let method = request.line.split(' ').next().unwrap_or_default();
        if request.header("if-none-match") == Some("*") { format!("{method} if none") } else { method.to_owned() }
    });
    told.collect()
}

#[tokio::test]
async fn a_create_that_met_another_one_in_flight_is_tried_again() {
    let exists = Answer::error(412, "PreconditionFailed");
    for (then, expected) in [(vec![Answer::plain(200), exists.clone()], Put::Created), (vec![exists], Put::Exists)] {
        let nothing = Answer::plain(404);
        let conflict = Answer::error(409, "ConditionalRequestConflict");
        let two = vec![nothing.clone(), conflict.clone(), nothing.clone(), conflict, nothing];
        let server = Scripted::start([two, then].concat()).await;
        assert_eq!(put(&server).await, Ok(expected));
        let asked = requests(&server);
        let never = |request: &String| request == "PUT";
        assert!(asked.len() >= 6 && !asked.iter().any(never), "never a put that may replace: {asked:?}");
    }
}

#[tokio::test]
async fn a_create_that_meets_others_for_ever_is_an_outage_and_not_a_success() {
    let one = [Answer::plain(404), Answer::error(409, "ConditionalRequestConflict")];
    let server = Scripted::start([&one[..]; 5].concat()).await;
    let error = put(&server).await.expect_err("an outage");
    assert_eq!(error.then(), Then::RetryLater, "{error}");
    assert_eq!(requests(&server).iter().filter(|request| *request == "PUT if none").count(), 5);
}

#[tokio::test]
async fn a_store_that_keeps_the_condition_shows_it_once_and_is_not_looked_at_again() {
    let (nothing, stored) = (Answer::plain(404), Answer::plain(200));
    let taken = Answer::error(412, "PreconditionFailed");
    let server = Scripted::start(vec![nothing, stored.clone(), taken.clone(), stored, taken]).await;
    let store = S3Store::new(config(&server));
    for expected in [Put::Created, Put::Created, Put::Exists] {
        assert_eq!(store.put_new("key", Bytes::from_static(b"wal"), &PutOptions::default()).await, Ok(expected));
    }
    assert_eq!(requests(&server), ["HEAD", "PUT if none", "PUT if none", "PUT if none", "PUT if none"]);
}

#[tokio::test]
async fn a_store_that_ignores_the_condition_is_found_out_and_looked_at_before_every_put() {
    let (nothing, there) = (Answer::plain(404), Answer::plain(200));
    // Stored, and replaced by the same; then another one is there already, and a third one is not.
    let script = vec![nothing.clone(), there.clone(), there.clone(), there.clone(), nothing, there];
    let server = Scripted::start(script).await;
    let store = S3Store::new(config(&server));
    for expected in [Put::Created, Put::Exists, Put::Created] {
        assert_eq!(store.put_new("key", Bytes::from_static(b"wal"), &PutOptions::default()).await, Ok(expected));
    }
    assert_eq!(requests(&server), ["HEAD", "PUT if none", "PUT if none", "HEAD", "HEAD", "PUT if none"]);
}

#[tokio::test]
async fn a_store_that_refuses_the_condition_is_written_to_without_it_after_a_look() {
    let (nothing, stored) = (Answer::plain(404), Answer::plain(200));
    let refused = Answer::error(501, "NotImplemented");
    let server = Scripted::start(vec![nothing.clone(), refused, nothing, stored]).await;
    let store = S3Store::new(config(&server));
    let put = async || store.put_new("key", Bytes::from_static(b"wal"), &PutOptions::default()).await;
    assert_eq!(put().await, Ok(Put::Created));
    // From here on it says that everything is there.
    assert_eq!(put().await, Ok(Put::Exists));
    assert_eq!(requests(&server), ["HEAD", "PUT if none", "HEAD", "PUT", "HEAD"]);
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

/// SHA-256 of `wal`.
const DIGEST: &str = "27a75a1c9d8f31b0bc4ca4889e25fe6413f00d78d8578a36e4cce1c38c452e45";

#[tokio::test]
async fn an_object_goes_with_its_digest_its_encryption_and_its_tags_at_once_or_in_parts() {
    let tags = vec![("kept for".to_owned(), "30d & more".to_owned()), ("tier".to_owned(), "wal".to_owned())];
    let options = PutOptions { content_type: Some("application/x-gzip".to_owned()), tags };
    for (encryption, named) in
        [(Some(Encryption::Aes256), Some("AES256")), (Some(Encryption::AwsKms), Some("aws:kms")), (None, None)]
    {
        let begun = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>".to_owned();
        let server = Scripted::start(vec![
            Answer::error(404, "NoSuchKey"),
            Answer::plain(200),
            Answer::error(412, "PreconditionFailed"),
            Answer { body: begun, ..Answer::plain(200) },
            Answer::plain(200).header("etag", "e"),
        ])
        .await;
        let store = S3Store::new(S3Config { encryption, ..config(&server) });
        let body = Bytes::from_static(b"wal");
        assert_eq!(store.put_new("key", body.clone(), &options).await.expect("a put"), Put::Created);
        let upload = store.begin_upload("key", &options).await.expect("begun");
        store.put_part(&upload, 1, body).await.expect("a part");

        let asked = server.asked();
        let put = asked.iter().position(|one| one.line.starts_with("PUT")).expect("a put");
        let begin = asked.iter().position(|one| one.line.starts_with("POST")).expect("a beginning");
        for request in [&asked[put], &asked[begin]] {
            assert_eq!(request.header("x-amz-server-side-encryption"), named, "{}", request.line);
            assert_eq!(request.header("x-amz-tagging"), Some("kept%20for=30d%20%26%20more&tier=wal"));
            assert_eq!(request.header("content-type"), Some("application/x-gzip"));
        }
        // What a store compares with what it received, before it says that it has it.
        for request in [&asked[put], asked.last().expect("a part")] {
            assert_eq!(request.header("x-amz-content-sha256"), Some(DIGEST), "{}", request.line);
        }
    }
}
