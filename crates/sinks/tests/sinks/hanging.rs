//! A target that does not answer is seen while it does not.

use std::sync::mpsc::{Receiver, Sender, channel};

use onrush_sinks::{SinkEvent, SinkState, Source, Target, TargetError};

use crate::shop::{Shop, one};

/// Answers an open, and each batch, only when it is let.
struct Hanging(Receiver<()>);

impl Hanging {
    fn with_its_end() -> (Sender<()>, Box<dyn Target>) {
        let (sender, receiver) = channel();
        (sender, Box::new(Self(receiver)))
    }

    fn wait(&self) -> Result<(), TargetError> {
        self.0.recv().map_err(|_| TargetError::Unavailable("the test is over".to_owned()))
    }
}

impl Target for Hanging {
    fn kind(&self) -> &'static str {
        "hanging"
    }

    fn open(&mut self, _: &Source) -> Result<Option<u64>, TargetError> {
        self.wait().map(|()| None)
    }

    fn push(&mut self, _: &SinkEvent<'_>) -> Result<(), TargetError> {
        Ok(())
    }

    fn send(&mut self, offset: u64) -> Result<u64, TargetError> {
        self.wait().map(|()| offset)
    }

    fn wait_until_durable(&mut self) -> Result<u64, TargetError> {
        Ok(0)
    }
}

#[test]
fn what_it_does_not_answer_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (answer, target) = Hanging::with_its_end();
    let shop = Shop::open(directory.path(), vec![(one(), target)]);
    let reason_of = |what| {
        let status = shop.wait(what, |status| status.state == SinkState::Waiting);
        status.last_error.expect("there is a reason").1
    };
    let reason = reason_of("waiting");
    assert!(reason.starts_with("open the target: no answer for "), "{reason}");
    answer.send(()).unwrap();
    shop.wait("running", |status| status.state == SinkState::Running && status.last_error.is_none());
    shop.add("home");
    let reason = reason_of("waiting again");
    assert!(reason.starts_with("write events: no answer for "), "{reason}");
    drop(answer);
    let failed = shop.wait("retrying", |status| status.state == SinkState::Retrying);
    assert_eq!(failed.last_error.unwrap().1, "the test is over");
    shop.close();
}
