//! Calls of gRPC that are answered before any router, next to the same by their services: over sockets, with everything that a client
//! sees of an answer.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use onrush_edge::{CatalogSettings, GateSettings};
use onrush_gate::{Algorithm, GroupRates, RateLimitSettings};
use prost::Message;

use crate::grpc::{RowsToRead, framed};
use crate::support::{ANSWER_TIMEOUT, Rig, Settings, call_json, settings};

const ROWS: &str = "/onrush.v1.Catalog/GetRows";

/// Sends a call to its service, which answers alike.
const ROUTED: (&str, &str) = ("grpc-encoding", "identity");

fn rig(gate: GateSettings) -> Rig {
    let embedded = vec!["products".into()];
    let catalog = CatalogSettings { embedded, ..CatalogSettings::default() };
    let rig = Rig::start(Settings { catalog, gate, ..settings() });
    let row = format!("{{\"a\":\"{}\"}}", "x".repeat(1_000));
    for key in ["1", "2"] {
        call_json(rig.operator(), "PUT", &format!("/v1/catalog/products/{key}"), "", &row);
    }
    rig
}

/// A body that asks for rows.
fn asked(keys: &[&str]) -> Bytes {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    framed(&RowsToRead { collection: "products".into(), keys, min_version: 0 }.encode_to_vec())
}

/// Head, body and trailers of an answer.
type Answer = (Vec<String>, Vec<u8>, Vec<String>);

/// Asks for rows with all of the body in one frame.
fn answer(rig: &Rig, keys: &[&str], fields: &[(&str, &str)]) -> Answer {
    answer_in_parts(rig, &[asked(keys)], None, fields)
}

/// Head and trailers line by line in their order, with the body between them. The dates may be two.
fn answer_in_parts(
    rig: &Rig,
    parts: &[Bytes],
    trailers: Option<HeaderMap>,
    fields: &[(&str, &str)],
) -> Answer {
    let mut request = http::Request::post(format!("http://{}{ROWS}", rig.public()))
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("x-request-id", "same");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (request, address, parts) = (request.body(()).expect("a request"), rig.public(), parts.to_vec());
    let lines = |fields: &http::HeaderMap| -> Vec<String> {
        let fields = fields.iter().filter(|(name, _)| *name != "date");
        fields.map(|(name, value)| format!("{name}: {value:?}")).collect()
    };
    let exchange = async move {
        let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        let mut client = client.ready().await.expect("a stream");
        let (response, mut sending) = client.send_request(request, false).expect("a request");
        let last = parts.len() - 1;
        for (at, part) in parts.into_iter().enumerate() {
            sending.send_data(part, at == last && trailers.is_none()).expect("a part of a message");
        }
        if let Some(trailers) = trailers {
            sending.send_trailers(trailers).expect("trailers");
        }
        let (parts, mut body) = response.await.expect("an answer").into_parts();
        let mut bytes = Vec::new();
        while let Some(piece) = body.data().await {
            bytes.extend_from_slice(&piece.expect("a piece"));
        }
        let trailers = body.trailers().await.expect("trailers").unwrap_or_default();
        (lines(&parts.headers), bytes, lines(&trailers))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(ANSWER_TIMEOUT, exchange).await.expect("in time") })
}

/// A rush's client sends its message in one frame, and others may not.
#[test]
fn it_does_not_matter_in_which_parts_a_call_comes() {
    let rig = rig(GateSettings::default());
    let (body, whole) = (asked(&["3", "1"]), answer(&rig, &["3", "1"], &[]));
    let bytes: Vec<_> = body.chunks(1).map(Bytes::copy_from_slice).collect();
    let with_empty: Vec<_> = bytes.iter().flat_map(|byte| [byte.clone(), Bytes::new()]).collect();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-encoding", "gzip".parse().expect("a value"));
    for (parts, trailers) in [(bytes, None), (with_empty, None), (vec![body.clone()], Some(trailers))] {
        let before = requests(&rig, "hot");
        let answer = answer_in_parts(&rig, &parts, trailers.clone(), &[]);
        assert_eq!((requests(&rig, "hot"), &answer), (before + 1, &whole), "{parts:?}");
        assert_eq!(answer_in_parts(&rig, &parts, trailers, &[ROUTED]), whole, "{parts:?}");
    }
    // What ends too early, or goes on behind its message, is wrong whichever way it goes.
    for body in [&body[..body.len() - 1], &[&body[..], b"x"].concat(), &body[..3], b""] {
        let body = [Bytes::copy_from_slice(body)];
        let before = requests(&rig, "hot");
        let refused = answer_in_parts(&rig, &body, None, &[]);
        assert_eq!(requests(&rig, "hot"), before, "{refused:?}");
        assert_eq!(refused, answer_in_parts(&rig, &body, None, &[ROUTED]));
    }
}

