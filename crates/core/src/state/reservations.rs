//! The reservations of a sale: 24 bytes each, and side tables for what only some of them have.

use arrayvec::ArrayVec;

use super::{
    chunked::Chunked,
    index::{Index, KeyedHash},
    side_table::SideTable,
};
use crate::{
    HOLD_TTL_MS_MAX, IdempotencyKey, KEY_BYTES_MAX, Line, Lines, ReservationStatus, StockNo, TimeMs,
};

/// All reservations of one sale, by ordinal. None is ever taken out.
pub(crate) struct Reservations {
    records: Chunked<Record, 12>,
    extras: Option<Box<Extras>>,
}

/// What is known when a reservation is made.
pub(crate) struct NewReservation<'a> {
    pub(crate) customer: u32,
    /// The customer's reservation before this one.
    pub(crate) previous: Option<u32>,
    pub(crate) status: ReservationStatus,
    pub(crate) lines: &'a Lines,
    pub(crate) created_at: TimeMs,
    pub(crate) hold_until: Option<TimeMs>,
    pub(crate) key: Option<IdempotencyKey<'a>>,
    pub(crate) details: &'a [u8],
}

/// One reservation.
#[derive(Clone, Copy)]
pub(crate) struct Record {
    pub(crate) created_at: TimeMs,
    pub(crate) customer: u32,
    /// The customer's reservation before this one, or [`NONE`].
    previous: u32,
    /// From the lowest bit: 27 of the hold in milliseconds (0: none), 2 of the status, one per side table.
    bits: u32,
    /// Of all lines together.
    units: u16,
    /// Of the only line; unused if the lines are in the side table.
    stock: StockNo,
}

struct Extras {
    /// The lines of reservations that have several.
    lines: SideTable<Line, 10>,
    details: SideTable<u8, 16>,
    details_bytes: u64,
    /// The fingerprint's eight bytes, little-endian, then the key.
    keys: SideTable<u8, 16>,
    by_key: Index,
}

const NONE: u32 = u32::MAX;
const HOLD_BITS: u32 = (1 << 27) - 1;
const STATUS_SHIFT: u32 = 27;
const HAS_LINES: u32 = 1 << 29;
const HAS_DETAILS: u32 = 1 << 30;
const HAS_KEY: u32 = 1 << 31;
const FINGERPRINT_BYTES: usize = 8;

const _: () = assert!(size_of::<Record>() == 24);

impl Reservations {
    pub(crate) const fn new() -> Self {
        Self { records: Chunked::new(), extras: None }
    }

    pub(crate) fn len(&self) -> u32 {
        self.records.len()
    }

    pub(crate) fn get(&self, seq: u32) -> Option<&Record> {
        self.records.get(seq)
    }

    pub(crate) fn last(&self) -> Option<&Record> {
        self.records.last()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    pub(crate) fn push(&mut self, hash: &KeyedHash, new: &NewReservation<'_>) {
        let seq = self.records.len();
        let units = new.lines.iter().map(|line| line.quantity).sum();
        let mut record = Record {
            created_at: new.created_at,
            customer: new.customer,
            previous: new.previous.unwrap_or(NONE),
            bits: hold_bits(new.created_at, new.hold_until),
            units,
            stock: new.lines[0].stock,
        };
        record.set_status(new.status);
        if new.lines.len() > 1 {
            record.bits |= HAS_LINES;
            self.extras_mut().lines.push(seq, new.lines);
        }
        if !new.details.is_empty() {
            record.bits |= HAS_DETAILS;
            let extras = self.extras_mut();
            extras.details.push(seq, new.details);
            extras.details_bytes += new.details.len() as u64;
        }
        if let Some(key) = new.key {
            record.bits |= HAS_KEY;
            self.extras_mut().add_key(hash, seq, key);
        }
        self.records.push(record);
    }

    pub(crate) fn set_status(&mut self, seq: u32, status: ReservationStatus) {
        self.records[seq].set_status(status);
    }

    /// The reservation that was made under this key, and the fingerprint that came with it.
    pub(crate) fn find_key(&self, hash: &KeyedHash, key: &[u8]) -> Option<(u32, u64)> {
        let extras = self.extras.as_deref()?;
        let number = extras
            .by_key
            .find(hash.of_bytes(key), |number| &extras.keys.nth(number).1[FINGERPRINT_BYTES..] == key)?;
        let (seq, stored) = extras.keys.nth(number);
        Some((seq, split_key(stored).fingerprint))
    }

    /// Reads where a reservation would be that was made under a key with this hash.
    pub(crate) fn touch_key(&self, key_hash: u64) -> u8 {
        self.extras.as_deref().map_or(0, |extras| extras.by_key.touch(key_hash))
    }

    pub(crate) fn lines(&self, seq: u32) -> Lines {
        let record = &self.records[seq];
        if record.bits & HAS_LINES == 0 {
            return Lines::from_iter([Line { stock: record.stock, quantity: record.units }]);
        }
        self.extra(seq, |extras| extras.lines.find(seq)).iter().copied().collect()
    }

    pub(crate) fn details(&self, seq: u32) -> &[u8] {
        if self.records[seq].bits & HAS_DETAILS == 0 {
            &[]
        } else {
            self.extra(seq, |extras| extras.details.find(seq))
        }
    }

    pub(crate) fn key(&self, seq: u32) -> Option<IdempotencyKey<'_>> {
        let has_key = self.records[seq].bits & HAS_KEY != 0;
        has_key.then(|| split_key(self.extra(seq, |extras| extras.keys.find(seq))))
    }

