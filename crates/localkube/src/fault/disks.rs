//! Disks that are full, hang or become read-only, and data that is damaged.

use std::io;
use std::path::{Path, PathBuf};

use super::inject::Faults;
use super::lasting::Undo;
use super::processes::{full_name, signal};
use super::request::{Damage, DiskFault, Volume};
use super::{Done, FaultError, Target, damage};
use crate::api::DeleteOptions;
use crate::node::{RunningPod, disk};
use nix::sys::signal::Signal;

/// What fills a volume; in its root, where postgres does not look.
const FILLER: &str = ".pgherd-full";
/// What uses its inodes up.
const INODES: &str = ".pgherd-inodes";

impl Faults {
    pub(super) async fn disk(&self, pod: &str, volume: Volume, what: DiskFault) -> Result<Done, FaultError> {
        let found = self.find(pod)?;
        let directory = volume_of(&found, volume)?;
        let _none_is_repaired = self.repairs.lock().await;
        if !disk::is_mounted(&directory) {
            return Err(FaultError::Directory);
        }
        if self.hangs(&directory) {
            return Err(FaultError::Hangs(found.name));
        }
        match what {
            DiskFault::Hung => disk::hang(&directory).await?,
            DiskFault::ReadOnly => disk::fail(&directory).await?,
            DiskFault::IoErrors => disk::refuse_writes(&directory).await?,
            DiskFault::Full { leave } => blocking(directory.clone(), move |path| fill(path, leave)).await?,
            DiskFault::NoInodes => blocking(directory.clone(), use_inodes_up).await?,
        }
        let which = if volume == Volume::Wal { "WAL volume" } else { "volume" };
        let text = format!("the {which} of {} is {what}", found.name);
        let id = self.registry.next("disk");
        self.registry.add(&id, Some(&full_name(&found)), &text, Undo::Disk { directory, what });
        Ok(Done::lasts(id, text))
    }

    /// Whether what lies there is on a volume that hangs: whoever writes to it waits with it.
    pub(super) fn hangs(&self, path: &Path) -> bool {
        let on_it = |undo: &Undo| matches!(undo, Undo::Disk { directory, what: DiskFault::Hung } if path.starts_with(directory));
        self.registry.any(on_it)
    }

    /// Ends a disk's fault. One that became read-only or failed is repaired, for which its users are killed; they start
    /// again.
    pub(super) async fn heal_disk(&self, directory: PathBuf, what: DiskFault) -> Result<(), FaultError> {
        let _alone = self.repairs.lock().await;
        if !disk::is_mounted(&directory) {
            return Ok(());
        }
        match what {
            DiskFault::Hung => disk::thaw(&directory).await?,
            DiskFault::ReadOnly | DiskFault::IoErrors => {
                let end_users = || {
                    for pod in self.pods.all().iter().filter(|pod| pod.volumes.values().any(|path| *path == directory))
                    {
                        signal(pod, Target::Container, Signal::SIGKILL);
                    }
                };
                disk::repair(&directory, end_users).await?;
            }
            DiskFault::Full { .. } => self.make_room(&directory, FILLER).await?,
            DiskFault::NoInodes => self.make_room(&directory, INODES).await?,
        }
        Ok(())
    }

    /// On a volume that hangs as well there is room once it does not hang any more: whoever waited for it here would keep
    /// that from being healed.
    async fn make_room(&self, volume: &Path, what: &str) -> Result<(), FaultError> {
        let path = volume.join(what);
        if self.hangs(volume) {
            tokio::spawn(async move { remove(&path).await });
            return Ok(());
        }
        remove(&path).await
    }

