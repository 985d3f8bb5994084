//! What stands for the image of an instance: the PostgreSQL of its major, found on this machine, and no other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod};
use pgherd_core::rules::cluster::image_major;
use pgherd_proto::cluster::DEFAULT_IMAGE;

use super::NodeError;
use super::run_container::BOOTSTRAP;
use super::sandbox::{Mount, MountKind};

/// Where Debian has its servers, and the images that are built on it: one folder for each major.
pub const DEBIAN: &str = "/usr/lib/postgresql";

/// The servers of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers {
    folders: Vec<PathBuf>,
}

impl Servers {
    /// Looked for in each of `given`, then where Debian has them.
    #[must_use]
    pub fn below(given: &[PathBuf]) -> Self {
        Self { folders: given.iter().cloned().chain([PathBuf::from(DEBIAN)]).collect() }
    }

    /// The folder with `bin/postgres` of a major. Blocks.
    #[must_use]
    pub fn of(&self, major: u32) -> Option<PathBuf> {
        let all = self.folders.iter().map(|folder| folder.join(major.to_string()));
        all.into_iter().find(|folder| folder.join("bin/postgres").is_file())
    }

    /// The majors that are there. Blocks.
    #[must_use]
    pub fn majors(&self) -> BTreeSet<u32> {
        let entries = self.folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers.filter(|major| self.of(*major).is_some()).collect()
    }

    /// Why an image cannot be run here, for people; nothing if it can. One that does not say its major can, and so can the
    /// image of those who name none: by whatever is there. Blocks.
    #[must_use]
    pub fn lack(&self, image: &str) -> Option<String> {
        let major = image_major(image).filter(|major| self.of(*major).is_none())?;
        let there: Vec<String> = self.majors().iter().map(u32::to_string).collect();
        if image == DEFAULT_IMAGE && !there.is_empty() {
            return None;
        }
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        let folders: Vec<String> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
        Some(format!(
            "PostgreSQL {major} of image {image} is not on this machine: in {} there is {there}. tests/tools/\
             postgres-majors.sh fetches 14 to 18; any other folder with {major}/bin is given to `pgherd local up` \
             with --postgres",
            folders.join(" and ")
        ))
    }
}

/// Mounts that hide every server but that of the container's image, where Debian's images have it. Nothing for pods that
/// are no instances, and for an image that does not say its major: those see what this machine has.
pub(super) fn mounts(
    servers: &Servers,
    pod: &Pod,
    container: &Container,
    directory: &Path,
) -> Result<Vec<Mount>, NodeError> {
    let image = container.image.as_deref().unwrap_or_default();
    let inits = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let Some(major) = image_major(image).filter(|_| inits.into_iter().any(|init| init.name == BOOTSTRAP)) else {
        return Ok(Vec::new());
    };
    let Some(server) = servers.of(major) else {
        return servers.lack(image).map_or(Ok(Vec::new()), |why| Err(NodeError::Image(why)));
    };
    // `/usr` cannot be written to: the place to mount the server at is in a folder of ours.
    let others = directory.join("servers");
    let place = others.join(major.to_string());
    std::fs::create_dir_all(&place).map_err(NodeError::file(&place))?;
    let mount = |target: PathBuf, source| Mount { target, read_only: true, kind: MountKind::Bind(source) };
    let debian = PathBuf::from(DEBIAN);
    Ok(vec![mount(debian.clone(), others), mount(debian.join(major.to_string()), server)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_given_comes_before_debians_and_one_that_lacks_is_named_with_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        for major in ["14", "15", "extra"] {
            std::fs::create_dir_all(folder.path().join(major).join("bin")).unwrap();
            std::fs::write(folder.path().join(major).join("bin/postgres"), "").unwrap();
        }
        std::fs::create_dir_all(folder.path().join("97/bin")).unwrap();
        let servers = Servers::below(&[folder.path().to_owned()]);
        assert_eq!(servers.of(15), Some(folder.path().join("15")));
        assert_eq!(servers.of(97), None, "a folder without a server");
        assert!(servers.majors().is_superset(&BTreeSet::from([14, 15])));
        for runs in ["ghcr.io/cloudnative-pg/postgresql:14.5-bookworm", "postgresql:latest", "postgresql"] {
            assert_eq!(servers.lack(runs), None, "{runs}");
        }
        let said = servers.lack("ghcr.io/cloudnative-pg/postgresql:97.1").unwrap();
        assert!(said.starts_with("PostgreSQL 97 of image") && said.contains("14, 15"), "{said}");
        assert!(said.contains(folder.path().to_str().unwrap()) && said.contains(DEBIAN), "{said}");
    }

    #[test]
    fn an_instance_sees_the_server_of_its_image_alone_and_other_pods_see_all() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("17/bin")).unwrap();
        std::fs::write(folder.path().join("17/bin/postgres"), "").unwrap();
        let servers = Servers::below(&[folder.path().to_owned()]);
        let pod = |init: &str, image: &str| -> Pod {
            let spec =
                serde_json::json!({"initContainers": [{"name": init}], "containers": [{"name": "c", "image": image}]});
            serde_json::from_value(serde_json::json!({"spec": spec})).unwrap()
        };
        let mounts_of = |pod: &Pod| mounts(&servers, pod, &pod.spec.as_ref().unwrap().containers[0], folder.path());
        let found = mounts_of(&pod(BOOTSTRAP, "pg:17.2")).unwrap();
        let targets: Vec<&Path> = found.iter().map(|mount| mount.target.as_path()).collect();
        assert_eq!(targets, [Path::new(DEBIAN), Path::new("/usr/lib/postgresql/17")]);
        assert!(found.iter().all(|mount| mount.read_only));
        assert_eq!(mounts_of(&pod("other", "nginx:17")).unwrap(), []);
        assert_eq!(mounts_of(&pod(BOOTSTRAP, "pg:latest")).unwrap(), []);
        assert!(matches!(mounts_of(&pod(BOOTSTRAP, "pg:98")), Err(NodeError::Image(_))));
    }
}
