//! Object stores as people write them, right and wrong.

use super::*;
use proptest::prelude::*;

#[test]
fn a_destination_is_a_bucket_and_a_prefix() {
    let read = |text| destination(text).map(|d| (d.bucket.clone(), d.server_root("db")));
    let want = |bucket: &str, root: &str| Ok((bucket.to_owned(), root.to_owned()));
    assert_eq!(read("s3://phoenix-guardian-backups/db"), want("phoenix-guardian-backups", "db/db/"));
    assert_eq!(read("s3://abc"), want("abc", "db/"));
    assert_eq!(read("s3://abc/"), want("abc", "db/"));
    assert_eq!(read("s3://a.b-c/x/y z/"), want("a.b-c", "x/y z/db/"));
}

#[test]
fn a_destination_that_tools_would_read_differently_is_refused() {
    for text in ["", "abc/db", "gs://abc/db", "S3://abc/db", "https://abc/db", "s3:/abc"] {
        assert_eq!(destination(text), Err(ObjectStoreError::Scheme(text.to_owned())));
    }
    for bucket in ["", "ab", "Abc", "a_b", "-abc", "abc-", "a..b", "é12", &"a".repeat(64)] {
        assert_eq!(destination(&format!("s3://{bucket}/x")), Err(ObjectStoreError::Bucket(bucket.to_owned())));
    }
    for prefix in ["a//b", "a/../b", ".", "a\nb", "a?b", "a#b"] {
        assert_eq!(destination(&format!("s3://abc/{prefix}")), Err(ObjectStoreError::Prefix(prefix.to_owned())));
    }
}

#[test]
fn there_is_exactly_one_way_to_authenticate() {
    let ask = |id, secret, token, role| {
        credentials(Credentials {
            access_key_id: id,
            secret_access_key: secret,
            session_token: token,
            inherit_from_iam_role: role,
        })
    };
    assert_eq!(ask(true, true, false, false), Ok(AuthMethod::Keys));
    assert_eq!(ask(true, true, true, false), Ok(AuthMethod::Keys));
    assert_eq!(ask(false, false, false, true), Ok(AuthMethod::Role));
    assert_eq!(ask(true, false, false, false), Err(ObjectStoreError::HalfAKey));
    assert_eq!(ask(false, true, false, true), Err(ObjectStoreError::HalfAKey));
    assert_eq!(ask(true, true, false, true), Err(ObjectStoreError::TwoMethods));
    assert_eq!(ask(false, false, true, false), Err(ObjectStoreError::TokenAlone));
    assert_eq!(ask(false, false, false, false), Err(ObjectStoreError::NoMethod));
}

#[test]
fn wal_and_data_have_their_own_compressions() {
    assert_eq!(wal_compression("zstd"), Ok(Compression::Zstd));
    assert!(wal_compression("none").is_err());
    assert_eq!(data_compression("gzip"), Ok(Compression::Gzip));
    assert_eq!(data_compression("zstd"), Err(ObjectStoreError::DataCompression("zstd".into())));
}

#[test]
fn counts_names_and_urls_have_bounds() {
    assert_eq!(max_parallel(4), Ok(4));
    for count in [0, -1, 65, i64::MAX, i64::MIN] {
        assert_eq!(max_parallel(count), Err(ObjectStoreError::MaxParallel(count)));
    }
    assert!(server_name("phoenix-guardian-db").is_ok());
    for name in ["", ".", "..", "a/b", "a\0"] {
        assert!(server_name(name).is_err());
    }
    for url in ["http://s3:9000", "https://s3.example.com/", "http://[::1]:9000"] {
        assert!(endpoint(url).is_ok(), "{url}");
    }
    for url in ["", "s3:9000", "http://", "http:///", "ftp://x", "http://user:pw@host", "http://a b", "http://x?y"] {
        assert!(endpoint(url).is_err(), "{url}");
    }
}

proptest! {
    #[test]
    fn any_destination_is_read_or_refused(text in "s3://[a-z0-9.-]{0,8}/\\PC{0,8}|\\PC*") {
        if let Ok(read) = destination(&text) {
            let again = destination(&format!("s3://{}/{}", read.bucket, read.prefix));
            prop_assert_eq!(again, Ok(read));
        }
    }
}

#[test]
fn tags_are_what_an_object_of_s3_can_have() {
    let given = |tags: &[(&str, &str)]| super::tags(tags.iter().copied());
    assert_eq!(given(&[]), Ok(()));
    assert_eq!(given(&[("team", "data"), ("empty", "")]), Ok(()));
    assert_eq!(given(&[("k", ""); 11]), Err(ObjectStoreError::TooManyTags(11)));
    assert_eq!(given(&[("", "v")]), Err(ObjectStoreError::Tag(String::new())));
    let long = "v".repeat(257);
    assert_eq!(given(&[("k", &long)]), Err(ObjectStoreError::Tag("k".to_owned())));
}
