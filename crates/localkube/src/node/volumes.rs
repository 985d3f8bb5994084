//! Volumes as directories of the host, filled before a container starts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, KeyToPath, Pod, Volume, VolumeProjection};

use super::NodeError;
use super::context::{NodeContext, PodUser, TokenFor};
use super::env::{data, field_of};
use super::pod_sandbox::PodSandbox;
use super::sandbox::{Mount, MountKind};

/// The directory of a claim's volume. By UID: a new claim of the same name starts empty.
pub fn claim_directory(root: &Path, namespace: &str, name: &str, uid: &str) -> PathBuf {
    root.join("volumes").join(format!("{namespace}_{name}_{uid}"))
}

/// What a container mounts, in an order in which outer mounts come first. Directories and files are made on the way.
pub(super) fn mounts(
    context: &NodeContext,
    pod: &Pod,
    container: &Container,
    directory: &Path,
    address: &str,
    user: PodUser,
) -> Result<Vec<Mount>, NodeError> {
    let volumes: BTreeMap<&str, &Volume> = pod
        .spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten())
        .map(|volume| (volume.name.as_str(), volume))
        .collect();
    let mut mounts = Vec::new();
    for wanted in container.volume_mounts.iter().flatten() {
        let volume =
            volumes.get(wanted.name.as_str()).ok_or_else(|| NodeError::Missing(format!("volume {}", wanted.name)))?;
        let kind = match source(context, pod, volume, directory, address, user)? {
            MountKind::Bind(source) => {
                let below = wanted.sub_path.as_deref().unwrap_or_default();
                MountKind::Bind(sub_path(&source, below, user)?)
            }
            memory @ MountKind::Memory(_) => memory,
        };
        let target = PathBuf::from(&wanted.mount_path);
        mounts.push(Mount { target, read_only: wanted.read_only == Some(true), kind });
    }
    for path in &context.host_mounts {
        mounts.push(Mount { target: path.clone(), read_only: true, kind: MountKind::Bind(path.clone()) });
    }
    mounts.sort_by_key(|mount| mount.target.components().count());
    Ok(mounts)
}

/// Puts a file of the host (the manager's binary) at a path of the container, as a link: the binary is large.
pub(super) fn place(
    context: &NodeContext,
    pod: &Pod,
    container: &Container,
    sandbox: &PodSandbox,
    target: &Path,
    file: &Path,
) -> Result<(), NodeError> {
    let owner = context.owner_for(context.user);
    let all = mounts(context, pod, container, &sandbox.directory, &sandbox.address.to_string(), owner)?;
    let found = all.iter().rev().find_map(|mount| match (&mount.kind, target.strip_prefix(&mount.target)) {
        (MountKind::Bind(source), Ok(rest)) => Some(source.join(rest)),
        _ => None,
    });
    let path = found.ok_or_else(|| NodeError::Path(target.display().to_string()))?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(NodeError::file(&path)(error)),
        _ => {}
    }
    fs::hard_link(file, &path).or_else(|_| fs::copy(file, &path).map(drop)).map_err(NodeError::file(&path))
}

fn source(
    context: &NodeContext,
    pod: &Pod,
    volume: &Volume,
    directory: &Path,
    address: &str,
    user: PodUser,
) -> Result<MountKind, NodeError> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(claim) = super::ephemeral::claim_name(pod, volume) {
        super::ephemeral::provide(&context.store, pod, volume, &claim);
        let found = context.store.get("persistentvolumeclaims", namespace, &claim);
        let found = found.map_err(|_| NodeError::Missing(format!("persistentvolumeclaim {claim:?}")))?;
        let path = claim_directory(&context.directory, namespace, &claim, crate::api::object::uid(&found));
        if !context.own_file_systems {
            make(&path, 0o770, user)?;
        } else if !super::disk::is_mounted(&path) {
            return Err(NodeError::Missing(format!("the file system of persistentvolumeclaim {claim:?}")));
        }
        return Ok(MountKind::Bind(path));
    }
    if let Some(host) = &volume.host_path {
        return Ok(MountKind::Bind(PathBuf::from(&host.path)));
    }
    let path = directory.join("volumes").join(&volume.name);
    if let Some(empty) = &volume.empty_dir {
        if empty.medium.as_deref() == Some("Memory") {
            return Ok(MountKind::Memory(empty.size_limit.as_ref().and_then(|limit| bytes(&limit.0))));
        }
        make(&path, 0o777, user)?;
        return Ok(MountKind::Bind(path));
    }
    let mut files = BTreeMap::new();
    if let Some(secret) = &volume.secret {
        let name = secret.secret_name.as_deref().unwrap_or_default();
        add(&mut files, data(context, "secrets", namespace, name), secret.optional, secret.items.as_deref())?;
    } else if let Some(map) = &volume.config_map {
        add(&mut files, data(context, "configmaps", namespace, &map.name), map.optional, map.items.as_deref())?;
    } else if let Some(projected) = &volume.projected {
        for part in projected.sources.iter().flatten() {
            project(context, pod, part, address, &mut files)?;
        }
    } else if let Some(downward) = &volume.downward_api {
        for item in downward.items.iter().flatten() {
            let field = item.field_ref.as_ref().map(|field| field.field_path.as_str()).unwrap_or_default();
            files.insert(item.path.clone(), field_of(pod, field, address)?.into_bytes());
        }
    } else {
        return Err(NodeError::Unsupported(format!("volume {}", volume.name)));
    }
    make(&path, 0o755, user)?;
    for (name, content) in files {
        let target = inside(&path, &name)?;
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(NodeError::file(parent))?;
        }
        write_for(&target, &content, user)?;
    }
    Ok(MountKind::Bind(path))
}

