//! What can be set about a source, and the check of it before anything connects.

use crate::{Secret, TlsSettings, postgres};

/// Connections that read rows of one collection, at most.
pub const CONNECTIONS_MAX: u8 = 32;

/// Bytes of a query.
const QUERY_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a name in PostgreSQL.
const IDENTIFIER_BYTES_MAX: usize = 63;

/// Plain values of a collection whose rows are in PostgreSQL.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// `postgresql://user@host:port/database`, or the words of libpq; without a password.
    pub url: String,
    /// Sent by SCRAM, or as the server asks.
    pub password: Option<Secret>,
    /// Whether connections are encrypted.
    pub tls: TlsSettings,
    /// A `SELECT` without a semicolon: each of its rows is a row of the collection, as a JSON object.
    pub query: String,
    /// The column of the query whose value is the key: smallint, integer, bigint, uuid, text or varchar.
    pub key: String,
    /// Tables whose changes make rows be read again. At least one.
    pub watches: Vec<Watch>,
    /// The publication that has these tables; `[a-z_][a-z0-9_]*`, 1 to 63 bytes.
    pub publication: String,
    /// The replication slot; `[a-z0-9_]`, 1 to 63 bytes.
    pub replication_slot: String,
    /// Connections that read rows: 1 to 32.
    pub connections: u8,
    /// Whether all rows are read at the start. Otherwise each is read when it is first asked for.
    pub loads: bool,
}

/// A table of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// `table`, or `schema.table`; without a schema it is in `public`.
    pub table: String,
    /// A column of the table's primary key, or of what it has as its replica identity.
    pub column: String,
    /// A `SELECT` of the keys that depend on the values of that column, given as text in the array `$1`; if absent, the values are
    /// the keys.
    pub keys: Option<String>,
}

impl SourceSettings {
    /// Whether all of this can be used; otherwise what cannot, as a sentence without credentials.
    pub fn check(&self) -> Result<(), String> {
        for (field, query) in self.queries() {
            check_query(&field, query)?;
        }
        check_identifier("key", &self.key)?;
        if self.watches.is_empty() {
            return Err("watch must name at least one table".to_owned());
        }
        for watch in &self.watches {
            let parts: Vec<_> = watch.table.split('.').collect();
            if parts.len() > 2 || parts.iter().any(|part| check_identifier("table", part).is_err()) {
                return Err(format!("watch.{:?} must be a table, or schema.table", watch.table));
            }
            check_identifier("column", &watch.column)
                .map_err(|rule| format!("watch.{:?}: {rule}", watch.table))?;
            let depends = watch.keys.as_deref().is_none_or(|keys| keys.contains("$1"));
            if !depends {
                return Err(format!("watch.{:?}: keys must have the changed values, $1", watch.table));
            }
        }
        for (field, name) in
            [("publication", &self.publication), ("replication_slot", &self.replication_slot)]
        {
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            let begins_well = !name.starts_with(|first: char| first.is_ascii_digit());
            if !begins_well
                || !(1..=IDENTIFIER_BYTES_MAX).contains(&name.len())
                || !name.bytes().all(is_plain)
            {
                return Err(format!("{field} must be 1 to 63 of a-z 0-9 _ and not begin with a digit"));
            }
        }
        if !(1..=CONNECTIONS_MAX).contains(&self.connections) {
            return Err(format!("connections must be 1 to {CONNECTIONS_MAX}"));
        }
        self.database().check()
    }

    /// The role that connects, if the URL names one.
    pub fn role(&self) -> Option<String> {
        let config: tokio_postgres::Config = self.url.parse().ok()?;
        config.get_user().map(str::to_owned)
    }

    /// How its database is reached.
    pub(super) fn database(&self) -> postgres::Settings {
        postgres::Settings {
            password: self.password.clone(),
            tls: self.tls.clone(),
            ..postgres::Settings::new(self.url.clone())
        }
    }

    fn queries(&self) -> impl Iterator<Item = (String, &str)> {
        let of_watches = self
            .watches
            .iter()
            .filter_map(|watch| Some((format!("watch.{:?}: keys", watch.table), watch.keys.as_deref()?)));
        std::iter::once(("query".to_owned(), self.query.as_str())).chain(of_watches)
    }
}

fn check_query(field: &str, query: &str) -> Result<(), String> {
    let trimmed = query.trim_start();
    let begins = |word: &str| trimmed.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if !begins("select") && !begins("with") {
        return Err(format!("{field} must begin with SELECT or WITH"));
    }
    if query.contains(';') || query.contains('\0') {
        return Err(format!("{field} must be one statement, without a semicolon"));
    }
    if query.len() > QUERY_BYTES_MAX {
        return Err(format!("{field} must be at most {QUERY_BYTES_MAX} bytes"));
    }
    Ok(())
}

fn check_identifier(field: &str, name: &str) -> Result<(), String> {
    let is_usable = (1..=IDENTIFIER_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
    if is_usable {
        Ok(())
    } else {
        Err(format!("{field} must be 1 to {IDENTIFIER_BYTES_MAX} bytes, the name in PostgreSQL"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> SourceSettings {
        SourceSettings {
            url: "postgresql://onrush@localhost/shop".to_owned(),
            password: None,
            tls: TlsSettings::default(),
            query: "SELECT * FROM products".to_owned(),
            key: "id".to_owned(),
            watches: vec![Watch { table: "products".to_owned(), column: "id".to_owned(), keys: None }],
            publication: "onrush_products".to_owned(),
            replication_slot: "onrush_products".to_owned(),
            connections: 4,
            loads: true,
        }
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        type Change = fn(&mut SourceSettings);
        let cases: [(&str, Change); 12] = [
            ("", |_| {}),
            ("", |settings| settings.query = "with x as (select 1) select * from x".to_owned()),
            ("query must begin", |settings| settings.query = "DELETE FROM products".to_owned()),
            ("without a semicolon", |settings| settings.query = "SELECT 1; DROP TABLE x".to_owned()),
            ("at most 16384 bytes", |settings| settings.query = format!("SELECT {}", "1".repeat(20_000))),
            ("key must be", |settings| settings.key = String::new()),
            ("at least one table", |settings| settings.watches.clear()),
            ("must be a table", |settings| settings.watches[0].table = "a.b.c".to_owned()),
            ("column must be", |settings| settings.watches[0].column = String::new()),
            ("have the changed values", |settings| settings.watches[0].keys = Some("SELECT 1".to_owned())),
            ("replication_slot must be", |settings| settings.replication_slot = "Shop".to_owned()),
            ("must not contain a password", |settings| settings.url = "postgresql://a:b@c/d".to_owned()),
        ];
        for (wanted, change) in cases {
            let mut settings = settings();
            change(&mut settings);
            let said = settings.check().err().unwrap_or_default();
            assert!(said.contains(wanted) && said.is_empty() == wanted.is_empty(), "{wanted}: {said}");
        }
    }
}
