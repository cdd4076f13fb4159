//! Who is denied: one entry of the denylist, and which values an entry may have.

// Addresses as values: `core::net` opens no connection.
use core::net::IpAddr;
use std::sync::Arc;

use crate::{SESSION_MS_MAX, TimeMs, is_new_name};

/// What the value of a denial names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DenialKind {
    /// A customer, by name.
    Customer = 0,
    /// An address, or a network of them.
    Address = 1,
    /// The sessions of a customer that had begun by a moment, by the name of the customer. Who begins another one is not denied.
    Session = 2,
}

impl DenialKind {
    /// Every kind, each at the index that it is as a number.
    pub const ALL: [Self; 3] = [Self::Customer, Self::Address, Self::Session];

    /// As operators write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Address => "address",
            Self::Session => "session",
        }
    }

    /// Whether a denial of this kind may have this value: the name of a customer, or an address or a network as
    /// [`is_network`] has them.
    pub fn takes(self, value: &str) -> bool {
        match self {
            Self::Customer | Self::Session => is_new_name(value),
            Self::Address => is_network(value),
        }
    }
}

/// One entry of the denylist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What `value` names.
    pub kind: DenialKind,
    /// The customer, address or network. With the kind it is unique.
    pub value: Arc<str>,
    /// Why, for operators: at most [`crate::REASON_BYTES_MAX`] bytes.
    pub reason: Box<str>,
    /// From then on, by the wall clock, it denies nobody. Absent if it has no end. That of sessions is when the last of them would
    /// have expired.
    pub expires_at: Option<TimeMs>,
}

impl Denial {
    /// Whether it denies somebody at `wall`.
    pub fn is_live(&self, wall: TimeMs) -> bool {
        self.expires_at.is_none_or(|expires_at| wall < expires_at)
    }

    /// The moment up to which sessions of the customer were ended: one that began then or before is none, by the clock of the
    /// server that began it. Nothing if it is not about sessions.
    pub fn sessions_ended_at(&self) -> Option<TimeMs> {
        let is_of_sessions = self.kind == DenialKind::Session;
        self.expires_at.filter(|_| is_of_sessions)?.checked_sub(SESSION_MS_MAX)
    }
}

/// A part of the denylist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenialsPage {
    /// Denials that are not over, customers first, by value.
    pub denials: Vec<Arc<Denial>>,
    /// Kind and value after which the next page begins, if there can be more.
    pub next_after: Option<(DenialKind, Arc<str>)>,
}

/// Whether the text is an address or a network in the one form that stands for it: addresses as [`IpAddr`] writes them, none of
/// IPv4 in the form of IPv6; networks with a length shorter than the address and no bits set behind it.
pub fn is_network(text: &str) -> bool {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(parsed) = address.parse::<IpAddr>() else { return false };
    if parsed.to_canonical() != parsed || parsed.to_string() != address {
        return false;
    }
    let (bits, bits_max) = match parsed {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    length.is_none_or(|text| {
        let length =
            text.parse::<u32>().ok().filter(|length| *length < bits_max && length.to_string() == text);
        length.is_some_and(|length| bits.checked_shl(length).unwrap_or(0) == 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_a_network_have_one_form() {
        for text in
            ["192.0.2.7", "192.0.2.0/24", "0.0.0.0/0", "128.0.0.0/1", "2001:db8::1", "2001:db8::/32", "::/0"]
        {
            assert!(is_network(text), "{text}");
        }
        for text in [
            "",
            "a",
            "192.0.2",
            "192.0.2.7/32",
            "192.0.2.7/24",
            "192.0.2.0/024",
            "192.0.2.0/+24",
            "192.0.2.0/",
            "192.0.2.0/33",
            "0.0.0.1/0",
            "2001:DB8::1",
            "2001:db8:0::1",
            "2001:db8::1/64",
            "2001:db8::1/128",
            "::ffff:192.0.2.7",
        ] {
            assert!(!is_network(text), "{text}");
        }
    }

    #[test]
    fn kinds_stand_at_their_index() {
        for (index, kind) in DenialKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }

    #[test]
    fn a_denial_is_over_from_its_end_on() {
        let mut denial =
            Denial { kind: DenialKind::Customer, value: "c".into(), reason: "".into(), expires_at: Some(10) };
        assert!(denial.is_live(9) && !denial.is_live(10));
        denial.expires_at = None;
        assert!(denial.is_live(u64::MAX));
    }

    #[test]
    fn a_denial_of_sessions_says_which_ones() {
        for (kind, expires_at, expected) in [
            (DenialKind::Session, Some(SESSION_MS_MAX + 7), Some(7)),
            (DenialKind::Session, Some(SESSION_MS_MAX), Some(0)),
            (DenialKind::Session, Some(7), None),
            (DenialKind::Session, None, None),
            (DenialKind::Customer, Some(SESSION_MS_MAX + 7), None),
        ] {
            let denial = Denial { kind, value: "c".into(), reason: "".into(), expires_at };
            assert_eq!(denial.sessions_ended_at(), expected, "{denial:?}");
        }
    }
}
