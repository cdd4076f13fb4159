//! The only door to files. Everything the log does to a disk is a call of these traits, so that tests can fail, tear
//! or forget any of them.

use std::io;

use crate::error::StorageError;

/// What tells a file or directory apart from every other that exists at the same time, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The device it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// One flat directory of files.
///
/// Contract: all calls but `identity_of` mean the directory that was opened, whatever its path leads to by now. `create`, `rename` and `remove` are durable only after `sync_dir`, and a crash before it may keep any
/// prefix of them. `rename` replaces an existing target in one step.
pub trait Storage: Send + Sync {
    /// Names of all files, in any order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes a new empty file for reading and writing; fails with `AlreadyExists` if there is one.
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;

    /// Opens an existing file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;

    /// Opens an existing file for reading.
    fn open_read(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;

    /// Gives a file another name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Handles that are open stay readable.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all earlier creations, renames and removals durable.
    fn sync_dir(&self) -> io::Result<()>;

    /// Takes the directory for this process alone until the lock is dropped; `WouldBlock` when another holds it.
    fn lock(&self) -> io::Result<Box<dyn StorageLock>>;

    /// What is found now where a person would look for this file; for the directory itself with the empty name.
    fn identity_of(&self, name: &str) -> io::Result<Identity>;

    /// How a person finds this file, for messages; the directory itself for the empty name.
    fn path_of(&self, name: &str) -> String;
}

/// One open file.
///
/// Contract: bytes written are durable only after `sync`; a crash before it may keep any subset of the 512-byte
/// sectors written since. After a failed `sync` nothing is known about them, and a later successful one proves nothing.
pub trait StorageFile: Send + Sync {
    /// Reads up to `buffer.len()` bytes at `position`; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `position`, growing the file if need be.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;

    /// Makes everything written so far durable, with the length of the file.
    fn sync(&self) -> io::Result<()>;

    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Which file this is. As long as it is open, no other file is the same.
    fn identity(&self) -> io::Result<Identity>;

    /// Claims room for `length` bytes, so that a full disk shows before anything is written. Contents stay undefined.
    fn preallocate(&self, length: u64) -> io::Result<()>;

    /// Writes `bytes` at `position` and returns once they are durable.
    fn write_durable_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.write_at(bytes, position)?;
        self.sync()
    }

    /// Whether the file holds no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Held while the directory belongs to this process; dropping it gives the directory back.
pub trait StorageLock: Send + Sync {
    /// Which directory this is. As long as the lock is held, no other directory is the same.
    fn directory(&self) -> io::Result<Identity>;
}

/// Names the file and the attempt in a storage failure.
pub(crate) fn while_doing<'a>(
    storage: &'a dyn Storage,
    doing: &'static str,
    name: &'a str,
) -> impl FnOnce(io::Error) -> StorageError + 'a {
    move |source| StorageError { doing, path: storage.path_of(name), source }
}
