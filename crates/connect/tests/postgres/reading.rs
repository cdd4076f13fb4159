//! What is read back: visits, one row each or in heaps, the newest from a replica, and the differences that an audit finds.

use onrush_connect::Audit as _;
use onrush_connect::postgres::{Postgres, PostgresAuditor, PostgresReplica, Rows, Settings};
use onrush_connect::{Tls, TlsSettings};
use onrush_sinks::{CounterRow, Replica, Skipped, Target, TargetError};

use crate::place::{Place, service};
use crate::story::{START, Story, What, random};

#[test]
fn each_visit_has_a_row_even_if_there_are_many() {
    let Some(mut place) = Place::new() else { return };
    place.settings.rows = Rows::Visit;
    let mut story = Story::default();
    let mut value = 0;
    for by in [1, 99_999, 100_001, 3, 250_000] {
        value += by;
        story.add(What::Added { counter: "web-counter".to_owned(), by, value });
    }
    let mut target = place.target();
    place.open(&mut target);
    story.write(&mut target, 0, 3).unwrap();
    assert_eq!(place.count("m_visitor"), value);
    let sums =
        place.rows("count(DISTINCT counter), min(counter), max(counter), min(id), max(id)", "m_visitor");
    assert_eq!(sums[0], serde_json::json!([value, 1, value, 1, value]));
    assert_eq!(place.count("m_visitor WHERE id <> counter OR deleted_at IS NOT NULL"), 0);
    assert!(place.audit(&story).unwrap().agree());
}

fn newest(replica: &PostgresReplica, counter: &str) -> Result<Option<CounterRow>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(replica.newest(counter))
}

#[test]
fn the_newest_visit_is_read_from_a_replica() {
    let Some(mut place) = Place::new() else { return };
    place.settings.replica_url = service("ONRUSH_SERVICES_POSTGRES_REPLICA_URL");
    let Some(replica_url) = place.settings.replica_url.clone() else { return };
    let mut story = Story::default();
    story.count(100);
    let mut target = place.target();
    place.open(&mut target);
    story.write(&mut target, 0, 10).unwrap();
    let wanted = CounterRow { id: 100, at: START + 99, value: 5_050, lag_ms: Some(0) };
    for url in [replica_url, place.settings.url.clone()] {
        let replica = PostgresReplica::new(Settings { replica_url: Some(url), ..place.settings.clone() });
        let found = (0..100_000).find_map(|_| {
            let row = newest(&replica, "web-counter").ok()??;
            (row == wanted).then_some(row)
        });
        assert_eq!(found, Some(wanted), "in the end it has all of it");
        assert_eq!(newest(&replica, "other"), Ok(None));
    }
}

#[test]
fn a_replica_that_is_away_or_overrun_says_so() {
    let Some(place) = Place::new() else { return };
    let none = PostgresReplica::new(place.settings.clone());
    assert!(newest(&none, "web-counter").unwrap_err().contains("no replica_url"));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgresql://onrush@{}/onrush", silent.local_addr().unwrap());
    let replica = PostgresReplica::new(Settings { replica_url: Some(url), ..place.settings.clone() });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answers: Vec<_> = (0..300).map(|_| replica.newest("web-counter")).collect();
    let reasons: Vec<String> =
        answers.into_iter().map(|answer| runtime.block_on(answer).unwrap_err()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("no answer within 2 s")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("too many wait")), "{reasons:?}");
}

