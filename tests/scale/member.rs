//! A manager that is none: what it would say of itself.

use std::net::Ipv4Addr;

use pgherd_core::identity::{Nonce, SystemId};
use pgherd_core::lease::{Holder, Term, WalPosition};
use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::TimelineId;
use pgherd_proto::member::{LeaseSeen, MemberReport, Phase};
use pgherd_proto::status::PostgresqlStatus;

/// A namespace and a name, of a pod or of a cluster.
pub type Name = (String, String);

/// The database of every cluster here.
pub const SYSTEM: SystemId = SystemId(7_421_000_000_000_000_001);
/// Nobody writes anything.
const LSN: Lsn = Lsn(0x300_0148);

/// One pod.
#[derive(Clone, Debug)]
pub struct Member {
    pub pod: Name,
    pub cluster: String,
    pub uid: String,
    pub address: Ipv4Addr,
    /// Of the process that runs, or ran.
    pub nonce: String,
    pub alive: bool,
    pub primary: bool,
    pub timeline: u32,
    pub fence: u64,
}

impl Member {
    pub fn new(pod: Name, cluster: String, uid: String, address: Ipv4Addr) -> Self {
        let nonce = nonce();
        Self { pod, cluster, uid, address, nonce, alive: true, primary: false, timeline: 1, fence: 0 }
    }

    pub fn cluster(&self) -> Name {
        (self.pod.0.clone(), self.cluster.clone())
    }

    pub fn holder(&self) -> Holder {
        Holder {
            name: self.pod.1.clone(),
            pod_uid: self.uid.as_str().into(),
            nonce: self.nonce.as_str().into(),
            address: self.address.to_string(),
        }
    }

    pub fn report(&self) -> MemberReport {
        let timeline = TimelineId(self.timeline);
        MemberReport {
            nonce: Nonce(self.nonce.clone()),
            pod_uid: self.uid.as_str().into(),
            incarnation: Some(format!("data-{}", self.uid).as_str().into()),
            system_id: Some(SYSTEM),
            phase: if self.primary { Phase::Primary } else { Phase::Standby },
            lease_seen: LeaseSeen { lease_duration: crate::timings::duration(), ..LeaseSeen::default() },
            position: Some(WalPosition { timeline, lsn: LSN }),
            fence: Term(self.fence),
            ready: true,
            ..MemberReport::default()
        }
    }

    pub fn status(&self) -> PostgresqlStatus {
        let lsn = |wanted: bool| wanted.then_some(LSN);
        PostgresqlStatus {
            system_id: SYSTEM.to_string(),
            is_primary: self.primary,
            current_lsn: lsn(self.primary),
            received_lsn: lsn(!self.primary),
            replay_lsn: lsn(!self.primary),
            timeline_id: self.timeline.into(),
            session_id: self.nonce.clone(),
            ..PostgresqlStatus::default()
        }
    }
}

/// One that nobody had before.
pub fn nonce() -> String {
    format!("{:032x}", rand::random::<u128>())
}
