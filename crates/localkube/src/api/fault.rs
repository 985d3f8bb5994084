//! Faults that a test bed injects into the API server: unreachable, slow, or answering errors.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// How the server treats a client's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// New connections are reset, open ones are closed.
    Reset,
    /// Connections stay open and nothing moves on them, as when packets are lost.
    Silent,
}

/// All faults that are on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// For every client.
    pub everyone: Option<Cut>,
    /// For single clients, by the address they come from.
    pub clients: BTreeMap<IpAddr, Cut>,
    /// Added before every answer.
    pub latency: Duration,
    /// The next so many requests are answered with this status.
    pub errors: Option<(u32, u16)>,
    /// Watches stay open and tell nothing new; they catch up afterwards.
    pub stale_watches: bool,
}

impl Faults {
    /// How connections from this address are treated.
    pub fn cut(&self, client: IpAddr) -> Option<Cut> {
        self.everyone.or_else(|| self.clients.get(&client).copied())
    }
}

/// The switch: clones share it. Health and version endpoints are cut with the rest, but never answer injected errors.
#[derive(Debug, Clone)]
pub struct FaultSwitch {
    faults: Arc<watch::Sender<Faults>>,
    drops: Arc<watch::Sender<u64>>,
}

impl Default for FaultSwitch {
    fn default() -> Self {
        Self { faults: Arc::new(watch::Sender::new(Faults::default())), drops: Arc::default() }
    }
}

impl FaultSwitch {
    /// Turns the API off for everyone.
    pub fn cut_everyone(&self, cut: Cut) {
        self.faults.send_modify(|faults| faults.everyone = Some(cut));
    }

    /// Turns the API off for one client.
    pub fn cut_client(&self, client: IpAddr, cut: Cut) {
        self.faults.send_modify(|faults| {
            faults.clients.insert(client, cut);
        });
    }

    /// Turns the API on again for one client.
    pub fn heal_client(&self, client: IpAddr) {
        self.faults.send_modify(|faults| {
            faults.clients.remove(&client);
        });
    }

    /// Delays every answer.
    pub fn set_latency(&self, latency: Duration) {
        self.faults.send_modify(|faults| faults.latency = latency);
    }

    /// Answers the next `count` requests with `status`.
    pub fn fail_next(&self, count: u32, status: u16) {
        self.faults.send_modify(|faults| faults.errors = (count > 0).then_some((count, status)));
    }

    /// Lets watches tell nothing new.
    pub fn hold_watches(&self) {
        self.faults.send_modify(|faults| faults.stale_watches = true);
    }

    /// Resets every connection that is open now; new ones are served.
    pub fn drop_connections(&self) {
        self.drops.send_modify(|drops| *drops = drops.wrapping_add(1));
    }

    /// Told each time when connections are to be dropped.
    pub fn drops(&self) -> watch::Receiver<u64> {
        self.drops.subscribe()
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.faults.send_replace(Faults::default());
    }

    /// What is on now.
    pub fn current(&self) -> Faults {
        self.faults.borrow().clone()
    }

    /// To wait for changes.
    pub fn subscribe(&self) -> watch::Receiver<Faults> {
        self.faults.subscribe()
    }

    /// The status that this request is to be answered with, if an error is injected; counts it.
    pub fn take_error(&self) -> Option<u16> {
        let mut taken = None;
        self.faults.send_if_modified(|faults| {
            let Some((count, status)) = faults.errors else { return false };
            taken = Some(status);
            faults.errors = (count > 1).then(|| (count.saturating_sub(1), status));
            true
        });
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::{Cut, FaultSwitch};

    #[test]
    fn injected_errors_end_after_their_count() {
        let switch = FaultSwitch::default();
        switch.fail_next(2, 503);
        assert_eq!([switch.take_error(), switch.take_error(), switch.take_error()], [Some(503), Some(503), None]);
    }

    #[test]
    fn one_client_can_be_cut_off_alone() {
        let switch = FaultSwitch::default();
        let (a, b) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        switch.cut_client(a, Cut::Silent);
        assert_eq!((switch.current().cut(a), switch.current().cut(b)), (Some(Cut::Silent), None));
        switch.cut_everyone(Cut::Reset);
        assert_eq!(switch.current().cut(b), Some(Cut::Reset));
        switch.heal();
        assert_eq!(switch.current().cut(a), None);
    }
}
