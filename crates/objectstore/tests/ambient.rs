//! The environment's role (`inheritFromIAMRole`): credentials that nobody gave us. The environment belongs to a process,
//! so each test runs itself again as another one, with an environment of its own.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test program")]

mod scripted;

use pgherd_objectstore::test_server::{ACCESS_KEY, SECRET_KEY, TestServer};
use pgherd_objectstore::{ObjectStore, Put, PutOptions, S3Config, S3Credentials, S3Store};
use scripted::{Answer, Scripted};

/// The other process is told where the store is.
const STORE: &str = "PGHERD_TEST_STORE";
/// Any authority: nothing here speaks TLS, and the machine need not have one.
const AUTHORITY: &[u8] = include_bytes!("../../pki/testdata/sec1.crt");

/// What the other process does: stores something by the role of its environment.
async fn store_by_role(endpoint: String) {
    let config = S3Config {
        endpoint_url: Some(endpoint),
        endpoint_ca: Some(AUTHORITY.to_vec()),
        region: Some("eu-central-1".into()),
        credentials: S3Credentials::Ambient,
        ..S3Config::new("bucket")
    };
    let stored = S3Store::new(config).put_new("key", "wal".into(), &PutOptions::default()).await;
    assert_eq!(stored, Ok(Put::Created));
}

/// Runs the test of this name again with these variables, and none of Amazon's beside them.
async fn run_again(test: &str, variables: &[(&str, &str)]) {
    let mut again = tokio::process::Command::new(std::env::current_exe().expect("this program"));
    again.args(["--exact", test, "--nocapture"]).kill_on_drop(true);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        again.env_remove(name);
    }
    // No profile of whoever runs this, and no metadata service of the machine it runs on.
    again.env("HOME", "/nonexistent").env("AWS_EC2_METADATA_DISABLED", "true");
    let output = again.envs(variables.iter().copied()).output().await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

async fn bucket() -> (tempfile::TempDir, TestServer) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("bucket")).expect("a bucket");
    let server = TestServer::start(folder.path()).await.expect("a server");
    (folder, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_taken_from_the_environments_variables() {
    if let Ok(endpoint) = std::env::var(STORE) {
        return store_by_role(endpoint).await;
    }
    let (folder, server) = bucket().await;
    let endpoint = server.endpoint();
    let variables =
        [(STORE, endpoint.as_str()), ("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
    run_again("credentials_are_taken_from_the_environments_variables", &variables).await;
    assert!(folder.path().join("bucket/key").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_fetched_from_the_agent_that_the_environment_names() {
    if let Ok(endpoint) = std::env::var(STORE) {
        return store_by_role(endpoint).await;
    }
    let (folder, server) = bucket().await;
    let given = format!(
        r#"{{"AccessKeyId":"{ACCESS_KEY}","SecretAccessKey":"{SECRET_KEY}","Token":"t","Expiration":"2999-01-01T00:00:00Z"}}"#
    );
    let agent = Scripted::start(vec![Answer { body: given, ..Answer::plain(200) }]).await;
    let (endpoint, role) = (server.endpoint(), format!("{}/role", agent.url));
    // As a pod's identity agent is named to its containers.
    let variables = [
        (STORE, endpoint.as_str()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", role.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "of this pod"),
    ];
    run_again("credentials_are_fetched_from_the_agent_that_the_environment_names", &variables).await;
    assert!(folder.path().join("bucket/key").exists());
    let asked = agent.asked();
    assert!(asked[0].line.starts_with("GET /role"), "{asked:?}");
    assert_eq!(asked[0].header("authorization"), Some("of this pod"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_without_a_role_is_said_to_lack_credentials() {
    if let Ok(endpoint) = std::env::var(STORE) {
        let config = S3Config {
            endpoint_url: Some(endpoint),
            endpoint_ca: Some(AUTHORITY.to_vec()),
            region: Some("eu-central-1".into()),
            ..S3Config::new("bucket")
        };
        let error = S3Store::new(config).get("key", 10).await.expect_err("no credentials");
        assert_eq!(error.then(), pgherd_objectstore::Then::AskSomeone, "{error}");
        return;
    }
    let (_folder, server) = bucket().await;
    run_again("an_environment_without_a_role_is_said_to_lack_credentials", &[(STORE, &server.endpoint())]).await;
}
