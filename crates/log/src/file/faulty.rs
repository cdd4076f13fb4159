//! A disk in memory that fails on demand, for tests: it knows what a crash would keep, fails or freezes at the nth
//! operation, tears writes at sectors, forgets what a failed sync should have kept, and fills up.
//!
//! Every file has a live image, which reads see, and a durable image, which a crash leaves. Names have the same pair.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::file::storage::{Identity, Storage, StorageFile, StorageLock};

/// What a crash keeps or loses as one.
pub const SECTOR_BYTES: usize = 512;

/// What happens at an operation that changes something: `create`, `rename`, `remove`, `sync_dir`, `write_at`, `sync`,
/// `preallocate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails and has no effect.
    Error,
    /// It fails, but a write is in the cache all the same. For a `sync`: nothing becomes durable, and the cache takes
    /// it for written, so that a later sync that succeeds will not write it either.
    ErrorInCache,
    /// A `sync` fails although everything became durable.
    ErrorWhenDurable,
    /// It reaches the cache, nothing more, and from then on everything fails: the machine is gone.
    Crash,
}

/// The disk; clones are the same disk.
#[derive(Clone, Default)]
pub struct FaultyStorage {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Clone, Default)]
struct Disk {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    pending_names: Vec<NameChange>,
    operation_count: u64,
    faults: BTreeMap<u64, Fault>,
    frozen: bool,
    locked: bool,
    away: bool,
    room_bytes: Option<u64>,
}

#[derive(Clone, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    claimed: usize,
    /// Sectors written since the last sync.
    dirty: BTreeSet<usize>,
    /// Sectors that a failed sync forgot.
    forgotten: BTreeSet<usize>,
}

#[derive(Clone)]
enum NameChange {
    Create(String, u64),
    Rename(String, String),
    Remove(String),
}

struct FaultyFile {
    storage: FaultyStorage,
    id: u64,
}

struct FaultyLock {
    storage: FaultyStorage,
}

impl FaultyStorage {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Operations so far that change something; the next one has this number.
    pub fn operation_count(&self) -> u64 {
        self.disk().operation_count
    }

    /// Whether a `Crash` has happened.
    pub fn is_frozen(&self) -> bool {
        self.disk().frozen
    }

    /// Makes the operation with this number go wrong.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.disk().faults.insert(operation, fault);
    }

    /// Takes back all faults that have not happened.
    pub fn clear_faults(&self) {
        self.disk().faults.clear();
    }

    /// Limits the bytes that all files together may grow to; `None` for no limit.
    pub fn set_room(&self, room_bytes: Option<u64>) {
        self.disk().room_bytes = room_bytes;
    }

    /// Takes the directory away from its path, or brings it back. Files that are open stay as they are.
    pub fn set_away(&self, away: bool) {
        self.disk().away = away;
    }

    /// Bytes that all files together take.
    pub fn used_bytes(&self) -> u64 {
        self.disk().used_bytes()
    }

    /// The disk as the next process finds it after `kill -9`: everything in the cache is still there.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let mut disk = self.disk().clone();
        disk.start_over();
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// The disk after a power cut. `keeps` is asked for each sector that was not synced whether it reached the disk,
    /// and for each change of a name, in order, until it says no.
    #[must_use]
    pub fn after_power_cut(&self, mut keeps: impl FnMut() -> bool) -> Self {
        let mut disk = self.disk().clone();
        for inode in disk.inodes.values_mut() {
            let unsure: BTreeSet<usize> = inode.dirty.union(&inode.forgotten).copied().collect();
            for sector in unsure {
                if keeps() {
                    inode.persist(sector);
                }
            }
            inode.live.clone_from(&inode.durable);
            inode.dirty.clear();
            inode.forgotten.clear();
        }
        let mut names = std::mem::take(&mut disk.durable_names);
        for change in std::mem::take(&mut disk.pending_names) {
            if !keeps() {
                break;
            }
            change.apply(&mut names);
        }
        disk.names.clone_from(&names);
        disk.durable_names = names;
        let used: BTreeSet<u64> = disk.names.values().copied().collect();
        disk.inodes.retain(|id, _| used.contains(id));
        disk.start_over();
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// Names of all files, in order.
    pub fn names(&self) -> Vec<String> {
        self.disk().names.keys().cloned().collect()
    }

    /// Bytes of a file as reads see them.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk();
        disk.names.get(name).map(|id| disk.inodes[id].live.clone())
    }

    /// Puts a file on the disk, durable, in place of any of that name.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut disk = self.disk();
        let id = disk.add(Inode { live: bytes.to_vec(), durable: bytes.to_vec(), ..Inode::default() });
        disk.names.insert(name.to_owned(), id);
        disk.durable_names.insert(name.to_owned(), id);
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("no test panics while it holds the disk")
    }

    fn open_file(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let disk = self.disk();
        disk.check_alive()?;
        let id = *disk.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(FaultyFile { storage: self.clone(), id }))
    }
}

