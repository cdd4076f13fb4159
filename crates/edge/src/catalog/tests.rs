//! Reads of rows of a source, whose feed the tests step.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onrush_core::{Row, RowCollection, RowLine};
use onrush_node::Name;
use onrush_node::catalog::{CacheBounds, Snapshot, SourceRows, SourceSettings};
use tokio::task::{JoinSet, yield_now};

use super::sourced::now;
use super::{Age, Catalog, CatalogSettings, CollectionState, Look, MinVersion, RowSource, Rows, Source};
use crate::problem::Problem;

/// How far the source is when the rows are loaded.
const POSITION: u64 = 7;

struct NoRows;

impl RowSource for NoRows {
    fn read_collection(&self, _: &str, read: &mut dyn FnMut(Option<&RowCollection>)) {
        read(None);
    }
}

fn row(key: &str) -> Row {
    Row::new(RowLine { key, json: format!("{{\"key\":\"{key}\"}}").as_bytes() })
}

fn snapshot() -> Snapshot {
    Snapshot::new(10, Vec::new())
}

fn source(reads_through: bool) -> Arc<SourceRows> {
    let bounds = CacheBounds { bytes_max: 1 << 20, absent_for: Duration::from_hours(1), absent_count_max: 9 };
    let settings = SourceSettings { bounds, lag_max: Duration::from_secs(5), reads_through };
    Arc::new(SourceRows::new(settings, 1))
}

/// Loads rows of these keys, which are all if `is_whole`.
fn load(source: &SourceRows, keys: &[&str], is_whole: bool) {
    let mut loaded = source.begin_load(snapshot());
    for key in keys {
        assert!(loaded.insert(row(key)), "there is room");
    }
    if !is_whole {
        loaded.leave_out();
    }
    assert!(source.end_load(loaded));
    source.advance(POSITION);
    source.publish();
}

/// The source says at this moment that it has nothing new.
fn probe(source: &SourceRows, asked_at: Instant) {
    source.probed(POSITION, &snapshot(), asked_at);
    source.publish();
}

/// A moment that is not over before the test is.
fn coherent_for_long() -> Instant {
    now() + Duration::from_hours(1)
}

fn catalog(source: &Arc<SourceRows>, wait_max: Duration) -> Arc<Catalog> {
    let sources = vec![("products".into(), Source::Postgres(Arc::clone(source)))];
    let settings =
        CatalogSettings { wait_max, ready_when_coherent: true, sources, ..CatalogSettings::default() };
    Arc::new(Catalog::new(settings, Arc::new(NoRows)))
}

/// One that waits for as long as a test takes, and one that does not wait.
fn patient(source: &Arc<SourceRows>) -> Arc<Catalog> {
    catalog(source, Duration::from_hours(1))
}

fn impatient(source: &Arc<SourceRows>) -> Arc<Catalog> {
    catalog(source, Duration::from_millis(1))
}

/// Begins to read these keys, and comes back once they are asked for.
async fn begin(
    reads: &mut JoinSet<Result<Rows, Problem>>,
    catalog: &Arc<Catalog>,
    keys: impl IntoIterator<Item = u32>,
) {
    let (catalog, keys) = (Arc::clone(catalog), keys.into_iter().map(|key| key.to_string()));
    let keys: Vec<_> = keys.collect();
    reads.spawn(async move { catalog.rows("products", &keys).await });
    yield_now().await;
}

async fn code(catalog: &Catalog) -> Option<&'static str> {
    catalog.rows("products", &["2".to_owned()]).await.err().map(|problem| problem.code())
}

fn keys(rows: &[Option<Row>]) -> Vec<Option<&str>> {
    rows.iter().map(|row| row.as_ref().map(Row::key)).collect()
}

