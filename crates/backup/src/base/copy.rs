//! Reads tablespaces and the data directory into tar, in barman's order, and verifies the pages on the way. Blocks.

use super::page::{PAGE, PAGES_OF_SEGMENT, PageState, judge};
use super::pipeline::{Message, PIECE};
use super::tar::{Kind, Member, member_path, padding, trailer};
use super::{BaseError, Progress};
use bytes::Bytes;
use pgherd_core::backup::{ArchiveName, CONTROL_FILE, Tree, is_left_out, relation_segment};
use pgherd_core::lsn::Lsn;
use pgherd_core::wal::Compression;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Bytes read at once: a whole number of pages.
const CHUNK: usize = 32 * PAGE;

/// What there is to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The data directory.
    pub pgdata: PathBuf,
    /// Tablespaces, by OID.
    pub tablespaces: Vec<(u32, PathBuf)>,
    /// Configuration files that lie elsewhere.
    pub elsewhere: Vec<PathBuf>,
    /// The major version, which names the directory of a tablespace.
    pub major: u32,
    /// Where recovery will start: pages are verified that were not written since. Nothing to verify where absent.
    pub verify_since: Option<Lsn>,
}

/// Sends tar to the pipeline.
pub struct TarSender {
    to: mpsc::Sender<Message>,
    progress: Arc<Progress>,
    buffer: Vec<u8>,
    written: u64,
}

impl TarSender {
    /// Nothing is open yet.
    #[must_use]
    pub fn new(to: mpsc::Sender<Message>, progress: Arc<Progress>) -> Self {
        Self { to, progress, buffer: Vec::new(), written: 0 }
    }

    fn send(&self, message: Message) -> Result<(), BaseError> {
        self.progress.hand_over(true);
        let sent = self.to.blocking_send(message).map_err(|_| BaseError::Ended);
        self.progress.hand_over(false);
        sent
    }

    fn open(&mut self, name: ArchiveName) -> Result<(), BaseError> {
        self.written = 0;
        self.send(Message::Open(name))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BaseError> {
        self.buffer.extend_from_slice(bytes);
        self.written = self.written.saturating_add(bytes.len() as u64);
        if self.buffer.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), BaseError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = core::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE + CHUNK));
        self.send(Message::Piece(Bytes::from(piece)))
    }

    fn close(&mut self) -> Result<(), BaseError> {
        self.write(&trailer(self.written))?;
        self.flush()?;
        self.send(Message::Close)
    }

    /// Adds a member with this content.
    ///
    /// # Errors
    /// [`BaseError::Ended`] once nobody takes it any more.
    pub fn member(&mut self, member: &Member, content: &[u8]) -> Result<(), BaseError> {
        self.write(&member.header())?;
        self.write(content)?;
        self.write(&vec![0; padding(content.len() as u64)])
    }
}

/// How archives are named and cut.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Of every archive.
    pub compression: Option<Compression>,
    /// An archive that has become larger is followed by another part.
    pub most: u64,
}

/// A walk over one tree.
struct Walk<'a> {
    source: &'a Source,
    progress: &'a Progress,
    tar: &'a mut TarSender,
    cut: Cut,
    name: ArchiveName,
    skip: Vec<PathBuf>,
}

/// Bytes of everything that [`copy`] will read, as far as it stays as it is.
///
/// # Errors
/// A directory that cannot be read.
pub fn measure(source: &Source, progress: &Progress) -> Result<u64, BaseError> {
    let mut total = 0_u64;
    for (tree, root) in trees(source) {
        for top in tops(tree, &root, source.major)? {
            let mut seen = |path: &Path, metadata: &Metadata| {
                total = total.saturating_add(metadata.len());
                passed(progress, path)
            };
            visit(&root, &top, &inside(source, tree), &mut |path, _| passed(progress, path), &mut seen)?;
        }
    }
    Ok(total)
}

/// Looking at many files takes long too. A copy that is cancelled stops here as well.
fn passed(progress: &Progress, path: &Path) -> Result<(), BaseError> {
    progress.reach(path);
    if progress.is_cancelled() { Err(BaseError::Cancelled) } else { Ok(()) }
}

/// Copies everything but the label, and leaves the archive of the data directory open for it.
///
/// # Errors
/// [`BaseError`]: something that cannot be read, a bad page, nobody who takes it.
pub fn copy(source: &Source, tar: &mut TarSender, cut: Cut, progress: &Progress) -> Result<(), BaseError> {
    for (tree, root) in trees(source) {
        let name = ArchiveName { tree, part: 0, compression: cut.compression };
        let mut walk = Walk { source, progress, tar, cut, name, skip: inside(source, tree) };
        walk.tar.open(name)?;
        walk.tree(&root)?;
        if tree == Tree::Data {
            walk.last_files(&root)?;
        } else {
            tar.close()?;
        }
    }
    Ok(())
}

