//! What any client can send, and PostgreSQL cannot take as it is.

use onrush_sinks::Skipped;
use onrush_sinks::Target;
use serde_json::{Value, json};

use crate::place::Place;
use crate::story::{Claimed, Story, What, terms};

#[test]
fn every_document_gets_in() {
    let Some(place) = Place::new() else { return };
    let nested = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let digits = format!(r#"{{"a":{},"b":0.{}}}"#, "9".repeat(1_000), "9".repeat(3_000));
    let keys = format!(r#"{{"{}":1}}"#, "k".repeat(4_000));
    // Each with whether jsonb takes it as it is.
    let documents = [
        ("{}".to_owned(), true),
        (r#"{"a":"\u0000"}"#.to_owned(), false),
        (r#"{"\u0000":"a"}"#.to_owned(), false),
        (r#"{"a":"\\u0000"}"#.to_owned(), true),
        (r#"{"a":"\ud800"}"#.to_owned(), false),
        (r#"{"a":"\udc00"}"#.to_owned(), false),
        (r#"{"a":"\ud800\u0041"}"#.to_owned(), false),
        (r#"{"a":"\ud83d\ude00 \uffff \u007f"}"#.to_owned(), true),
        (r#"{"a":1e400,"b":-1e-400}"#.to_owned(), true),
        (r#"{"a":1e131072}"#.to_owned(), false),
        (r#"{"a":1e999999999999}"#.to_owned(), false),
        (r#"{"a":1e-99999}"#.to_owned(), false),
        (r#"{"a":-0,"b":1E+2,"c":1.50}"#.to_owned(), true),
        (digits, true),
        (keys, true),
        (nested(60), true),
        (nested(2_000), false),
        (r#"{"a":1,"a":2}"#.to_owned(), true),
        ("{\"a\" :\t[ ]\r\n}".to_owned(), true),
        (r#"{"a":"<>&'\/\b\f\n\r\t\\"}"#.to_owned(), true),
        ("{\"ünï\":\"\u{10ffff}\"}".to_owned(), true),
    ];
    let mut story = Story::default();
    story.put_sale(0, 1);
    for (seq, (details, _)) in documents.iter().enumerate() {
        let mut claim = Claimed::new(0, u32::try_from(seq).unwrap());
        claim.details.clone_from(details);
        claim.key = r#"' "\ {}"#.to_owned();
        story.add(What::Reserved { claim: claim.clone(), expires_at: Some(1) });
        story.add(What::Confirmed { claim });
    }
    let mut target = place.target();
    place.open(&mut target);
    story.write(&mut target, 0, 7).unwrap();

    let kinds = place.rows("jsonb_typeof(details)", "reservations ORDER BY reservation_seq");
    for ((details, fits), kind) in documents.iter().zip(&kinds) {
        assert_eq!(*kind, json!([if *fits { "object" } else { "string" }]), "{details}");
    }
    let texts = place.db.texts(
        "SELECT details #>> '{}' FROM reservations WHERE jsonb_typeof(details) = 'string' ORDER BY reservation_seq",
    );
    let wanted = documents.iter().filter(|(_, fits)| !fits).map(|(details, _)| details.clone());
    assert_eq!(texts, wanted.collect::<Vec<_>>(), "the exact text");
    let same =
        "events e JOIN reservations r USING (reservation) WHERE e.body->'details' IS DISTINCT FROM r.details";
    assert_eq!(place.count(same), 0);
    assert!(place.audit(&story).unwrap().agree());
}

#[test]
fn texts_with_nul_become_json_strings() {
    let Some(place) = Place::new() else { return };
    let mut terms = terms(["a".to_owned(), "b".to_owned()].into_iter());
    terms.title = "nul \0 \"here\"".to_owned();
    terms.stocks[1].title = "\0".to_owned();
    let mut story = Story::default();
    story.add(What::SalePut { no: 0, sale: "sale-0".to_owned(), terms, stock_nos: vec![0, 1] });
    let mut target = place.target();
    place.open(&mut target);
    story.events[0].with_event(|event| target.push(event)).unwrap();
    let reason = "with \0 in it".to_owned();
    target.push_skipped(&Skipped { from: 5, to: 6, at: 1_790_000_000_000, reason }).unwrap();
    target.send(10).unwrap();
    target.wait_until_durable().unwrap();
    let title = r#""nul \u0000 \"here\"""#;
    assert_eq!(place.rows("title", "sales"), [json!([title])]);
    assert_eq!(place.rows("title", "stocks WHERE stock_no = 1"), [json!([r#""\u0000""#])]);
    let body = &place.rows("body", "events")[0][0];
    assert_eq!(body["title"], Value::from(title));
    assert_eq!(
        place.rows("sink, from_offset, to_offset, reason", "skipped"),
        [json!(["shop", 5, 6, r#""with \u0000 in it""#])]
    );
    assert!(place.audit(&story).unwrap().agree());
}
