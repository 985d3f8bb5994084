//! The address plan, and who has which address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use super::NetError;
use crate::api::ClusterIps;

/// The bridge: API server, S3 and the proxies of services listen here.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 213, 0, 1);
/// The node's own address, from which it probes: a partition that cuts a pod off leaves this path, as on a real node.
pub const NODE: Ipv4Addr = Ipv4Addr::new(10, 213, 0, 2);
/// The pods' network, which the bridge carries.
pub const POD_NETWORK: &str = "10.213.0.0/24";
/// Cluster IPs; the whole range is local to the cluster's namespace, so that any of them can be listened on.
pub const SERVICE_NETWORK: &str = "10.213.1.0/24";
/// The API server's cluster IP (service `kubernetes`).
pub const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 213, 1, 1);
/// The API server's port on [`GATEWAY`].
pub const API_PORT: u16 = 6443;
/// The ports on [`GATEWAY`] through which the first and the second controller reach the API server.
pub const CONTROLLER_PORTS: [u16; 2] = [6444, 6445];
/// The port of S3 on [`GATEWAY`].
pub const S3_PORT: u16 = 9000;

/// Hands out pod addresses, always the one that was free for the longest: an old address does not soon mean a new pod.
#[derive(Debug)]
pub struct PodAddresses {
    inner: Mutex<Pool>,
}

#[derive(Debug)]
struct Pool {
    taken: BTreeSet<u8>,
    last: u8,
}

impl Default for PodAddresses {
    fn default() -> Self {
        Self { inner: Mutex::new(Pool { taken: BTreeSet::new(), last: 9 }) }
    }
}

impl PodAddresses {
    /// A free address.
    ///
    /// # Errors
    /// [`NetError::NoPodAddress`] if all are taken.
    pub fn take(&self) -> Result<Ipv4Addr, NetError> {
        let mut pool = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let after = pool.last.saturating_add(1)..=254;
        let around = 10..=pool.last;
        let found = after.chain(around).find(|n| !pool.taken.contains(n)).ok_or(NetError::NoPodAddress)?;
        pool.taken.insert(found);
        pool.last = found;
        Ok(Ipv4Addr::new(10, 213, 0, found))
    }

    /// Gives an address back.
    pub fn give_back(&self, address: Ipv4Addr) {
        let mut pool = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        pool.taken.remove(&address.octets()[3]);
    }
}

/// Hands out cluster IPs to Services.
#[derive(Debug, Default)]
pub struct ServiceAddresses {
    taken: Mutex<BTreeMap<u8, String>>,
}

impl ClusterIps for ServiceAddresses {
    fn allocate(&self, namespace: &str, name: &str, wanted: Option<&str>) -> Result<String, String> {
        let owner = format!("{namespace}/{name}");
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = wanted {
            let number = parse(text).ok_or_else(|| format!("{text} is not in {SERVICE_NETWORK}"))?;
            return match taken.get(&number) {
                Some(other) if *other != owner => Err(format!("{text} is taken by {other}")),
                _ => {
                    taken.insert(number, owner);
                    Ok(text.to_owned())
                }
            };
        }
        // 1 is for the API server, as with the real one.
        let number = (2..=254).find(|n| !taken.contains_key(n)).ok_or("no cluster IP is left")?;
        taken.insert(number, owner);
        Ok(Ipv4Addr::new(10, 213, 1, number).to_string())
    }

    fn release(&self, ip: &str) {
        if let Some(number) = parse(ip) {
            self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        }
    }
}

fn parse(text: &str) -> Option<u8> {
    match text.parse::<Ipv4Addr>().ok()?.octets() {
        [10, 213, 1, last] if last > 0 && last < 255 => Some(last),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{PodAddresses, ServiceAddresses};
    use crate::api::ClusterIps;

    #[test]
    fn a_pod_address_is_not_reused_while_others_are_free() {
        let pool = PodAddresses::default();
        let first = pool.take().unwrap();
        pool.give_back(first);
        assert_ne!(pool.take().unwrap(), first);
    }

    #[test]
    fn when_all_pod_addresses_are_taken_that_is_said() {
        let pool = PodAddresses::default();
        let taken: Vec<_> = std::iter::from_fn(|| pool.take().ok()).collect();
        assert_eq!(taken.len(), 245);
        pool.give_back(taken[0]);
        assert_eq!(pool.take().unwrap(), taken[0]);
    }

    #[test]
    fn a_service_keeps_the_address_that_it_had_before_a_restart() {
        let ips = ServiceAddresses::default();
        assert_eq!(ips.allocate("n", "a", Some("10.213.1.2")).unwrap(), "10.213.1.2");
        assert_eq!(ips.allocate("n", "b", None).unwrap(), "10.213.1.3");
        assert!(ips.allocate("n", "c", Some("10.213.1.2")).is_err());
        assert!(ips.allocate("n", "c", Some("10.0.0.1")).is_err());
        ips.release("10.213.1.2");
        assert_eq!(ips.allocate("n", "c", None).unwrap(), "10.213.1.2");
    }
}