/// Adds the label, which only the end of the backup tells, and closes the archive.
///
/// # Errors
/// [`BaseError::Ended`] once nobody takes it any more.
pub fn finish(source: &Source, tar: &mut TarSender, label: &str) -> Result<(), BaseError> {
    let metadata = std::fs::metadata(&source.pgdata).map_err(|source_| unreadable(&source.pgdata, source_))?;
    let size = Kind::File(label.len() as u64);
    let mut member = Member::of("backup_label".as_ref(), size, &metadata);
    member.mode = 0o600;
    tar.member(&member, label.as_bytes())?;
    tar.close()
}

/// Tablespaces first, so that the data directory's archive can be held open to the end.
fn trees(source: &Source) -> Vec<(Tree, PathBuf)> {
    let spaces = source.tablespaces.iter().map(|(oid, location)| (Tree::Tablespace(*oid), location.clone()));
    spaces.chain([(Tree::Data, source.pgdata.clone())]).collect()
}

/// Tablespaces that lie in the data directory are not copied twice.
fn inside(source: &Source, tree: Tree) -> Vec<PathBuf> {
    let below = |location: &PathBuf| location.strip_prefix(&source.pgdata).ok().map(Path::to_owned);
    match tree {
        Tree::Data => source.tablespaces.iter().filter_map(|(_, location)| below(location)).collect(),
        Tree::Tablespace(_) => Vec::new(),
    }
}

/// Where the walk of a tree begins: of a tablespace, only what belongs to this version.
fn tops(tree: Tree, root: &Path, major: u32) -> Result<Vec<PathBuf>, BaseError> {
    match tree {
        Tree::Data => Ok(vec![PathBuf::new()]),
        Tree::Tablespace(_) => {
            let ours = format!("PG_{major}_");
            let names = names(root)?;
            Ok(names
                .into_iter()
                .filter(|name| name.as_bytes().starts_with(ours.as_bytes()))
                .map(PathBuf::from)
                .collect())
        }
    }
}

impl Walk<'_> {
    fn tree(&mut self, root: &Path) -> Result<(), BaseError> {
        for top in tops(self.name.tree, root, self.source.major)? {
            let skip = self.skip.clone();
            // Both closures add to the same archive, one at a time.
            let walk = core::cell::RefCell::new(&mut *self);
            visit(
                root,
                &top,
                &skip,
                &mut |directory, metadata| walk.borrow_mut().directory(directory, metadata),
                &mut |file, metadata| walk.borrow_mut().entry(root, file, metadata),
            )?;
        }
        Ok(())
    }

    fn directory(&mut self, directory: &Path, metadata: &Metadata) -> Result<(), BaseError> {
        self.progress.reach(directory);
        let member = Member::of(member_path(directory, None).as_os_str(), Kind::Directory, metadata);
        self.tar.member(&member, &[])
    }

    fn entry(&mut self, root: &Path, file: &Path, metadata: &Metadata) -> Result<(), BaseError> {
        let parent = file.parent().unwrap_or(Path::new(""));
        let path = member_path(parent, file.file_name());
        if metadata.is_symlink() {
            let Some(target) = there(std::fs::read_link(root.join(file)), &root.join(file))? else { return Ok(()) };
            let member = Member::of(path.as_os_str(), Kind::Link(target.as_os_str().as_bytes().to_vec()), metadata);
            return self.tar.member(&member, &[]);
        }
        self.file(&root.join(file), &path, relation_segment(&file.to_string_lossy()))
    }

    /// What barman leaves to the end.
    fn last_files(&mut self, root: &Path) -> Result<(), BaseError> {
        for file in &self.source.elsewhere {
            if let Some(name) = file.file_name() {
                self.file(file, Path::new(name), None)?;
            }
        }
        self.file(&root.join(CONTROL_FILE), Path::new(CONTROL_FILE), None)
    }

    /// A file that vanished is passed over, and one that was cut is filled up with zeros: replay takes care of both.
    fn file(&mut self, file: &Path, path: &Path, segment: Option<u32>) -> Result<(), BaseError> {
        self.progress.reach(file);
        let Some(mut open) = there(File::open(file), file)? else { return Ok(()) };
        let metadata = open.metadata().map_err(|source| unreadable(file, source))?;
        self.roll_over()?;
        let size = metadata.len();
        self.tar.write(&Member::of(path.as_os_str(), Kind::File(size), &metadata).header())?;
        let mut buffer = vec![0; CHUNK];
        let mut done = 0_u64;
        while done < size {
            let wanted = usize::try_from(size.saturating_sub(done)).unwrap_or(CHUNK).min(CHUNK);
            let Some(room) = buffer.get_mut(..wanted) else { break };
            let read = fill(&mut open, room).map_err(|source| unreadable(file, source))?;
            if let (Some(since), Some(segment)) = (self.source.verify_since, segment) {
                let pages = room.get_mut(..read).unwrap_or_default();
                verify(&open, file, pages, (segment, done), since).inspect_err(|error| {
                    if matches!(error, BaseError::BadPage { .. }) {
                        self.progress.damaged();
                    }
                })?;
            }
            if let Some(cut) = room.get_mut(read..) {
                cut.fill(0);
            }
            self.tar.write(room)?;
            done = done.saturating_add(wanted as u64);
            self.progress.read(wanted);
            if self.progress.is_cancelled() {
                return Err(BaseError::Cancelled);
            }
        }
        self.tar.write(&vec![0; padding(size)])
    }

    fn roll_over(&mut self) -> Result<(), BaseError> {
        if self.progress.of_archive() <= self.cut.most {
            return Ok(());
        }
        self.tar.close()?;
        self.name.part = self.name.part.saturating_add(1);
        self.tar.open(self.name)
    }
}

