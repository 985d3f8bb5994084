//! What is said to whoever is not root: what goes on in namespaces of their own, what does not, and why nothing does
//! where the kernel refuses them.

use super::Finding;
use crate::daemon::{UpOptions, Volumes, rootless};

pub(super) fn look(options: &UpOptions) -> Vec<Finding> {
    if rootless::is_wanted() { judge(rootless::refusal(), options.volumes) } else { Vec::new() }
}

fn judge(refusal: Option<String>, volumes: Volumes) -> Vec<Finding> {
    if let Some(why) = refusal {
        let text = format!(
            "it must run as root here (try sudo): this machine gives you no namespaces of your own ({why}). See \
             user.max_user_namespaces, kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns. \
             Without them there is no local environment, on loopback addresses neither: each pod has its own \
             /var/lib/postgresql/data. What goes without: `pgherd validate`, and every verb against a real cluster \
             (KUBECONFIG)"
        );
        return vec![Finding { fatal: true, text }];
    }
    let note =
        "without root: the environment is root in namespaces of its own, and everything in it is yours. It cannot \
                have volumes of their own size (`--volumes ext4`), and so no fault of a disk"
            .to_owned();
    let mut found = vec![Finding { fatal: false, text: note }];
    if volumes == Volumes::Ext4 {
        let text = "`--volumes ext4` must run as root: only root mounts file systems from loop devices".to_owned();
        found.push(Finding { fatal: true, text });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Volumes, judge};

    #[test]
    fn whoever_is_not_root_is_told_what_goes_and_why_something_does_not() {
        let refused = judge(Some("unshare failed: Operation not permitted".to_owned()), Volumes::Directory);
        let [finding] = refused.as_slice() else { panic!("{refused:?}") };
        for words in ["as root here", "Operation not permitted", "pgherd validate"] {
            assert!(finding.fatal && finding.text.contains(words), "{finding:?}");
        }
        let allowed = judge(None, Volumes::Directory);
        assert!(allowed.iter().all(|finding| !finding.fatal), "{allowed:?}");
        assert!(judge(None, Volumes::Ext4).iter().any(|f| f.fatal && f.text.contains("must run as root")));
    }
}
