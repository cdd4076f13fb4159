//! Calls of gRPC that a rush makes are answered by their bytes or by their service, and both answers are the same to the byte.

use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, Version};
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use prost::Message;
use tower::ServiceExt as _;

use super::hot::{decoded, gates};
use super::shop::{Shop, catalog};
use super::{ALL, PEER, public_router};
use crate::api::app::App;
use crate::api::hot_table;
use crate::hot::{self, Hot};
use crate::http::request;
use crate::http::response::{self, Response};
use crate::limits::ROWS_PER_READ_MAX;
use crate::metrics::EdgeMetrics;

const ROW: &str = "/onrush.v1.Catalog/GetRow";
const ROWS: &str = "/onrush.v1.Catalog/GetRows";
const PRODUCTS: &str = "/proto.ProductInventoryService/GetMultiProductInventory";

/// `GetRowsRequest`, and with one key `GetRowRequest` as well.
#[derive(Clone, PartialEq, Message)]
struct Asked {
    #[prost(string, tag = "1")]
    collection: String,
    #[prost(string, repeated, tag = "2")]
    keys: Vec<String>,
    #[prost(uint64, tag = "3")]
    min_version: u64,
}

#[derive(Clone, PartialEq, Message)]
struct ProductsAsked {
    #[prost(string, tag = "1")]
    api: String,
    #[prost(int64, repeated, tag = "2")]
    product_ids: Vec<i64>,
}

/// One call over HTTP/2.
#[derive(Clone, Debug)]
struct Call {
    method: &'static str,
    path: String,
    fields: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
}

impl Call {
    fn new(path: &str, message: &[u8]) -> Self {
        let fields = vec![("content-type", "application/grpc"), ("te", "trailers")];
        Self { method: "POST", path: path.into(), fields, body: framed(message) }
    }

    fn rows(path: &str, collection: &str, keys: &[&str]) -> Self {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        Self::new(path, &Asked { collection: collection.into(), keys, min_version: 0 }.encode_to_vec())
    }

    fn products(product_ids: &[i64]) -> Self {
        let asked = ProductsAsked { api: "v1".into(), product_ids: product_ids.to_vec() };
        Self::new(PRODUCTS, &asked.encode_to_vec())
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.fields.retain(|(known, _)| *known != name);
        self.fields.push((name, value));
        self
    }

    fn request(&self) -> Request<()> {
        let built = Request::builder().method(self.method).uri(&self.path).version(Version::HTTP_2);
        let built = self.fields.iter().fold(built, |built, (name, value)| built.header(*name, *value));
        built.body(()).expect("a request that HTTP knows")
    }
}

/// A message as it stands in a body.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message");
    [&[0][..], &length.to_be_bytes(), message].concat()
}

/// What a client sees of an answer: status, fields in their order, body and trailers.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    fields: Vec<String>,
    length: Option<usize>,
    body: Vec<u8>,
    trailers: Option<Vec<String>>,
}

impl Answer {
    fn of(response: Response) -> Self {
        let lines = |fields: &HeaderMap| {
            let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| format!("{name}: {value:?}");
            fields.iter().map(line).collect::<Vec<_>>()
        };
        let response::Body::Bytes(body) = response.body else { panic!("a stream") };
        Self {
            status: response.status.as_u16(),
            fields: lines(&response.fields),
            length: response.length,
            body: body.to_vec(),
            trailers: response.trailers.as_ref().map(lines),
        }
    }
}

/// The answer by bytes; nothing if the call is one for its service.
fn answer_hot(call: &Call) -> Option<Answer> {
    let (parts, ()) = call.request().into_parts();
    let request = request::Request::of_http2(&parts, &call.body, PEER);
    let table = hot_table(ALL);
    let mut body = Vec::new();
    let head = match decoded(&table, &request, &Shop::default(), &gates()[0]) {
        Hot::Ready(ready) => {
            body = ready.body;
            ready.head
        }
        Hot::Problem(problem) => hot::write_problem_of(table.find(&request))(&problem, &mut body),
        Hot::Call(..) => panic!("a row is no call of the partition"),
        Hot::Routed => return None,
    };
    Some(Answer::of(Response::of_hot(head, body)))
}

