//! The page that manager and watchdog share, and the one scheduling call that has no safe wrapper.
//!
//! The only file of the manager with `unsafe`: mapping memory and setting a scheduling class are system
//! calls. The page holds nothing but atomics, so any interleaving of two processes is sound.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// Says that a descriptor is this page and not something else (`pgherdWD`).
const MAGIC: u64 = 0x7067_6865_7264_5744;
const BYTES: NonZeroUsize = match NonZeroUsize::new(4096) {
    Some(bytes) => bytes,
    None => NonZeroUsize::MIN,
};

/// One number that both processes may read and write at any time.
#[derive(Debug)]
#[repr(transparent)]
pub struct Cell(AtomicU64);

impl Cell {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }

    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Raises a value that is not zero; says whether it was not zero.
    pub fn raise_if_set(&self, to: u64) -> bool {
        let raise = |present: u64| (present != 0).then_some(present.max(to));
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, raise).is_ok()
    }
}

/// What is on the page. Every bit pattern is a valid value.
#[derive(Debug)]
#[repr(C)]
pub struct Content {
    magic: Cell,
    /// The manager's PID namespace.
    pub namespace: Cell,
    /// `CLOCK_BOOTTIME` in nanoseconds; 0 is "not armed".
    pub deadline: Cell,
    /// When the watchdog last looked; 0 is "never".
    pub beat: Cell,
    /// How many times it has killed.
    pub kills: Cell,
}

const _: () = assert!(size_of::<Content>() <= 4096);

/// The page, mapped into this process.
#[derive(Debug)]
pub struct SharedPage(NonNull<Content>);

// SAFETY: the pointer is to a mapping that lives as long as this value, and `Content` is only atomics.
unsafe impl Send for SharedPage {}
// SAFETY: as above; every access goes through an atomic.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    /// A new page for the manager of this PID namespace, and the descriptor for the child.
    pub fn create(namespace: u64) -> io::Result<(Self, OwnedFd)> {
        let descriptor = memfd_create(c"pgherd-watchdog", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        let file = File::from(descriptor);
        file.set_len(BYTES.get() as u64)?;
        // Nobody can take the memory away below either process.
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(file.as_fd(), FcntlArg::F_ADD_SEALS(seals))?;
        let page = Self::map(file.as_fd())?;
        page.magic.set(MAGIC);
        page.namespace.set(namespace);
        Ok((page, OwnedFd::from(file)))
    }

    /// The page behind a descriptor that was inherited; checked to be one.
    pub fn open(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        let not_ours = || io::Error::new(io::ErrorKind::InvalidData, "standard input is not the watchdog's page");
        let seals = fcntl(descriptor, FcntlArg::F_GET_SEALS).map_err(|_| not_ours())?;
        let sealed = SealFlag::from_bits_truncate(seals).contains(SealFlag::F_SEAL_SHRINK);
        let length = File::from(descriptor.try_clone_to_owned()?).metadata()?.len();
        if !sealed || length != BYTES.get() as u64 {
            return Err(not_ours());
        }
        let page = Self::map(descriptor)?;
        if page.magic.get() == MAGIC { Ok(page) } else { Err(not_ours()) }
    }

    fn map(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh shared mapping at an address that the kernel chooses; it aliases no Rust object.
        // The descriptor is a memfd of at least BYTES that is sealed against shrinking, so no access faults.
        let address = unsafe { mmap(None, BYTES, access, MapFlags::MAP_SHARED, descriptor, 0) }?;
        Ok(Self(address.cast()))
    }
}

impl Deref for SharedPage {
    type Target = Content;

    fn deref(&self) -> &Content {
        // SAFETY: mapped for the life of `self`, page-aligned, BYTES long, and valid for any bit pattern.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length and unmapped only here; `Content` has no destructor.
        let _ = unsafe { munmap(self.0.cast(), BYTES.get()) };
    }
}

/// The lowest real-time class for this process, else the best niceness; neither where it is not permitted.
pub fn raise_priority() {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: the pointer is to a live value of the type that the call reads; 0 is this process.
    let real_time = unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &raw const parameters) } == 0;
    if !real_time {
        // SAFETY: takes three integers and touches no memory.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_see_one_page() {
        let (manager, descriptor) = SharedPage::create(7).unwrap();
        let child = SharedPage::open(descriptor.as_fd()).unwrap();
        manager.deadline.set(99);
        child.beat.set(5);
        assert_eq!((child.namespace.get(), child.deadline.get(), manager.beat.get()), (7, 99, 5));
    }

    #[test]
    fn a_deadline_is_extended_only_where_it_is_armed_and_only_forward() {
        let (page, _descriptor) = SharedPage::create(7).unwrap();
        assert!(!page.deadline.raise_if_set(50));
        page.deadline.set(100);
        assert!(page.deadline.raise_if_set(50) && page.deadline.get() == 100);
        assert!(page.deadline.raise_if_set(150) && page.deadline.get() == 150);
    }

    #[test]
    fn another_file_is_not_taken_for_the_page() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        assert!(SharedPage::open(file.as_fd()).is_err());
    }
}
