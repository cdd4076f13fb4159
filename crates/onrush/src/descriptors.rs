//! The number of files and sockets that the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a server has open besides connections: segments, snapshots, listeners, event queues. The log must never find
/// that connections took the last descriptor.
const DESCRIPTORS_BESIDES_CONNECTIONS: u64 = 128;

/// Raises the soft limit to the hard one, which is as far as a process may go by itself.
pub(crate) fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, "could not raise the limit of open files");
    }
}

/// As many of the connections asked for as the limit leaves room for, at least 1. Warns if the limit alone is less than
/// what was asked for.
pub(crate) fn connections_max(asked: usize) -> usize {
    // No limit is infinity.
    let Some(open_files_max) = getrlimit(Resource::Nofile).current else { return asked };
    let room =
        usize::try_from(open_files_max.saturating_sub(DESCRIPTORS_BESIDES_CONNECTIONS)).unwrap_or(usize::MAX);
    let connections_max = asked.min(room.max(1));
    if open_files_max < asked as u64 {
        tracing::warn!(
            open_files_max,
            connections_max,
            "the limit of open files (ulimit -n) allows fewer connections than server.connections_max"
        );
    }
    connections_max
}
