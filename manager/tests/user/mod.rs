//! The user that postgres runs as.

use std::sync::Once;

/// postgres refuses to be root, and what it makes is its maker's alone: so the whole program becomes its user, once, however
/// many tests begin at the same time.
pub fn become_postgres() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if nix::unistd::getuid().is_root() {
            let user = nix::unistd::User::from_name("postgres").unwrap().expect("a user postgres");
            nix::unistd::setgroups(&[]).unwrap();
            nix::unistd::setgid(user.gid).unwrap();
            nix::unistd::setuid(user.uid).unwrap();
        }
    });
}