#[test]
fn an_audit_finds_every_kind_of_difference() {
    let Some(place) = Place::new() else { return };
    let story = random(41, 500);
    let mut target = place.target();
    place.open(&mut target);
    story.write(&mut target, 0, 100).unwrap();
    assert!(place.audit(&story).unwrap().agree());
    // Each with how many are missing, different and unexpected.
    for (spoil, wanted) in [
        (
            "DELETE FROM events WHERE kind = 'window.hit' AND event_offset = (SELECT min(event_offset) FROM events WHERE kind = 'window.hit')",
            (1, 0, 0),
        ),
        (
            "UPDATE events SET body = body || '{\"by\": 77}' WHERE event_offset = (SELECT max(event_offset) FROM events WHERE kind = 'window.hit')",
            (0, 1, 0),
        ),
        (
            "INSERT INTO events SELECT 2, at, 'window.hit', key, reservation, body FROM events WHERE event_offset = 1",
            (0, 0, 1),
        ),
        (
            "UPDATE reservations SET status = 'lost' WHERE (sale_no, reservation_seq) = (0, 0) AND status NOT IN ('held', 'confirmed')",
            (0, 1, 0),
        ),
        ("UPDATE reservations SET customer = 'x' WHERE (sale_no, reservation_seq) = (0, 0)", (0, 1, 0)),
        ("UPDATE stocks SET quantity_held = quantity_held + 1 WHERE (sale_no, stock_no) = (0, 0)", (0, 1, 0)),
        ("UPDATE sales SET title = 'x' WHERE sale_no = 0", (0, 1, 0)),
        (
            "UPDATE stocks SET closes_at = NULL WHERE (sale_no, stock) IN (SELECT sale_no, stock FROM stocks WHERE NOT removed LIMIT 1)",
            (0, 1, 0),
        ),
        (
            "UPDATE stocks SET title = 'x' WHERE (sale_no, stock) IN (SELECT sale_no, stock FROM stocks WHERE NOT removed LIMIT 1)",
            (0, 1, 0),
        ),
        ("UPDATE counters SET value = value + 1 WHERE counter = 'other'", (0, 1, 0)),
        ("UPDATE counter_history SET value = value + 1 WHERE id = 1", (0, 1, 0)),
        ("DELETE FROM counter_history WHERE id = 1", (0, 2, 0)),
        ("UPDATE windows SET span_ms = 5 WHERE \"window\" = 'window-0'", (0, 1, 0)),
    ] {
        place.db.run(&format!("CREATE TABLE IF NOT EXISTS spoiled (); BEGIN; {spoil}; COMMIT"));
        let findings = place.audit(&story).unwrap();
        let found = (findings.missing.count, findings.different.count, findings.unexpected.count);
        assert_eq!(found, wanted, "{spoil}: {findings:?}");
        place.db.run(&format!("DROP SCHEMA {} CASCADE", place.settings.schema));
        let mut target = place.target();
        place.open(&mut target);
        story.write(&mut target, 0, 100).unwrap();
    }
}

#[test]
fn an_audit_compares_only_what_the_sink_has_passed() {
    let Some(place) = Place::new() else { return };
    let story = random(42, 100);
    let mut target = place.target();
    place.open(&mut target);
    let half = Story { events: story.events[..50].to_vec() };
    half.write(&mut target, 0, 10).unwrap();
    let findings = place.audit(&story).unwrap();
    assert!(findings.agree() && findings.compared_count == 50, "{findings:?}");
}

#[test]
fn an_audit_that_expects_more_than_the_sink_has_passed_misses_it() {
    let Some(place) = Place::new() else { return };
    let story = random(43, 100);
    let mut target = place.target();
    place.open(&mut target);
    Story { events: story.events[..60].to_vec() }.write(&mut target, 0, 10).unwrap();
    let mut auditor = Box::new(PostgresAuditor::new(place.settings.clone()));
    assert_eq!(auditor.open(&place.source, 0, story.end()).unwrap(), story.events[59].offset + 1);
    for event in &story.events {
        event.with_event(|event| auditor.expect(event)).unwrap();
    }
    let (from, to) = (story.events[70].offset, story.events[75].offset);
    auditor.excuse(&Skipped { from, to, at: START, reason: "test".to_owned() }).unwrap();
    let findings = auditor.finish().unwrap();
    let found = (findings.compared_count, findings.missing.count, findings.different.count);
    assert_eq!((found, findings.unexpected.count), ((100, 35, 0), 0), "{findings:?}");
}

#[test]
fn connections_are_encrypted_by_certificate() {
    let Some(place) = Place::new() else { return };
    let Some(ca) = service("ONRUSH_SERVICES_POSTGRES_CA") else { return };
    let try_with = |tls, ca: Option<&str>| {
        let settings = Settings {
            tls: TlsSettings { mode: tls, ca_file: ca.map(Into::into) },
            ..place.settings.clone()
        };
        Postgres::new(settings).open(&place.source)
    };
    for tls in [Tls::Verify, Tls::UnsafeNoVerify] {
        let mut target = Postgres::new(Settings {
            tls: TlsSettings { mode: tls, ca_file: Some(ca.clone().into()) },
            ..place.settings.clone()
        });
        target.open(&place.source).unwrap();
        let encrypted = "pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name = 'onrush sink shop'";
        assert!(place.count(encrypted) > 0);
    }
    try_with(Tls::Off, None).unwrap();
    let untrusted = try_with(Tls::Verify, None);
    assert!(
        matches!(&untrusted, Err(TargetError::Unavailable(reason)) if reason.contains("tls_ca_file")),
        "{untrusted:?}"
    );
}
