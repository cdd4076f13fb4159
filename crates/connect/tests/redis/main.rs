//! What is Redis' own: lost ends, refusals that pass, other people's keys, trimming. Each test starts a `redis-server` of its own.

#![allow(
    unreachable_pub,
    dead_code,
    reason = "nobody is outside of a test, and not all of the suite's parts are used"
)]

#[path = "../conformance/events.rs"]
mod events;
#[path = "../conformance/harness.rs"]
mod harness;
mod rotation;
mod server;
mod settings;
mod tls;

use onrush_connect::redis::{Redis, RedisAuditor, Settings};
use onrush_connect::{Audit as _, Findings};
use onrush_core::Incarnation;
use onrush_sinks::{Target as _, TargetError};

use events::{Chance, Story};
use server::Server;

/// Pushes and sends the events from `from` to `to`, in batches, and waits until they are durable.
fn write(target: &mut Redis, story: &Story, from: u64, to: u64) -> Result<u64, TargetError> {
    let events: Vec<_> = story.events.iter().filter(|event| (from..to).contains(&event.offset)).collect();
    for batch in events.chunks(40) {
        for event in batch {
            event.lend(|event| target.push(event))?;
        }
        target.send(batch.last().expect("a chunk has an event").offset + 1)?;
    }
    target.send(to)?;
    target.wait_until_durable()
}

/// The offsets in the stream, in its order.
fn offsets(server: &Server) -> Vec<u64> {
    let entries: Vec<(String, Vec<String>)> = server.ask(&["XRANGE", "s", "-", "+"]);
    entries.iter().map(|(id, _)| id.strip_suffix("-0").expect("an id").parse().expect("an offset")).collect()
}

/// Compares the stream with the first events of a story.
fn audit(settings: &Settings, story: &Story, event_count: usize) -> Findings {
    let mut auditor = RedisAuditor::new(settings.clone());
    auditor.open(&story.source, 0, story.end()).expect("the server is there");
    for event in &story.events[..event_count] {
        event.lend(|event| auditor.expect(event)).expect("the server is there");
    }
    Box::new(auditor).finish().expect("the server is there")
}

fn expected(story: &Story) -> Vec<u64> {
    story.events.iter().map(|event| event.offset).collect()
}

#[test]
fn a_lost_end_is_written_again() {
    let Some(mut server) = Server::start(&["--save", ""]) else { return };
    let story = Story::new(1, 400);
    let mut target = Redis::new(server.settings());
    target.open(&story.source).expect("the server is there");
    let (kept, end) = (story.events[250].offset, story.end());
    write(&mut target, &story, 0, kept).expect("nothing is in the way");
    server.ask::<String>(&["SAVE"]);
    write(&mut target, &story, kept, end).expect("nothing is in the way");
    server.restart();
    let lost = write(&mut target, &story, end, end + 1);
    assert!(matches!(lost, Err(TargetError::Unavailable(_))), "{lost:?}");
    assert_eq!(target.open(&story.source).expect("the server is back"), Some(kept));
    write(&mut target, &story, kept, end).expect("nothing is in the way");
    assert_eq!(offsets(&server), expected(&story));
}

#[test]
fn which_history_the_offset_follows_on_is_kept_with_it() {
    let Some(server) = Server::start(&["--save", ""]) else { return };
    let story = Story::new(3, 100);
    let mut target = Redis::new(server.settings());
    target.open(&story.source).expect("the server is there");
    assert_eq!(target.opened().incarnation, None);
    target.enter_incarnation(Incarnation(0xffff_fff0));
    write(&mut target, &story, 0, story.end()).expect("nothing is in the way");
    let mut next = Redis::new(server.settings());
    next.open(&story.source).expect("the server is there");
    assert_eq!(next.opened().incarnation, Some(Incarnation(0xffff_fff0)));
    // An earlier version moves the offset alone.
    server.ask::<i64>(&["HINCRBY", "s:onrush", "offset", "1"]);
    next.open(&story.source).expect("the server is there");
    assert_eq!(next.opened().incarnation, None);
}

