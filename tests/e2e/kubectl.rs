//! What is asked of the cluster, and said to it: everything through kubectl.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pgherd_testkit::wait;
use serde_json::Value;
use tokio::process::Command;

use crate::process::run;

/// Between two looks: each is a program of its own, and the cluster needs the processors too.
const PAUSE: Duration = Duration::from_millis(400);

#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
}

impl Kubectl {
    pub fn new(program: &Path, kubeconfig: &Path, home: &Path) -> Self {
        Self { program: program.to_owned(), kubeconfig: kubeconfig.to_owned(), home: home.to_owned() }
    }

    /// A program that finds the cluster as kubectl does.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("KUBECONFIG", &self.kubeconfig).env("HOME", &self.home);
        command
    }

    /// Asks; answers what it says.
    pub async fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.command(&self.program);
        command.args(arguments);
        run(command).await
    }

    /// The same, which has to succeed.
    pub async fn must(&self, arguments: &[&str]) -> String {
        self.ask(arguments).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// An object, or a list of them.
    pub async fn json(&self, arguments: &[&str]) -> Result<Value, String> {
        let said = self.ask(&[arguments, &["-o", "json"]].concat()).await?;
        serde_json::from_str(&said).map_err(|error| error.to_string())
    }

    /// Creates what is in `object`, or changes it to that.
    pub async fn apply(&self, object: &Value) {
        let file = self.home.join("applied.json");
        std::fs::write(&file, object.to_string()).unwrap();
        self.must(&["apply", "-f", &file.display().to_string()]).await;
    }

    /// Waits until something is so.
    pub async fn until<T, F>(&self, what: &str, seconds: u64, look: impl FnMut() -> F) -> T
    where
        F: Future<Output = Result<T, String>>,
    {
        self.wait(what, seconds, look).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same for whoever has something to put right before it fails.
    pub async fn wait<T, F>(&self, what: &str, seconds: u64, look: impl FnMut() -> F) -> Result<T, String>
    where
        F: Future<Output = Result<T, String>>,
    {
        let seen = wait::until_every(PAUSE, what, Duration::from_secs(seconds), look).await;
        seen.map_err(|late| late.to_string())
    }
}

/// The objects of a list.
pub fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}
