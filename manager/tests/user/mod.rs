//! The user that postgres runs as.

/// postgres refuses to be root, and what it makes is its maker's alone: so the whole program becomes its user.
pub fn become_postgres() {
    if nix::unistd::getuid().is_root() {
        let user = nix::unistd::User::from_name("postgres").unwrap().expect("a user postgres");
        nix::unistd::setgroups(&[]).unwrap();
        nix::unistd::setgid(user.gid).unwrap();
        nix::unistd::setuid(user.uid).unwrap();
    }
}
