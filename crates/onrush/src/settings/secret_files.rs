//! Who else may use the files that hold secrets.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::layers::Layers;
use super::sessions;

/// What the mode of a file lets others do.
enum Others {
    /// Nothing, or not more than root meant.
    Nothing,
    Read,
    Write,
}

/// A file that others may write to is a problem: they can say what the key is. One that they may read is a warning.
/// Whether a file can be read at all is not asked here.
pub(super) fn check(layers: &Layers, problems: &mut Vec<String>) -> Vec<String> {
    let operator =
        layers.raw.operator.key_file.iter().map(|path| ("operator.key_file".to_owned(), path.as_str()));
    let mut warnings = Vec::new();
    let gate = &layers.raw.gate;
    let jwt = gate.jwt_key_file.iter().map(|path| ("gate.jwt_key_file".to_owned(), path.as_str()));
    let keys_path = sessions::keys_path(gate, &layers.raw.log.directory);
    let keys_path = keys_path.to_string_lossy();
    let sessions = std::iter::once(("gate.session_key_file".to_owned(), &*keys_path));
    let log = [
        ("log.password_file", &layers.raw.log.password_file),
        ("log.properties_file", &layers.raw.log.properties_file),
    ];
    let log = log.into_iter().filter_map(|(key, path)| Some((key.to_owned(), path.as_deref()?)));
    let passwords = layers.sinks.secret_files().chain(layers.collections.secret_files());
    for (key, path) in operator.chain(jwt).chain(sessions).chain(log).chain(passwords) {
        match others(Path::new(path)) {
            Ok(Others::Write) => {
                problems.push(format!("{key} = {path:?}: others can write to this file: chmod 600 {path:?}"));
            }
            // Keys of a shop are mostly public.
            Ok(Others::Read) if key != "gate.jwt_key_file" => {
                warnings.push(format!("{key} = {path:?}: others can read this file: chmod 600 {path:?}"));
            }
            Ok(Others::Read | Others::Nothing) | Err(_) => {}
        }
    }
    warnings
}

fn others(path: &Path) -> io::Result<Others> {
    const GROUP_OR_OTHERS_WRITE: u32 = 0o022;
    const GROUP_READS: u32 = 0o040;
    const OTHERS_READ: u32 = 0o004;
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Ok(Others::Nothing);
    }
    let mode = metadata.mode();
    // A platform that mounts a secret into a container chooses the mode, and who is there to read it.
    let is_mounted = statvfs(path)?.f_flag.contains(StatVfsMountFlags::RDONLY);
    // Root gives a file to a group on purpose.
    let is_shared = mode & GROUP_READS != 0 && metadata.uid() != 0;
    Ok(if is_mounted {
        Others::Nothing
    } else if mode & GROUP_OR_OTHERS_WRITE != 0 {
        Others::Write
    } else if mode & OTHERS_READ != 0 || is_shared {
        Others::Read
    } else {
        Others::Nothing
    })
}
