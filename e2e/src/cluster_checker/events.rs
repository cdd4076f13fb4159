//! Events as the payload of a batch has them, read by `docs/record-format.md`. What a run does not ask for is not looked into.

use anyhow::{Context as _, Result, bail, ensure};

use super::bytes::Bytes;

/// The number of a sale, and the ordinal of a reservation in it.
pub(super) type ReservationNo = (u64, u64);

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    CounterAdded {
        counter: String,
        by: u64,
        value: u64,
    },
    WindowHit {
        window: String,
        by: u64,
    },
    SalePut {
        sale_no: u64,
        sale: String,
        per_customer_max: Option<u64>,
        stocks: Vec<(String, u64)>,
    },
    Reserved(Reserved),
    Confirmed(ReservationNo),
    Released(ReservationNo),
    Expired(ReservationNo),
    /// A window has a shape.
    WindowPut {
        window: String,
    },
    /// One that changes nothing of what is checked, and of which no sink is told.
    Other,
}

/// What a reservation claims. Stocks are numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reserved {
    pub(super) reservation: ReservationNo,
    pub(super) customer: String,
    pub(super) lines: Vec<(u64, u64)>,
    pub(super) expires_at_ms: Option<u64>,
    pub(super) key: Option<String>,
}

/// The events of a payload of format 2, each with its time.
pub(super) fn read(payload: &[u8], batch_ms: u64) -> Result<Vec<(u64, Event)>> {
    let mut rest = Bytes(payload);
    let (mut at_ms, mut events) = (batch_ms, Vec::new());
    while !rest.is_empty() {
        let [kind] = rest.array()?;
        let mut group = rest.group()?;
        if kind == 1 {
            at_ms = batch_ms + group.integer()?;
            continue;
        }
        let event = read_event(kind, &mut group).with_context(|| format!("read an event of kind {kind}"))?;
        events.push((at_ms, event));
    }
    Ok(events)
}

fn read_event(kind: u8, group: &mut Bytes<'_>) -> Result<Event> {
    Ok(match kind {
        3 => Event::CounterAdded { counter: group.text()?, by: group.integer()?, value: group.integer()? },
        5 => {
            let (window, _pane) = (group.text()?, group.integer()?);
            Event::WindowHit { window, by: group.integer()? }
        }
        6 => read_sale(group)?,
        8 => Event::Reserved(read_reserved(group)?),
        9 => {
            let reservation = read_reservation(group)?;
            ensure!(group.is_empty(), "a hold that had expired is confirmed, which nobody asked for");
            Event::Confirmed(reservation)
        }
        10 => Event::Released(read_reservation(group)?),
        11 => Event::Expired(read_reservation(group)?),
        4 => Event::WindowPut { window: group.text()? },
        // The partition, and incarnations.
        2 | 12 => Event::Other,
        _ => bail!("nobody asked for what it says"),
    })
}

fn read_reservation(group: &mut Bytes<'_>) -> Result<ReservationNo> {
    Ok((group.integer()?, group.integer()?))
}

fn read_sale(group: &mut Bytes<'_>) -> Result<Event> {
    let (sale_no, sale, _title) = (group.integer()?, group.text()?, group.text()?);
    let (_opens_at, _closes_at) = (group.optional()?, group.optional()?);
    let (per_customer_max, _hold_ttl_ms) = (group.optional()?, group.integer()?);
    let mut stocks = Vec::new();
    for _ in 0..group.integer()? {
        let mut stock = group.group()?;
        let (name, _title) = (stock.text()?, stock.text()?);
        let (_starts_at, _ends_at) = (stock.optional()?, stock.optional()?);
        stocks.push((name, stock.integer()?));
    }
    // Stocks are numbered in the order of their names.
    stocks.sort();
    Ok(Event::SalePut { sale_no, sale, per_customer_max, stocks })
}

fn read_reserved(group: &mut Bytes<'_>) -> Result<Reserved> {
    let reservation = read_reservation(group)?;
    let customer = group.text()?;
    let mut lines = Vec::new();
    for _ in 0..group.integer()? {
        lines.push((group.integer()?, group.integer()?));
    }
    let mut reserved = Reserved { reservation, customer, lines, expires_at_ms: None, key: None };
    while !group.is_empty() {
        let number = group.integer()? / 2;
        let mut field = group.group()?;
        match number {
            1 => reserved.expires_at_ms = Some(field.integer()?),
            2 => {
                let _fingerprint: [u8; 8] = field.array()?;
                reserved.key = Some(String::from_utf8(field.0.to_vec()).context("read a key")?);
            }
            _ => bail!("a field {number} that nobody asked for"),
        }
    }
    Ok(reserved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster_checker::written::payload;

    #[test]
    fn events_are_read_as_they_were_written() {
        let reserved = |key: Option<&str>, expires_at_ms| {
            Event::Reserved(Reserved {
                reservation: (1, 300),
                customer: "c".into(),
                lines: vec![(0, 2), (3, 1)],
                expires_at_ms,
                key: key.map(Into::into),
            })
        };
        let stocks = vec![("a".to_owned(), 7), ("b".to_owned(), 100_000)];
        let events = vec![
            Event::CounterAdded { counter: "n".into(), by: 2, value: 1 << 40 },
            Event::WindowPut { window: "w".into() },
            Event::WindowHit { window: "w".into(), by: 3 },
            Event::Other,
            Event::SalePut { sale_no: 1, sale: "s".into(), per_customer_max: Some(0), stocks },
            reserved(None, None),
            reserved(Some("k"), Some(5_000)),
            Event::Confirmed((1, 2)),
            Event::Released((1, 2)),
            Event::Expired((1, 2)),
        ];
        let read = read(&payload(&events), 50).expect("events");
        assert_eq!(read, events.into_iter().map(|event| (50, event)).collect::<Vec<_>>());
    }

    #[test]
    fn events_are_dated_by_what_stands_before_them() {
        let bytes = [&[11, 2, 1, 1, 1, 1, 7][..], &payload(&[Event::Expired((1, 2))])].concat();
        let times = read(&bytes, 50).expect("events").into_iter().map(|(at_ms, _)| at_ms);
        assert_eq!(times.collect::<Vec<_>>(), [50, 57]);
    }
}
