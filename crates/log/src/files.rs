//! Storage in a directory of the operating system, with the ways in which a batch can be made durable.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags, fallocate};
use rustix::io::Errno;

use crate::limits::BLOCK_BYTES;
use crate::storage::{Storage, StorageFile, StorageLock};

const FILE_MODE: u32 = 0o600;
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
    directory: PathBuf,
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
}

impl DirStorage {
    /// Uses `directory`, which is created with its parents if it does not exist.
    pub fn create(directory: impl Into<PathBuf>, sync_method: SyncMethod) -> io::Result<Self> {
        let directory = directory.into();
        if !directory.is_dir() {
            DirBuilder::new().recursive(true).mode(DIR_MODE).create(&directory)?;
            if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(Self { directory, sync_method })
    }

    /// Uses `directory`, which must exist; nothing is created.
    pub fn existing(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        fs::read_dir(&directory)?;
        Ok(Self { directory, sync_method: SyncMethod::default() })
    }

    fn open_with(&self, name: &str, options: &OpenOptions) -> io::Result<Box<dyn StorageFile>> {
        let file = options.open(self.directory.join(name))?;
        Ok(Box::new(DirFile { file, direct: None, sync_method: self.sync_method }))
    }
}

impl Storage for DirStorage {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        self.open_with(name, OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let path = self.directory.join(name);
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let direct = if self.sync_method == SyncMethod::Direct {
            let flags = OFlags::DIRECT | OFlags::DSYNC;
            OpenOptions::new().write(true).custom_flags(flags.bits().cast_signed()).open(&path).ok()
        } else {
            None
        };
        Ok(Box::new(DirFile { file, direct, sync_method: self.sync_method }))
    }

    fn open_read(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        self.open_with(name, OpenOptions::new().read(true))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.directory.join(from), self.directory.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.directory.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        if self.sync_method == SyncMethod::UnsafeNone {
            return Ok(());
        }
        File::open(&self.directory)?.sync_all()
    }

    fn lock(&self) -> io::Result<Box<dyn StorageLock>> {
        let path = self.directory.join(LOCK_NAME);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(DirLock { _file: file })),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn path_of(&self, name: &str) -> String {
        let path: &Path = &self.directory;
        if name.is_empty() { path.display().to_string() } else { path.join(name).display().to_string() }
    }
}

impl StorageLock for DirLock {}

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
