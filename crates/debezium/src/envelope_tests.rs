//! What real records of Debezium are read as, and that nothing else is read as anything.

use proptest::prelude::*;
use proptest::sample::Index;

use super::samples::{Golden, golden};
use super::*;

/// Every file without heartbeats.
const TABLES: [&str; 16] = [
    "mariadb-failover",
    "mariadb-killed-worker",
    "mariadb-orders",
    "mariadb-orders-schemas",
    "mariadb-two-keys",
    "mariadb-wiped",
    "mariadb-wiped-schemas",
    "postgres-copy",
    "postgres-killed-worker",
    "postgres-message",
    "postgres-orders",
    "postgres-orders-full",
    "postgres-orders-schemas",
    "postgres-two-keys",
    "postgres-wiped",
    "postgres-wiped-schemas",
];

const FLATTENED: &str = "must not flatten it with ExtractNewRecordState";

/// What a record says, shortly: the key or what is wrong with it, the change, and where in the source's log it was made.
fn said(record: &Golden) -> String {
    let key = match record.key().map(|bytes| key(bytes, None)) {
        Some(Ok(key)) => key.to_string(),
        Some(Err(_)) => "?".to_owned(),
        None => "-".to_owned(),
    };
    let (what, stamp) = match told(record.value()).expect("it is an envelope") {
        Told::Put { json, stamp } => {
            assert!(serde_json::from_str::<BTreeMap<String, serde_json::Value>>(json).is_ok(), "{json}");
            ("put", stamp)
        }
        Told::Remove { stamp } => ("remove", stamp),
        Told::Empty { stamp } => ("empty", stamp),
        Told::Tombstone => return format!("{key} tombstone"),
        Told::Nothing => return format!("{key} nothing"),
    };
    let Stamp { place: ChangePlace { position, index, committed_ms, number }, origin, told_ms, .. } = stamp;
    assert!(committed_ms <= told_ms && told_ms < committed_ms + 2_000, "{record:?}");
    let (file, at) = (position >> 32, position & 0xffff_ffff);
    let index = if index == at { String::new() } else { format!(".{index}") };
    let first = if stamp.is_of_first { " first" } else { "" };
    let number = number.map_or_else(String::new, |TransactionNumber { domain, server, number }| {
        format!(" {domain}-{server}-{number}")
    });
    format!("{key} {what} {file}:{at}{index} {origin:?}{first}{number}")
}

fn all_said(name: &str) -> Vec<String> {
    golden(name).iter().map(said).collect()
}

fn payload(bytes: &[u8]) -> Vec<u8> {
    let mut value: BTreeMap<String, &RawValue> = serde_json::from_slice(bytes).expect("an object");
    value.remove("payload").expect("a payload").get().as_bytes().to_vec()
}

