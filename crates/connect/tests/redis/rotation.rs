//! A password that is changed while a sink runs.

use std::fs;

use onrush_connect::Secret;
use onrush_connect::redis::{Redis, Settings};
use onrush_proxy::{Mode, Proxy};
use onrush_sinks::{Target as _, TargetError};

use crate::events::Story;
use crate::server::Server;
use crate::{expected, offsets, write};

#[test]
fn a_sink_goes_on_with_the_password_that_is_in_the_file_when_its_connection_was_cut() {
    let Some(server) = Server::start(&["--save", ""]) else { return };
    server.ask::<String>(&["ACL", "SETUSER", "sink", "on", "~*", "&*", "+@all", ">old"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    fs::write(&file, "old\n").unwrap();
    let proxy = Proxy::start(server.address()).unwrap();
    let mut target = Redis::new(Settings {
        url: format!("redis://sink@{}/0", proxy.address()),
        password: Some(Secret::in_file(&file)),
        ..server.settings()
    });

    let story = Story::new(31, 200);
    let middle = story.events[100].offset;
    assert_eq!(target.open(&story.source).unwrap(), None);
    write(&mut target, &story, 0, middle).unwrap();
    server.ask::<String>(&["ACL", "SETUSER", "sink", "resetpass", ">new"]);
    proxy.set(Mode::CutTo(0));
    let cut = write(&mut target, &story, middle, story.end());
    assert!(matches!(cut, Err(TargetError::Unavailable(_))), "{cut:?}");
    proxy.set(Mode::Pass);
    match target.open(&story.source) {
        Err(TargetError::Unavailable(reason)) => {
            assert!(reason.contains("password") && !reason.contains("old"), "{reason}");
        }
        opened => panic!("the old password is no longer one: {opened:?}"),
    }
    fs::write(&file, "new\n").unwrap();
    assert_eq!(target.open(&story.source).unwrap(), Some(middle));
    write(&mut target, &story, middle, story.end()).unwrap();
    assert_eq!(offsets(&server), expected(&story));
}
