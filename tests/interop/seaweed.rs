//! One SeaweedFS for all tests that run at the same time; it ends with the last of them, or with this process.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use jiff::Timestamp;
use pgherd_objectstore::{S3Config, S3Credentials, S3Store};
use pgherd_pki::{Authority, Usage};

/// The bucket that is there.
pub const BUCKET: &str = "interop";
/// Who reads and writes it.
pub const ACCESS_KEY: &str = "interop-key";
/// And the secret.
pub const SECRET_KEY: &str = "interop-secret";
/// Key and secret of who makes the bucket.
const ADMIN: &str = "interop-admin";

static RUNNING: Mutex<Weak<Seaweed>> = Mutex::new(Weak::new());

/// A server on loopback, with its data in a folder of its own.
pub struct Seaweed {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// The same by TLS.
    pub tls_endpoint: String,
    /// Who signed its certificate, PEM.
    pub authority: String,
    /// Where the programs are.
    pub tools: PathBuf,
    end: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl Seaweed {
    /// The one that runs, or a new one.
    pub fn shared() -> Arc<Self> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = running.upgrade() {
            return found;
        }
        let started = Arc::new(Self::start());
        *running = Arc::downgrade(&started);
        started
    }

    fn start() -> Self {
        let tools = tools();
        let folder = tempfile::Builder::new().prefix("pgherd-interop-").tempdir().unwrap();
        let [master, volume, filer, s3, tls] = ports();
        let authority = Authority::generate("a store's", Timestamp::now()).unwrap();
        let names = vec!["127.0.0.1".to_owned()];
        let leaf = authority.sign("store", &Usage::Server { names }, Timestamp::now()).unwrap();
        let [certificate, key] = ["tls.crt", "tls.key"].map(|file| folder.path().join(file));
        std::fs::write(&certificate, &leaf.certificate_pem).unwrap();
        std::fs::write(&key, &leaf.key_pem).unwrap();
        let config = folder.path().join("s3.json");
        // For an administrator SeaweedFS makes a bucket that is missing; Amazon never does.
        let identities = serde_json::json!({"identities": [
            {"name": "interop", "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
             "actions": ["Read", "Write", "List", "Tagging"]},
            {"name": "admin", "credentials": [{"accessKey": ADMIN, "secretKey": ADMIN}], "actions": ["Admin"]},
        ]});
        std::fs::write(&config, identities.to_string()).unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        // The kernel ends it if this process dies without its destructors.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(tools.join("bin/weed"))
            .args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"])
            .args(["-master.volumeSizeLimitMB=256", "-volume.max=100"])
            .arg(format!("-dir={}", data.display()))
            .arg(format!("-s3.config={}", config.display()))
            .args([format!("-master.port={master}"), format!("-volume.port={volume}")])
            .args([format!("-filer.port={filer}"), format!("-s3.port={s3}"), format!("-s3.port.https={tls}")])
            .arg(format!("-s3.cert.file={}", certificate.display()))
            .arg(format!("-s3.key.file={}", key.display()))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .stdout(log);
        let (end, ended) = channel::<()>();
        // The signal of a parent's death is that of the thread which made the child: it has to outlive the test.
        let keeper = std::thread::spawn(move || {
            let mut child = command.spawn().unwrap();
            let _dropped = ended.recv();
            child.kill().unwrap();
            child.wait().unwrap();
            drop(folder);
        });
        let [endpoint, tls_endpoint] = [format!("http://127.0.0.1:{s3}"), format!("https://127.0.0.1:{tls}")];
        let authority = authority.certificate_pem().to_owned();
        let server = Self { endpoint, tls_endpoint, authority, tools, end: Some(end), keeper: Some(keeper) };
        server.make_bucket();
        server
    }

    /// Waits until the server makes a bucket, with Amazon's own client.
    fn make_bucket(&self) {
        let script = "import sys, time, boto3, botocore\n\
            quick = botocore.config.Config(retries={'max_attempts': 0}, connect_timeout=2, read_timeout=10)\n\
            s3 = boto3.client('s3', endpoint_url=sys.argv[1], config=quick)\n\
            deadline = time.time() + 60\n\
            while True:\n\
            \x20   try:\n\
            \x20       s3.create_bucket(Bucket=sys.argv[2]); break\n\
            \x20   except Exception:\n\
            \x20       if time.time() > deadline: raise\n\
            \x20       time.sleep(0.1)\n";
        let mut python = self.command("python");
        python.env("AWS_ACCESS_KEY_ID", ADMIN).env("AWS_SECRET_ACCESS_KEY", ADMIN);
        let made = python.args(["-c", script, &self.endpoint, BUCKET]).output().unwrap();
        assert!(made.status.success(), "no bucket: {}", String::from_utf8_lossy(&made.stderr));
    }

    /// A program of the environment, with the right credentials and nothing of the machine's own.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.tools.join("bin").join(program));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", "/nonexistent")
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .stdin(Stdio::null());
        command
    }

    /// Our client of a bucket.
    pub fn store(&self, bucket: &str, secret: &str) -> S3Store {
        S3Store::new(self.config(bucket, secret))
    }

    /// By TLS, where these certificates are believed and no others; without any, the system's.
    pub fn store_by_tls(&self, believed: Option<&str>) -> S3Store {
        S3Store::new(S3Config {
            endpoint_url: Some(self.tls_endpoint.clone()),
            endpoint_ca: believed.map(|pem| pem.as_bytes().to_vec()),
            ..self.config(BUCKET, SECRET_KEY)
        })
    }

    fn config(&self, bucket: &str, secret: &str) -> S3Config {
        S3Config {
            endpoint_url: Some(self.endpoint.clone()),
            region: Some("us-east-1".to_owned()),
            credentials: S3Credentials::Given {
                access_key_id: ACCESS_KEY.to_owned(),
                secret_access_key: secret.to_owned(),
                session_token: None,
            },
            ..S3Config::new(bucket)
        }
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(keeper) = self.keeper.take() {
            let _ended = keeper.join();
        }
    }
}

/// Installs the programs where they are missing, and says where they are.
fn tools() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/interop.sh");
    let output = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "tests/tools/interop.sh failed");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// Free ports whose neighbours 10000 above, which SeaweedFS takes for gRPC, are free as well.
fn ports() -> [u16; 5] {
    let mut held = Vec::new();
    let mut found = Vec::new();
    while found.len() < 5 {
        let one = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = one.local_addr().unwrap().port();
        if let Some(other) = port.checked_add(10_000).and_then(|above| TcpListener::bind(("127.0.0.1", above)).ok()) {
            found.push(port);
            held.push(other);
        }
        held.push(one);
    }
    found.try_into().unwrap()
}