fn fill(file: &mut File, room: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Verifies the pages that were read at `at` of a file. One that is bad is read once more, as pg_basebackup does:
/// postgres may have been writing it.
fn verify(file: &File, path: &Path, read: &mut [u8], at: (u32, u64), since: Lsn) -> Result<(), BaseError> {
    let (segment, offset) = at;
    for (number, page) in (0_u64..).zip(read.chunks_exact_mut(PAGE)) {
        let Ok(page) = <&mut [u8; PAGE]>::try_from(page) else { continue };
        let position = offset.saturating_add(number.saturating_mul(PAGE as u64));
        let of_file = u32::try_from(position / PAGE as u64).unwrap_or(u32::MAX);
        let block = segment.wrapping_mul(PAGES_OF_SEGMENT).wrapping_add(of_file);
        if judge(page, block, since) == PageState::Fine {
            continue;
        }
        match file.read_exact_at(page, position) {
            Ok(()) if judge(page, block, since) == PageState::Bad => {
                return Err(BaseError::BadPage { file: path.to_owned(), block });
            }
            Ok(()) => {}
            // Cut off since: replay does it again.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(unreadable(path, error)),
        }
    }
    Ok(())
}

type Visitor<'a> = dyn FnMut(&Path, &Metadata) -> Result<(), BaseError> + 'a;

/// As `os.walk` goes: a directory, its files, then its directories. Symbolic links are never followed, and those to
/// directories (`pg_wal`, `pg_tblspc/*`) are left out: a restore makes them anew.
fn visit(
    root: &Path,
    directory: &Path,
    skip: &[PathBuf],
    on_directory: &mut Visitor<'_>,
    on_file: &mut Visitor<'_>,
) -> Result<(), BaseError> {
    let whole = root.join(directory);
    let Some(metadata) = there(std::fs::metadata(&whole), &whole)? else { return Ok(()) };
    on_directory(directory, &metadata)?;
    let mut directories = Vec::new();
    for name in names(&whole)? {
        let path = directory.join(&name);
        if is_left_out(&path.to_string_lossy()) || skip.contains(&path) {
            continue;
        }
        let whole = root.join(&path);
        let Some(metadata) = there(std::fs::symlink_metadata(&whole), &whole)? else { continue };
        let kind = metadata.file_type();
        if kind.is_dir() {
            directories.push(path);
        } else if kind.is_file() || (kind.is_symlink() && !whole.is_dir()) {
            on_file(&path, &metadata)?;
        }
    }
    directories.iter().try_for_each(|directory| visit(root, directory, skip, on_directory, on_file))
}

/// Sorted, so that two backups of the same are alike.
fn names(directory: &Path) -> Result<Vec<OsString>, BaseError> {
    let Some(entries) = there(std::fs::read_dir(directory), directory)? else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(|source| unreadable(directory, source))?.file_name());
    }
    names.sort();
    Ok(names)
}

fn there<T>(result: std::io::Result<T>, path: &Path) -> Result<Option<T>, BaseError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(unreadable(path, source)),
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> BaseError {
    BaseError::Read { path: path.to_owned(), source }
}
