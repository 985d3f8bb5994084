//! The report: `target/bench/fence.json`.

use crate::machine::Head;
use serde::{Deserialize, Serialize};

/// One fence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fenced {
    /// From the last renewal that was stored to the end of the last process of postgres. By `renewDeadline` it is due,
    /// and `leaseDuration` after that renewal another may take the lease.
    pub renewal_to_gone_s: f64,
    /// From the cut to the same end.
    pub cut_to_gone_s: f64,
    /// Processes of postgres that there were to kill.
    pub processes: usize,
    /// How long the killing took by the manager's own log, from its first signal, in milliseconds; absent where the
    /// watchdog had left nothing to kill and said nothing.
    pub kill_ms: Option<f64>,
    /// Rows that the crowd had written by then.
    pub rows: u64,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where the numbers are from.
    #[serde(flatten)]
    pub head: Head,
    /// Clients that wrote.
    pub connections: u32,
    /// `renewDeadline`.
    pub renew_deadline_s: f64,
    /// `leaseDuration`.
    pub lease_duration_s: f64,
    /// The longest from a renewal to the end.
    pub max_s: f64,
    /// Every run, in its order.
    pub runs: Vec<Fenced>,
    /// Why it is not whole, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Report {
    /// Adds one run.
    pub fn add(&mut self, fenced: Fenced) {
        self.max_s = self.max_s.max(fenced.renewal_to_gone_s);
        self.runs.push(fenced);
    }

    /// Whether it is whole, and every fence was over before another could have taken the lease.
    #[must_use]
    pub fn kept(&self) -> bool {
        self.error.is_none() && !self.runs.is_empty() && self.max_s < self.lease_duration_s
    }
}

#[cfg(test)]
mod tests {
    use super::{Fenced, Report};

    #[test]
    fn a_fence_that_ends_after_the_lease_breaks_the_report() {
        let mut report = Report { lease_duration_s: 8.0, ..Report::default() };
        assert!(!report.kept(), "nothing was measured");
        report.add(Fenced { renewal_to_gone_s: 5.2, ..Fenced::default() });
        assert!(report.kept());
        report.add(Fenced { renewal_to_gone_s: 8.1, ..Fenced::default() });
        assert!(!report.kept());
    }
}
