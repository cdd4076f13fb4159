//! Storage in a directory of the operating system, with the ways in which a batch can be made durable.

use std::fs::{self, DirBuilder, File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FallocateFlags, Mode, OFlags, fallocate, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::file::storage::{Identity, Storage, StorageFile, StorageLock};
use crate::limits::BLOCK_BYTES;

const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const DIR_MODE: u32 = 0o700;
const LOCK_NAME: &str = "lock";

/// How `write_durable_at` makes a batch durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncMethod {
    /// `pwrite` and `fdatasync`.
    #[default]
    Fdatasync,
    /// One `pwrite` on a descriptor with `O_DIRECT | O_DSYNC`; `Fdatasync` where the file system refuses that.
    Direct,
    /// No sync at all: a power cut loses acknowledged batches. For benchmarks only.
    UnsafeNone,
}

/// Files in one directory. Files are created with mode 0600, the directory with 0700.
#[derive(Debug, Clone)]
pub struct DirStorage {
    path: PathBuf,
    /// Files are found by this, so that nothing is ever written into another directory that was put in its place.
    directory: Arc<File>,
    sync_method: SyncMethod,
}

struct DirFile {
    file: File,
    /// The second descriptor of `SyncMethod::Direct`, unless the file system refuses it.
    direct: Option<File>,
    sync_method: SyncMethod,
}

struct DirLock {
    _file: File,
    directory: Arc<File>,
}

impl DirStorage {
    /// Uses the directory at `path`, which is created with its parents if it does not exist.
    pub fn create(path: impl Into<PathBuf>, sync_method: SyncMethod) -> io::Result<Self> {
        let path = path.into();
        if !path.is_dir() {
            DirBuilder::new().recursive(true).mode(DIR_MODE).create(&path)?;
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                File::open(parent)?.sync_all()?;
            }
        }
        let directory = Arc::new(File::open(&path)?);
        Ok(Self { path, directory, sync_method })
    }

    /// Uses the directory at `path`, which must exist; nothing is created.
    pub fn existing(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        // A file is none, and says so.
        fs::read_dir(&path)?;
        let directory = Arc::new(File::open(&path)?);
        Ok(Self { path, directory, sync_method: SyncMethod::default() })
    }

    fn open_with(&self, name: &str, flags: OFlags) -> io::Result<File> {
        Ok(openat(&self.directory, name, flags | OFlags::CLOEXEC, FILE_MODE)?.into())
    }

    fn storage_file(&self, file: File) -> DirFile {
        DirFile { file, direct: None, sync_method: self.sync_method }
    }
}

impl Storage for DirStorage {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.directory)? {
            if let Ok(name) = entry?.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let file = self.open_with(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)?;
        Ok(Box::new(self.storage_file(file)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let file = self.open_with(name, OFlags::RDWR)?;
        let direct = if self.sync_method == SyncMethod::Direct {
            self.open_with(name, OFlags::WRONLY | OFlags::DIRECT | OFlags::DSYNC).ok()
        } else {
            None
        };
        Ok(Box::new(DirFile { direct, ..self.storage_file(file) }))
    }

    fn open_read(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(self.storage_file(self.open_with(name, OFlags::RDONLY)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&self.directory, from, &self.directory, to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.directory, name, AtFlags::empty())?)
    }

    fn sync_dir(&self) -> io::Result<()> {
        if self.sync_method == SyncMethod::UnsafeNone {
            return Ok(());
        }
        self.directory.sync_all()
    }

    fn lock(&self) -> io::Result<Box<dyn StorageLock>> {
        let file = self.open_with(LOCK_NAME, OFlags::WRONLY | OFlags::CREATE)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(DirLock { _file: file, directory: Arc::clone(&self.directory) })),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn identity_of(&self, name: &str) -> io::Result<Identity> {
        let path = if name.is_empty() { self.path.clone() } else { self.path.join(name) };
        Ok(identity(&fs::metadata(path)?))
    }

    fn path_of(&self, name: &str) -> String {
        let path: &Path = &self.path;
        if name.is_empty() { path.display().to_string() } else { path.join(name).display().to_string() }
    }
}

impl StorageLock for DirLock {
    fn directory(&self) -> io::Result<Identity> {
        Ok(identity(&self.directory.metadata()?))
    }
}

fn identity(metadata: &Metadata) -> Identity {
    Identity { device: metadata.dev(), inode: metadata.ino() }
}

impl DirFile {
    /// The direct descriptor, if there is one and the write is made of whole aligned blocks.
    fn direct_for(&self, bytes: &[u8], position: u64) -> Option<&File> {
        let aligned = bytes.as_ptr().align_offset(BLOCK_BYTES) == 0
            && bytes.len().is_multiple_of(BLOCK_BYTES)
            && position.is_multiple_of(BLOCK_BYTES as u64);
        self.direct.as_ref().filter(|_| aligned)
    }
}

impl StorageFile for DirFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, position)
    }

    fn sync(&self) -> io::Result<()> {
        if self.sync_method == SyncMethod::UnsafeNone { Ok(()) } else { self.file.sync_data() }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn identity(&self) -> io::Result<Identity> {
        Ok(identity(&self.file.metadata()?))
    }

    fn preallocate(&self, length: u64) -> io::Result<()> {
        match fallocate(&self.file, FallocateFlags::empty(), 0, length) {
            // A file system without fallocate finds out about a full disk when the zeros are written.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            result => Ok(result?),
        }
    }

    fn write_durable_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        if let Some(direct) = self.direct_for(bytes, position) {
            match direct.write_all_at(bytes, position) {
                // Some file systems accept the flag at open and refuse it at the first write.
                Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {}
                result => return result,
            }
        }
        self.write_at(bytes, position)?;
        self.sync()
    }
}
