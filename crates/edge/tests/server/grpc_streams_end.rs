//! Streams of batches: how they end, and what they can make the server hold.

use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;

use crate::grpc::Answer;
use crate::grpc_conversation::{Conversation, connect, talk};
use crate::grpc_messages::{ManyAdded, ManyAdditions, ManyReserved, unit_for};
use crate::grpc_streams::{ADD_MANY, RESERVE_MANY, additions, bare, claims};
use crate::support::{Rig, Settings, call_with};

fn total(rig: &Rig, counter: &str) -> u64 {
    let answer = call_with(rig.public(), "GET", &format!("/v1/counters/{counter}"), "", "");
    let value =
        answer.body.split("\"value\":").nth(1).and_then(|rest| rest.trim_end_matches('}').parse().ok());
    value.unwrap_or(0)
}

#[test]
fn a_client_that_reads_no_answers_is_not_listened_to() {
    const MESSAGES: usize = 300;
    const ITEMS: usize = 256;
    // Four batches that are undecided or unsent, and what was made of others by then: as much as HTTP/2 takes at once.
    const MADE_MAX: u64 = 60;
    let rig = Rig::start(bare());
    talk(async {
        let mut client = connect(rig.public(), 64).await;
        let mut stream = Conversation::begin_on(&mut client, ADD_MANY, &[]).await;
        for _ in 0..MESSAGES {
            stream.send(&additions("a", ITEMS));
        }
        stream.finish();
        // The client's side of the connection has to run meanwhile.
        while total(&rig, "a") < ITEMS as u64 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
            assert!(total(&rig, "a") <= MADE_MAX * ITEMS as u64);
        }
        for _ in 0..MESSAGES {
            assert_eq!(stream.next::<ManyAdded>().await.results.len(), ITEMS);
        }
        assert_eq!(stream.end().await.status, 0);
    });
    assert_eq!(total(&rig, "a"), (MESSAGES * ITEMS) as u64);
}

#[test]
fn what_a_stream_asked_before_it_was_given_up_is_done_and_forgotten() {
    let rig = Rig::start(bare());
    talk(async {
        let mut client = connect(rig.public(), 1 << 20).await;
        let mut stream = Conversation::begin_on(&mut client, ADD_MANY, &[]).await;
        stream.send(&additions("a", 3));
        stream.next::<ManyAdded>().await;
        stream.send(&additions("a", 4));
        stream.cancel();
        let mut next = Conversation::begin_on(&mut client, ADD_MANY, &[]).await;
        next.send(&additions("b", 1));
        assert_eq!(next.next::<ManyAdded>().await.results.len(), 1);
    });
    rig.wait_until("nobody waits", |rig| rig.waiting_count() == 0);
    assert!([3, 7].contains(&total(&rig, "a")), "a message is done whole or not at all");
    rig.stop();
}

#[test]
fn a_connection_has_a_bounded_number_of_streams() {
    const STREAMS_MAX: usize = 16;
    let rig = Rig::start(bare());
    talk(async {
        let mut client = connect(rig.public(), 1 << 20).await;
        let mut open = Vec::new();
        for _ in 0..STREAMS_MAX {
            open.push(Conversation::begin_on(&mut client, ADD_MANY, &[]).await);
        }
        let refused = refused_on(&mut client).await.expect("one stream too many");
        assert_eq!((refused.status, &*refused.reason), (14, "overloaded"));
        open.pop().expect("a stream").cancel();
        // The server hears of it behind what it is told next.
        while refused_on(&mut client).await.is_some() {}
    });
}

/// The answer to a stream that is refused at once.
async fn refused_on(client: &mut SendRequest<Bytes>) -> Option<Answer> {
    Conversation::try_begin_on(client, ADD_MANY, &[]).await.err()
}

#[test]
fn a_server_that_stops_answers_what_it_read_and_ends_the_stream() {
    let mut rig = Rig::start(bare());
    rig.put_sale("s");
    let stopped = talk(async {
        let mut stream = Conversation::begin(rig.public(), RESERVE_MANY, &[]).await;
        stream.send(&claims([unit_for("ann", "")]));
        assert_eq!(stream.next::<ManyReserved>().await.in_short(), ["new"]);
        let stopped = rig.begin_to_stop();
        let end = stream.end().await;
        assert_eq!((end.status, &*end.reason), (14, "draining"), "{end:?}");
        stopped
    });
    stopped.recv_timeout(crate::support::ANSWER_TIMEOUT).expect("a server that stops");
}

#[test]
fn a_stream_that_rests_too_long_ends() {
    let body_timeout = Duration::from_millis(50);
    let rig = Rig::start(Settings { body_timeout, ..bare() });
    talk(async {
        let mut stream = Conversation::begin(rig.public(), ADD_MANY, &[]).await;
        stream.send(&additions("a", 1));
        let end = stream.end().await;
        assert_eq!((end.status, end.messages.len()), (14, 1), "{end:?}");
        assert!(end.said.contains("server.body_timeout_ms"), "{end:?}");
    });
}

#[test]
fn time_in_which_a_client_takes_answers_is_none_in_which_it_rests() {
    // Their answers take more than one piece of HTTP/2, so that there is one for which the server waits.
    const MESSAGES: usize = 20;
    let body_timeout = Duration::from_secs(1);
    let rig = Rig::start(Settings { body_timeout, ..bare() });
    talk(async {
        let mut client = connect(rig.public(), 1 << 10).await;
        let mut stream = Conversation::begin_on(&mut client, ADD_MANY, &[]).await;
        for _ in 0..MESSAGES {
            stream.send(&additions("a", 256));
        }
        tokio::time::sleep(body_timeout * 3 / 2).await;
        for _ in 0..MESSAGES {
            stream.next::<ManyAdded>().await;
        }
        stream.send(&additions("a", 1));
        stream.next::<ManyAdded>().await;
    });
}

#[test]
fn a_stream_ends_at_the_deadline_of_its_client() {
    let rig = Rig::start(bare());
    talk(async {
        let mut stream = Conversation::begin(rig.public(), ADD_MANY, &[("grpc-timeout", "200m")]).await;
        stream.send(&ManyAdditions { additions: additions("a", 1).additions });
        let end = stream.end().await;
        assert_eq!(end.status, 4, "{end:?}");
    });
}