#[test]
fn one_look_tells_only_what_is_certain() {
    let source = source(false);
    let catalog = impatient(&source);
    let asked_at = now();
    let look = |key: &str, lag_ms: u64| {
        let read = |age, row: Option<&Row>| (age, row.is_some());
        match catalog.look("products", key, &|| asked_at + Duration::from_millis(lag_ms), read) {
            Look::Told(told) => Some(told),
            Look::Unknown => None,
            Look::NoCollection => panic!("there is such a collection"),
        }
    };
    let of_lag = |lag_ms| Age { version: Some(POSITION), lag: Duration::from_millis(lag_ms) };
    load(&source, &["1"], false);
    assert_eq!(look("1", 0), None, "nobody knows yet how old the rows are");
    probe(&source, asked_at);
    assert_eq!(look("1", 1_500), Some((of_lag(1_500), true)));
    assert_eq!(look("2", 0), None, "the source may have more rows");
    assert_eq!(look("1", 5_001), None, "that is longer ago than an answer may be behind");
    load(&source, &["1"], true);
    probe(&source, asked_at);
    assert_eq!((look("1", 0), look("2", 0)), (Some((of_lag(0), true)), Some((of_lag(0), false))));
    let nothing = catalog.look("others", "1", &|| unreachable!("nothing depends on it"), |_, _| ());
    assert!(matches!(nothing, Look::NoCollection));
}

#[test]
fn a_look_at_several_rows_tells_all_of_them_or_counts_none() {
    let source = source(false);
    let catalog = impatient(&source);
    let look = |keys: &[&str]| {
        let read = |_, rows: &[Option<&Row>]| rows.iter().map(Option::is_some).collect::<Vec<_>>();
        let told = match catalog.look_all("products", keys, &now, read) {
            Look::Told(told) => Some(told),
            Look::Unknown | Look::NoCollection => None,
        };
        let figures = catalog.figures().next().expect("there is one collection");
        (told, figures.found_count, figures.missing_count)
    };
    load(&source, &["1", "3"], false);
    probe(&source, coherent_for_long());
    assert_eq!(look(&["1", "2", "3"]), (None, 0, 0), "the source may have the second");
    assert_eq!(look(&["3", "1"]), (Some(vec![true, true]), 2, 0));
    load(&source, &["1", "3"], true);
    probe(&source, coherent_for_long());
    assert_eq!(look(&["1", "2", "3"]), (Some(vec![true, false, true]), 4, 1));
}

#[tokio::test]
async fn many_who_miss_one_row_ask_the_source_once() {
    let source = source(false);
    load(&source, &[], false);
    probe(&source, coherent_for_long());
    let (catalog, mut reads) = (patient(&source), JoinSet::new());
    for _ in 0..1_000 {
        begin(&mut reads, &catalog, [2]).await;
    }
    let fetch = source.begin_fetch(100).expect("a row is wanted");
    assert_eq!((fetch.keys.as_slice(), source.begin_fetch(100)), (["2".into()].as_slice(), None));
    source.end_fetch(fetch, &snapshot(), vec![row("2")], now());
    let answers = reads.join_all().await;
    assert_eq!(answers.len(), 1_000);
    for answer in answers {
        assert_eq!(keys(&answer.expect("the source has answered").rows), [Some("2")]);
    }
    assert_eq!(source.state(now()).fetch_count, 1);
    let again = impatient(&source).rows("products", &["2".to_owned()]).await;
    assert_eq!(keys(&again.expect("it is in memory now").rows), [Some("2")]);
}

#[tokio::test]
async fn rows_that_are_not_in_memory_are_asked_for_together() {
    let source = source(false);
    load(&source, &["1", "3"], false);
    probe(&source, coherent_for_long());
    let (catalog, mut reads) = (patient(&source), JoinSet::new());
    begin(&mut reads, &catalog, 1..=5).await;
    let fetch = source.begin_fetch(100).expect("rows are wanted");
    assert_eq!(fetch.keys, ["2", "4", "5"]);
    source.end_fetch(fetch, &snapshot(), vec![row("5"), row("2")], now());
    let Rows { age, rows } = reads.join_all().await.remove(0).expect("the source has answered");
    assert_eq!(age.version, Some(POSITION));
    assert_eq!(keys(&rows), [Some("1"), Some("2"), Some("3"), None, Some("5")]);
    let figures = catalog.figures().next().expect("one collection");
    assert_eq!((figures.found_count, figures.in_memory_count, figures.missing_count), (4, 2, 1));
    assert_eq!(figures.rows_at.source().map(|state| (state.fetch_count, state.fetched_count)), Some((1, 3)));
}

