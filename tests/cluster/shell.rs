//! SQL as the superuser, inside a pod: through the socket, as the user that owns its postgres.

use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::bed::{Bed, NAMESPACE};

impl Bed {
    /// The one value that `sql` answers on `pod`, as text; why not, if it does not within five seconds.
    pub async fn ask(&self, pod: &str, sql: &str) -> Result<String, String> {
        let inside = self.handle.process(NAMESPACE, pod, "postgres").await.map_err(|error| error.to_string())?;
        let user = nix::unistd::User::from_name("postgres").unwrap().unwrap();
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", inside.pid))
            .args(["--mount", "--pid", "--net", "--ipc", "--uts"])
            .arg(format!("--setuid={}", user.uid))
            .arg(format!("--setgid={}", user.gid))
            .args(["--", "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", "/controller/run"])
            .args(["-U", "postgres", "-d", "postgres", "-c", sql])
            .kill_on_drop(true);
        let ended = timeout(Duration::from_secs(5), command.output()).await;
        let output = ended.map_err(|_| "no answer within 5 s".to_owned())?.map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}
