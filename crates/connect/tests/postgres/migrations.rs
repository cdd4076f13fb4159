//! The schema comes about from every older state of it, once, whoever asks.

use onrush_connect::postgres::Postgres;
use onrush_sinks::{Target, TargetError};

use crate::place::Place;
use crate::story::random;

const FILES: [&str; 4] = [
    include_str!("../../src/postgres/migrations/0001_tables.sql"),
    include_str!("../../src/postgres/migrations/0002_views.sql"),
    include_str!("../../src/postgres/migrations/0003_incarnation.sql"),
    include_str!("../../src/postgres/migrations/0004_stock_closes_at.sql"),
];

/// Columns, indexes and views of the schema.
fn shape(place: &Place) -> Vec<String> {
    let schema = &place.settings.schema;
    place.db.texts(&format!(
        "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || coalesce(column_default, '')
            FROM information_schema.columns WHERE table_schema = '{schema}'
         UNION ALL SELECT replace(indexdef, '{schema}', '') FROM pg_indexes WHERE schemaname = '{schema}'
         UNION ALL SELECT replace(definition, '{schema}', '') FROM pg_views WHERE schemaname = '{schema}'
         UNION ALL SELECT version || ' ' || description FROM schema_versions ORDER BY 1"
    ))
}

#[test]
fn every_older_version_becomes_the_newest() {
    let Some(place) = Place::new() else { return };
    let schema = &place.settings.schema;
    place.open(&mut place.target());
    let newest = shape(&place);
    for version in 0..=FILES.len() {
        place.db.run(&format!("DROP SCHEMA {schema} CASCADE"));
        if version > 0 {
            place.db.run(&format!(
                "CREATE SCHEMA {schema}; CREATE TABLE schema_versions (version integer PRIMARY KEY,
                 applied_at timestamptz NOT NULL DEFAULT now(), description text NOT NULL)"
            ));
        }
        for (at, file) in FILES[..version].iter().enumerate() {
            place.db.run(file);
            let description = ["tables", "views", "incarnation", "closing of stocks"][at];
            place.db.run(&format!("INSERT INTO schema_versions VALUES ({}, now(), '{description}')", at + 1));
        }
        let mut target = place.target();
        assert_eq!(place.open(&mut target), None);
        assert_eq!(shape(&place), newest, "from version {version}");
        random(31, 50).write(&mut target, 0, 50).unwrap();
    }
}

#[test]
fn several_at_once_create_it_once() {
    let Some(place) = Place::new() else { return };
    for _ in 0..3 {
        place.db.run(&format!("DROP SCHEMA IF EXISTS {} CASCADE", place.settings.schema));
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| Postgres::new(place.settings.clone()).open(&place.source).unwrap());
            }
        });
        assert_eq!(place.count("schema_versions"), FILES.len() as u64);
        assert_eq!(place.rows("fence", "sinks")[0][0], 6);
    }
}

#[test]
fn a_newer_version_is_refused() {
    let Some(place) = Place::new() else { return };
    place.open(&mut place.target());
    place.db.run("INSERT INTO schema_versions VALUES (99, now(), 'from the future')");
    match place.target().open(&place.source) {
        Err(TargetError::Refused(reason)) => assert!(reason.contains("version 99"), "{reason}"),
        other => panic!("{other:?}"),
    }
}
