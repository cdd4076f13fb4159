//! The rows that a sink wrote, written again by bare `COPY … (FORMAT binary)`: the fastest way into the same tables.

use std::ops::Range;
use std::pin::pin;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, TryStreamExt};

use super::Postgres;

/// Signature, flags and the length of no extension; how every file begins ("Binary Format" in the manual's page on COPY).
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The number of fields that stands where another row would begin.
const TRAILER: &[u8; 2] = &[0xff; 2];
/// What goes into one message of the protocol.
const MESSAGE_BYTES: usize = 64 << 10;

/// The large tables of a schema, row by row as they lie there.
pub(crate) struct Dump {
    schema: String,
    tables: Vec<Table>,
    /// Transactions that wrote the events.
    pub(crate) transaction_count: usize,
}

struct Table {
    name: String,
    /// Without header and trailer.
    bytes: Bytes,
    /// Where each row ends.
    ends: Vec<usize>,
}

impl Dump {
    /// Reads every table that grows with the events.
    pub(crate) fn take(postgres: &Postgres, schema: &str) -> Result<Self> {
        let names = ["events", "reservations", "counter_history"];
        let mut tables = Vec::new();
        for name in names {
            let table = Table::read(postgres, schema, name)?;
            if !table.ends.is_empty() {
                tables.push(table);
            }
        }
        let count = postgres.number(&format!("SELECT count(DISTINCT xmin::text) FROM {schema}.events"))?;
        let transaction_count = usize::try_from(count)?;
        ensure!(transaction_count > 0, "there is no event in {schema}");
        Ok(Self { schema: schema.to_owned(), tables, transaction_count })
    }

    /// Rows of the largest table: one for each event.
    pub(crate) fn event_count(&self) -> u64 {
        self.tables.iter().map(|table| table.ends.len() as u64).max().unwrap_or(0)
    }

    pub(crate) fn row_counts(&self) -> String {
        let counts = self.tables.iter().map(|table| format!("{} {}", table.ends.len(), table.name));
        counts.collect::<Vec<_>>().join(", ")
    }

    fn table_names(&self) -> Vec<String> {
        self.tables.iter().map(|table| table.name.clone()).collect()
    }

    /// Makes empty copies of the tables, with the same indexes, in the schema `to`, and brings the server to rest.
    pub(crate) fn prepare(&self, postgres: &Postgres, to: &str) -> Result<()> {
        postgres.copy_empty(&self.schema, to, &self.table_names())?;
        postgres.execute("CHECKPOINT")
    }

    /// Writes all rows to the schema `to` in so many transactions; returns the seconds that it took.
    pub(crate) fn write(&self, postgres: &Postgres, to: &str, transaction_count: usize) -> Result<f64> {
        let started = Instant::now();
        for number in 0..transaction_count {
            postgres.execute("BEGIN")?;
            for table in &self.tables {
                let share = |part: usize| table.ends.len() * part / transaction_count;
                table.write(postgres, to, share(number)..share(number + 1))?;
            }
            postgres.execute("COMMIT")?;
        }
        let seconds = started.elapsed().as_secs_f64();
        for table in &self.tables {
            let there_count = postgres.number(&format!("SELECT count(*) FROM {to}.{}", table.name))?;
            ensure!(there_count == table.ends.len() as u64, "{there_count} rows of {} are there", table.name);
        }
        Ok(seconds)
    }
}

impl Table {
    fn read(postgres: &Postgres, schema: &str, name: &str) -> Result<Self> {
        let query = format!("COPY {schema}.{name} TO STDOUT (FORMAT binary)");
        let bytes = postgres.runtime.block_on(async {
            let mut stream = pin!(postgres.client.copy_out(&query).await?);
            let mut bytes = BytesMut::new();
            while let Some(part) = stream.try_next().await? {
                bytes.extend_from_slice(&part);
            }
            Ok::<_, tokio_postgres::Error>(bytes.freeze())
        });
        let bytes = bytes.with_context(|| format!("copy {schema}.{name} out"))?;
        ensure!(bytes.starts_with(HEADER), "{name} does not begin as a binary copy does");
        let bytes = bytes.slice(HEADER.len()..);
        let ends = row_ends(&bytes).with_context(|| format!("read the copy of {name}"))?;
        Ok(Self { name: name.to_owned(), bytes, ends })
    }

    fn write(&self, postgres: &Postgres, schema: &str, rows: Range<usize>) -> Result<()> {
        let end_of = |row: usize| if row == 0 { 0 } else { self.ends[row - 1] };
        let mut rest = self.bytes.slice(end_of(rows.start)..end_of(rows.end));
        let query = format!("COPY {schema}.{} FROM STDIN (FORMAT binary)", self.name);
        let written = postgres.runtime.block_on(async {
            let mut writer = pin!(postgres.client.copy_in::<_, Bytes>(&query).await?);
            writer.feed(Bytes::from_static(HEADER)).await?;
            while !rest.is_empty() {
                writer.feed(rest.split_to(rest.len().min(MESSAGE_BYTES))).await?;
            }
            writer.feed(Bytes::from_static(TRAILER)).await?;
            writer.finish().await
        });
        let written_count = written.with_context(|| format!("copy into {schema}.{}", self.name))?;
        ensure!(written_count == rows.len() as u64, "{written_count} rows of {} were copied", rows.len());
        Ok(())
    }
}

/// Where each row ends: a row is a number of fields, and for each field its length, -1 for null, and as many bytes.
fn row_ends(bytes: &[u8]) -> Result<Vec<usize>> {
    let mut ends = Vec::new();
    let mut at = 0;
    loop {
        let Some(field_count) = bytes.get(at..at + 2) else { bail!("the copy was cut off") };
        if field_count == TRAILER {
            return Ok(ends);
        }
        let field_count = u16::from_be_bytes([field_count[0], field_count[1]]);
        at += 2;
        for _ in 0..field_count {
            let length =
                bytes.get(at..).and_then(<[u8]>::first_chunk::<4>).context("the copy was cut off")?;
            let length = i32::from_be_bytes(*length);
            at += 4 + usize::try_from(length).unwrap_or(0);
        }
        ends.push(at);
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};

    use super::*;

    #[test]
    fn rows_are_told_apart() {
        let mut bytes = BytesMut::new();
        for value in [&b"abc"[..], b""] {
            bytes.put_u16(2);
            bytes.put_i32(i32::try_from(value.len()).unwrap());
            bytes.put_slice(value);
            bytes.put_i32(-1);
        }
        assert!(row_ends(&bytes).is_err());
        bytes.put_slice(TRAILER);
        assert_eq!(row_ends(&bytes).unwrap(), [13, 23]);
        assert!(row_ends(&bytes[..12]).is_err());
    }
}
