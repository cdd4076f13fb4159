//! What a transaction of the source changed: which values of the watched columns it touched.

use std::collections::{BTreeSet, HashMap};

use super::pgoutput::{Message, Relation, Value, parse};
use super::settings::Watch;

/// Values that one transaction may touch. With more, all rows are loaded anew.
const VALUES_MAX: usize = 1_000_000;

/// A transaction that was committed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Transaction {
    /// The lower 32 bits of its number.
    pub(super) xid: u32,
    /// The place behind it.
    pub(super) end: u64,
    /// For each watch, in their order, the values of its column in rows that changed.
    pub(super) values: Vec<BTreeSet<String>>,
    /// Why it may have changed others as well, if it did not tell which.
    pub(super) unknown: Option<String>,
}

/// Puts transactions together from messages.
pub(super) struct Transactions {
    watches: Vec<Watch>,
    tables: HashMap<u32, Table>,
    open: Option<Transaction>,
    value_count: usize,
}

/// A table of the publication.
struct Table {
    relation: Relation,
    /// Which watches are of it, and where their column stands in it.
    watched: Vec<(usize, usize)>,
}

impl Transactions {
    pub(super) fn new(watches: &[Watch]) -> Self {
        Self { watches: watches.to_vec(), tables: HashMap::new(), open: None, value_count: 0 }
    }

    /// Whether a transaction has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn begin(&mut self, xid: u32) {
        let values = vec![BTreeSet::new(); self.watches.len()];
        (self.open, self.value_count) = (Some(Transaction { xid, end: 0, values, unknown: None }), 0);
    }

    /// Takes a message inside of a transaction.
    ///
    /// # Errors
    /// Why it is of no use, as a sentence.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let broken = |what| format!("a message of the replication cannot be read: {what}");
        match parse(bytes).map_err(broken)? {
            Message::Relation(relation) => self.learn(relation),
            Message::Row { relation, before, after } => {
                let table = self.tables.get(&relation).ok_or_else(|| broken("its table is not known"))?;
                let open = self.open.as_mut().ok_or_else(|| broken("it is outside of a transaction"))?;
                for (watch, column) in &table.watched {
                    let values = [&before, &after].map(|row| row.as_ref()?.get(*column).copied());
                    let mut is_told = false;
                    for value in values.into_iter().flatten() {
                        is_told |= value != Value::Unchanged;
                        if let Value::Text(text) = value {
                            self.value_count += usize::from(open.values[*watch].insert(text.to_owned()));
                        }
                    }
                    if !is_told {
                        let (table, column) = (&table.relation, &self.watches[*watch].column);
                        open.unknown = Some(format!(
                            "a change of {}.{} did not tell {column}",
                            table.schema, table.name
                        ));
                    }
                }
                if self.value_count > VALUES_MAX {
                    open.values.iter_mut().for_each(BTreeSet::clear);
                    open.unknown = Some(format!("one transaction changed more than {VALUES_MAX} rows"));
                }
                Ok(())
            }
            Message::Truncate(relations) => {
                let mut emptied = relations.iter().filter_map(|id| self.tables.get(id));
                if let (Some(table), Some(open)) =
                    (emptied.find(|table| !table.watched.is_empty()), self.open.as_mut())
                {
                    let Relation { schema, name, .. } = &table.relation;
                    open.unknown = Some(format!("{schema}.{name} was truncated"));
                }
                Ok(())
            }
            Message::Other => Ok(()),
        }
    }

    /// Ends the transaction that was begun.
    pub(super) fn commit(&mut self, end: u64) -> Option<Transaction> {
        self.open.take().map(|transaction| Transaction { end, ..transaction })
    }

    fn learn(&mut self, relation: Relation) -> Result<(), String> {
        let mut watched = Vec::new();
        for (index, watch) in self.watches.iter().enumerate().filter(|(_, watch)| watch.is_of(&relation)) {
            let column = relation.columns.iter().position(|(name, _)| *name == watch.column);
            let column = column.ok_or_else(|| {
                format!("{} has no column {}, or the publication leaves it out", watch.table, watch.column)
            })?;
            if !relation.tells_all && !relation.columns[column].1 {
                return Err(watch.identity_missing());
            }
            watched.push((index, column));
        }
        if let Some(known) = self.tables.get(&relation.id)
            && known.relation != relation
            && let Some(open) = &mut self.open
        {
            open.unknown = Some(format!("{}.{} was altered", relation.schema, relation.name));
        }
        self.tables.insert(relation.id, Table { relation, watched });
        Ok(())
    }
}

