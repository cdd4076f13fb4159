//! What the pieces of a snapshot hold, in a row: the state as of an offset, and the entries behind it.
//!
//! Each item is a byte for its kind, four for its length, and as many as that says:
//!
//! | kind | what it is | bytes |
//! |---:|---|---|
//! | 1 | a state begins | format (1), offset (8), partition time in milliseconds (8) |
//! | 2 | a chunk of it | as in a file of a snapshot (`docs/log-format.md`) |
//! | 3 | it ends | its digest (16) |
//! | 4 | an entry | format (1), base offset (8), number of events (4), partition time (8), payload; a mark has no events |
//!
//! Numbers are little-endian.

use onrush_log::{BATCH_BYTES_MAX, CHUNK_BYTES_MAX, Entry, Format};

const ITEM_HEADER_BYTES: usize = 5;
const STATE_BYTES: usize = 17;
const ENTRY_BYTES: usize = 21;
/// No item is longer: a chunk and a batch may have as much.
const ITEM_BYTES_MAX: usize = CHUNK_BYTES_MAX + ENTRY_BYTES;
const _: () = assert!(CHUNK_BYTES_MAX as u64 >= BATCH_BYTES_MAX);

const STATE: u8 = 1;
const CHUNK: u8 = 2;
const STATE_END: u8 = 3;
const ENTRY: u8 = 4;

/// One thing in the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    State {
        format: Format,
        offset: u64,
        time_ms: u64,
    },
    Chunk(&'a [u8]),
    StateEnd {
        digest: [u8; 16],
    },
    /// Its epoch is not kept.
    Entry(Entry<'a>),
}

impl Item<'_> {
    /// Appends its bytes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(&[0; ITEM_HEADER_BYTES]);
        out[at] = match self {
            Item::State { format, offset, time_ms } => {
                out.push(format.number());
                out.extend_from_slice(&offset.to_le_bytes());
                out.extend_from_slice(&time_ms.to_le_bytes());
                STATE
            }
            Item::Chunk(bytes) => {
                out.extend_from_slice(bytes);
                CHUNK
            }
            Item::StateEnd { digest } => {
                out.extend_from_slice(digest);
                STATE_END
            }
            Item::Entry(entry) => {
                out.push(entry.format.number());
                out.extend_from_slice(&entry.base_offset.to_le_bytes());
                out.extend_from_slice(&entry.event_count.to_le_bytes());
                out.extend_from_slice(&entry.time_ms.to_le_bytes());
                out.extend_from_slice(entry.payload);
                ENTRY
            }
        };
        let length = u32::try_from(out.len() - at - ITEM_HEADER_BYTES).expect("an item is some megabytes");
        out[at + 1..at + ITEM_HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
    }
}

/// Puts items together from pieces that end anywhere.
#[derive(Default)]
pub(super) struct Items {
    bytes: Vec<u8>,
    /// Bytes of items that were taken.
    taken: usize,
}

impl Items {
    /// Adds the next piece.
    pub(super) fn add(&mut self, piece: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(piece);
    }

    /// The next item that is whole; `None` if there is none yet.
    ///
    /// # Errors
    /// These bytes are no content, in a word.
    pub(super) fn next(&mut self) -> Result<Option<Item<'_>>, &'static str> {
        let rest = &self.bytes[self.taken..];
        let Some((header, rest)) = rest.split_first_chunk::<ITEM_HEADER_BYTES>() else { return Ok(None) };
        let [kind, length @ ..] = *header;
        let length = u32::from_le_bytes(length) as usize;
        if length > ITEM_BYTES_MAX {
            return Err("an item is longer than any");
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        self.taken += ITEM_HEADER_BYTES + length;
        decode(kind, body).map(Some).ok_or("an item makes no sense")
    }

    /// Whether all bytes were taken.
    pub(super) fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }
}

fn decode(kind: u8, body: &[u8]) -> Option<Item<'_>> {
    let u64_at = |at: usize| Some(u64::from_le_bytes(body.get(at..at + 8)?.try_into().ok()?));
    match kind {
        STATE if body.len() == STATE_BYTES => {
            let format = Format::of_number(body[0].into())?;
            Some(Item::State { format, offset: u64_at(1)?, time_ms: u64_at(9)? })
        }
        CHUNK => Some(Item::Chunk(body)),
        STATE_END => Some(Item::StateEnd { digest: body.try_into().ok()? }),
        ENTRY => {
            let (fixed, payload) = body.split_at_checked(ENTRY_BYTES)?;
            Some(Item::Entry(Entry {
                format: Format::of_number(fixed[0].into())?,
                epoch: 0,
                base_offset: u64_at(1)?,
                event_count: u32::from_le_bytes(fixed[9..13].try_into().ok()?),
                time_ms: u64_at(13)?,
                payload,
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_back_from_pieces_of_any_length() {
        let entry = Entry {
            format: Format::NEWEST,
            epoch: 0,
            base_offset: 70,
            event_count: 2,
            time_ms: 9,
            payload: b"two events",
        };
        let items = [
            Item::State { format: Format::NEWEST, offset: 70, time_ms: 8 },
            Item::Chunk(b"a part of it"),
            Item::Chunk(b""),
            Item::StateEnd { digest: [7; 16] },
            Item::Entry(entry),
            Item::Entry(Entry { event_count: 0, base_offset: 72, payload: b"", ..entry }),
        ];
        let mut bytes = Vec::new();
        for item in &items {
            item.encode(&mut bytes);
        }
        for length in 1..=bytes.len() {
            let (mut read, mut expected) = (Items::default(), items.iter());
            for piece in bytes.chunks(length) {
                read.add(piece);
                while let Some(item) = read.next().unwrap() {
                    assert_eq!(Some(&item), expected.next());
                }
            }
            assert_eq!(expected.next(), None);
            assert!(read.is_empty());
        }
    }

    #[test]
    fn what_is_no_item_is_refused() {
        for bytes in [
            &[9, 0, 0, 0, 0][..],
            &[CHUNK, 255, 255, 255, 255],
            &[STATE, 1, 0, 0, 0, 1],
            &[STATE_END, 2, 0, 0, 0, 1, 1],
            &[ENTRY, 1, 0, 0, 0, 1],
        ] {
            let mut items = Items::default();
            items.add(bytes);
            assert!(items.next().is_err(), "{bytes:?}");
        }
    }
}
