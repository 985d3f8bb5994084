//! What the benchmarks' programs read from their environment, and the store that it names.

use pgherd_objectstore::{ObjectStore, S3Config, S3Credentials, S3Store};
use std::sync::Arc;

pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

pub fn store() -> Arc<dyn ObjectStore> {
    Arc::new(S3Store::new(S3Config {
        endpoint_url: Some(variable("BENCH_ENDPOINT")),
        region: Some("us-east-1".to_owned()),
        credentials: S3Credentials::Given {
            access_key_id: variable("AWS_ACCESS_KEY_ID"),
            secret_access_key: variable("AWS_SECRET_ACCESS_KEY"),
            session_token: None,
        },
        ..S3Config::new(variable("BENCH_BUCKET"))
    }))
}