impl Disk {
    fn start_over(&mut self) {
        self.faults.clear();
        self.frozen = false;
        self.locked = false;
        self.away = false;
        self.operation_count = 0;
    }

    fn check_alive(&self) -> io::Result<()> {
        if self.frozen { Err(io::Error::other("the machine is gone")) } else { Ok(()) }
    }

    /// Counts an operation and says what is to go wrong with it.
    fn begin(&mut self) -> io::Result<Option<Fault>> {
        self.check_alive()?;
        let fault = self.faults.remove(&self.operation_count);
        self.operation_count += 1;
        self.frozen = fault == Some(Fault::Crash);
        if fault == Some(Fault::Error) { Err(injected()) } else { Ok(fault) }
    }

    fn add(&mut self, inode: Inode) -> u64 {
        let id = self.inodes.last_key_value().map_or(0, |(id, _)| id + 1);
        self.inodes.insert(id, inode);
        id
    }

    fn change_names(&mut self, change: NameChange) -> io::Result<()> {
        let fault = self.begin()?;
        change.clone().apply(&mut self.names);
        self.pending_names.push(change);
        fault.map_or(Ok(()), |_| Err(injected()))
    }

    fn used_bytes(&self) -> u64 {
        let named = self.names.values().map(|id| &self.inodes[id]);
        named.map(|inode| inode.live.len().max(inode.claimed) as u64).sum()
    }

    /// Refuses growth of a file to `length` beyond the limit.
    fn claim(&mut self, id: u64, length: usize) -> io::Result<()> {
        let used = self.used_bytes();
        let inode = self.inodes.get_mut(&id).expect("an open file has an inode");
        let growth = length.saturating_sub(inode.live.len().max(inode.claimed)) as u64;
        if growth > 0 && self.room_bytes.is_some_and(|room_bytes| used + growth > room_bytes) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        inode.claimed = inode.claimed.max(length);
        Ok(())
    }
}

impl Inode {
    fn persist(&mut self, sector: usize) {
        let start = sector * SECTOR_BYTES;
        let end = (start + SECTOR_BYTES).min(self.live.len());
        if self.durable.len() < end {
            self.durable.resize(end, 0);
        }
        self.durable[start..end].copy_from_slice(&self.live[start..end]);
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Create(name, id) => {
                names.insert(name, id);
            }
            Self::Rename(from, to) => {
                if let Some(id) = names.remove(&from) {
                    names.insert(to, id);
                }
            }
            Self::Remove(name) => {
                names.remove(&name);
            }
        }
    }
}