static ROUTER: LazyLock<Router> = LazyLock::new(|| {
    let app = App::over(Arc::new(Shop::default()), ALL, None, Arc::new(EdgeMetrics::default));
    public_router(Arc::new(app.with_catalog(catalog())))
});

fn answer_routed(call: &Call) -> Answer {
    let request = call.request().map(|()| Body::from(call.body.clone()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let (parts, body) = ROUTER.clone().oneshot(request).await.expect("routers do not fail").into_parts();
        let whole = body.collect().await.expect("a body in memory");
        let trailers = whole.trailers().cloned();
        let body = response::Body::Bytes(whole.to_bytes());
        Answer::of(Response { trailers, ..Response::of_router(parts, body, false) })
    })
}

/// A call is answered by its bytes, and its service says the same. Returns the code of gRPC.
fn check_hot(call: &Call) -> String {
    let Some(answer) = answer_hot(call) else { panic!("{call:?} is not hot") };
    assert_eq!(answer, answer_routed(call), "{call:?}");
    let lines = answer.trailers.as_ref().unwrap_or(&answer.fields);
    let code = lines.iter().find_map(|line| line.strip_prefix("grpc-status: ")).expect("a status");
    code.trim_matches('"').to_owned()
}

fn all_keys(count: usize) -> Vec<String> {
    (1..=count).map(|key| key.to_string()).collect()
}

#[test]
fn hot_and_routed_calls_are_answered_alike() {
    let most = all_keys(ROWS_PER_READ_MAX);
    let most: Vec<_> = most.iter().map(String::as_str).collect();
    let repeated = ["1"; ROWS_PER_READ_MAX + 1];
    for (call, code) in [
        (Call::rows(ROW, "products", &["1"]), "0"),
        (Call::rows(ROW, "products", &["2"]), "5"),
        (Call::rows(ROW, "products", &["2", "1"]), "0"),
        (Call::rows(ROW, "empty", &["1"]), "5"),
        (Call::rows(ROW, "other", &["1"]), "5"),
        (Call::rows(ROW, "", &["1"]), "5"),
        (Call::rows(ROW, "sourced", &["1"]), "0"),
        (Call::rows(ROW, "whole", &["2"]), "5"),
        (Call::rows(ROW, "told", &["1"]), "0"),
        (Call::rows(ROWS, "products", &["1"]), "0"),
        (Call::rows(ROWS, "products", &["2"]), "0"),
        (Call::rows(ROWS, "products", &["3", "1", "é", "2", "3", "1"]), "0"),
        (Call::rows(ROWS, "products", &most), "0"),
        (Call::rows(ROWS, "products", &repeated), "0"),
        (Call::rows(ROWS, "empty", &["1", "2"]), "0"),
        (Call::rows(ROWS, "other", &["1"]), "5"),
        (Call::rows(ROWS, "sourced", &["1", "1"]), "0"),
        (Call::rows(ROWS, "whole", &["2", "1"]), "0"),
        (Call::rows(ROWS, "told", &["1"]), "0"),
        (Call::products(&[1]), "0"),
        (Call::products(&[2, -1, 1, 2]), "0"),
        (Call::products(&[]), "0"),
        (Call::products(&[1, -7]), "14"),
    ] {
        assert_eq!(check_hot(&call), code, "{call:?}");
        for (name, value) in [
            ("content-type", "application/grpc+proto"),
            ("grpc-timeout", "5S"),
            ("grpc-timeout", "0n"),
            ("grpc-timeout", "soon"),
            ("grpc-accept-encoding", "identity,deflate,gzip"),
            ("user-agent", "grpc-go/1.65.0"),
        ] {
            check_hot(&call.clone().with(name, value));
        }
    }
}