/// A record with this in its source.
fn record(op: &str, source: &str) -> String {
    format!(r#"{{"before":null,"after":{{"id":1}},"source":{{{source}}},"op":"{op}","ts_ms":9}}"#)
}

fn place_of(value: &str) -> Result<Stamp, String> {
    match told(Some(value.as_bytes()))? {
        Told::Put { stamp, .. } | Told::Remove { stamp } | Told::Empty { stamp } => Ok(stamp),
        Told::Tombstone | Told::Nothing => Err("nothing".to_owned()),
    }
}

#[test]
fn records_of_postgresql_are_read() {
    assert_eq!(
        all_said("postgres-orders"),
        [
            "1 put 0:27138904.0 Snapshot",
            "2 put 0:27138904.0 Snapshot",
            "3 put 0:27138904.0 SnapshotEnd",
            "10 put 0:27395544 Change",
            "1 put 0:27396696 Change",
            "11 put 0:27410088 Change",
            "11 put 0:27410368 Change",
            "11 put 0:27423984 Change",
            "2 remove 0:27424176 Change",
            "2 tombstone",
            "12 put 0:27424176 Change",
            "11 put 0:27425040 Change",
            "3 remove 0:27425200 Change",
            "3 tombstone",
            "1 put 0:27492144 Change",
            "14 put 0:27492496 Change",
            "20 put 0:27492712 Change",
            "21 put 0:27492880 Change",
            "22 put 0:27493048 Change",
            "15 put 0:27540536 Change",
            "1 put 0:28488656 Reread",
            "11 put 0:28488656 Reread",
            "14 put 0:28488656 Reread",
        ]
    );
    assert_eq!(
        all_said("postgres-wiped"),
        [
            "1 put 0:27138904.0 SnapshotEnd",
            "2 put 0:27451936 Change",
            "- empty 0:27491456 Change",
            "3 put 0:27491872 Change",
        ]
    );
    assert_eq!(
        all_said("postgres-copy"),
        [
            "? put 0:30346008 Change",
            "? put 0:30346008 Change",
            "? put 0:30346008 Change",
            "? put 0:30346400 Change",
            "? put 0:30346488 Change",
            "? put 0:30346576 Change",
        ]
    );
    assert_eq!(all_said("postgres-message"), ["onrush nothing",]);
}

#[test]
fn records_of_mariadb_are_read() {
    assert_eq!(
        all_said("mariadb-orders"),
        [
            "1 put 1:5200.0 Snapshot",
            "2 put 1:5200.0 Snapshot",
            "3 put 1:5200.0 SnapshotEnd",
            "10 put 1:10508.0 Change 0-1-32",
            "1 put 1:38469.0 Change 0-1-123",
            "11 put 1:51053.0 Change 0-1-124",
            "11 put 1:63362.0 Change 0-1-125",
            "2 remove 1:87706.0 Change 0-1-126",
            "2 tombstone",
            "12 put 1:87706.0 Change 0-1-126",
            "11 put 1:88261.0 Change 0-1-127",
            "3 remove 1:100596.0 Change 0-1-128",
            "3 tombstone",
            "-1 put 1:102114.0 Change 0-1-134",
            "13 put 1:102453.0 Change 0-1-135",
            "14 put 1:102453.1 Change 0-1-135",
            "20 put 1:102813.0 Change 0-1-136",
            "21 put 1:103069.0 Change 0-1-136",
            "20 put 1:103389.0 Change 0-1-137",
            "15 put 1:103924.0 Change 0-1-139",
            "1 put 1:111546.0 Reread 0-1-156",
            "11 put 1:111546.0 Reread 0-1-156",
            "13 put 1:111546.0 Reread 0-1-156",
        ]
    );
    assert_eq!(
        all_said("mariadb-wiped"),
        [
            "1 put 1:5200.0 SnapshotEnd",
            "2 put 1:101457.0 Change 0-1-131",
            "- empty 1:101571.0 Change 0-1-132",
            "3 put 1:101808.0 Change 0-1-133",
        ]
    );
}

#[test]
fn records_say_the_same_with_their_schema() {
    for name in TABLES.into_iter().filter(|name| name.ends_with("-schemas")) {
        for record in golden(name) {
            if let Some(bytes) = record.key() {
                assert_eq!(key(bytes, Some("id")), key(&payload(bytes), Some("id")));
                assert!(key(bytes, None).is_ok(), "{record:?}");
            }
            if let Some(bytes) = record.value() {
                let without = payload(bytes);
                assert_eq!(told(Some(bytes)), told(Some(&without)));
                assert!(told(Some(bytes)).is_ok(), "{record:?}");
            }
        }
    }
    for (name, with) in
        [("postgres-wiped", "postgres-wiped-schemas"), ("mariadb-wiped", "mariadb-wiped-schemas")]
    {
        let row = |record: &Golden| match told(record.value()).expect("it is an envelope") {
            Told::Put { json, .. } => json.to_owned(),
            other => format!("{:?}", std::mem::discriminant(&other)),
        };
        let (plain, with) = (golden(name), golden(with));
        assert_eq!([row(&plain[0]), row(&plain[2])], [row(&with[0]), row(&with[1])]);
    }
}

#[test]
fn a_row_is_told_as_the_connector_wrote_it() {
    let record = &golden("postgres-wiped")[3];
    let Ok(Told::Put { json, .. }) = told(record.value()) else { panic!("{record:?}") };
    assert_eq!(json, r#"{"id":3,"note":"z"}"#);
}

#[test]
fn snapshots_are_told_apart_from_changes() {
    for (part, expected) in [
        (r#""first""#, Origin::Snapshot),
        (r#""true""#, Origin::Snapshot),
        (r#""first_in_data_collection""#, Origin::Snapshot),
        (r#""last_in_data_collection""#, Origin::SnapshotEnd),
        (r#""last""#, Origin::SnapshotEnd),
        (r#""incremental""#, Origin::Reread),
        (r#""false""#, Origin::Change),
        ("true", Origin::Snapshot),
        ("false", Origin::Change),
        ("null", Origin::Change),
    ] {
        let source = format!(r#""connector":"postgresql","lsn":7,"ts_ms":5,"snapshot":{part}"#);
        assert_eq!(place_of(&record("r", &source)).map(|stamp| stamp.origin), Ok(expected), "{part}");
    }
    // A snapshot that an operator asked for, of which nobody knows whether it is of all rows.
    let asked_for = r#""connector":"postgresql","lsn":7,"snapshot":"last","sequence":"[\"5\",\"7\"]""#;
    assert_eq!(place_of(&record("r", asked_for)).map(|stamp| stamp.origin), Ok(Origin::Reread));
}

#[test]
fn positions_are_places_in_the_log() {
    for (source, expected) in [
        (r#""connector":"postgresql","lsn":7"#, Some((7, 7))),
        (r#""connector":"postgresql","lsn":7,"sequence":null"#, Some((7, 7))),
        (r#""connector":"postgresql","lsn":7,"sequence":"[null,\"7\"]""#, Some((7, 7))),
        (r#""connector":"postgresql","lsn":7,"sequence":"[\"5\",\"7\"]""#, Some((7, 7))),
        (r#""connector":"postgresql","lsn":7,"sequence":"[\"9\",\"7\"]""#, Some((9, 7))),
        (r#""connector":"postgresql","lsn":7,"sequence":"no list""#, Some((7, 7))),
        (r#""connector":"postgresql","lsn":null,"sequence":"[\"9\",\"9\"]""#, Some((9, 9))),
        (r#""connector":"postgresql","lsn":4294967299"#, Some(((1 << 32) + 3, (1 << 32) + 3))),
        (r#""connector":"postgresql","lsn":7,"snapshot":"last""#, Some((7, 0))),
        (r#""connector":"postgresql","lsn":null,"sequence":"[null,null]""#, None),
        (r#""connector":"postgresql","lsn":null,"sequence":"[\"1\",\"-2\"]""#, None),
        (r#""connector":"postgresql""#, None),
        (r#""connector":"mariadb","file":"log.000002","pos":7,"row":3"#, Some(((2 << 32) + 7, 3))),
        (r#""connector":"mysql","file":"log.000002","pos":7"#, Some(((2 << 32) + 7, 0))),
        (r#""connector":"mysql","file":"","pos":7"#, None),
        (r#""connector":"mysql","file":"log.000002","pos":4294967296"#, None),
        (r#""connector":"mysql","file":"log.000002","pos":null"#, None),
        (r#""connector":"mysql","file":null,"pos":7"#, None),
        (r#""connector":"mysql","lsn":7"#, None),
        (r#""connector":"mariadb","file":"log.000002","pos":7,"gtid":"no name""#, Some(((2 << 32) + 7, 0))),
    ] {
        let found = place_of(&record("c", source)).map(|stamp| (stamp.place.position, stamp.place.index));
        let missing = "the record does not say where in the source's log it is".to_owned();
        assert_eq!(found, expected.ok_or(missing), "{source}");
    }
}

#[test]
fn only_the_first_transaction_after_all_rows_has_none_before() {
    for (source, expected) in [
        (r#""lsn":7,"sequence":"[null,\"7\"]""#, true),
        (r#""lsn":7,"sequence":"[\"5\",\"7\"]""#, false),
        (r#""lsn":7,"sequence":"[null,\"7\"]","snapshot":"true""#, false),
        (r#""lsn":7"#, false),
    ] {
        let stamp = place_of(&record("c", &format!(r#""connector":"postgresql",{source}"#)));
        assert_eq!(stamp.map(|stamp| stamp.is_of_first), Ok(expected), "{source}");
    }
}

#[test]
fn concurrent_transactions_are_in_the_order_of_their_commits() {
    let records = golden("postgres-heartbeat-table");
    let place = |record: &Golden| match told(record.value()) {
        Ok(Told::Put { stamp, .. }) => (stamp.place.position, stamp.place.index),
        other => panic!("{other:?}"),
    };
    let places: Vec<_> = records.iter().map(place).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(places[6..], [(28_492_536, 28_492_536), (28_492_760, 28_492_624)]);
}

#[test]
fn keys_are_texts_numbers_and_truth_values() {
    for (text, column, expected) in [
        (r#"{"id":1}"#, None, "1"),
        (r#"{"id":1}"#, Some("id"), "1"),
        (r#"{"id":-1.50}"#, None, "-1.50"),
        (r#"{"id":18446744073709551616}"#, None, "18446744073709551616"),
        (r#"{"id":true}"#, None, "true"),
        (r#"{"id":"ä\"\u0041"}"#, None, "ä\"A"),
        (r#"{"i\u0064":"a"}"#, Some("id"), "a"),
        (r#"{"schema":{"type":"struct"},"payload":{"id":"a"}}"#, Some("id"), "a"),
        (r#"{"payload":{"id":"a"},"schema":null}"#, None, "a"),
        (r#"{"payload":"a"}"#, Some("payload"), "a"),
    ] {
        assert_eq!(key(text.as_bytes(), column).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn keys_that_are_none_are_refused() {
    let (long, deep) = ("x".repeat(1_000_000), "[".repeat(100_000));
    let cases: [(&str, &str); 17] = [
        (r#"{"shop":1,"code":"a"}"#, "has the columns code, shop: make it one with message.key.columns"),
        ("{}", "has the columns "),
        (r#"{"other":1}"#, "the key of the record is other: set key to that"),
        (r#"{"id":[1]}"#, "the column id is neither a text nor a number"),
        (r#"{"id":{"a":1}}"#, "neither a text nor a number"),
        (r#"{"id":null}"#, "neither a text nor a number"),
        (r#"{"id":""}"#, "the value of id"),
        (r#"{"id":"a\nb"}"#, "the value of id"),
        (&format!(r#"{{"id":"{long}"}}"#), "the value of id"),
        (&format!(r#"{{"id":{}}}"#, "9".repeat(1_000)), "neither a text nor a number"),
        (&format!(r#"{{"id":{deep}{}}}"#, "]".repeat(100_000)), "neither a text nor a number"),
        (r#"{"schema":null,"payload":null}"#, "is not a JSON object"),
        ("[1]", "is not a JSON object"),
        ("1", "is not a JSON object"),
        ("", "is not a JSON object"),
        ("Struct{id=1}", "is not a JSON object: key.converter must be"),
        (&deep, "is not a JSON object"),
    ];
    for (text, expected) in cases {
        let why = key(text.as_bytes(), Some("id")).expect_err(expected);
        assert!(why.contains(expected) && why.len() < 500, "{why}");
    }
    assert!(key(b"{\"id\":\"\xff\"}", None).is_err());
    for name in ["postgres-two-keys", "mariadb-two-keys"] {
        let why = key(golden(name)[0].key().expect("a key"), None).expect_err("two columns");
        assert!(why.contains("the columns code, shop: "), "{why}");
    }
}

#[test]
fn tombstones_have_no_value_or_no_payload() {
    for value in
        [None, Some(r#"{"schema":null,"payload":null}"#), Some(r#"{"schema":{"type":"x"},"payload":null}"#)]
    {
        assert_eq!(told(value.map(str::as_bytes)), Ok(Told::Tombstone));
    }
}

#[test]
fn what_is_no_envelope_is_refused() {
    let postgres = r#""connector":"postgresql","lsn":7"#;
    let cases: [(&str, &str); 24] = [
        (r#"{"id":1,"note":"a"}"#, FLATTENED),
        (r#"{"id":1,"op":"c"}"#, FLATTENED),
        (r#"{"id":1,"op":4,"source":"web"}"#, FLATTENED),
        (r#"{"id":1,"schema":"a"}"#, FLATTENED),
        (r#"{"id":1,"payload":{"op":"c"}}"#, FLATTENED),
        (r#"{"schema":{},"payload":{"id":1}}"#, FLATTENED),
        (r#"{"schema":{},"payload":[]}"#, FLATTENED),
        ("{}", FLATTENED),
        ("[]", FLATTENED),
        ("null", FLATTENED),
        ("7", FLATTENED),
        (&record("c", ""), "the connector is : only postgresql, mysql and mariadb"),
        (&record("c", r#""connector":"sqlserver","change_lsn":"1""#), "the connector is sqlserver: only"),
        (&record("x", postgres), "nobody knows the op x"),
        (&record("", postgres), "nobody knows the op "),
        (&record("c", postgres).replace(r#"{"id":1}"#, "null"), "no row in after, though its op is c"),
        (&record("r", postgres).replace(r#"{"id":1}"#, "[1]"), "no row in after, though its op is r"),
        (&record("u", postgres).replace(r#""after""#, r#""later""#), "no row in after, though its op is u"),
        (&record("c", r#""connector":"postgresql","lsn":-1"#), "not an envelope"),
        (&record("c", r#""connector":"postgresql","lsn":18446744073709551616"#), "not an envelope"),
        (&record("c", r#""connector":"mysql","file":"a.1","pos":1,"row":4294967296"#), "not an envelope"),
        ("", "not JSON of Debezium (line 1, column 0): value.converter must be"),
        ("Struct{after=Struct{id=1}}", "not JSON of Debezium"),
        (r#"{"after":{"id":1},"op":"c""#, "not JSON of Debezium"),
    ];
    for (text, expected) in cases {
        let why = told(Some(text.as_bytes())).expect_err(expected);
        assert!(why.contains(expected) && why.len() < 300, "{text}: {why}");
    }
}

#[test]
fn a_message_is_nothing_of_rows() {
    assert_eq!(told(Some(br#"{"op":"m","ts_ms":1,"message":{"prefix":"a"}}"#)), Ok(Told::Nothing));
}

#[test]
fn what_a_record_has_besides_does_not_matter() {
    let source = r#""new":[{"a":1}],"connector":"postgresql","lsn":7,"ts_ms":5"#;
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let row = format!(r#"{{"id":1,"big":"{}","deep":{deep}}}"#, "x".repeat(3_000_000));
    let value = record("c", source).replace(r#""before":null"#, &format!(r#""before":{deep}"#));
    let value = value.replace(r#"{"id":1}"#, &row);
    match told(Some(value.as_bytes())) {
        Ok(Told::Put { json, .. }) => assert_eq!(json, row),
        other => panic!("{:?}", other.map(|_| "another change")),
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let good = record("c", r#""connector":"postgresql","lsn":7"#);
    for (before, after) in
        [(&b"\"id\""[..], &b"\"\xff\xfe\""[..]), (b"postgresql", b"postgr\xc3"), (b"\"c\"", b"\"\xf0\"")]
    {
        let at = good.as_bytes().windows(before.len()).position(|part| part == before).expect("it is there");
        let mut bytes = good.clone().into_bytes();
        bytes.splice(at..at + before.len(), after.iter().copied());
        let why = told(Some(&bytes)).expect_err("no text");
        assert!(why.contains("not JSON of Debezium"), "{why}");
    }
    // Nor does a sentence cut what it repeats in the middle of a character.
    let long = record(&"ä".repeat(100_000), r#""connector":"postgresql","lsn":7"#);
    assert!(told(Some(long.as_bytes())).expect_err("nobody knows the op").len() < 200);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes);
    }

    #[test]
    fn no_changed_record_makes_it_panic(
        file in any::<Index>(),
        record in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), 0..6_usize, any::<u8>()), 1..8),
        cut in any::<Option<Index>>(),
    ) {
        let records = golden(TABLES[file.index(TABLES.len())]);
        let record = &records[record.index(records.len())];
        for bytes in [record.key(), record.value()].into_iter().flatten() {
            let mut bytes = bytes.to_vec();
            for (at, removed, byte) in &changes {
                let at = at.index(bytes.len());
                let end = (at + removed).min(bytes.len());
                bytes.splice(at..end, [*byte]);
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            read(&bytes);
        }
    }
}

/// Reads bytes as all that they may be.
fn read(bytes: &[u8]) {
    for why in [key(bytes, None).err(), key(bytes, Some("id")).err(), told(Some(bytes)).err()] {
        assert!(why.is_none_or(|why| !why.is_empty()));
    }
}