impl Storage for FaultyStorage {
    fn list(&self) -> io::Result<Vec<String>> {
        let disk = self.disk();
        disk.check_alive()?;
        Ok(disk.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let mut disk = self.disk();
        if disk.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = disk.add(Inode::default());
        disk.change_names(NameChange::Create(name.to_owned(), id))?;
        Ok(Box::new(FaultyFile { storage: self.clone(), id }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        self.open_file(name)
    }

    fn open_read(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        self.open_file(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk();
        if !disk.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.change_names(NameChange::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        if !disk.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.change_names(NameChange::Remove(name.to_owned()))
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut disk = self.disk();
        let fault = disk.begin()?;
        if matches!(fault, None | Some(Fault::ErrorWhenDurable)) {
            disk.durable_names = disk.names.clone();
            disk.pending_names.clear();
        }
        fault.map_or(Ok(()), |_| Err(injected()))
    }

    fn lock(&self) -> io::Result<Box<dyn StorageLock>> {
        let mut disk = self.disk();
        disk.check_alive()?;
        if disk.locked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        disk.locked = true;
        Ok(Box::new(FaultyLock { storage: self.clone() }))
    }

    fn identity_of(&self, name: &str) -> io::Result<Identity> {
        let disk = self.disk();
        if disk.away {
            return Err(io::ErrorKind::NotFound.into());
        }
        match name {
            "" => Ok(DIRECTORY),
            name => disk.names.get(name).map(|id| identity(*id)).ok_or(io::ErrorKind::NotFound.into()),
        }
    }

    fn path_of(&self, name: &str) -> String {
        format!("disk/{name}")
    }
}

impl StorageFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let disk = self.storage.disk();
        disk.check_alive()?;
        let live = &disk.inodes[&self.id].live;
        let rest = live.get(usize::try_from(position).expect("small")..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut disk = self.storage.disk();
        let fault = disk.begin()?;
        let start = usize::try_from(position).expect("small");
        let end = start + bytes.len();
        disk.claim(self.id, end)?;
        let inode = disk.inodes.get_mut(&self.id).expect("an open file has an inode");
        if inode.live.len() < end {
            inode.live.resize(end, 0);
        }
        inode.live[start..end].copy_from_slice(bytes);
        for sector in start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            inode.dirty.insert(sector);
            inode.forgotten.remove(&sector);
        }
        fault.map_or(Ok(()), |_| Err(injected()))
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.storage.disk();
        let fault = disk.begin()?;
        let inode = disk.inodes.get_mut(&self.id).expect("an open file has an inode");
        match fault {
            None | Some(Fault::ErrorWhenDurable) => {
                for sector in std::mem::take(&mut inode.dirty) {
                    inode.persist(sector);
                }
            }
            Some(Fault::ErrorInCache) => {
                let dirty = std::mem::take(&mut inode.dirty);
                inode.forgotten.extend(dirty);
            }
            Some(Fault::Error | Fault::Crash) => {}
        }
        fault.map_or(Ok(()), |_| Err(injected()))
    }

    fn len(&self) -> io::Result<u64> {
        let disk = self.storage.disk();
        disk.check_alive()?;
        Ok(disk.inodes[&self.id].live.len() as u64)
    }

    fn identity(&self) -> io::Result<Identity> {
        Ok(identity(self.id))
    }

    fn preallocate(&self, length: u64) -> io::Result<()> {
        let mut disk = self.storage.disk();
        let fault = disk.begin()?;
        disk.claim(self.id, usize::try_from(length).expect("small"))?;
        fault.map_or(Ok(()), |_| Err(injected()))
    }
}

impl StorageLock for FaultyLock {
    fn directory(&self) -> io::Result<Identity> {
        Ok(DIRECTORY)
    }
}

impl Drop for FaultyLock {
    fn drop(&mut self) {
        self.storage.disk().locked = false;
    }
}

/// The directory is on a device of its own.
const DIRECTORY: Identity = Identity { device: 0, inode: 0 };

fn identity(id: u64) -> Identity {
    Identity { device: 1, inode: id }
}

fn injected() -> io::Error {
    io::Error::other("injected fault")
}
