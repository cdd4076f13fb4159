//! Real directories: every way to sync, the spare thread, permissions, and the lock between two processes.

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use onrush_log::file::{
    DirStorage, FileWriter, FrameKind, LogDirectory, LogSettings, SpareMaking, Storage, SyncMethod, verify,
};
use onrush_log::{AppendError, OpenError, Opening, VisitError};
use tempfile::TempDir;

use crate::history::{Batch, PARTITION, append_all};

const SEGMENT_BYTES: u64 = 64 << 10;

fn storage(path: &Path, sync_method: SyncMethod) -> Arc<dyn Storage> {
    Arc::new(DirStorage::create(path, sync_method).expect("directory"))
}

fn open(storage: &Arc<dyn Storage>, from_offset: u64) -> (LogDirectory, FileWriter, Vec<Batch>) {
    let directory = LogDirectory::lock(Arc::clone(storage), PARTITION).expect("free");
    let mut settings = LogSettings::for_tests(SEGMENT_BYTES);
    settings.spare_making = SpareMaking::Background;
    let mut batches = Vec::new();
    let opening = Opening { from_offset, resume_at: None, salt_seed: 99 };
    let (log, _) = directory
        .open(&settings, opening, |frame| {
            if frame.header.kind == FrameKind::Batch {
                batches.push(Batch::of(frame));
            }
            Ok::<_, Infallible>(())
        })
        .expect("open");
    (directory, log, batches)
}

fn check_on(parent: &Path, sync_method: SyncMethod) {
    let parent = TempDir::new_in(parent).expect("temporary directory");
    let path = parent.path().join("a/b");
    let storage = storage(&path, sync_method);
    let (directory, mut log, found) = open(&storage, 0);
    assert!(found.is_empty());
    let mut batches = append_all(&mut log, &[Some(20_000); 20]);
    for offset in [20, 30] {
        let mut writer = directory.write_snapshot(offset, 1).expect("begin");
        writer.write_chunk(b"state").expect("chunk");
        writer.finish([7; 16]).expect("finish");
    }
    assert!(directory.trim(u64::MAX).expect("trim") >= 3);
    batches.extend(append_all(&mut log, &[Some(20_000); 20]));
    let mut read = Vec::new();
    let mut keep = |frame: onrush_log::file::FrameRef<'_>| {
        read.push(Batch::of(frame));
        Ok::<_, Infallible>(())
    };
    assert_eq!(directory.reader().read(20, u64::MAX, &mut keep).expect("read"), 80);
    read.retain(|batch| batch.event_count > 0);
    assert_eq!(read, batches[10..]);
    drop((directory, log));
    assert_eq!(open(&storage, 20).2, batches[10..]);
    let report = verify(&storage).expect("verify");
    assert!(report.damage().is_none() && report.offsets().1 == 80, "{report}");
    for entry in fs::read_dir(&path).expect("list") {
        let entry = entry.expect("entry");
        assert_eq!(entry.metadata().expect("metadata").permissions().mode() & 0o777, 0o600, "{entry:?}");
    }
    assert_eq!(fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o700);
}

#[test]
fn every_sync_method_on_a_disk() {
    for sync_method in [SyncMethod::Fdatasync, SyncMethod::Direct, SyncMethod::UnsafeNone] {
        check_on(Path::new(env!("CARGO_TARGET_TMPDIR")), sync_method);
    }
}

#[test]
fn a_file_system_in_memory_will_do() {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        check_on(memory, SyncMethod::Direct);
    }
}

#[test]
fn only_an_existing_directory_is_inspected() {
    let parent = TempDir::new().expect("temporary directory");
    assert!(DirStorage::existing(parent.path().join("missing")).is_err());
    let storage: Arc<dyn Storage> = Arc::new(DirStorage::existing(parent.path()).expect("directory"));
    assert_eq!(
        verify(&storage).expect("verify").to_string(),
        "whole: 0 segments, offsets 0..0, 0 batches, 0 snapshots"
    );
    assert_eq!(fs::read_dir(parent.path()).expect("list").count(), 0, "verify creates nothing");
}

#[test]
fn verify_works_beside_a_writer() {
    let parent = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("temporary directory");
    let storage = storage(parent.path(), SyncMethod::UnsafeNone);
    let (directory, mut log, _) = open(&storage, 0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for round in 0..200 {
                let batches = append_all(&mut log, &[Some(3000), Some(10), Some(9000)]);
                if round % 10 == 0 {
                    let offset = batches.last().expect("batches").next_offset();
                    directory.write_snapshot(offset, 1).expect("begin").finish([0; 16]).expect("finish");
                    directory.trim(u64::MAX).expect("trim");
                }
            }
        });
        while !writer.is_finished() {
            let report = verify(&storage).expect("verify");
            assert!(report.damage().is_none(), "{report}");
        }
        writer.join().expect("writer");
    });
}