#[test]
fn calls_that_are_out_of_the_ordinary_go_to_their_service() {
    let too_many = all_keys(ROWS_PER_READ_MAX + 1);
    let too_many: Vec<_> = too_many.iter().map(String::as_str).collect();
    let usual = || Call::rows(ROWS, "products", &["1"]);
    let of_body = |body: Vec<u8>| Call { body, ..usual() };
    let awaited = |path| {
        let asked = Asked { collection: "products".into(), keys: vec!["1".into()], min_version: 1 };
        Call::new(path, &asked.encode_to_vec())
    };
    for call in [
        // Wrong, or not in memory.
        Call::rows(ROW, "products", &[]),
        Call::rows(ROW, "products", &["a\nb"]),
        Call::rows(ROW, "sourced", &["2"]),
        Call::rows(ROW, "behind", &["1"]),
        Call::rows(ROWS, "products", &[]),
        Call::rows(ROWS, "products", &["1", ""]),
        Call::rows(ROWS, "products", &["1", &"x".repeat(129)]),
        Call::rows(ROWS, "products", &too_many),
        Call::rows(ROWS, "sourced", &["1", "2"]),
        Call::rows(ROWS, "behind", &["1"]),
        Call::rows(ROWS, "told", &["1", "2"]),
        Call::products(&(1..=101).collect::<Vec<_>>()),
        awaited(ROW),
        awaited(ROWS),
        // Not one plain message.
        of_body(Vec::new()),
        of_body(vec![0; 4]),
        of_body(framed(b"")),
        of_body([usual().body, usual().body].concat()),
        of_body([usual().body, vec![0]].concat()),
        of_body(usual().body[..usual().body.len() - 1].to_vec()),
        of_body([&[1], &usual().body[1..]].concat()),
        of_body([&[2], &usual().body[1..]].concat()),
        of_body(framed(b"\x0a\x02a")),
        of_body(framed(b"\x0a\x01a\x12\x01\xff")),
        of_body(framed(b"\x0a\x01a\x12\x01a\x20\x01")),
        // Fields of another kind.
        usual().with("grpc-encoding", "identity"),
        usual().with("grpc-encoding", "gzip"),
        usual().with("content-type", "application/grpc+json"),
        usual().with("content-type", "application/json"),
        Call { fields: Vec::new(), ..usual() },
        Call { method: "GET", ..usual() },
        Call { method: "PUT", ..usual() },
        Call { path: format!("{ROWS}?x=1"), ..usual() },
        Call { path: format!("{ROWS}s"), ..usual() },
        Call::rows("/onrush.v1.Catalog/Nothing", "products", &["1"]),
    ] {
        assert_eq!(answer_hot(&call), None, "{call:?}");
    }
}

#[test]
fn a_call_over_http_1_is_for_the_router() {
    let bytes = b"POST /onrush.v1.Catalog/GetRow HTTP/1.1\r\nHost: h\r\nContent-Type: application/grpc\r\n\
                  Content-Length: 18\r\n\r\n\0\0\0\0\x0d\x0a\x08products\x12\x011";
    let crate::net::h1::Parsed::Request(parsed) = crate::net::h1::parse(bytes, 100) else {
        panic!("a request")
    };
    let request = request::Request::of_http1(&parsed, bytes, PEER);
    let hot = decoded(&hot_table(ALL), &request, &Shop::default(), &gates()[0]);
    assert!(matches!(hot, Hot::Routed));
}

#[test]
fn the_products_of_a_scenario_that_is_off_are_not_there() {
    let call = Call::products(&[1]);
    let (parts, ()) = call.request().into_parts();
    let request = request::Request::of_http2(&parts, &call.body, PEER);
    let table = hot_table(crate::settings::Scenarios::default());
    assert!(matches!(decoded(&table, &request, &Shop::default(), &gates()[0]), Hot::Routed));
}

