//! Script lines about rows of the catalogue.

use onrush_core::{Command, Row, RowCollection, RowLine};

use super::Run;
use super::parse::Words;

impl Run {
    /// `put-rows c k={} l={}`, `delete-row c k`, `row c k`, `collection c`.
    pub(super) fn rows<'a>(&mut self, verb: &str, words: &mut Words<'a>) -> Result<String, String> {
        let collection = words.next()?;
        Ok(match verb {
            "put-rows" => {
                let line = |(key, json): (&'a str, &'a str)| RowLine { key, json: json.as_bytes() };
                let rows: Vec<_> = words.pairs().into_iter().map(line).collect();
                self.decide(&Command::PutRows { collection, rows: &rows })
            }
            "delete-row" => self.decide(&Command::DeleteRow { collection, key: words.next()? }),
            "row" => self
                .row(collection, words.next()?)
                .map_or("none".into(), |row| String::from_utf8_lossy(row.json()).into_owned()),
            _ => format!("v{}", self.state.collection(collection).map_or(0, RowCollection::version)),
        })
    }

    fn row(&self, collection: &str, key: &str) -> Option<&Row> {
        self.state.collection(collection)?.row(key)
    }
}