    /// Bytes of the details of all of them.
    pub(crate) fn details_bytes(&self) -> u64 {
        self.extras.as_ref().map_or(0, |extras| extras.details_bytes)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.records.heap_bytes()
            + self.extras.as_ref().map_or(0, |extras| size_of::<Extras>() + extras.heap_bytes())
    }

    pub(crate) fn check_bytes(&self) {
        self.records.check_bytes();
        if let Some(Extras { lines, details, details_bytes: _, keys, by_key }) = self.extras.as_deref() {
            lines.check_bytes();
            details.check_bytes();
            keys.check_bytes();
            by_key.check_bytes();
        }
    }

    fn extra<'a, T>(&'a self, seq: u32, find: impl FnOnce(&'a Extras) -> Option<&'a [T]>) -> &'a [T] {
        let found = self.extras.as_deref().and_then(find);
        found.unwrap_or_else(|| panic!("reservation {seq} has what its record says it has"))
    }

    fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_with(|| {
            Box::new(Extras {
                lines: SideTable::new(),
                details: SideTable::new(),
                details_bytes: 0,
                keys: SideTable::new(),
                by_key: Index::new(),
            })
        })
    }
}

impl Extras {
    fn add_key(&mut self, hash: &KeyedHash, seq: u32, key: IdempotencyKey<'_>) {
        let mut stored = ArrayVec::<u8, { FINGERPRINT_BYTES + KEY_BYTES_MAX }>::new();
        stored.extend(key.fingerprint.to_le_bytes());
        stored.try_extend_from_slice(key.key).expect("a key has at most 128 bytes");
        let number = self.keys.len();
        self.keys.push(seq, &stored);
        let keys = &self.keys;
        self.by_key.insert(hash.of_bytes(key.key), number, |numbers| {
            let stored: Vec<&[u8]> = numbers.iter().map(|&number| keys.nth(number).1).collect();
            stored.into_iter().map(|stored| hash.of_bytes(&stored[FINGERPRINT_BYTES..])).collect()
        });
    }

    fn heap_bytes(&self) -> usize {
        self.lines.heap_bytes()
            + self.details.heap_bytes()
            + self.keys.heap_bytes()
            + self.by_key.heap_bytes()
    }
}

impl Record {
    pub(crate) fn previous(&self) -> Option<u32> {
        (self.previous != NONE).then_some(self.previous)
    }

    pub(crate) fn units(&self) -> u64 {
        u64::from(self.units)
    }

    pub(crate) fn status(&self) -> ReservationStatus {
        match (self.bits >> STATUS_SHIFT) & 3 {
            0 => ReservationStatus::Held,
            1 => ReservationStatus::Confirmed,
            2 => ReservationStatus::Released,
            _ => ReservationStatus::Expired,
        }
    }

    /// What `expires_at` was when it was made; absent if it was confirmed at once.
    pub(crate) fn hold_until(&self) -> Option<TimeMs> {
        let hold = self.bits & HOLD_BITS;
        (hold != 0).then(|| self.created_at + u64::from(hold))
    }

    /// What `expires_at` is: only while it is held.
    pub(crate) fn expires_at(&self) -> Option<TimeMs> {
        self.hold_until().filter(|_| self.status() == ReservationStatus::Held)
    }

    fn set_status(&mut self, status: ReservationStatus) {
        self.bits = self.bits & !(3 << STATUS_SHIFT) | (status as u32) << STATUS_SHIFT;
    }
}

fn hold_bits(created_at: TimeMs, hold_until: Option<TimeMs>) -> u32 {
    let Some(hold_until) = hold_until else { return 0 };
    let hold = hold_until.checked_sub(created_at).and_then(|hold| u32::try_from(hold).ok());
    let hold = hold.filter(|hold| (1..=HOLD_TTL_MS_MAX).contains(hold));
    hold.expect("a hold ends after it begins and within a day")
}

fn split_key(stored: &[u8]) -> IdempotencyKey<'_> {
    let (fingerprint, key) = stored.split_first_chunk().expect("a key is stored behind its fingerprint");
    IdempotencyKey { key, fingerprint: u64::from_le_bytes(*fingerprint) }
}
