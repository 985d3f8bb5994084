//! `target/e2e/report.json`: what was run, for how long, and what became of it.

use pgherd_testkit::machine::Head;
use serde::Serialize;

/// One scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// How long it took, its waiting for a healthy cluster at the end included.
    pub seconds: f64,
    /// Whether all was as promised.
    pub ok: bool,
    /// The longest time without an acknowledged row while something was done to the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_seconds: Option<f64>,
    /// What was not as promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub head: Head,
    /// `node` or `kind`.
    pub machine: String,
    /// The version of the API server.
    pub kubernetes: String,
    /// Nodes that take pods.
    pub nodes: u8,
    /// Scenarios that went as promised.
    pub passed: usize,
    /// And those that did not.
    pub failed: usize,
    /// Rows that were acknowledged to the writer, and of those the ones that were not found again in the end.
    pub acknowledged: u64,
    pub lost: u64,
    /// From the start of the program; what is built before is not in it.
    pub duration_seconds: f64,
    pub scenarios: Vec<Scenario>,
}

impl Report {
    /// Of a run that begins now.
    pub fn now(machine: &str, nodes: u8) -> Self {
        let mut command = if machine == "node" { "make e2e".to_owned() } else { format!("make e2e E2E={machine}") };
        if let Ok(only) = std::env::var("ONLY") {
            command.push_str(&format!(" ONLY={only}"));
        }
        Self {
            head: Head::now(command),
            machine: machine.to_owned(),
            kubernetes: String::new(),
            nodes,
            passed: 0,
            failed: 0,
            acknowledged: 0,
            lost: 0,
            duration_seconds: 0.0,
            scenarios: Vec::new(),
        }
    }

    /// Adds what became of a scenario, and says it.
    pub fn add(&mut self, scenario: Scenario) {
        let gap = scenario.gap_seconds.map(|gap| format!(", {gap:.3} s without a row")).unwrap_or_default();
        let (word, seconds) = (if scenario.ok { "ok" } else { "FAILED" }, scenario.seconds);
        println!("e2e: {word:6} {:<45} {seconds:7.1} s{gap}", scenario.name);
        if let Some(error) = &scenario.error {
            println!("{error}");
        }
        if scenario.ok {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        self.scenarios.push(scenario);
    }

    /// Whether all of it went as promised.
    pub fn is_green(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}
