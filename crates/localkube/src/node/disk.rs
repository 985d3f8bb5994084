//! Volumes that are file systems of their own: an image file, a loop device, ext4. What a directory of the host cannot do,
//! such a volume can: be full, hang, or become read-only, alone.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::PodUser;
use crate::net::{NetError, link};

/// Enough for a database without much in it, and few enough to be used up in a second.
const INODES: u32 = 16_384;
/// What a volume has at most: the image is sparse, but the host's disk is not endless.
pub const SIZE_LIMIT: u64 = 2 << 30;
/// How long processes may take to let go of a volume.
const LET_GO: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// Why a volume is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// A program refused.
    #[error("failed to change a volume")]
    Tool(#[from] NetError),
    /// A file could not be used.
    #[error("failed to use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// Somebody still uses it.
    #[error("{0} is still in use")]
    Busy(PathBuf),
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    let path = path.to_owned();
    move |source| DiskError::File { path, source }
}

/// Where the image of the volume at `directory` (`.../volumes/NAME`) is.
pub fn image_of(directory: &Path) -> PathBuf {
    let images = directory.parent().and_then(Path::parent).unwrap_or(directory).join("images");
    let mut name = directory.file_name().unwrap_or_default().to_owned();
    name.push(".img");
    images.join(name)
}

/// Something is mounted there.
pub fn is_mounted(directory: &Path) -> bool {
    let device = |path: &Path| path.metadata().map(|found| found.dev());
    match (device(directory), directory.parent().map(device)) {
        (Ok(own), Some(Ok(outer))) => own != outer,
        _ => false,
    }
}

/// Makes the volume if it is not there, and mounts it if it is not mounted. `size` in bytes, up to [`SIZE_LIMIT`].
///
/// # Errors
/// If the image cannot be made, or the kernel has no loop devices or no ext4.
pub async fn provide(directory: &Path, size: u64, user: PodUser) -> Result<(), DiskError> {
    let image = image_of(directory);
    std::fs::create_dir_all(directory).map_err(file(directory))?;
    if is_mounted(directory) {
        return Ok(());
    }
    if !image.exists() {
        if let Some(parent) = image.parent() {
            std::fs::create_dir_all(parent).map_err(file(parent))?;
        }
        // Under another name first: half an image must not be taken for one.
        let half = image.with_extension("new");
        let made = std::fs::File::create(&half).and_then(|made| made.set_len(size.min(SIZE_LIMIT)));
        made.map_err(file(&half))?;
        let owner = format!("root_owner={}:{},lazy_itable_init=1,nodiscard", user.uid, user.gid);
        let inodes = INODES.to_string();
        let half_name = half.to_string_lossy();
        let make = ["mkfs.ext4", "-q", "-F", "-m", "0", "-N", &inodes, "-E", &owner, &half_name];
        link::run(&make, "").await?;
        std::fs::rename(&half, &image).map_err(file(&image))?;
    }
    mount(&image, directory).await
}

async fn mount(image: &Path, directory: &Path) -> Result<(), DiskError> {
    let (image, target) = (image.to_string_lossy(), directory.to_string_lossy());
    link::run(&["mount", "-t", "ext4", "-o", "loop,errors=remount-ro", &image, &target], "").await?;
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o770)).map_err(file(directory))
}

/// The volume's loop device, `/dev/loop3`.
///
/// # Errors
/// If it has none.
pub async fn device(directory: &Path) -> Result<String, DiskError> {
    let image = image_of(directory);
    let all = link::run(&["losetup", "-n", "-O", "NAME", "-j", &image.to_string_lossy()], "").await?;
    let first = all.lines().next().map(|line| line.trim().to_owned());
    first.ok_or_else(|| file(directory)(io::Error::other("the volume has no device")))
}

/// From now on every write waits, in a way that SIGKILL does not end (state D), as at a disk that does not answer.
///
/// # Errors
/// If it cannot be frozen, or is frozen already.
pub async fn hang(directory: &Path) -> Result<(), DiskError> {
    Ok(link::run(&["fsfreeze", "--freeze", &directory.to_string_lossy()], "").await.map(drop)?)
}