impl Watch {
    /// Schema and table.
    pub(super) fn names(&self) -> (&str, &str) {
        self.table.split_once('.').unwrap_or(("public", &self.table))
    }

    fn is_of(&self, relation: &Relation) -> bool {
        self.names() == (&relation.schema, &relation.name)
    }

    /// What to do if changes do not tell the value that the column had before.
    pub(super) fn identity_missing(&self) -> String {
        format!(
            "changes of {} do not tell what {} was before: it must belong to the primary key, or run ALTER TABLE {} REPLICA \
             IDENTITY FULL",
            self.table, self.column, self.table
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(table: &str, column: &str) -> Watch {
        Watch { table: table.to_owned(), column: column.to_owned(), keys: None }
    }

    /// A table `public.products` with `id`, which is told, and `warehouse`, which is not.
    fn relation(identity: u8) -> Vec<u8> {
        let head: &[&[u8]] = &[b"R", &[0, 0, 0, 7], b"public\0products\0", &[identity, 0, 2]];
        [head, &[&[1], b"id\0", &[0; 8], &[0], b"warehouse\0", &[0; 8]]].concat().concat()
    }

    fn update(before: Option<&str>, after: &str) -> Vec<u8> {
        let row = |id: &str| {
            let length = u8::try_from(id.len()).expect("short");
            [&[0, 2, b't', 0, 0, 0, length], id.as_bytes(), b"n"].concat()
        };
        let before = before.map_or_else(Vec::new, |id| [b"K".as_slice(), &row(id)].concat());
        [b"U".as_slice(), &[0, 0, 0, 7], &before, b"N", &row(after)].concat()
    }

    #[test]
    fn a_transaction_has_the_keys_before_and_after() {
        let mut transactions = Transactions::new(&[watch("products", "id"), watch("other.products", "id")]);
        assert_eq!(transactions.take(&relation(b'd')), Ok(()));
        transactions.begin(3);
        assert!(transactions.is_open());
        for bytes in [update(None, "1"), update(Some("2"), "3"), update(None, "1")] {
            assert_eq!(transactions.take(&bytes), Ok(()));
        }
        let values = vec![["1", "2", "3"].map(String::from).into(), BTreeSet::new()];
        assert_eq!(transactions.commit(9), Some(Transaction { xid: 3, end: 9, values, unknown: None }));
        assert_eq!(transactions.commit(9), None);
    }

    #[test]
    fn what_does_not_tell_which_rows_is_told() {
        let of = |transactions: &mut Transactions, bytes: &[u8]| {
            transactions.begin(1);
            assert_eq!(transactions.take(bytes), Ok(()));
            transactions.commit(9).and_then(|transaction| transaction.unknown).unwrap_or_default()
        };
        let mut transactions = Transactions::new(&[watch("public.products", "id")]);
        assert_eq!(transactions.take(&relation(b'd')), Ok(()));
        assert_eq!(of(&mut transactions, &update(None, "1")), "");
        let null = [b"U".as_slice(), &[0, 0, 0, 7], b"N", &[0, 2, b'n', b'n']].concat();
        assert_eq!(of(&mut transactions, &null), "", "no row depends on no value");
        let truncate = [b"T".as_slice(), &[0, 0, 0, 1, 0, 0, 0, 0, 7]].concat();
        assert!(of(&mut transactions, &truncate).contains("truncated"));
        let unchanged = [b"U".as_slice(), &[0, 0, 0, 7], b"N", &[0, 2, b'u', b'n']].concat();
        assert!(of(&mut transactions, &unchanged).contains("did not tell id"));
        assert!(of(&mut transactions, &relation(b'f')).contains("altered"));
        assert_eq!(of(&mut transactions, &relation(b'f')), "", "as it was before");
    }

    #[test]
    fn what_cannot_be_followed_is_said() {
        let said = |watched: Watch, bytes: &[u8]| {
            Transactions::new(&[watched]).take(bytes).expect_err("it cannot be followed")
        };
        assert!(said(watch("products", "id"), &update(None, "1")).contains("table is not known"));
        assert!(said(watch("products", "warehouse"), &relation(b'd')).contains("REPLICA IDENTITY FULL"));
        assert!(said(watch("products", "price"), &relation(b'f')).contains("no column price"));
        let mut outside = Transactions::new(&[watch("products", "warehouse")]);
        assert_eq!(outside.take(&relation(b'f')), Ok(()));
        assert!(outside.take(&update(None, "1")).expect_err("nothing began").contains("outside"));
    }
}