/// Opens a log in `data` below a new directory, lets `change` happen to the directory, and looks for the log.
fn looks_after(change: impl FnOnce(&Path)) -> (TempDir, LogDirectory, FileWriter) {
    let parent = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("temporary directory");
    let data = parent.path().join("data");
    let (directory, mut log, _) = open(&storage(&data, SyncMethod::Fdatasync), 0);
    append_all(&mut log, &[Some(100)]);
    log.check_in_place().expect("the log is where it was opened");
    change(&data);
    (parent, directory, log)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("make a directory");
    for entry in fs::read_dir(from).expect("list") {
        let entry = entry.expect("entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copy");
    }
}

fn segment_of(data: &Path) -> PathBuf {
    let mut paths = fs::read_dir(data).expect("list").map(|entry| entry.expect("entry").path());
    paths
        .find(|path| {
            path.extension().is_some_and(|extension| extension == "seg") && !path.ends_with("spare.seg")
        })
        .expect("a segment")
}

#[test]
fn a_log_that_the_next_process_will_not_find_is_closed() {
    type Change = (&'static str, fn(&Path));
    let changes: [Change; 6] = [
        ("removed", |data| fs::remove_dir_all(data).expect("remove")),
        ("moved", |data| fs::rename(data, data.with_extension("old")).expect("move")),
        ("replaced by a copy", |data| {
            fs::rename(data, data.with_extension("old")).expect("move");
            copy(&data.with_extension("old"), data);
        }),
        ("replaced by an empty directory", |data| {
            fs::remove_dir_all(data).expect("remove");
            fs::create_dir(data).expect("make");
        }),
        ("without its segment", |data| fs::remove_file(segment_of(data)).expect("remove")),
        ("with a copy of its segment", |data| {
            let segment = segment_of(data);
            let bytes = fs::read(&segment).expect("read");
            fs::remove_file(&segment).expect("remove");
            fs::write(&segment, bytes).expect("write");
        }),
    ];
    for (what, change) in changes {
        let (_parent, _directory, mut log) = looks_after(change);
        let error = log.check_in_place().expect_err(what);
        assert!(matches!(&error, AppendError::Storage(_)), "{what}: {error}");
        assert!(matches!(log.append(1, 1, b"x"), Err(AppendError::Closed)), "{what}");
    }
}

fn reopen(directory: &LogDirectory, resume_at: u64) -> Result<u64, OpenError> {
    let opening = Opening { from_offset: 0, resume_at: Some(resume_at), salt_seed: 1 };
    let opened = directory.open(&LogSettings::for_tests(SEGMENT_BYTES), opening, |_| Ok::<_, Infallible>(()));
    opened.map(|(log, _)| log.durable_offset()).map_err(VisitError::of_log)
}

#[test]
fn a_log_goes_on_only_in_the_directory_that_was_opened() {
    let (parent, directory, log) =
        looks_after(|data| fs::rename(data, data.with_extension("old")).expect("move"));
    let end = log.durable_offset();
    drop(log);
    let data = parent.path().join("data");
    assert!(matches!(reopen(&directory, end), Err(OpenError::Storage(_))), "nothing is there");
    copy(&data.with_extension("old"), &data);
    assert!(matches!(reopen(&directory, end), Err(OpenError::Storage(_))), "a copy is there");
    fs::remove_dir_all(&data).expect("remove");
    fs::rename(data.with_extension("old"), &data).expect("move");
    assert_eq!(reopen(&directory, end).expect("the same directory is there again"), end);
}

#[test]
fn a_log_does_not_begin_anew_where_its_segments_were_removed() {
    let (_parent, directory, log) = looks_after(|data| {
        for entry in fs::read_dir(data).expect("list") {
            fs::remove_file(entry.expect("entry").path()).expect("remove");
        }
    });
    let end = log.durable_offset();
    drop(log);
    assert!(matches!(reopen(&directory, end), Err(OpenError::Damaged(_))));
}

const CHILD_DIRECTORY: &str = "ONRUSH_LOG_TEST_LOCK_DIRECTORY";

/// Does nothing unless `a_second_process_is_refused` runs it in a process of its own.
#[test]
fn second_process() {
    let Some(path) = std::env::var_os(CHILD_DIRECTORY) else {
        return;
    };
    let locked = LogDirectory::lock(storage(Path::new(&path), SyncMethod::Fdatasync), PARTITION).err();
    assert!(
        matches!(&locked, Some(OpenError::Locked { directory }) if Path::new(directory) == Path::new(&path))
    );
}

#[test]
fn a_second_process_is_refused() {
    let parent = TempDir::new().expect("temporary directory");
    let directory =
        LogDirectory::lock(storage(parent.path(), SyncMethod::Fdatasync), PARTITION).expect("free");
    let run = || {
        Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "files::second_process"])
            .env(CHILD_DIRECTORY, parent.path())
            .output()
            .expect("run this test again")
    };
    let refused = run();
    assert!(refused.status.success(), "{}", String::from_utf8_lossy(&refused.stdout));
    drop(directory);
    assert!(!run().status.success(), "the lock is free again");
}
