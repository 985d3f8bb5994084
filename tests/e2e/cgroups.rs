//! The control groups that a run's containers are in: one of its own, below which each node has one, in every hierarchy.

use std::path::{Path, PathBuf};

/// Where the hierarchies are: one folder each with cgroup v1, the folder itself with v2.
const ROOT: &str = "/sys/fs/cgroup";

/// The name of a run's group.
pub fn name(directory: &Path) -> String {
    directory.file_name().unwrap().to_string_lossy().into_owned()
}

fn hierarchies() -> Vec<PathBuf> {
    if Path::new(ROOT).join("cgroup.controllers").exists() {
        return vec![PathBuf::from(ROOT)];
    }
    let folders = std::fs::read_dir(ROOT).unwrap().map(|entry| entry.unwrap().path());
    folders.filter(|path| path.join("cgroup.procs").exists()).collect()
}

/// Whether this machine has the older kind.
pub fn are_v1() -> bool {
    !Path::new(ROOT).join("cgroup.controllers").exists()
}

/// Makes a group, `a/b`, in all hierarchies.
pub fn make(group: &str) {
    for hierarchy in hierarchies() {
        let mut folder = hierarchy;
        for part in group.split('/') {
            let parent = folder.clone();
            folder.push(part);
            if folder.exists() {
                continue;
            }
            std::fs::create_dir(&folder).unwrap();
            // A new group of this hierarchy has no processors, and takes no process before it has.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if let Ok(given) = std::fs::read_to_string(parent.join(file))
                    && are_v1()
                {
                    std::fs::write(folder.join(file), given.trim()).unwrap();
                }
            }
        }
    }
}

/// Removes a group and all below it; what cannot be removed (somebody is in it) is answered.
pub fn remove(group: &str) -> Vec<PathBuf> {
    hierarchies().iter().flat_map(|hierarchy| remove_folder(&hierarchy.join(group))).collect()
}

fn remove_folder(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let below = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(|path| path.is_dir());
    let mut left: Vec<PathBuf> = below.flat_map(|path| remove_folder(&path)).collect();
    if std::fs::remove_dir(folder).is_err() {
        left.push(folder.to_owned());
    }
    left
}