fn project(
    context: &NodeContext,
    pod: &Pod,
    part: &VolumeProjection,
    address: &str,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), NodeError> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(token) = &part.service_account_token {
        let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()).unwrap_or("default");
        let meta = &pod.metadata;
        let (name, uid) = (meta.name.as_deref().unwrap_or_default(), meta.uid.as_deref().unwrap_or_default());
        let wanted = TokenFor { namespace, account, pod: name, uid };
        files.insert(token.path.clone(), (context.token)(wanted)?.into_bytes());
    }
    if let Some(secret) = &part.secret {
        add(files, data(context, "secrets", namespace, &secret.name), secret.optional, secret.items.as_deref())?;
    }
    if let Some(map) = &part.config_map {
        add(files, data(context, "configmaps", namespace, &map.name), map.optional, map.items.as_deref())?;
    }
    for item in part.downward_api.iter().flat_map(|api| api.items.iter().flatten()) {
        let field = item.field_ref.as_ref().map(|field| field.field_path.as_str()).unwrap_or_default();
        files.insert(item.path.clone(), field_of(pod, field, address)?.into_bytes());
    }
    Ok(())
}

fn add(
    files: &mut BTreeMap<String, Vec<u8>>,
    data: Result<BTreeMap<String, Vec<u8>>, NodeError>,
    optional: Option<bool>,
    items: Option<&[KeyToPath]>,
) -> Result<(), NodeError> {
    let mut data = match data {
        Ok(data) => data,
        Err(_) if optional == Some(true) => return Ok(()),
        Err(error) => return Err(error),
    };
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        files.extend(data);
        return Ok(());
    };
    for item in items {
        match data.remove(&item.key) {
            Some(content) => drop(files.insert(item.path.clone(), content)),
            None if optional == Some(true) => {}
            None => return Err(NodeError::Missing(format!("key {}", item.key))),
        }
    }
    Ok(())
}

fn sub_path(source: &Path, below: &str, user: PodUser) -> Result<PathBuf, NodeError> {
    if below.is_empty() {
        return Ok(source.to_owned());
    }
    let path = inside(source, below)?;
    if !path.exists() {
        make(&path, 0o777, user)?;
    }
    Ok(path)
}

fn inside(root: &Path, below: &str) -> Result<PathBuf, NodeError> {
    let relative = Path::new(below);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if plain { Ok(root.join(relative)) } else { Err(NodeError::Path(below.to_owned())) }
}

/// A directory that belongs to the pod's user; one that is there stays as it is.
pub(super) fn make(path: &Path, mode: u32, user: PodUser) -> Result<(), NodeError> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(NodeError::file(path))?;
    chown(path, Some(user.uid), Some(user.gid)).map_err(NodeError::file(path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(NodeError::file(path))
}

/// A file that only the pod's user and root can read.
pub(super) fn write_for(path: &Path, content: &[u8], user: PodUser) -> Result<(), NodeError> {
    fs::write(path, content).map_err(NodeError::file(path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o640)).map_err(NodeError::file(path))?;
    chown(path, Some(user.uid), Some(user.gid)).map_err(NodeError::file(path))
}

/// A quantity in bytes: `1Gi`, `512M`, `1000`.
pub fn bytes(quantity: &str) -> Option<u64> {
    let digits = quantity.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match quantity.strip_prefix(digits)? {
        "" => 1,
        "k" => 1000,
        "Ki" => 1 << 10,
        "M" => 1_000_000,
        "Mi" => 1 << 20,
        "G" => 1_000_000_000,
        "Gi" => 1 << 30,
        "T" => 1_000_000_000_000,
        "Ti" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{bytes, inside};

    #[test]
    fn a_sub_path_cannot_leave_its_volume() {
        assert!(inside(Path::new("/v"), "run").is_ok());
        assert!(inside(Path::new("/v"), "../other").is_err());
        assert!(inside(Path::new("/v"), "/etc").is_err());
    }

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        for (text, expected) in [("1Gi", Some(1 << 30)), ("64M", Some(64_000_000)), ("7", Some(7)), ("x", None)] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