/// Any order of fields of all kinds, most of them texts that mean something.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let collection = prop_oneof![
        6 => Just("products"), 1 => Just("sourced"), 1 => Just("whole"), 1 => Just("told"), 1 => Just("other"), 1 => Just(""),
    ];
    let key = prop_oneof![9 => "[1-3]|é", 1 => "[a\\n]{0,2}", 1 => "x{127,130}"];
    // A length of one byte, and of two.
    let text = |number: u8| {
        move |text: Vec<u8>| {
            let length = text.len().to_le_bytes()[0];
            let length = if length < 0x80 { vec![length] } else { vec![length, 1] };
            [&[number << 3 | 2], &*length, &*text].concat()
        }
    };
    let words = move |number| move |words: String| text(number)(words.into());
    let part = prop_oneof![
        8 => collection.prop_map(move |name| text(1)(name.into())),
        16 => key.prop_map(words(2)),
        // Numbers, of a version or of products, with and without a length.
        2 => any::<u8>().prop_map(|value| vec![3 << 3, value & 0x7f]),
        2 => (0..4_u8).prop_map(|value| vec![2 << 3, value]),
        2 => proptest::collection::vec(0..4_u8, 0..4).prop_map(text(2)),
        1 => Just([&[2 << 3][..], &[0xf9], &[0xff; 8], &[1]].concat()),
        // What nobody knows: a text, a number, a group, and the same with a number of two bytes.
        1 => "[a-c]{0,3}".prop_map(words(9)),
        1 => Just(vec![10 << 3, 1]),
        1 => Just(vec![4 << 3 | 3, 4 << 3 | 4]),
        1 => Just(vec![0x82, 1, 1, b'a']),
        // A key and a length of more bytes than they need, and no text at all.
        1 => Just(vec![0x8a, 0, 1, b'a']),
        1 => Just(vec![1 << 3 | 2, 0x81, 0, b'a']),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
        1 => Just(vec![2 << 3 | 2, 1, 0xff]),
    ];
    proptest::collection::vec(part, 0..9).prop_map(|parts| parts.concat())
}

/// Any call with such a message, that may be framed wrongly and have fields of all kinds.
fn any_call() -> impl Strategy<Value = Call> {
    let field = prop_oneof![
        Just(("grpc-timeout", "0n")),
        Just(("grpc-timeout", "1S")),
        Just(("grpc-accept-encoding", "gzip")),
        Just(("grpc-encoding", "gzip")),
        Just(("content-type", "text/plain")),
        Just(("content-type", "application/grpc+proto")),
        Just(("content-type", "application/grpc;charset=utf-8")),
        Just(("content-encoding", "gzip")),
        Just(("if-none-match", "*")),
        Just(("cookie", "onrush_session=a")),
        Just(("idempotency-key", "a")),
        Just(("x-unknown-bin", "AA")),
    ];
    let fields = prop_oneof![2 => Just(Vec::new()), 1 => proptest::collection::vec(field, 0..3)];
    let framing = prop_oneof![9 => Just(None), 1 => any::<(prop::sample::Index, u8)>().prop_map(Some)];
    let path = prop_oneof![2 => Just(ROW), 2 => Just(ROWS), 1 => Just(PRODUCTS)];
    (path, any_message(), fields, framing).prop_map(|(path, message, fields, framing)| {
        let mut call = Call::new(path, &message);
        call.fields.extend(fields);
        match framing {
            Some((at, byte)) if byte > 9 => {
                let at = at.index(call.body.len());
                call.body[at] = byte;
            }
            Some((_, bytes)) => call.body.extend(vec![0; bytes.into()]),
            None => {}
        }
        call
    })
}

/// Whatever is asked, and however its bytes are cut or changed: what is answered by its bytes is answered alike.
#[test]
fn no_call_is_answered_in_two_ways() {
    let cases = 1_024;
    let mut runner = TestRunner::new(ProptestConfig::with_cases(cases));
    let hot_count = Cell::new(0);
    let checked = runner.run(&any_call(), |call| {
        if let Some(answer) = answer_hot(&call) {
            hot_count.set(hot_count.get() + 1);
            prop_assert_eq!(answer, answer_routed(&call));
        }
        Ok(())
    });
    checked.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(hot_count.get() > cases / 8, "{} of {cases} calls are hot", hot_count.get());
}
