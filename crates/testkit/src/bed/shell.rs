//! SQL as the superuser, inside a pod: through the socket, as the user that owns its postgres.

use super::Bed;
use anyhow::{Context as _, bail};
use core::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(5);

impl Bed {
    /// The one value that `sql` answers on `pod`, as text.
    ///
    /// # Errors
    /// If the pod does not run, postgres refuses, or nothing is answered within five seconds.
    pub async fn ask(&self, pod: &str, sql: &str) -> anyhow::Result<String> {
        self.ask_in(pod, "postgres", sql).await
    }

    /// The same in another database than `postgres`.
    ///
    /// # Errors
    /// As [`Bed::ask`].
    pub async fn ask_in(&self, pod: &str, database: &str, sql: &str) -> anyhow::Result<String> {
        let inside = self.handle.process(&self.place.namespace, pod, "postgres").await?;
        let user = nix::unistd::User::from_name("postgres")?.context("there is no user postgres")?;
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", inside.pid))
            .args(["--mount", "--pid", "--net", "--ipc", "--uts"])
            .arg(format!("--setuid={}", user.uid))
            .arg(format!("--setgid={}", user.gid))
            .args(["--", "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", "/controller/run"])
            .args(["-U", "postgres", "-d", database, "-c", sql])
            .kill_on_drop(true);
        let output = timeout(WITHIN, command.output()).await.context("no answer within 5 s")??;
        if !output.status.success() {
            bail!("{pod}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
