//! Whether this manager's own pod is still an object of the API.

use k8s_openapi::api::core::v1::Pod;
use pgherd_core::identity::PodUid;
use std::sync::Arc;

/// What was seen of the own pod. A UID that is gone never comes back: somebody deleted the pod by force while its
/// processes live, and another pod of its name will want its volume and its place.
#[derive(Debug, Default)]
pub struct OwnPod {
    seen: bool,
}

impl OwnPod {
    /// Whether the pod is gone from a list that it was in before.
    pub fn is_gone(&mut self, pods: &[Arc<Pod>], me: &PodUid) -> bool {
        let here = pods.iter().any(|pod| pod.metadata.uid.as_deref() == Some(me.0.as_str()));
        self.seen |= here;
        self.seen && !here
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(uid: &str) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.uid = Some(uid.to_owned());
        Arc::new(pod)
    }

    #[test]
    fn a_pod_is_gone_once_it_was_there() {
        let mut own = OwnPod::default();
        let me = PodUid("me".to_owned());
        assert!(!own.is_gone(&[], &me), "the list may be older than the pod");
        assert!(!own.is_gone(&[pod("me"), pod("another")], &me));
        assert!(own.is_gone(&[pod("another")], &me));
    }
}
