//! Without root: the whole `pgherd local`, by a user who may do nothing. Needs the programs that lie beside each other
//! after the build, as `make test` has them.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Exists everywhere, and owns nothing.
const USER: &str = "nobody";
const CLUSTER: &str = include_str!("../../../../docs/examples/cluster.yaml");

/// A user and a directory of theirs. What is up in it goes down with the test.
struct Guest {
    home: PathBuf,
    program: PathBuf,
}

impl Guest {
    fn new() -> Self {
        let user = nix::unistd::User::from_name(USER).unwrap().unwrap();
        let home = PathBuf::from(format!("/var/tmp/pgherd-rootless-{}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(home.join("cluster.yaml"), CLUSTER).unwrap();
        chown(&home, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        let built = Path::new(env!("CARGO_BIN_EXE_pgherd-local")).with_file_name("pgherd");
        let open = |path: &&Path| path.metadata().is_ok_and(|found| found.permissions().mode() & 0o001 != 0);
        if built.ancestors().skip(1).all(|path| open(&path)) {
            return Self { home, program: built };
        }
        // A checkout below a directory that nobody else may pass.
        for name in ["pgherd", "manager", "controller", "wal-client"] {
            std::fs::copy(built.with_file_name(name), home.join(name)).unwrap();
        }
        Self { program: home.join("pgherd"), home }
    }

    fn state(&self) -> String {
        self.home.join("s").display().to_string()
    }

    /// As the user, and no more than a shell of theirs has.
    fn pgherd(&self, words: &[&str]) -> Output {
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={USER}"), "--regid=nogroup", "--clear-groups", "--inh-caps=-all", "--"]);
        command.arg(&self.program);
        let (own, rest) = words.split_at(words.iter().position(|word| *word == "--").unwrap_or(words.len()));
        command.args(own).args(["--name", "guest", "--state-dir", &self.state()]).args(rest);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", &self.home).current_dir("/");
        command.output().unwrap()
    }

    fn done(&self, words: &[&str]) -> String {
        let output = self.pgherd(words);
        let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{words:?}: {told}\n{}", self.log());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.join("s/daemon.log")).unwrap_or_default()
    }

    fn primary(&self) -> Option<String> {
        // While nobody writes it says so, and its exit status too.
        let status: Value = serde_json::from_slice(&self.pgherd(&["status", "-o", "json"]).stdout).ok()?;
        let primary = status["primary"].as_str()?.to_owned();
        Some(primary).filter(|_| status["ready"] == 3)
    }

    /// Asks until it is so.
    fn until<T>(&self, what: &str, within: u64, ask: impl Fn() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(within);
        loop {
            if let Some(found) = ask() {
                return found;
            }
            assert!(Instant::now() < deadline, "{what}: not within {within} s\n{}", self.log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _down_already = self.pgherd(&["local", "down", "--purge"]);
        let _best_effort = std::fs::remove_dir_all(&self.home);
    }
}

#[test]
fn a_user_without_root_has_a_cluster_of_their_own_that_fails_over_and_leaves_nothing() {
    assert!(nix::unistd::Uid::effective().is_root(), "this test becomes another user, and must start as root");
    let guest = Guest::new();
    let found = guest.done(&["local", "preflight"]);
    assert!(found.contains("without root"), "{found}");
    let refused = guest.pgherd(&["local", "up", "--volumes", "ext4"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("must run as root"), "{told}");

    let manifest = guest.home.join("cluster.yaml").display().to_string();
    guest.done(&["local", "up", "-f", &manifest, "--timeout", "90"]);
    let primary = guest.primary().expect("three are ready");
    guest.done(&["psql", "--", "-c", "CREATE TABLE kept AS SELECT 42 AS answer"]);
    let who = guest.done(&["psql", "--superuser", "--", "-Atc", "SELECT current_user, inet_server_addr() IS NULL"]);
    assert_eq!(who, "postgres|t", "by the socket, as its own user");

    let cut = guest.done(&["local", "fault", "partition", &primary, "s3"]);
    assert!(cut.contains(&primary), "{cut}");
    guest.done(&["local", "fault", "heal"]);
    let refused = guest.pgherd(&["local", "fault", "disk", &primary, "full"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("--volumes ext4"), "{told}");

    guest.done(&["local", "fault", "kill", "postmaster", &primary]);
    guest.until("another primary", 40, || guest.primary().filter(|now| *now != primary));
    let answer = guest.done(&["psql", "--", "-Atc", "SELECT answer FROM kept"]);
    assert_eq!(answer, "42");

    guest.done(&["local", "down", "--purge"]);
    assert!(!guest.home.join("s").exists(), "its data are left");
    super::bed::assert_nothing_is_up(&guest.home.join("s"), "guest");
}
