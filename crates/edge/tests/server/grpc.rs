//! Calls of gRPC over HTTP/2: what services answer, and what is refused before it comes to one. The messages are stated here once
//! more, so that no number changes by accident.

use std::time::Duration;

use bytes::Bytes;
use onrush_edge::{CatalogSettings, Scenarios};
use prost::Message;

use crate::support::{ANSWER_TIMEOUT, Rig, Settings, call_json, call_with, settings};

/// One answer: status, message, code of the problem, and the messages of the body.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u32,
    pub(crate) said: String,
    pub(crate) reason: String,
    pub(crate) messages: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Two {
    #[prost(string, tag = "1")]
    first: String,
    #[prost(string, tag = "2")]
    second: String,
    #[prost(uint64, tag = "3")]
    third: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Row {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(bytes = "vec", tag = "2")]
    json: Vec<u8>,
    #[prost(string, tag = "3")]
    etag: String,
}

#[derive(Clone, PartialEq, Message)]
struct OneRow {
    #[prost(message, tag = "1")]
    row: Option<Row>,
    #[prost(uint64, tag = "2")]
    version: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RowsToRead {
    #[prost(string, tag = "1")]
    pub(crate) collection: String,
    #[prost(string, repeated, tag = "2")]
    pub(crate) keys: Vec<String>,
    #[prost(uint64, tag = "3")]
    pub(crate) min_version: u64,
}

#[derive(Clone, PartialEq, Message)]
struct ManyRows {
    #[prost(message, repeated, tag = "1")]
    rows: Vec<Row>,
    #[prost(string, repeated, tag = "2")]
    missing: Vec<String>,
    #[prost(uint64, tag = "3")]
    version: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Addition {
    #[prost(string, tag = "1")]
    counter: String,
    #[prost(uint32, tag = "2")]
    by: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Count {
    #[prost(uint64, tag = "1")]
    value: u64,
    #[prost(uint32, tag = "2")]
    span_ms: u32,
    #[prost(uint32, tag = "3")]
    precision_ms: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Products {
    #[prost(string, tag = "1")]
    api: String,
    #[prost(int64, repeated, tag = "2")]
    product_ids: Vec<i64>,
}

fn catalog() -> Settings {
    let embedded = vec!["products".into(), "product_inventory".into()];
    let wait_max = Duration::from_millis(50);
    let scenarios = Scenarios { product_inventory: true, ..Scenarios::default() };
    Settings {
        catalog: CatalogSettings { wait_max, embedded, ..CatalogSettings::default() },
        scenarios,
        ..settings()
    }
}

/// A message as it stands in a body.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("a short message");
    [&[0][..], &length.to_be_bytes(), message].concat().into()
}

pub(crate) fn call(rig: &Rig, path: &str, fields: &[(&str, &str)], message: &impl Message) -> Answer {
    exchange(rig, path, fields, message.encode_to_vec(), true)
}

/// Sends one message; the request stays open if it does not end with it.
fn exchange(rig: &Rig, path: &str, fields: &[(&str, &str)], message: Vec<u8>, ends: bool) -> Answer {
    let mut request = http::Request::post(format!("http://{}{path}", rig.public()))
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (request, address) = (request.body(()).expect("a request"), rig.public());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(ANSWER_TIMEOUT, async move {
            let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
            let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
            tokio::spawn(connection);
            let mut client = client.ready().await.expect("a stream");
            let (response, mut sending) = client.send_request(request, false).expect("a request");
            sending.send_data(framed(&message), ends).expect("a message");
            let (parts, mut body) = response.await.expect("an answer").into_parts();
            assert_eq!(parts.headers["content-type"], "application/grpc");
            let mut bytes = Vec::new();
            while let Some(piece) = body.data().await {
                bytes.extend_from_slice(&piece.expect("a piece"));
                if !ends {
                    // The client has its answer, and says that it asks no more.
                    sending.send_data(Bytes::new(), true).expect("an end");
                }
            }
            let trailers = body.trailers().await.expect("trailers").unwrap_or(parts.headers);
            answer_of(&trailers, &bytes)
        })
        .await
        .expect("an answer in time")
    })
}

pub(crate) fn answer_of(fields: &http::HeaderMap, mut bytes: &[u8]) -> Answer {
    let status = tonic::Status::from_header_map(fields).expect("a status");
    let details = tonic_types::StatusExt::get_error_details(&status);
    let mut messages = Vec::new();
    while let Some((length, rest)) = bytes.get(1..).and_then(|bytes| bytes.split_first_chunk::<4>()) {
        let (message, rest) = rest.split_at(usize::try_from(u32::from_be_bytes(*length)).expect("it fits"));
        messages.push(message.to_vec());
        bytes = rest;
    }
    Answer {
        status: u32::try_from(i32::from(status.code())).expect("a code"),
        said: status.message().to_owned(),
        reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
        messages,
    }
}

pub(crate) fn told<T: Message + Default>(answer: &Answer) -> T {
    assert_eq!((answer.status, answer.messages.len()), (0, 1), "{answer:?}");
    T::decode(&*answer.messages[0]).expect("a message")
}

fn row(rig: &Rig, key: &str, min_version: u64) -> Answer {
    let asked = Two { first: "products".into(), second: key.into(), third: min_version };
    call(rig, "/onrush.v1.Catalog/GetRow", &[], &asked)
}

#[test]
fn rows_are_read() {
    let rig = Rig::start(catalog());
    assert_eq!((row(&rig, "1", 0).status, &*row(&rig, "1", 0).reason), (5, "row_not_found"));
    call_json(rig.operator(), "PUT", "/v1/catalog/products/1", "", r#"{"a":1}"#);
    let found: OneRow = told(&row(&rig, "1", 1));
    let shown = found.row.expect("a row");
    assert_eq!((&*shown.key, &*shown.json, found.version), ("1", &br#"{"a":1}"#[..], 1));
    let over_http = call_with(rig.public(), "GET", "/v1/catalog/products/1", "", "");
    assert_eq!(over_http.field("etag"), Some(&*shown.etag));
    let late = row(&rig, "1", 2);
    assert_eq!((late.status, &*late.reason), (14, "incoherent"));
    assert_eq!(row(&rig, "a\nb", 0).status, 3);
    let many = |keys: &[&str]| {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        call(
            &rig,
            "/onrush.v1.Catalog/GetRows",
            &[],
            &RowsToRead { collection: "products".into(), keys, min_version: 0 },
        )
    };
    let rows: ManyRows = told(&many(&["2", "1", "2"]));
    assert_eq!((rows.rows.len(), rows.missing, rows.version), (1, vec!["2".to_owned()], 1));
    assert_eq!((many(&[]).status, many(&["x"; 101]).status), (3, 0));
    let different: Vec<_> = (0..101).map(|key| key.to_string()).collect();
    assert_eq!(many(&different.iter().map(String::as_str).collect::<Vec<_>>()).status, 3);
    let elsewhere = Two { first: "others".into(), second: "1".into(), third: 0 };
    assert_eq!(call(&rig, "/onrush.v1.Catalog/GetRow", &[], &elsewhere).reason, "collection_not_found");
}

#[test]
fn counters_and_windows_count() {
    let rig = Rig::start(catalog());
    let add = |by| call(&rig, "/onrush.v1.Counters/Add", &[], &Addition { counter: "home".into(), by });
    let named = |name: &str| Two { first: name.to_owned(), ..Two::default() };
    assert_eq!(call(&rig, "/onrush.v1.Counters/Get", &[], &named("home")).reason, "counter_not_found");
    assert_eq!(told::<Count>(&add(0)).value, 1);
    assert_eq!(told::<Count>(&add(5)).value, 6);
    assert_eq!((add(1_000_001).status, &*add(1_000_001).reason), (3, "invalid_request"));
    assert_eq!(told::<Count>(&call(&rig, "/onrush.v1.Counters/Get", &[], &named("home"))).value, 6);
    let hit: Count = told(&call(&rig, "/onrush.v1.Windows/Hit", &[], &named("w")));
    assert_eq!((hit.value, hit.span_ms, hit.precision_ms), (1, 60_000, 100));
    assert_eq!(told::<Count>(&call(&rig, "/onrush.v1.Windows/Get", &[], &named("w"))).value, 1);
    assert_eq!(call(&rig, "/onrush.v1.Windows/Get", &[], &named("none")).reason, "window_not_found");
    assert_eq!(call(&rig, "/onrush.v1.Windows/Hit", &[], &named("a b")).status, 3);
}

#[test]
fn clients_of_the_product_inventory_find_their_service() {
    let rig = Rig::start(catalog());
    let json = r#"{"warehouses":[{"warehouse_code":"HN","qty_salable":5}]}"#;
    call_json(rig.operator(), "PUT", "/v1/catalog/product_inventory/106", "", json);
    let asked = Products { api: "v1".into(), product_ids: vec![107, 106, 106] };
    let answer = call(&rig, "/proto.ProductInventoryService/GetMultiProductInventory", &[], &asked);
    // Meta is empty; one product, whose id is field 1 and whose only warehouse field 2.
    let expected = b"\x0a\x00\x12\x0a\x08\x6a\x12\x06\x0a\x02HN\x10\x05";
    assert_eq!((answer.status, answer.messages), (0, vec![expected.to_vec()]));
}

#[test]
fn a_row_that_is_no_product_is_not_told_as_one_without_units() {
    let rig = Rig::start(catalog());
    call_json(rig.operator(), "PUT", "/v1/catalog/product_inventory/7", "", r#"{"qty_salable":"5"}"#);
    let asked = Products { api: "v1".into(), product_ids: vec![7] };
    let over_grpc = call(&rig, "/proto.ProductInventoryService/GetMultiProductInventory", &[], &asked);
    assert_eq!((over_grpc.status, &*over_grpc.reason), (14, "source_unavailable"));
    let line = call_with(rig.public(), "GET", "/cache?product_id=7", "", "");
    let many = call_json(rig.public(), "POST", "/v1/product-inventory", "", r#"{"product_ids":[7]}"#);
    for answer in [line, many] {
        assert_eq!(answer.status, 503);
        assert!(answer.body.contains("a member of another kind"), "{}", answer.body);
    }
}

#[test]
fn what_is_refused_before_a_service_is_a_status_as_well() {
    let rig = Rig::start(catalog());
    let nothing = Two::default();
    let unknown = call(&rig, "/onrush.v1.Catalog/Nothing", &[], &nothing);
    assert_eq!(unknown.status, 12);
    let large = Two { second: "x".repeat(20_000), ..nothing.clone() };
    let large = call(&rig, "/onrush.v1.Catalog/GetRow", &[], &large);
    assert_eq!((large.status, &*large.reason), (8, "body_too_large"));
    let late = Two { first: "products".into(), second: "1".into(), third: 9 };
    assert_eq!(call(&rig, "/onrush.v1.Catalog/GetRow", &[("grpc-timeout", "5m")], &late).status, 4);
    call_json(rig.operator(), "PUT", "/v1/denylist/address/127.0.0.1", "", "{}");
    let denied = call(&rig, "/onrush.v1.Catalog/GetRow", &[], &nothing);
    assert_eq!((denied.status, &*denied.reason), (7, "denied"));
}

#[test]
fn a_client_of_http_1_hears_what_it_needs() {
    let rig = Rig::start(catalog());
    let answer = call_with(
        rig.public(),
        "POST",
        "/onrush.v1.Catalog/GetRow",
        "Content-Type: application/grpc\r\n",
        "",
    );
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("gRPC needs HTTP/2"), "{}", answer.body);
}

#[test]
fn services_describe_themselves_and_say_whether_they_serve() {
    let rig = Rig::start(catalog());
    let health = call(&rig, "/grpc.health.v1.Health/Check", &[], &Two::default());
    assert_eq!((health.status, health.messages), (0, vec![vec![8, 1]]));
    let of_service = |service: &str| {
        call(&rig, "/grpc.health.v1.Health/Check", &[], &Two { first: service.into(), ..Two::default() })
            .status
    };
    assert_eq!((of_service("onrush.v1.Catalog"), of_service("onrush.v1")), (0, 5));
    let without = Rig::start(Settings { scenarios: Scenarios::default(), ..settings() });
    let asked = Two { first: "proto.ProductInventoryService".into(), ..Two::default() };
    assert_eq!(of_service("proto.ProductInventoryService"), 0);
    assert_eq!(call(&without, "/grpc.health.v1.Health/Check", &[], &asked).status, 5, "it is off");
    // Field 7 of a request of reflection: list the services.
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let answer = exchange(&rig, &path, &[], vec![0x3a, 0], false);
        let told = String::from_utf8_lossy(&answer.messages[0]).into_owned();
        for service in [
            "onrush.v1.Catalog",
            "onrush.v1.Counters",
            "onrush.v1.Reservations",
            "onrush.v1.Sales",
            "onrush.v1.Windows",
            "proto.ProductInventoryService",
        ] {
            assert!(told.contains(service), "{service} in {told:?}");
        }
    }
}

#[test]
fn a_stream_that_rests_longer_than_an_answer_may_wait_goes_on() {
    let write_timeout = Duration::from_millis(200);
    let rig = Rig::start(Settings { write_timeout, ..catalog() });
    let uri = format!("http://{}/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", rig.public());
    let request = http::Request::post(uri)
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .body(())
        .expect("a request");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let asked_twice = async {
        let stream = tokio::net::TcpStream::connect(rig.public()).await.expect("a connection");
        let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        let mut client = client.ready().await.expect("a stream");
        let (response, mut sending) = client.send_request(request, false).expect("a request");
        sending.send_data(framed(&[0x3a, 0]), false).expect("a message");
        let mut body = response.await.expect("an answer").into_body();
        let first = body.data().await.expect("an answer").expect("that is whole");
        body.flow_control().release_capacity(first.len()).expect("capacity");
        // The deadlines of connections are looked at from time to time.
        tokio::time::sleep(Duration::from_secs(1)).await;
        sending.send_data(framed(&[0x3a, 0]), true).expect("another message");
        let second = body.data().await.expect("another answer").expect("that is whole");
        assert_eq!(first, second);
    };
    runtime.block_on(async { tokio::time::timeout(ANSWER_TIMEOUT, asked_twice).await.expect("in time") });
}