    pub(super) async fn damage(&self, pod: &str, what: &Damage) -> Result<Done, FaultError> {
        let found = self.find(pod)?;
        let data = volume_of(&found, Volume::Data)?;
        let wal = volume_of(&found, Volume::Wal)?;
        if self.hangs(&data) || self.hangs(&wal) {
            return Err(FaultError::Hangs(found.name));
        }
        let id = self.registry.next("damage");
        let (what, saved_as) = (what.clone(), id.clone());
        let damaged = tokio::task::spawn_blocking(move || damage::put(&what, &data, &wal, &saved_as));
        let (told, saved) = damaged.await.map_err(io::Error::other).flatten().map_err(FaultError::File)?;
        let text = format!("{}: {told}", found.name);
        self.registry.add(&id, Some(&full_name(&found)), &text, Undo::Damage(saved));
        Ok(Done::lasts(id, text))
    }

    pub(super) fn lose_volume(&self, pod: &str) -> Result<Done, FaultError> {
        let found = self.find(pod)?;
        let options = DeleteOptions { grace: Some(0), ..DeleteOptions::default() };
        let refused = |error: crate::api::ApiError| FaultError::Api(error.to_string());
        for claim in found.volumes.keys() {
            self.store.delete("persistentvolumeclaims", &found.namespace, claim, &options).map_err(refused)?;
        }
        self.store.delete("pods", &found.namespace, &found.name, &options).map_err(refused)?;
        Ok(Done::at_once(format!("{} is deleted with its volumes", found.name)))
    }
}

/// The directory of one of a pod's volumes. Where WAL has none of its own, it is in the data's.
fn volume_of(pod: &RunningPod, volume: Volume) -> Result<PathBuf, FaultError> {
    let is_wal = |name: &&String| name.ends_with("-wal");
    let data = || pod.volumes.iter().find(|(name, _)| !is_wal(name)).map(|(_, path)| path);
    let found = match volume {
        Volume::Data => data(),
        Volume::Wal => pod.volumes.iter().find(|(name, _)| is_wal(name)).map(|(_, path)| path).or_else(data),
    };
    found.cloned().ok_or_else(|| FaultError::Volume(pod.name.clone()))
}

/// Files on the runtime's threads for such.
async fn blocking(
    path: PathBuf,
    work: impl FnOnce(&Path) -> io::Result<()> + Send + 'static,
) -> Result<(), FaultError> {
    let done = tokio::task::spawn_blocking(move || work(&path)).await;
    done.map_err(io::Error::other).flatten().map_err(FaultError::File)
}

fn fill(volume: &Path, leave: u64) -> io::Result<()> {
    let path = volume.join(FILLER);
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
    let mut chunk = u64::MAX;
    // The last blocks are metadata, which nobody can reserve: smaller and smaller pieces, until none fits.
    while chunk > 4096 {
        let stat = nix::sys::statvfs::statvfs(volume)?;
        let free = stat.blocks_available().saturating_mul(stat.fragment_size());
        chunk = free.saturating_sub(leave).min(chunk);
        let length = file.metadata()?.len();
        let offsets = (i64::try_from(length), i64::try_from(chunk));
        let (Ok(offset), Ok(size)) = offsets else { break };
        if size == 0 {
            break;
        }
        match nix::fcntl::posix_fallocate(&file, offset, size) {
            Ok(()) => {}
            Err(nix::errno::Errno::ENOSPC) => chunk /= 2,
            Err(error) => return Err(error.into()),
        }
    }
    // It is full after a crash, too; on a disk that fails as far as that takes it.
    let _kept = file.sync_all();
    Ok(())
}

fn use_inodes_up(volume: &Path) -> io::Result<()> {
    let directory = volume.join(INODES);
    std::fs::create_dir_all(&directory)?;
    for number in 0_u32.. {
        match std::fs::File::create(directory.join(number.to_string())) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
            other => drop(other?),
        }
    }
    Ok(())
}

async fn remove(path: &Path) -> Result<(), FaultError> {
    let done = if path.is_dir() { tokio::fs::remove_dir_all(path).await } else { tokio::fs::remove_file(path).await };
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FaultError::File(error)),
        _ => Ok(()),
    }
}
