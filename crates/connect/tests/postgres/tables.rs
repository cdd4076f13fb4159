//! Tables that somebody changed or emptied behind the sink's back, and a pooler that stands between.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use onrush_connect::postgres::{Postgres, Settings};
use onrush_sinks::{Target, TargetError};

use crate::model::{folded, stored};
use crate::place::{Db, Place};
use crate::story::{Story, random};

fn refusal<T: std::fmt::Debug>(result: Result<T, TargetError>) -> String {
    match result {
        Err(TargetError::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// Two halves of a story.
fn halves(story: &Story) -> [Story; 2] {
    let (first, second) = story.events.split_at(story.events.len() / 2);
    [first, second].map(|events| Story { events: events.to_vec() })
}

#[test]
fn a_column_of_another_type_stops_the_sink_before_it_gets_a_row() {
    let Some(place) = Place::new() else { return };
    let schema = &place.settings.schema;
    let story = random(81, 200);
    let [first, second] = halves(&story);
    let mut target = place.target();
    place.open(&mut target);
    first.write(&mut target, 0, 50).unwrap();
    let before = place.rows("event_offset", "events");
    // While the sink runs: its statements are prepared, and take bytes of any kind.
    place.db.run("ALTER TABLE events ALTER COLUMN body TYPE text USING body::text");
    let written = second.write(&mut target, first.end(), 50);
    assert!(
        matches!(&written, Err(TargetError::Unavailable(reason)) if reason.contains("tables")),
        "{written:?}"
    );
    assert_eq!(place.count("events"), before.len() as u64);
    let reason = refusal(target.open(&place.source));
    let wanted = format!("column body of {schema}.events has the type text, and must have jsonb: ");
    let cure = reason.strip_prefix(&wanted).unwrap_or_else(|| panic!("{reason}"));
    place.db.run(cure);
    assert_eq!(place.open(&mut target), Some(first.end()));
    second.write(&mut target, first.end(), 50).unwrap();
    assert_eq!(stored(&place), folded(&place, &story, story.end(), false));
}

#[test]
fn every_cure_of_a_changed_table_cures_it() {
    let Some(place) = Place::new() else { return };
    place.open(&mut place.target());
    for change in [
        "ALTER TABLE counters ALTER COLUMN value TYPE integer",
        "ALTER TABLE reservations ALTER COLUMN details SET NOT NULL",
        "ALTER TABLE sales ADD COLUMN own text NOT NULL",
        "ALTER TABLE sales ALTER COLUMN opens_at TYPE timestamp",
    ] {
        place.db.run(change);
        let reason = refusal(place.target().open(&place.source));
        let (_, cure) = reason.split_once(": ").expect("a problem has a cure");
        place.db.run(cure);
        place.open(&mut place.target());
    }
    place.db.run(
        "ALTER TABLE sales ADD COLUMN note text; ALTER TABLE sales ALTER COLUMN title TYPE varchar(500)",
    );
    place.open(&mut place.target());
}

#[test]
fn an_emptied_table_of_offsets_is_told_and_can_be_filled_again() {
    let Some(place) = Place::new() else { return };
    let story = random(82, 200);
    let [first, second] = halves(&story);
    let mut target = place.target();
    place.open(&mut target);
    first.write(&mut target, 0, 50).unwrap();
    place.db.run("TRUNCATE sinks");
    let written = second.write(&mut target, first.end(), 50);
    assert!(
        matches!(&written, Err(TargetError::Unavailable(reason)) if reason.contains("truncated")),
        "{written:?}"
    );
    let reason = refusal(target.open(&place.source));
    let (_, cure) = reason.split_once("Either put the row back with ").expect("there is a cure");
    let (cure, _) = cure.split_once(';').expect("it is a statement");
    place.db.run(cure);
    let from = place.open(&mut target).expect("it goes on");
    assert_eq!(from, first.end());
    second.write(&mut target, from, 50).unwrap();
    assert_eq!(stored(&place), folded(&place, &story, story.end(), false));
}

#[test]
fn an_offset_that_somebody_moved_is_told_with_both() {
    let Some(place) = Place::new() else { return };
    let story = random(83, 200);
    let [first, second] = halves(&story);
    let mut target = place.target();
    place.open(&mut target);
    first.write(&mut target, 0, 50).unwrap();
    place.db.run("UPDATE sinks SET next_offset = 3");
    let reason = refusal(second.write(&mut target, first.end(), 50));
    assert!(reason.contains(&format!("is 3, and this sink had left it at {}", first.end())), "{reason}");
}

/// A pgbouncer in transaction mode before the server of a place, on a port of its own.
struct Pooler {
    process: Child,
    address: SocketAddr,
    /// Its file of settings; gone with this.
    _directory: tempfile::TempDir,
}

impl Pooler {
    /// `None` if there is no pgbouncer, which then must not be demanded.
    fn before(place: &Place) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
            .into_iter()
            .find(|path| std::path::Path::new(path).is_file());
        assert!(
            program.is_some() || std::env::var_os("ONRUSH_SERVICES").is_none(),
            "pgbouncer is missing; try `cargo xtask setup`"
        );
        let program = program?;
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pgbouncer.ini");
        let password = place.settings.password.as_ref().unwrap().reveal().unwrap();
        let settings = format!(
            "[databases]\npooled = host=127.0.0.1 port={} dbname={} user=onrush password={password}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\n",
            place.address().port(),
            place.database(),
            address.port(),
        );
        std::fs::File::create(&path).unwrap().write_all(settings.as_bytes()).unwrap();
        let user = if is_root() { "nobody" } else { "" };
        let mut command = Command::new(program);
        if !user.is_empty() {
            // It refuses to run as root; the directory has to be readable then.
            let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(directory.path(), readable).unwrap();
            command.args(["-u", user]);
        }
        let process = command.arg(&path).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let this = Self { process, address, _directory: directory };
        while TcpStream::connect(this.address).is_err() {
            std::thread::yield_now();
        }
        Some(this)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

#[test]
fn a_pooler_that_changes_sessions_is_named() {
    let Some(place) = Place::new() else { return };
    let Some(pooler) = Pooler::before(&place) else { return };
    let url = format!("postgresql://onrush@{}/pooled", pooler.address);
    let settings = Settings { url, ..place.settings.clone() };
    let story = random(84, 100);
    let mut target = Postgres::new(settings.clone());
    place.open(&mut target);
    // Another client takes the session that the sink has prepared.
    let other = Db::pooled(&settings);
    other.run("BEGIN");
    match story.write(&mut target, 0, 50) {
        Err(TargetError::Unavailable(reason)) => {
            assert!(
                reason.contains("a pooler stands between") && reason.contains("pool_mode = session"),
                "{reason}"
            );
        }
        outcome => panic!("{outcome:?}"),
    }
}
