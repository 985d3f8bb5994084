//! Members of a tar archive (POSIX.1-2017 pax, "ustar Interchange Format"), as Python's tarfile reads them.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Everything is padded to this.
pub const BLOCK: usize = 512;
/// Archives end at a multiple of this, as Python's do.
const RECORD: u64 = 10_240;
/// The largest number in an eleven-digit octal field.
const LARGEST: u64 = 0o777_7777_7777;

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file of this many bytes, which follow, padded.
    File(u64),
    /// A symbolic link to there.
    Link(Vec<u8>),
}

/// One member's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its path; a directory's without a slash at its end.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Seconds since the Unix epoch.
    pub modified: u64,
}

impl Member {
    /// A member for what `metadata` describes.
    #[must_use]
    pub fn of(path: &OsStr, kind: Kind, metadata: &Metadata) -> Self {
        Self {
            path: path.as_bytes().to_vec(),
            kind,
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            modified: u64::try_from(metadata.mtime()).unwrap_or_default(),
        }
    }

    /// The bytes that go before its content.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        let (kind, size, link): (u8, u64, &[u8]) = match &self.kind {
            Kind::Directory => (b'5', 0, &[]),
            Kind::File(size) => (b'0', *size, &[]),
            Kind::Link(to) => (b'2', 0, to),
        };
        let mut path = self.path.clone();
        if self.kind == Kind::Directory {
            path.push(b'/');
        }
        let mut records = Vec::new();
        if path.len() > 100 {
            record("path", &path, &mut records);
        }
        if link.len() > 100 {
            record("linkpath", link, &mut records);
        }
        if size > LARGEST {
            record("size", size.to_string().as_bytes(), &mut records);
        }
        let mut out = Vec::new();
        if !records.is_empty() {
            out.extend(self.block(b"pax", b'x', records.len() as u64, &[]));
            let padding = padding(records.len() as u64);
            out.extend(records);
            out.resize(out.len().saturating_add(padding), 0);
        }
        out.extend(self.block(&path, kind, size, link));
        out
    }

    fn block(&self, path: &[u8], kind: u8, size: u64, link: &[u8]) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        put(&mut block, 0, path.get(..100).unwrap_or(path));
        octal(&mut block, 100, 7, u64::from(self.mode));
        octal(&mut block, 108, 7, u64::from(self.uid) & 0o777_7777);
        octal(&mut block, 116, 7, u64::from(self.gid) & 0o777_7777);
        octal(&mut block, 124, 11, if size > LARGEST { 0 } else { size });
        octal(&mut block, 136, 11, self.modified & LARGEST);
        put(&mut block, 148, b"        ");
        put(&mut block, 156, &[kind]);
        put(&mut block, 157, link.get(..100).unwrap_or(link));
        put(&mut block, 257, b"ustar\x0000");
        let sum = block.iter().map(|byte| u64::from(*byte)).sum();
        octal(&mut block, 148, 6, sum);
        put(&mut block, 154, b"\0 ");
        block
    }
}

/// Bytes of zero that follow content of this size.
#[must_use]
pub fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or_default();
    if over == 0 { 0 } else { BLOCK - over }
}

/// What ends an archive that is `written` bytes long.
#[must_use]
pub fn trailer(written: u64) -> Vec<u8> {
    let end = written.saturating_add(2 * BLOCK as u64).next_multiple_of(RECORD);
    vec![0; usize::try_from(end.saturating_sub(written)).unwrap_or(2 * BLOCK)]
}

/// A directory's name in the archive: barman names the root, and what lies directly in it, from `.`.
#[must_use]
pub fn member_path(directory: &Path, name: Option<&OsStr>) -> std::path::PathBuf {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    name.map_or_else(|| directory.to_owned(), |name| directory.join(name))
}

fn put(block: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    for (slot, byte) in block.iter_mut().skip(at).zip(bytes) {
        *slot = *byte;
    }
}

fn octal(block: &mut [u8; BLOCK], at: usize, digits: usize, number: u64) {
    put(block, at, format!("{number:0digits$o}").as_bytes());
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(key: &str, value: &[u8], out: &mut Vec<u8>) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend(format!("{length} {key}=").bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn member(path: &str, kind: Kind) -> Member {
        Member { path: path.into(), kind, mode: 0o600, uid: 26, gid: 26, modified: 1_795_465_268 }
    }

    fn listed(archive: &[u8]) -> String {
        let mut tar = Command::new("tar")
            .args(["--utc", "--numeric-owner", "-tvf", "-"])
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        tar.stdin.take().unwrap().write_all(archive).unwrap();
        let output = tar.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn tar_reads_every_kind_of_member() {
        let long = format!("{}/{}", "d".repeat(80), "f".repeat(80));
        let mut archive = member(".", Kind::Directory).header();
        archive.extend(member("./PG_VERSION", Kind::File(3)).header());
        archive.extend(b"15\n");
        archive.resize(archive.len() + padding(3), 0);
        archive.extend(member("link", Kind::Link(b"/etc/x".to_vec())).header());
        archive.extend(member(&long, Kind::File(0)).header());
        let end = trailer(archive.len() as u64);
        archive.extend(end);
        assert_eq!(archive.len() % 10_240, 0);
        let listed = listed(&archive);
        let lines: Vec<_> = listed.lines().collect();
        assert_eq!(lines.len(), 4, "{listed}");
        assert!(lines[0].starts_with("drw------- 26/26") && lines[0].ends_with(" ./"), "{listed}");
        assert!(lines[1].contains(" 3 2026-11-23 20:21") && lines[1].ends_with(" ./PG_VERSION"), "{listed}");
        assert!(lines[2].ends_with(" link -> /etc/x") && lines[3].ends_with(&long), "{listed}");
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for value in [1, 3, 5, 91, 93, 95, 990, 995] {
            let mut out = Vec::new();
            record("a", &vec![b'x'; value], &mut out);
            let told: usize = String::from_utf8(out.clone()).unwrap().split(' ').next().unwrap().parse().unwrap();
            assert_eq!(told, out.len(), "{value}");
        }
    }

    #[test]
    fn the_root_and_what_lies_in_it_are_named_from_a_dot() {
        assert_eq!(member_path(Path::new(""), None), Path::new("."));
        assert_eq!(member_path(Path::new(""), Some(OsStr::new("PG_VERSION"))), Path::new("./PG_VERSION"));
        assert_eq!(member_path(Path::new("base/1"), Some(OsStr::new("112"))), Path::new("base/1/112"));
    }
}
