//! Names that do not resolve: `/etc/hosts` stands in for the cluster's DNS here, and a pod's is left with the pod alone.

use std::io;
use std::path::{Path, PathBuf};

use super::inject::Faults;
use super::lasting::Undo;
use super::processes::full_name;
use super::{Done, FaultError};

/// Lines that are no business of DNS: localhost twice, and the pod itself.
const OWN_LINES: usize = 3;

impl Faults {
    pub(super) fn no_names(&self, pod: &str) -> Result<Done, FaultError> {
        let found = self.find(pod)?;
        let hosts = found.hosts.clone().ok_or_else(|| FaultError::Pod(pod.to_owned()))?;
        let before = forget(&hosts).map_err(FaultError::File)?;
        let text = format!("no name resolves in {}", found.name);
        let id = self.registry.next("names");
        self.registry.add(&id, Some(&full_name(&found)), &text, Undo::Names { hosts, before });
        Ok(Done::lasts(id, text))
    }
}

/// Written in place: the containers have the file itself mounted. Answers what was there.
fn forget(hosts: &Path) -> io::Result<String> {
    let before = std::fs::read_to_string(hosts)?;
    let own: Vec<&str> = before.lines().take(OWN_LINES).collect();
    std::fs::write(hosts, own.join("\n") + "\n")?;
    Ok(before)
}

/// Gives the names back, unless the pod has gone with its file, or has newer ones.
pub(super) fn remember(hosts: &PathBuf, before: &str) -> io::Result<()> {
    match std::fs::read_to_string(hosts) {
        Ok(now) if now.lines().count() <= OWN_LINES => std::fs::write(hosts, before),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::{forget, remember};

    #[test]
    fn names_are_forgotten_and_come_back_unless_there_are_newer_ones() {
        let directory = tempfile::tempdir().unwrap();
        let hosts = directory.path().join("hosts");
        let all = "127.0.0.1\tlocalhost\n::1\tlocalhost\n10.213.0.10\tdb-1\n10.213.0.1\ts3.local\n";
        std::fs::write(&hosts, all).unwrap();
        let before = forget(&hosts).unwrap();
        let now = std::fs::read_to_string(&hosts).unwrap();
        assert!(now.contains("db-1") && !now.contains("s3.local"), "{now}");
        remember(&hosts, &before).unwrap();
        assert_eq!(std::fs::read_to_string(&hosts).unwrap(), all);
        let newer = format!("{all}10.213.1.2\tdb-rw\n");
        std::fs::write(&hosts, &newer).unwrap();
        remember(&hosts, &before).unwrap();
        assert_eq!(std::fs::read_to_string(&hosts).unwrap(), newer);
        std::fs::remove_file(&hosts).unwrap();
        remember(&hosts, &before).unwrap();
        assert!(!hosts.exists(), "a pod that has gone needs no names");
    }
}