#[test]
fn a_lost_stream_is_written_again() {
    let Some(server) = Server::start(&["--save", ""]) else { return };
    let story = Story::new(2, 100);
    let mut target = Redis::new(server.settings());
    assert_eq!(target.open(&story.source).expect("the server is there"), None);
    write(&mut target, &story, 0, story.end()).expect("nothing is in the way");
    server.ask::<String>(&["FLUSHALL"]);
    let lost = write(&mut target, &story, story.end(), story.end() + 1);
    assert!(matches!(&lost, Err(TargetError::Unavailable(text)) if text.contains("lost")), "{lost:?}");
    assert_eq!(target.open(&story.source).expect("the server is there"), Some(0));
    write(&mut target, &story, 0, story.end()).expect("nothing is in the way");
    assert_eq!(offsets(&server), expected(&story));
}

#[test]
fn refusals_that_pass_leave_no_gap() {
    const CASES: [(&[&str], &[&str], &str); 4] = [
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"], "OOM"),
        (
            &["CONFIG", "SET", "min-replicas-to-write", "3"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
            "NOREPLICAS",
        ),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"], "read only replica"),
        (&["ACL", "SETUSER", "default", "-xadd"], &["ACL", "SETUSER", "default", "+xadd"], "no permissions"),
    ];
    for (refuse, mend, code) in CASES {
        let Some(server) = Server::start(&["--save", ""]) else { return };
        let story = Story::new(3, 2_000);
        let middle = story.events[300].offset;
        let mut target = Redis::new(server.settings());
        target.open(&story.source).expect("the server is there");
        write(&mut target, &story, 0, middle).expect("nothing is in the way");
        server.ask::<String>(refuse);
        let refused = write(&mut target, &story, middle, story.end());
        let Err(TargetError::Unavailable(text)) = &refused else { panic!("{code}: {refused:?}") };
        assert!(text.contains(code), "{code}: {text}");
        server.ask::<String>(mend);
        let from = target.open(&story.source).expect("it is mended");
        assert_eq!(from, Some(middle), "{code}");
        write(&mut target, &story, middle, story.end()).expect("it is mended");
        assert_eq!(offsets(&server), expected(&story), "{code}");
    }
}

#[test]
fn keys_of_other_people_are_left_alone() {
    const CASES: [(&str, &[&[&str]], &str); 6] = [
        ("the stream is a list", &[&["RPUSH", "s", "a"]], "list"),
        ("the place is a string", &[&["SET", "s:onrush", "a"]], "something else"),
        ("the stream has entries", &[&["XADD", "s", "*", "a", "b"]], "did not write"),
        ("the stream was deleted", &[&["WRITE"], &["DEL", "s"]], "deleted"),
        ("somebody else added", &[&["WRITE"], &["XADD", "s", "*", "a", "b"]], "somebody else"),
        ("the place was deleted", &[&["WRITE"], &["DEL", "s:onrush"]], "did not write"),
    ];
    for (case, commands, reason) in CASES {
        let Some(server) = Server::start(&["--save", ""]) else { return };
        let story = Story::new(4, 20);
        let mut target = Redis::new(server.settings());
        for command in commands {
            if *command == ["WRITE"] {
                target.open(&story.source).expect("the server is there");
                write(&mut target, &story, 0, story.end()).expect("nothing is in the way");
            } else {
                server.ask::<redis::Value>(command);
            }
        }
        let before: redis::Value = server.ask(&["DUMP", "s"]);
        // A runner that has the stream open notices, too.
        let noticed = write(&mut target, &story, story.end(), story.end() + 1);
        assert!(matches!(noticed, Err(TargetError::Unavailable(_))), "{case}: {noticed:?}");
        let refused = target.open(&story.source);
        assert!(
            matches!(&refused, Err(TargetError::Refused(text)) if text.contains(reason)),
            "{case}: {refused:?}"
        );
        assert_eq!(server.ask::<redis::Value>(&["DUMP", "s"]), before, "{case}");
    }
}

/// What others do between two transactions, after the guard of the second was answered.
#[test]
fn meddling_between_transactions_is_harmless_or_noticed_for_good() {
    // The command, what the write says, what the next open says.
    const CASES: [(&[&str], Option<[&str; 2]>); 6] = [
        (&["HSET", "s:onrush", "note", "hello"], None),
        (&["XGROUP", "CREATE", "s", "readers", "$"], None),
        (&["DEL", "s"], Some(["lost the stream", "was deleted"])),
        (&["XADD", "s", "*", "a", "b"], Some(["smaller", "somebody else"])),
        (&["DEL", "s:onrush"], Some(["lost the stream", "did not write"])),
        (&["HINCRBY", "s:onrush", "fence", "1"], Some(["another runner", ""])),
    ];
    for (command, noticed) in CASES {
        let Some(server) = Server::start(&["--save", ""]) else { return };
        let story = Story::new(12, 200);
        let mut target = Redis::new(server.settings());
        target.open(&story.source).expect("the server is there");
        let (first, rest) = story.events.split_at(100);
        for event in first {
            event.lend(|event| target.push(event)).expect("nothing is in the way");
        }
        target.send(rest[0].offset).expect("nothing is in the way");
        while server.ask::<u64>(&["XLEN", "s"]) < 100 {}
        server.ask::<redis::Value>(command);
        let written = write(&mut target, &story, rest[0].offset, story.end());
        let Some([said, refused]) = noticed else {
            assert_eq!(written.expect("it is harmless"), story.end(), "{command:?}");
            assert_eq!(offsets(&server), expected(&story), "{command:?}");
            continue;
        };
        let Err(TargetError::Unavailable(text) | TargetError::Refused(text)) = &written else {
            panic!("{command:?}: {written:?}")
        };
        assert!(text.contains(said), "{command:?}: {text}");
        match target.open(&story.source) {
            Err(TargetError::Refused(text)) => {
                assert!(!refused.is_empty() && text.contains(refused), "{command:?}: {text}");
            }
            opened => {
                let opened = opened.expect("the stream is as it was");
                assert_eq!((opened, refused), (Some(rest[0].offset), ""), "{command:?}");
            }
        }
    }
}

#[test]
fn a_group_may_be_there_before_the_first_event() {
    let Some(server) = Server::start(&["--save", ""]) else { return };
    let story = Story::new(5, 20);
    server.ask::<String>(&["XGROUP", "CREATE", "s", "readers", "$", "MKSTREAM"]);
    let mut target = Redis::new(server.settings());
    assert_eq!(target.open(&story.source).expect("the server is there"), None);
    write(&mut target, &story, 0, story.end()).expect("nothing is in the way");
    assert_eq!(offsets(&server), expected(&story));
}

#[test]
fn old_entries_are_trimmed() {
    let Some(server) = Server::start(&["--save", ""]) else { return };
    let story = Story::new(6, 2_000);
    let settings = Settings { length_max: 500, ..server.settings() };
    let mut target = Redis::new(settings.clone());
    target.open(&story.source).expect("the server is there");
    write(&mut target, &story, 0, story.end()).expect("nothing is in the way");
    let left = offsets(&server);
    assert!((500..1_000).contains(&left.len()), "{} are left", left.len());
    assert_eq!(left, expected(&story)[story.events.len() - left.len()..]);

    let findings = audit(&settings, &story, story.events.len());
    assert!(findings.agree(), "{findings:?}");
    assert_eq!(findings.compared_count, left.len() as u64);
    assert!(findings.notes[0].contains("trimmed"), "{findings:?}");
}

#[test]
fn runners_that_race_leave_no_gap() {
    let Some(server) = Server::start(&["--save", ""]) else { return };
    let story = Story::new(7, 3_000);
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let (server, story) = (&server, &story);
            scope.spawn(move || {
                let mut chance = Chance(seed);
                let mut target = Redis::new(server.settings());
                loop {
                    let from = target.open(&story.source).expect("the server is there").unwrap_or(0);
                    if from >= story.end() {
                        return;
                    }
                    match write(&mut target, story, from, story.end().min(from + 1 + chance.below(400))) {
                        Ok(_) | Err(TargetError::Refused(_)) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
        }
    });
    assert_eq!(offsets(&server), expected(&story));
}

#[test]
fn the_first_offset_of_all_has_an_entry() {
    let Some(server) = Server::start(&["--save", ""]) else { return };
    let mut story = Story::new(8, 3);
    story.events[0].offset = 0;
    let mut target = Redis::new(server.settings());
    target.open(&story.source).expect("the server is there");
    write(&mut target, &story, 0, story.end()).expect("nothing is in the way");
    let entries: Vec<(String, Vec<String>)> = server.ask(&["XRANGE", "s", "-", "+"]);
    assert_eq!(entries[0].0, "0-1");
    assert!(audit(&server.settings(), &story, 3).agree());
}

#[test]
fn what_trimming_cannot_explain_is_missing() {
    // Bound of the length, events written, events in the log; what is done; what is missing and unexpected then.
    const CASES: [(&str, [usize; 3], &str, [u64; 2]); 8] = [
        ("nothing", [500, 300, 300], "PING", [0, 0]),
        ("deleted", [500, 300, 300], "DEL s", [300, 0]),
        ("deleted and never trimmed", [0, 300, 300], "DEL s", [300, 0]),
        ("its beginning is gone", [500, 300, 300], "XTRIM s MAXLEN 100", [200, 0]),
        ("cut below what trimming leaves", [500, 2_000, 2_000], "XTRIM s MAXLEN 100", [1_900, 0]),
        ("the target knows less than the log", [500, 290, 300], "PING", [10, 0]),
        ("an entry of somebody else", [500, 300, 300], "XADD s * a b", [0, 1]),
        ("one that looks like ours", [0, 300, 300], "XADD s 9999999-0 a b", [0, 1]),
    ];
    for (case, [length_max, written_count, event_count], command, expected) in CASES {
        let Some(server) = Server::start(&["--save", ""]) else { return };
        let story = Story::new(9, 2_000);
        let settings = Settings { length_max: length_max as u64, ..server.settings() };
        let mut target = Redis::new(settings.clone());
        target.open(&story.source).expect("the server is there");
        let end = story.events[written_count - 1].offset + 1;
        write(&mut target, &story, 0, end).expect("nothing is in the way");
        server.ask::<redis::Value>(&command.split(' ').collect::<Vec<_>>());
        let findings = audit(&settings, &story, event_count);
        assert_eq!([findings.missing.count, findings.unexpected.count], expected, "{case}: {findings:?}");
        assert!(findings.notes.is_empty(), "{case}: {findings:?}");
    }
}

#[test]
fn what_is_trimmed_or_written_during_a_comparison_is_not_missing_or_unexpected() {
    let Some(server) = Server::start(&["--save", ""]) else { return };
    let story = Story::new(10, 6_000);
    let settings = Settings { length_max: 2_500, ..server.settings() };
    let mut target = Redis::new(settings.clone());
    target.open(&story.source).expect("the server is there");
    let middle = story.events[2_600].offset;
    write(&mut target, &story, 0, middle).expect("nothing is in the way");
    let mut auditor = RedisAuditor::new(settings);
    assert_eq!(auditor.open(&story.source, 0, middle).expect("the server is there"), middle);
    for (at, event) in story.events[..2_600].iter().enumerate() {
        if at == 1_500 {
            write(&mut target, &story, middle, story.end()).expect("nothing is in the way");
        }
        event.lend(|event| auditor.expect(event)).expect("the server is there");
    }
    let findings = Box::new(auditor).finish().expect("the server is there");
    assert!(findings.agree(), "{findings:?}");
    assert!(findings.compared_count < 2_600, "{findings:?}");
    assert!(findings.notes[0].contains("trimmed"), "{findings:?}");
}
