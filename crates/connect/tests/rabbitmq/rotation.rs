//! A password that is changed while a sink runs.

use std::fs;

use onrush_connect::Secret;
use onrush_connect::rabbitmq::{RabbitMq, Settings};
use onrush_proxy::{Mode, Proxy};
use onrush_sinks::{Target as _, TargetError};

use crate::broker::{Broker, control};
use crate::events::Story;
use crate::write;

#[test]
fn a_sink_goes_on_with_the_password_that_is_in_the_file_when_its_connection_was_cut() {
    let Some(broker) = Broker::new() else { return };
    let plain = broker.settings("rotation");
    let user = &plain.queue;
    control(&["add_user", user, "old"]);
    control(&["set_permissions", "-p", "onrush", user, ".*", ".*", ".*"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    fs::write(&file, "old\n").unwrap();
    let proxy = Proxy::start(broker.address()).unwrap();
    let mut target = RabbitMq::new(Settings {
        url: format!("amqp://{user}@{}/onrush", proxy.address()),
        password: Some(Secret::in_file(&file)),
        ..plain.clone()
    });

    let story = Story::new(31, 60);
    assert_eq!(target.open(&story.source).unwrap(), None);
    assert_eq!(write(&mut target, &story).unwrap(), story.end());
    control(&["change_password", user, "new"]);
    proxy.set(Mode::CutTo(0));
    let cut = write(&mut target, &story);
    assert!(matches!(cut, Err(TargetError::Unavailable(_))), "{cut:?}");
    proxy.set(Mode::Pass);
    match target.open(&story.source) {
        Err(TargetError::Unavailable(reason)) => {
            assert!(reason.contains("ACCESS_REFUSED") || reason.contains("password"), "{reason}");
        }
        opened => panic!("the old password is no longer one: {opened:?}"),
    }
    fs::write(&file, "new\n").unwrap();
    assert_eq!(target.open(&story.source).unwrap(), None);
    assert_eq!(write(&mut target, &story).unwrap(), story.end());
    broker.wait_for(&plain.queue, 120);
    drop(target);
    control(&["delete_user", user]);
}
