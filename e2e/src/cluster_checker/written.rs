//! Records and events as bytes, for tests.

use super::events::Event;
use super::record::{Kind, Record, checksum};

pub(super) const LOG_ID: u128 = 7;

pub(super) fn record(kind: Kind, epoch: Option<u64>, sequence: u64, base_offset: u64) -> Record {
    Record {
        kind,
        format: if kind == Kind::Batch { 2 } else { 1 },
        log_id: LOG_ID,
        partition: 0,
        node: 1,
        epoch,
        sequence,
        base_offset,
        time_ms: 0,
        told_ms: 0,
        event_count: 0,
        payload: Vec::new(),
    }
}

pub(super) fn claim(node: u32, seen: Option<u64>, base_offset: u64) -> Record {
    Record { node, ..record(Kind::Claim, seen, 99, base_offset) }
}

pub(super) fn mark(epoch: u64, sequence: u64, base_offset: u64) -> Record {
    record(Kind::Mark, Some(epoch), sequence, base_offset)
}

pub(super) fn resignation(epoch: u64, sequence: u64, base_offset: u64) -> Record {
    record(Kind::Resignation, Some(epoch), sequence, base_offset)
}

/// A batch of as many events as the payload has bytes, for tests that do not look into it.
pub(super) fn batch(epoch: u64, sequence: u64, base_offset: u64, payload: Vec<u8>) -> Record {
    let event_count = u32::try_from(payload.len()).expect("a short payload");
    Record { event_count, payload, ..record(Kind::Batch, Some(epoch), sequence, base_offset) }
}

/// A batch of these events.
pub(super) fn batch_of(epoch: u64, sequence: u64, base_offset: u64, events: &[Event]) -> Record {
    let event_count = u32::try_from(events.len()).expect("few events");
    Record { event_count, ..batch(epoch, sequence, base_offset, payload(events)) }
}

pub(super) fn encoded(record: &Record) -> Vec<u8> {
    let kind = match record.kind {
        Kind::Claim => 1,
        Kind::Batch => 2,
        Kind::Mark => 3,
        Kind::Resignation => 4,
        Kind::Note => 5,
    };
    let mut bytes = b"oSHR\x01\0".to_vec();
    bytes.extend([kind, record.format]);
    bytes.extend(record.log_id.to_le_bytes());
    bytes.extend(record.partition.to_le_bytes());
    bytes.extend(record.node.to_le_bytes());
    bytes.extend(record.epoch.unwrap_or(u64::MAX).to_le_bytes());
    for number in [record.sequence, record.base_offset, record.time_ms, record.told_ms] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(record.event_count.to_le_bytes());
    bytes.extend(u32::try_from(record.payload.len()).expect("a short payload").to_le_bytes());
    let sum = checksum(bytes.iter().chain(&record.payload));
    bytes.extend(sum.to_le_bytes());
    bytes.extend(&record.payload);
    bytes
}

pub(super) fn payload(events: &[Event]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events {
        let (kind, group) = fields(event);
        bytes.push(kind);
        put_bytes(&mut bytes, &group);
    }
    bytes
}

fn fields(event: &Event) -> (u8, Vec<u8>) {
    let mut out = Vec::new();
    let kind = match event {
        Event::CounterAdded { counter, by, value } => {
            put_bytes(&mut out, counter.as_bytes());
            put_integer(&mut out, *by);
            put_integer(&mut out, *value);
            3
        }
        Event::WindowHit { window, by } => {
            put_bytes(&mut out, window.as_bytes());
            put_integer(&mut out, 9);
            put_integer(&mut out, *by);
            5
        }
        Event::SalePut { sale_no, sale, per_customer_max, stocks } => {
            put_integer(&mut out, *sale_no);
            put_bytes(&mut out, sale.as_bytes());
            put_bytes(&mut out, b"title");
            out.extend([0, 0]);
            put_integer(&mut out, per_customer_max.map_or(0, |max| max + 1));
            put_integer(&mut out, 300);
            put_integer(&mut out, stocks.len() as u64);
            for (stock, total) in stocks {
                let mut group = Vec::new();
                put_bytes(&mut group, stock.as_bytes());
                group.extend([0, 0, 0]);
                put_integer(&mut group, *total);
                put_bytes(&mut out, &group);
            }
            6
        }
        Event::Reserved(reserved) => {
            put_integer(&mut out, reserved.reservation.0);
            put_integer(&mut out, reserved.reservation.1);
            put_bytes(&mut out, reserved.customer.as_bytes());
            put_integer(&mut out, reserved.lines.len() as u64);
            for (stock, quantity) in &reserved.lines {
                put_integer(&mut out, *stock);
                put_integer(&mut out, *quantity);
            }
            if let Some(end) = reserved.expires_at_ms {
                let mut group = Vec::new();
                put_integer(&mut group, end);
                out.push(3);
                put_bytes(&mut out, &group);
            }
            if let Some(key) = &reserved.key {
                out.push(5);
                put_bytes(&mut out, &[&[0; 8], key.as_bytes()].concat());
            }
            8
        }
        Event::Confirmed(no) | Event::Released(no) | Event::Expired(no) => {
            put_integer(&mut out, no.0);
            put_integer(&mut out, no.1);
            match event {
                Event::Confirmed(_) => 9,
                Event::Released(_) => 10,
                _ => 11,
            }
        }
        Event::WindowPut { window } => {
            put_bytes(&mut out, window.as_bytes());
            out.extend([9, 9]);
            4
        }
        Event::Other => 12,
    };
    (kind, out)
}

fn put_integer(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("seven bits"));
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_integer(out, bytes.len() as u64);
    out.extend(bytes);
}
