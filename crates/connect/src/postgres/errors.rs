//! What PostgreSQL's errors mean for a sink. Of what the server says only message, code and the names of table and
//! constraint are passed on: its details quote rows.

use std::error::Error as _;
use std::fmt::Write as _;

use onrush_sinks::TargetError;
use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use crate::tls;

/// An error while connecting, preparing or reading: all of them may pass, or are mended in the server.
pub(crate) fn unavailable(doing: &str, error: &Error) -> TargetError {
    TargetError::Unavailable(words(doing, error))
}

/// An error while rows were written: some rows will never be taken.
pub(crate) fn of_rows(doing: &str, error: &Error) -> TargetError {
    let reason = words(doing, error);
    match error.as_db_error() {
        Some(said) if is_rejection(said.code().code()) => TargetError::Rejected { offset: None, reason },
        _ => TargetError::Unavailable(reason),
    }
}

/// Whether the rows are at fault and not the moment. Classes as in appendix A of PostgreSQL's manual: 22 and 23 are about
/// values and constraints, 44 about views with a check option, 54 about limits, P0001 is what a trigger raises.
fn is_rejection(code: &str) -> bool {
    matches!(code.get(..2), Some("22" | "23" | "44" | "54")) || code == "P0001"
}

/// The error as a sentence.
pub(crate) fn words(doing: &str, error: &Error) -> String {
    let mut words = if let Some(said) = error.as_db_error() {
        said_words(doing, said)
    } else if let Some(cause) = tls::cause(error) {
        format!("{doing}: {cause}")
    } else {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{doing}: {error}{cause}")
    };
    // What the server says is bounded only by itself.
    cut_to(&mut words, WORDS_MAX);
    words
}

/// What several servers said, each in its turn, in as few words as what one says.
pub(super) fn joined(mut reasons: Vec<String>) -> String {
    let characters_max = WORDS_MAX / reasons.len().max(1);
    for reason in &mut reasons {
        cut_to(reason, characters_max);
    }
    reasons.join("; ")
}

/// Leaves out what is behind so many characters, and says so.
fn cut_to(words: &mut String, characters_max: usize) {
    if let Some((end, _)) = words.char_indices().nth(characters_max) {
        words.truncate(end);
        words.push('…');
    }
}

/// What is wrong when the server knows nothing of what was prepared or set in this session.
pub(super) const POOLER: &str = "the connection changes its session of the server between transactions: a pooler stands \
    between, such as pgbouncer with pool_mode = transaction. Let url lead to PostgreSQL itself, or set pool_mode = session";

/// Characters of an error's text.
const WORDS_MAX: usize = 500;

fn said_words(doing: &str, said: &DbError) -> String {
    let mut words = format!("{doing}: {} (SQLSTATE {}", said.message(), said.code().code());
    for (name, value) in [("table", said.table()), ("constraint", said.constraint())] {
        if let Some(value) = value {
            write!(words, ", {name} {value}").expect("writing to memory succeeds");
        }
    }
    words.push(')');
    let hint = match said.code().code() {
        "42501" => "; grant it to this role, or let the owner of the schema do this once",
        "28P01" | "28000" => "; mend the password or pg_hba.conf",
        "3D000" => "; create the database",
        "26000" | "42P05" => return words + "; " + POOLER,
        "25006" => "; the server is read-only for now",
        _ => "",
    };
    words.push_str(hint);
    words
}

#[cfg(test)]
mod tests {
    use super::{WORDS_MAX, is_rejection, joined};

    #[test]
    fn reasons_of_many_servers_are_no_longer_than_those_of_one() {
        let long = "ä".repeat(WORDS_MAX);
        for count in 1..=4 {
            let joined = joined(vec![long.clone(); count]);
            let [cut, separators] = [if count > 1 { count } else { 0 }, 2 * (count - 1)];
            assert_eq!(joined.chars().count(), WORDS_MAX / count * count + cut + separators);
        }
        assert_eq!(
            joined(vec!["one is away".to_owned(), "two is away".to_owned()]),
            "one is away; two is away"
        );
        assert_eq!(joined(Vec::new()), "");
    }

    #[test]
    fn only_errors_about_the_rows_reject_them() {
        for code in ["22001", "22003", "22021", "22P05", "23502", "23505", "23514", "44000", "54001", "P0001"]
        {
            assert!(is_rejection(code), "{code}");
        }
        for code in [
            "08006", "25006", "25P02", "28P01", "3D000", "40001", "40P01", "42501", "42P01", "53100",
            "53300", "55006", "55P03", "57014", "57P01", "57P03", "58030", "XX000", "XX001",
        ] {
            assert!(!is_rejection(code), "{code}");
        }
    }
}
