//! Bytes that are not what was written, and what a person can do about each kind: `tests/log/advice.rs` follows every advice.

use crate::error::Damage;

/// Frames of a segment that do not verify, or not as they should.
pub(crate) fn in_frames(
    path: String,
    segment_bytes: u64,
    (position, offset): (u64, u64),
    snapshot_offset: Option<u64>,
    problem: String,
) -> Damage {
    let restore = "Nothing was changed. Restore this file from a copy of the directory; `onrush log verify` shows what each \
                   file holds.";
    let remedy = match snapshot_offset {
        None => "Nothing was changed. `onrush log verify` says what can be done.".to_owned(),
        Some(snapshot) if offset < snapshot => format!("{restore} {}", start_from_snapshot(snapshot)),
        Some(_) => format!(
            "{restore} Without a copy, all events from offset {offset} on are lost: to accept that, move the segment \
             files with a higher number out of the directory and run `truncate -s {position} {path} && truncate -s \
             {segment_bytes} {path}`."
        ),
    };
    Damage { path, position, offset, problem, remedy }
}

/// The log ends before the snapshot that is to go on with it.
pub(crate) fn too_short(path: String, (position, offset): (u64, u64), from_offset: u64) -> Damage {
    let remedy = format!(
        "Nothing was changed. Restore the segment files from a copy that is as new as the snapshot. {}",
        start_from_snapshot(from_offset)
    );
    let problem = format!("the log ends here, before the snapshot at offset {from_offset}");
    Damage { path, position, offset, problem, remedy }
}

/// A segment whose header cannot be believed, though its name says that it begins at `base_offset`.
pub(crate) fn in_header(path: String, base_offset: u64, from_offset: u64, problem: String) -> Damage {
    let restore = "Nothing was changed. Restore this file from a copy of the directory.";
    let remedy = if base_offset <= from_offset {
        format!("{restore} {}", start_from_snapshot(from_offset))
    } else {
        format!(
            "{restore} Without a copy, all events from offset {base_offset} on are lost: to accept that, move this \
             segment file and all with a higher number out of the directory."
        )
    };
    Damage { path, position: 0, offset: base_offset, problem, remedy }
}

/// A segment that cannot be the one after segment `before`, above the snapshot.
pub(crate) fn in_chain(path: String, before: u64, (sequence, offset): (u64, u64), problem: String) -> Damage {
    let remedy = format!(
        "Nothing was changed. Restore the segment files of this directory from one copy. Without a copy, all events \
         behind segment {before} that no snapshot holds are lost: to accept that, move segment {sequence} and all with a higher number out of \
         the directory."
    );
    Damage { path, position: 0, offset, problem, remedy }
}

/// The oldest segment begins above the snapshot, or above 0 where there is none.
pub(crate) fn too_new(path: String, base_offset: u64, from_offset: u64) -> Damage {
    let problem = format!(
        "this is the oldest segment and begins at {base_offset}: the one with {from_offset} is missing"
    );
    let restore = "Nothing was changed. Restore the missing segment files, or the snapshot that they belong to, from a copy of \
                   the directory.";
    let remedy = if from_offset == 0 {
        restore.to_owned()
    } else {
        format!("{restore} {}", start_from_snapshot(from_offset))
    };
    Damage { path, position: 0, offset: from_offset, problem, remedy }
}

/// A log that this process has written to is gone from the directory.
pub(crate) fn all_missing(directory: String, from_offset: u64, resume_at: u64) -> Damage {
    Damage {
        path: directory,
        position: 0,
        offset: from_offset,
        problem: format!("all segments are missing, and offsets up to {resume_at} were in them"),
        remedy: "Nothing was changed. Put the segment files back.".to_owned(),
    }
}

/// A snapshot that is not whole.
pub(crate) fn in_snapshot(path: String, position: u64, offset: u64, problem: String) -> Damage {
    let remedy = "Nothing is lost as long as the log is there from the older snapshot on, or from its beginning where there is no \
                  other. Restore this file from a copy or move it out of the directory and start again."
        .to_owned();
    Damage { path, position, offset, problem, remedy }
}

/// What to do about damage in a segment that lies below the segment in which the snapshot lies.
pub(crate) fn remedy_below(snapshot_offset: u64) -> String {
    format!(
        "The server starts without this file: the snapshot at offset {snapshot_offset} holds the state after it. Restore it \
         from a copy of the directory, or move it and all segment files with a lower number out of the directory. Sinks \
         that have not read so far need it."
    )
}

fn start_from_snapshot(offset: u64) -> String {
    let start =
        if offset == 0 { "begin anew".to_owned() } else { format!("start from the snapshot at {offset}") };
    format!(
        "Without a copy, all events from offset {offset} on are lost: to accept that and {start}, move all segment files \
         out of the directory."
    )
}
