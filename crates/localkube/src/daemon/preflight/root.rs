//! What is said to whoever is not root: why it is wanted, and what goes without it.

use std::fs;

/// The word.
pub(super) fn word() -> String {
    let limit = read("/proc/sys/user/max_user_namespaces").unwrap_or(0);
    let forbidden = limit == 0 || read("/proc/sys/kernel/unprivileged_userns_clone") == Some(0);
    tell(forbidden)
}

fn tell(forbidden: bool) -> String {
    let namespaces = if forbidden {
        "this kernel gives normal users no namespaces of their own"
    } else {
        "namespaces of a normal user have one identity, and pods want two (root and postgres); their network is not \
         seen from outside of them"
    };
    format!(
        "it must run as root (try sudo): pods have network, mount and process namespaces, and a user of their own. \
         Without root there is no local environment, on loopback addresses neither: {namespaces}. What goes without \
         root: `pgherd validate`, and every verb against a real cluster (KUBECONFIG)"
    )
}

fn read(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::tell;

    #[test]
    fn whoever_is_not_root_is_told_why_and_what_goes_without() {
        assert!(tell(true).contains("gives normal users no namespaces"));
        for word in [tell(true), tell(false)] {
            assert!(word.contains("as root (try sudo)") && word.contains("pgherd validate"), "{word}");
        }
    }
}