/// Writes go on.
///
/// # Errors
/// If it is not frozen.
pub async fn thaw(directory: &Path) -> Result<(), DiskError> {
    Ok(link::run(&["fsfreeze", "--unfreeze", &directory.to_string_lossy()], "").await.map(drop)?)
}

/// As when the kernel finds an error on the disk: what is being written fails with EIO, and everything after with EROFS.
///
/// # Errors
/// If the kernel does not have that switch.
pub async fn fail(directory: &Path) -> Result<(), DiskError> {
    let device = device(directory).await?;
    let name = device.rsplit('/').next().unwrap_or_default();
    let switch = Path::new("/sys/fs/ext4").join(name).join("trigger_fs_error");
    tokio::fs::write(&switch, "injected fault").await.map_err(file(&switch))
}

/// As when the disk itself gives up: what goes to it fails with EIO, soon or at the next sync. The host refuses to write
/// to the image, and the loop device can only pass that on as an error of the disk.
///
/// # Errors
/// If the host's file system has no such attribute.
pub async fn refuse_writes(directory: &Path) -> Result<(), DiskError> {
    Ok(link::run(&["chattr", "+i", &image_of(directory).to_string_lossy()], "").await.map(drop)?)
}

/// The host writes to the image again. What was not written before stays unwritten.
async fn take_writes(directory: &Path) -> Result<(), DiskError> {
    let image = image_of(directory);
    if !image.exists() {
        return Ok(());
    }
    Ok(link::run(&["chattr", "-i", &image.to_string_lossy()], "").await.map(drop)?)
}

/// Takes a volume off. Frozen ones are thawed first, or it would wait for ever.
///
/// # Errors
/// If somebody keeps it in use.
pub async fn release(directory: &Path) -> Result<(), DiskError> {
    if !is_mounted(directory) {
        return Ok(());
    }
    let _not_frozen = thaw(directory).await;
    let _not_refused = take_writes(directory).await;
    let target = directory.to_string_lossy();
    let patience = async {
        while link::run(&["umount", &target], "").await.is_err() && is_mounted(directory) {
            tokio::time::sleep(POLL).await;
        }
    };
    match tokio::time::timeout(LET_GO, patience).await {
        Ok(()) => Ok(()),
        Err(_) => Ok(link::run(&["umount", "--lazy", &target], "").await.map(drop)?),
    }
}

/// Repairs what [`fail`] or [`refuse_writes`] broke: off, checked, on again. Nobody may use it meanwhile; `end_users` is called until nobody
/// does.
///
/// # Errors
/// If somebody keeps it in use, or it cannot be repaired.
pub async fn repair(directory: &Path, end_users: impl Fn()) -> Result<(), DiskError> {
    let (image, target) = (image_of(directory), directory.to_string_lossy());
    // Off this namespace first: whoever starts now finds nothing mounted, and waits.
    link::run(&["umount", "--lazy", &target], "").await?;
    let unused = async {
        loop {
            end_users();
            if device(directory).await.is_err() {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(LET_GO, unused).await.map_err(|_| DiskError::Busy(directory.to_owned()))?;
    // Not before: what fails now is lost for good, as on a real disk.
    let _where_it_was_refused = take_writes(directory).await;
    // 1 says that errors were found and repaired, which is what is wanted here.
    let check = format!("e2fsck -fy '{}'; test $? -le 1", image.display());
    link::run(&["sh", "-c", &check], "").await?;
    mount(&image, directory).await
}

/// Takes off every volume below `root`, the node's directory; for a sweep.
pub async fn release_all(root: &Path) -> usize {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let volumes = root.join("volumes");
    let below = |line: &str| {
        let path = PathBuf::from(line.split(' ').nth(1)?);
        path.starts_with(&volumes).then_some(path)
    };
    let mut released = 0_usize;
    for path in mounts.lines().filter_map(below) {
        match release(&path).await {
            Ok(()) => released = released.saturating_add(1),
            Err(error) => {
                let error = pgherd_telemetry::chain(&error);
                tracing::warn!(error, path = %path.display(), "a volume cannot be taken off");
            }
        }
    }
    released
}
