//! Addresses and ports. Nearly everything of an environment is in a network namespace of its own, where nobody else
//! takes its ports; of the host it wants ports of 127.0.0.1, a path for its socket, and the namespace's name.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::Finding;
use crate::daemon::UpOptions;
use crate::daemon::options::Layout;
use crate::daemon::{endpoint, rootless};
use crate::net::namespace::NetworkNamespace;

/// Bytes of a socket's path, with the zero at its end (`sun_path` of unix(7)).
const SOCKET_PATH: usize = 108;
/// How long a real S3 may take to accept.
const S3_ACCEPTS: Duration = Duration::from_secs(2);

pub(super) fn look(options: &UpOptions) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |fatal: bool, text: String| found.push(Finding { fatal, text });
    if let Some(error) = unbindable((Ipv4Addr::LOCALHOST, 0).into()) {
        say(true, format!("no port of 127.0.0.1 can be listened on ({error}): ip link set lo up"));
    }
    let layout = Layout::new(&options.state_dir);
    let socket = layout.socket();
    if socket.as_os_str().len() >= SOCKET_PATH {
        say(true, format!("the path {} is too long for a socket: choose a shorter --state-dir", socket.display()));
    }
    let namespace = NetworkNamespace::of(&options.name);
    // Without root it is made out of the host's sight.
    if !rootless::is_wanted() && !was_here(options, &layout) && namespace.exists() && is_used(&namespace.path()) {
        say(
            true,
            format!(
                "network namespace {} is in use, and not from {}: an environment of this name is up elsewhere; choose \
                 another --name",
                namespace.name(),
                options.state_dir.display()
            ),
        );
    }
    let s3 = options.s3_endpoint.as_deref().and_then(|endpoint| endpoint::target(endpoint).ok());
    if let Some(target) = s3.filter(|target| !answers(target)) {
        say(false, format!("nothing answers at {target}, which --s3-endpoint names"));
    }
    found
}

/// Why an address cannot be listened on; `None` if it can.
fn unbindable(address: SocketAddr) -> Option<io::Error> {
    TcpListener::bind(address).err()
}

/// What is left of an environment that had this directory is swept; of another one nothing may be touched.
fn was_here(options: &UpOptions, layout: &Layout) -> bool {
    let text = std::fs::read(layout.options()).ok();
    let before = text.and_then(|text| serde_json::from_slice::<UpOptions>(&text).ok());
    before.is_some_and(|before| before.name == options.name)
}

/// Whether a thread of any process is in a namespace.
fn is_used(namespace: &Path) -> bool {
    let identity = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    let Some(wanted) = identity(namespace) else { return false };
    let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    entries(Path::new("/proc"))
        .filter(|process| process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit))
        .flat_map(|process| entries(&process.path().join("task")))
        .any(|thread| identity(&thread.path().join("ns/net")) == Some(wanted))
}

fn answers(target: &str) -> bool {
    let mut addresses = target.to_socket_addrs().into_iter().flatten();
    addresses.any(|address| TcpStream::connect_timeout(&address, S3_ACCEPTS).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_cannot_be_listened_on_and_one_that_is_free_again_can() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(unbindable(address).map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
        drop(taken);
        assert!(unbindable(address).is_none());
    }

    #[test]
    fn a_namespace_is_used_while_somebody_is_in_it() {
        assert!(is_used(Path::new("/proc/self/ns/net")));
        assert!(!is_used(tempfile::NamedTempFile::new().unwrap().path()));
        assert!(!is_used(Path::new("/nowhere")));
    }

    #[test]
    fn what_was_left_here_is_ours_and_what_another_directory_has_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let mut options = UpOptions::new("here", Path::new("/nowhere/pgherd"));
        options.state_dir = directory.path().to_owned();
        let layout = Layout::new(directory.path());
        assert!(!was_here(&options, &layout));
        std::fs::write(layout.options(), serde_json::to_vec(&options).unwrap()).unwrap();
        assert!(was_here(&options, &layout));
        options.name = "elsewhere".to_owned();
        assert!(!was_here(&options, &layout));
    }

    #[test]
    fn a_real_s3_that_does_not_answer_is_said() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut options = UpOptions::new("s3", Path::new("/nowhere/pgherd"));
        options.s3_endpoint = Some(format!("http://{}", server.local_addr().unwrap()));
        let said = |options: &UpOptions| look(options).iter().any(|finding| finding.text.contains("nothing answers"));
        assert!(!said(&options));
        drop(server);
        assert!(said(&options));
    }
}
