//! A link that takes its time: every frame between two interfaces is carried by hand, some milliseconds late, whatever the
//! kernel has of netem. What is open already stays open.
//!
//! The only file of this crate with `unsafe`: packet(7) is reached through system calls that nobody has wrapped.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::CString;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::{read, write};

/// The longest that a frame is, with what the kernel says of its checksum and segments.
const LONGEST: usize = 70_000;
/// Frames on their way in one direction; more are dropped, as a full link does.
const MOST: usize = 10_000;
/// How soon the end is noticed.
const LOOK_UP: Duration = Duration::from_millis(50);

/// Carries frames both ways until it is dropped.
#[derive(Debug)]
pub struct Relay {
    stop: Arc<AtomicBool>,
}

impl Relay {
    /// Between two interfaces of the calling thread's namespace, which nothing else may join.
    ///
    /// # Errors
    /// If there is no such interface, or no packet socket can be made.
    pub fn between(one: &str, other: &str, late: Duration) -> io::Result<Self> {
        let (one, other) = (Arc::new(port(one)?), Arc::new(port(other)?));
        let relay = Self { stop: Arc::default() };
        for (from, to) in [(Arc::clone(&one), Arc::clone(&other)), (other, one)] {
            let stop = Arc::clone(&relay.stop);
            let carrying = move || carry(&from, &to, late, &stop);
            std::thread::Builder::new().name("relay".to_owned()).spawn(carrying)?;
        }
        Ok(relay)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn carry(from: &OwnedFd, to: &OwnedFd, late: Duration, stop: &AtomicBool) {
    let mut waiting: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut buffer = vec![0; LONGEST];
    while !stop.load(Ordering::Relaxed) {
        let next = waiting.front().map_or(LOOK_UP, |(due, _)| due.saturating_duration_since(Instant::now()));
        let timeout = PollTimeout::try_from(next.min(LOOK_UP)).unwrap_or(PollTimeout::ZERO);
        // An interface that is gone or down has nothing to read: the pod is gone, and soon this is.
        let _readable = poll(&mut [PollFd::new(from.as_fd(), PollFlags::POLLIN)], timeout);
        while let Ok(length) = read(from, &mut buffer) {
            let due = Instant::now().checked_add(late);
            if let (Some(due), Some(frame)) = (due, buffer.get(..length))
                && waiting.len() < MOST
            {
                waiting.push_back((due, frame.to_vec()));
            }
        }
        while waiting.front().is_some_and(|(due, _)| *due <= Instant::now()) {
            // What cannot be sent is lost, as on any link.
            let _lost = waiting.pop_front().map(|(_, frame)| write(to, &frame));
        }
    }
}

/// Everything that comes in through an interface, and a way out of it.
fn port(interface: &str) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    // Of no protocol yet: nothing is received before it is bound.
    let port = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
    // With each frame, that its checksum is still to be computed or that it is many: veth has nobody do either.
    set(&port, libc::PACKET_VNET_HDR)?;
    set(&port, libc::PACKET_IGNORE_OUTGOING)?;
    let name = CString::new(interface)?;
    // SAFETY: the name is a C string that lives through the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    let index = i32::try_from(index).ok().filter(|index| *index > 0).ok_or_else(Errno::last)?;
    let every = u16::try_from(libc::ETH_P_ALL).unwrap_or_default().to_be();
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap_or_default(),
        sll_protocol: every,
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or_default();
    // SAFETY: the address is whole, of that length, and lives through the call.
    Errno::result(unsafe { libc::bind(port.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok(port)
}

fn set(port: &OwnedFd, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or_default();
    // SAFETY: the value is an integer of that length, and lives through the call.
    let done = unsafe { libc::setsockopt(port.as_raw_fd(), libc::SOL_PACKET, option, (&raw const on).cast(), length) };
    Errno::result(done)?;
    Ok(())
}
