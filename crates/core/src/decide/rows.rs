//! Rows of the catalogue that operators put.

use super::{Answer, Decision, check_memory, check_new_name};
use crate::{
    Event, ROW_BYTES_MAX, ROW_KEY_RULE, ROWS_BYTES_MAX, ROWS_PER_PUT_MAX, Refusal, RowCollection, RowLine,
    State, is_row_key, row::is_row_json, row_line_bytes,
};

const ROWS_RULE: &str = "must be 1 to 10000";
const JSON_RULE: &str = "must be a JSON object of at most 16384 bytes";
const BYTES_RULE: &str = "must have at most 1572864 bytes together";

const _: () = assert!(
    ROWS_PER_PUT_MAX == 10_000 && ROW_BYTES_MAX == 16_384 && ROWS_BYTES_MAX == 1_572_864,
    "the rules say these numbers"
);

pub(super) fn decide_put<'a>(
    state: &State,
    collection: &'a str,
    rows: &[RowLine<'a>],
) -> Result<Decision<'a>, Refusal> {
    check_new_name("collection", collection)?;
    let invalid = |field, rule| Err(Refusal::Invalid { field, rule });
    if !(1..=ROWS_PER_PUT_MAX).contains(&rows.len()) {
        return invalid("rows", ROWS_RULE);
    }
    if rows.iter().any(|row| !is_row_key(row.key)) {
        return invalid("key", ROW_KEY_RULE);
    }
    if rows.iter().any(|row| !is_row_json(row.json)) {
        return invalid("row", JSON_RULE);
    }
    if rows.iter().map(row_line_bytes).sum::<usize>() > ROWS_BYTES_MAX {
        return invalid("rows", BYTES_RULE);
    }
    let found = state.rows.collection(collection);
    let before = |row: &RowLine<'_>| found.and_then(|found| found.row(row.key));
    if let Some(found) = found
        && rows.iter().all(|row| before(row).is_some_and(|before| before.json() == row.json))
    {
        return Ok(Decision::nothing_new(Answer::RowsPut { version: found.version() }));
    }
    let grows = |row: &RowLine<'_>| before(row).is_none_or(|before| before.json().len() < row.json.len());
    if rows.iter().any(grows) {
        check_memory(state)?;
    }
    let version = found.map_or(0, RowCollection::version) + 1;
    Ok(Decision::new(Event::RowsPut { collection, rows: rows.to_vec() }, Answer::RowsPut { version }))
}

pub(super) fn decide_delete<'a>(
    state: &State,
    collection: &'a str,
    key: &'a str,
) -> Result<Decision<'a>, Refusal> {
    check_new_name("collection", collection)?;
    if !is_row_key(key) {
        return Err(Refusal::Invalid { field: "key", rule: ROW_KEY_RULE });
    }
    match state.rows.collection(collection) {
        Some(found) if found.row(key).is_some() => {
            let answer = Answer::RowDeleted { version: found.version() + 1 };
            Ok(Decision::new(Event::RowDeleted { collection, key }, answer))
        }
        _ => Err(Refusal::RowNotFound),
    }
}
