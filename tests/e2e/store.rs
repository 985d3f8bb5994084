//! S3: SeaweedFS beside the control plane, with the bucket and the key that the example asks for.

use std::net::Ipv4Addr;
use std::path::Path;

use pgherd_testkit::wait;
use serde_json::json;
use tokio::process::{Child, Command};

use crate::process::{run, start};
use crate::tools::Tools;

/// Where it listens.
const PORT: u16 = 8333;
/// The bucket of the example's `destinationPath`.
pub const BUCKET: &str = "phoenix-guardian-backups";
/// Who reads and writes it.
pub const ACCESS_KEY: &str = "e2e-key";
/// And the secret.
pub const SECRET_KEY: &str = "e2e-secret";
/// Key and secret of who makes the bucket: for an administrator SeaweedFS makes what is missing.
const ADMIN: &str = "e2e-admin";

pub struct Store {
    /// Its address, as pods say it.
    pub endpoint: String,
    _server: Child,
}

/// The same before it runs.
pub fn endpoint(address: Ipv4Addr) -> String {
    format!("http://{address}:{PORT}")
}

impl Store {
    pub async fn start(directory: &Path, tools: &Tools, address: Ipv4Addr) -> Self {
        let folder = directory.join("store");
        std::fs::create_dir_all(folder.join("data")).unwrap();
        let identities = json!({"identities": [
            {"name": "db", "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
             "actions": ["Read", "Write", "List", "Tagging"]},
            {"name": "admin", "credentials": [{"accessKey": ADMIN, "secretKey": ADMIN}], "actions": ["Admin"]},
        ]});
        std::fs::write(folder.join("s3.json"), identities.to_string()).unwrap();
        let mut command = Command::new(tools.store.join("bin/weed"));
        command
            .args(["server", "-filer", "-s3", "-master.volumeSizeLimitMB=256", "-volume.max=100"])
            .args([format!("-ip={address}"), format!("-ip.bind={address}"), format!("-s3.port={PORT}")])
            .args([format!("-dir={}", folder.join("data").display())])
            .arg(format!("-s3.config={}", folder.join("s3.json").display()))
            .current_dir(&folder);
        let server = start(command, &directory.join("logs/store"));
        let store = Self { endpoint: endpoint(address), _server: server };
        let made = wait::until("a bucket", std::time::Duration::from_secs(120), async || {
            let mut command = Command::new(tools.store.join("bin/python"));
            command.args(["-c", MAKE_BUCKET, &store.endpoint, BUCKET]);
            command.env("AWS_ACCESS_KEY_ID", ADMIN).env("AWS_SECRET_ACCESS_KEY", ADMIN);
            run(command).await
        });
        made.await.unwrap();
        store
    }
}

const MAKE_BUCKET: &str = "\
import sys, boto3
from botocore.config import Config
quick = Config(connect_timeout=2, read_timeout=5, retries={'max_attempts': 0})
s3 = boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1', config=quick)
# The answer to the one before may have been lost.
try:
    s3.create_bucket(Bucket=sys.argv[2])
except s3.exceptions.BucketAlreadyOwnedByYou:
    pass
";