/// A stream that its client gives up, before its call is whole or before it took the answer, leaves nothing behind.
#[test]
fn a_call_that_is_given_up_is_forgotten() {
    let rig = rig(GateSettings::default());
    let address = rig.public();
    let body = asked(&["1", "2"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("an open connection");
        let mut builder = h2::client::Builder::new();
        let (mut client, connection) =
            builder.initial_window_size(0).handshake(stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        // More than may be open at once.
        for round in 0..200 {
            client = client.ready().await.expect("a stream");
            let request =
                http::Request::post(format!("http://{address}{ROWS}")).version(http::Version::HTTP_2);
            let request = request.header("content-type", "application/grpc").body(()).expect("a request");
            let (response, mut sending) = client.send_request(request, false).expect("a request");
            if round % 2 == 0 {
                sending.send_data(body.slice(..9), false).expect("half a message");
                tokio::time::timeout(Duration::from_millis(1), response).await.expect_err("no answer");
            } else {
                sending.send_data(body.clone(), true).expect("a message");
                let head = tokio::time::timeout(ANSWER_TIMEOUT, response).await.expect("in time");
                assert_eq!(head.expect("a head").status(), 200);
            }
            sending.send_reset(h2::Reason::CANCEL);
        }
        let nothing_is_left = async {
            while rig.metric("onrush_unsent_bytes") > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(ANSWER_TIMEOUT, nothing_is_left).await.expect("in time");
    });
    assert_eq!(answer(&rig, &["1"], &[]).2, ["grpc-status: \"0\""]);
}

fn requests(rig: &Rig, class: &str) -> u64 {
    rig.metric(&format!("onrush_requests_total{{class=\"{class}\"}}"))
}

#[test]
fn a_client_cannot_tell_which_way_its_answer_came() {
    let rig = rig(GateSettings::default());
    for keys in [&["1"][..], &["3", "1", "2", "1"], &["3"]] {
        let before = (requests(&rig, "hot"), requests(&rig, "routed"));
        let hot = answer(&rig, keys, &[]);
        assert_eq!(requests(&rig, "hot"), before.0 + 1, "{keys:?}");
        let routed = answer(&rig, keys, &[ROUTED]);
        assert!(requests(&rig, "routed") > before.1, "{keys:?}");
        assert_eq!(hot, routed, "{keys:?}");
        assert_eq!(hot.2, ["grpc-status: \"0\""]);
    }
    let reads = |result: &str| {
        rig.metric(&format!("onrush_catalog_reads_total{{collection=\"products\",result=\"{result}\"}}"))
    };
    assert_eq!((reads("found"), reads("missing")), (6, 4), "each key once, in both ways");
    call_json(rig.operator(), "PUT", "/v1/denylist/address/127.0.0.1", "", "{}");
    let denied = answer(&rig, &["1"], &[]);
    assert!(denied.0.contains(&"grpc-status: \"7\"".to_owned()), "{denied:?}");
    assert_eq!(denied, answer(&rig, &["1"], &[ROUTED]));
}

/// Rates are so low that no test lasts long enough for another request.
#[test]
fn both_ways_are_under_the_same_limits() {
    let pages = GroupRates { address: "1/m burst 4".parse().ok(), ..GroupRates::default() };
    let rate_limits = RateLimitSettings {
        algorithm: Algorithm::Bucket,
        keys_max: 100,
        reserve: GroupRates::default(),
        pages,
    };
    let rig = rig(GateSettings { rate_limits, ..GateSettings::default() });
    for (left, fields) in [(3, &[][..]), (2, &[ROUTED]), (1, &[]), (0, &[ROUTED])] {
        let (head, _, trailers) = answer(&rig, &["1"], fields);
        let limit = format!("ratelimit: \"\\\"address\\\";r={left};t=");
        assert!(head.iter().any(|line| line.starts_with(&limit)), "{head:?} lacks {limit}");
        assert_eq!(trailers, ["grpc-status: \"0\""]);
    }
    for fields in [&[][..], &[ROUTED]] {
        let (head, ..) = answer(&rig, &["1"], fields);
        assert!(head.contains(&"grpc-status: \"8\"".to_owned()), "{head:?}");
    }
}