#[tokio::test]
async fn a_whole_collection_asks_for_nothing() {
    let source = source(false);
    load(&source, &["1"], true);
    probe(&source, coherent_for_long());
    let rows = impatient(&source).rows("products", &["2".to_owned(), "1".to_owned()]).await;
    assert_eq!(keys(&rows.expect("all is known").rows), [None, Some("1")]);
    assert_eq!(source.begin_fetch(100), None);
}

#[tokio::test]
async fn rows_that_may_be_old_are_not_told() {
    let source = source(false);
    load(&source, &["2"], true);
    assert_eq!(code(&impatient(&source)).await, Some("incoherent"));
    assert_eq!(source.begin_fetch(100), None);
    probe(&source, coherent_for_long());
    assert_eq!(code(&impatient(&source)).await, None);
    source.lose("the connection is gone".to_owned());
    assert_eq!(code(&impatient(&source)).await, Some("incoherent"));
}

#[tokio::test]
async fn where_reads_may_go_to_the_source_they_do() {
    let source = source(true);
    let (catalog, mut reads) = (patient(&source), JoinSet::new());
    begin(&mut reads, &catalog, [2]).await;
    let fetch = source.begin_fetch(100).expect("a row is wanted");
    source.end_fetch(fetch, &snapshot(), vec![row("2")], now());
    let Rows { age, rows } = reads.join_all().await.remove(0).expect("the source has answered");
    assert_eq!((age.version, keys(&rows)), (None, vec![Some("2")]));
    assert!(age.lag > Duration::ZERO, "it was read while somebody waited");
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_said_to_be_unavailable() {
    let source = source(false);
    load(&source, &[], false);
    probe(&source, coherent_for_long());
    assert_eq!(code(&impatient(&source)).await, Some("source_unavailable"));
    let (catalog, mut reads) = (patient(&source), JoinSet::new());
    begin(&mut reads, &catalog, [2]).await;
    let fetch = source.begin_fetch(100).expect("a row is wanted");
    source.fail_fetch(fetch, "no route".to_owned());
    let problem = reads.join_all().await.remove(0).err().expect("there is no answer");
    assert_eq!((problem.status(), problem.code()), (503, "source_unavailable"));
}

#[tokio::test]
async fn a_version_is_there_once_the_rows_are_coherent() {
    let source = source(false);
    let catalog = impatient(&source);
    load(&source, &[], false);
    assert!(!catalog.await_version("products", MinVersion::Number(POSITION)).await);
    probe(&source, coherent_for_long());
    assert!(catalog.await_version("products", MinVersion::Number(POSITION)).await);
    assert!(!catalog.await_version("products", MinVersion::Number(POSITION + 1)).await);
    source.advance(POSITION + 1);
    source.publish();
    assert!(catalog.await_version("products", MinVersion::Number(POSITION + 1)).await);
}

#[test]
fn the_state_follows_the_feed() {
    let source = source(false);
    let catalog = impatient(&source);
    let state = || catalog.figures().next().expect("one collection").rows_at.state();
    assert_eq!(state(), CollectionState::Incoherent);
    assert_eq!(catalog.awaited().map(Name::as_str), Some("products"));
    let loaded = source.begin_load(snapshot());
    source.loading(9);
    assert_eq!(state(), CollectionState::Loading(9));
    assert!(source.end_load(loaded));
    assert_eq!(state(), CollectionState::Incoherent);
    source.advance(POSITION);
    probe(&source, coherent_for_long());
    assert_eq!((state(), catalog.awaited()), (CollectionState::Coherent(Duration::ZERO), None));
}
