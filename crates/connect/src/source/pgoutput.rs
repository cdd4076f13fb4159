//! Messages of PostgreSQL's output plugin `pgoutput`, protocol version 1 (manual, chapter "Logical Replication Message Formats"), as
//! far as they tell which rows of which table changed.

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// How a table is built, before the first change of it.
    Relation(Relation),
    /// A row is new, has changed or is gone: the columns before, as far as they are told, and after.
    Row { relation: u32, before: Option<Columns<'a>>, after: Option<Columns<'a>> },
    /// All rows of these tables are gone.
    Truncate(Vec<u32>),
    /// Something that says nothing of rows.
    Other,
}

/// A table as its changes have it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) id: u32,
    pub(super) schema: String,
    pub(super) name: String,
    /// Whether the row before a change is told whole.
    pub(super) tells_all: bool,
    /// Names, and whether the value before a change is told.
    pub(super) columns: Vec<(String, bool)>,
}

/// The values of a row, in the order of the columns of its table.
pub(super) type Columns<'a> = Vec<Value<'a>>;

/// A value as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    /// It is kept beside the table, has not changed, and is not told.
    Unchanged,
    Text(&'a str),
}

/// Reads a message.
///
/// # Errors
/// What is wrong with it, in a few words.
pub(super) fn parse(bytes: &[u8]) -> Result<Message<'_>, &'static str> {
    let mut rest = Reader(bytes);
    let message = match rest.byte()? {
        b'R' => Message::Relation(rest.relation()?),
        b'I' => {
            let relation = rest.number()?;
            Message::Row { relation, before: None, after: Some(rest.new_row()?) }
        }
        b'U' => {
            let relation = rest.number()?;
            let before = rest.old_row()?;
            Message::Row { relation, before, after: Some(rest.new_row()?) }
        }
        b'D' => {
            let relation = rest.number()?;
            let before = rest.old_row()?.ok_or("a deletion without the row")?;
            Message::Row { relation, before: Some(before), after: None }
        }
        b'T' => {
            let count = rest.number()?;
            rest.byte()?;
            Message::Truncate((0..count).map(|_| rest.number()).collect::<Result<_, _>>()?)
        }
        _ => return Ok(Message::Other),
    };
    if rest.0.is_empty() { Ok(message) } else { Err("bytes behind its end") }
}

struct Reader<'a>(&'a [u8]);

const CUT_OFF: &str = "it is cut off";

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        Ok(self.take(1)?[0])
    }

    fn short(&mut self) -> Result<u16, &'static str> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(u16::from_be_bytes(*bytes))
    }

    fn number(&mut self) -> Result<u32, &'static str> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    fn text(&mut self) -> Result<String, &'static str> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(CUT_OFF)?;
        let text = std::str::from_utf8(self.take(end)?).map_err(|_| "a name is no text")?.to_owned();
        self.byte()?;
        Ok(text)
    }

    fn relation(&mut self) -> Result<Relation, &'static str> {
        let (id, schema, name) = (self.number()?, self.text()?, self.text()?);
        let tells_all = self.byte()? == b'f';
        let count = self.short()?;
        let columns = (0..count).map(|_| {
            let flags = self.byte()?;
            let name = self.text()?;
            // Its type and the modifier of that.
            self.take(8)?;
            Ok((name, flags & 1 != 0))
        });
        let columns = columns.collect::<Result<_, &'static str>>()?;
        Ok(Relation { id, schema, name, tells_all, columns })
    }

    fn new_row(&mut self) -> Result<Columns<'a>, &'static str> {
        match self.byte()? {
            b'N' => self.columns(),
            _ => Err("a change without the new row"),
        }
    }

    fn old_row(&mut self) -> Result<Option<Columns<'a>>, &'static str> {
        match self.0.first() {
            Some(b'K' | b'O') => {
                self.byte()?;
                self.columns().map(Some)
            }
            _ => Ok(None),
        }
    }

    fn columns(&mut self) -> Result<Columns<'a>, &'static str> {
        let count = self.short()?;
        (0..count).map(|_| self.value()).collect()
    }

    fn value(&mut self) -> Result<Value<'a>, &'static str> {
        match self.byte()? {
            b'n' => Ok(Value::Null),
            b'u' => Ok(Value::Unchanged),
            b't' => {
                let length = usize::try_from(self.number()?).map_err(|_| CUT_OFF)?;
                std::str::from_utf8(self.take(length)?).map(Value::Text).map_err(|_| "a value is no text")
            }
            _ => Err("a value of an unknown kind"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message of parts, as the server writes it.
    fn message(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    const RELATION: &[&[u8]] = &[
        b"R",
        &[0, 0, 0, 7],
        b"public\0",
        b"products\0",
        b"d",
        &[0, 2],
        &[1],
        b"id\0",
        &[0; 8],
        &[0],
        b"name\0",
        &[0; 8],
    ];

    #[test]
    fn messages_are_read_as_the_server_writes_them() {
        let relation = Relation {
            id: 7,
            schema: "public".to_owned(),
            name: "products".to_owned(),
            tells_all: false,
            columns: vec![("id".to_owned(), true), ("name".to_owned(), false)],
        };
        let row = |text: &'static str| vec![Value::Text(text), Value::Null];
        let (one, two) = (&[0, 2, b't', 0, 0, 0, 1, b'1', b'n'], &[0, 2, b't', 0, 0, 0, 1, b'2', b'u']);
        let id = &[0, 0, 0, 7];
        for (bytes, expected) in [
            (message(RELATION), Message::Relation(relation)),
            (
                message(&[b"I", id, b"N", one]),
                Message::Row { relation: 7, before: None, after: Some(row("1")) },
            ),
            (
                message(&[b"U", id, b"K", one, b"N", two]),
                Message::Row {
                    relation: 7,
                    before: Some(row("1")),
                    after: Some(vec![Value::Text("2"), Value::Unchanged]),
                },
            ),
            (
                message(&[b"U", id, b"N", one]),
                Message::Row { relation: 7, before: None, after: Some(row("1")) },
            ),
            (
                message(&[b"D", id, b"O", one]),
                Message::Row { relation: 7, before: Some(row("1")), after: None },
            ),
            (message(&[b"T", &[0, 0, 0, 1], &[0], id]), Message::Truncate(vec![7])),
            (message(&[b"Y", &[1, 2, 3]]), Message::Other),
        ] {
            assert_eq!(parse(&bytes), Ok(expected));
            if bytes[0] != b'Y' {
                for length in 0..bytes.len() {
                    assert!(parse(&bytes[..length]).is_err(), "{length} of {bytes:?}");
                }
                assert!(parse(&[&bytes[..], b"x"].concat()).is_err());
            }
        }
    }

    proptest! {
        /// Whoever answers instead of a server cannot do more than end the connection.
        #[test]
        fn no_bytes_do_harm(kind in prop::sample::select(b"RIUDTYOMBC".to_vec()), rest in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [&[kind], rest.as_slice()].concat();
            let _ = parse(&bytes);
        }
    }
}
