//! What a node that leads tells those that may lead next: values under names, all of them in every note.
//!
//! A note is a row of entries, each a byte with the length of the name, the name, a byte with the length of the value, and the value.

use std::collections::BTreeMap;

use onrush_log::shared::SHORT_PAYLOAD_BYTES_MAX;

/// Values by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Notes(BTreeMap<String, Vec<u8>>);

impl Notes {
    /// Reads a note. Nothing of one that is not whole.
    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        let mut notes = BTreeMap::new();
        let mut rest = payload;
        while !rest.is_empty() {
            let (name, value);
            (name, rest) = split_short(rest)?;
            (value, rest) = split_short(rest)?;
            notes.insert(std::str::from_utf8(name).ok()?.to_owned(), value.to_vec());
        }
        Some(Self(notes))
    }

    /// Writes a note, with as many entries as it takes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        for (name, value) in &self.0 {
            let (Ok(name_bytes), Ok(value_bytes)) = (u8::try_from(name.len()), u8::try_from(value.len()))
            else {
                continue;
            };
            if payload.len() + name.len() + value.len() + 2 > SHORT_PAYLOAD_BYTES_MAX {
                break;
            }
            payload.push(name_bytes);
            payload.extend_from_slice(name.as_bytes());
            payload.push(value_bytes);
            payload.extend_from_slice(value);
        }
        payload
    }

    pub(crate) fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.0.get(name).cloned()
    }

    /// Whether that is something new.
    pub(crate) fn put(&mut self, name: &str, value: &[u8]) -> bool {
        self.0.insert(name.to_owned(), value.to_vec()).is_none_or(|before| before != value)
    }
}

fn split_short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_whole_or_not_at_all() {
        let mut notes = Notes::default();
        assert_eq!(Notes::decode(&notes.encode()), Some(notes.clone()));
        assert!(
            notes.put("orders", &[1, 2, 3]) && notes.put("Bücher", b"") && !notes.put("orders", &[1, 2, 3])
        );
        let payload = notes.encode();
        assert_eq!(Notes::decode(&payload), Some(notes.clone()));
        let whole = (0..payload.len()).filter(|cut| Notes::decode(&payload[..*cut]).is_some()).count();
        assert_eq!(whole, 2, "none, or the first entry");
        for number in 0..200 {
            notes.put(&format!("a sink with a long name and the number {number}"), &[7; 20]);
        }
        assert!(notes.encode().len() <= SHORT_PAYLOAD_BYTES_MAX);
        assert!(Notes::decode(&notes.encode()).is_some());
    }
}
