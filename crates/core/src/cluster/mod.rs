//! One cluster as the controller sees it: what the user wants, what is there, and what each member says.

mod desired;
mod member;
mod names;
mod node;
mod observed;
mod pod;

pub use desired::{AntiAffinity, Desired, PrimaryUpdate, Resources, Storage, is_fenced};
pub use member::{LeaseSeen, MemberPhase, Report};
pub use names::{ObjectKind, SecretKind, ServiceKind, instance_name, serial_of, serial_of_wal, wal_volume_name};
pub use node::{DRAIN_TAINTS, DomainKeys, NodeView, ZONE};
pub use observed::{
    CertificateFact, DriftFact, ElectionFact, ForceFact, LossFact, Memory, Observed, RefusalFact, RestartFact,
    StatusFacts, TailFact,
};
pub use pod::{ClaimPhase, KeptVolume, PodPhase, PodView, Role, VolumeView};
