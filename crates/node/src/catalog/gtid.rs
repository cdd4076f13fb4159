//! Names of transactions, as MariaDB and MySQL give them on the server that makes them, and sets of them.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

/// A transaction of MariaDB as the server numbered it that made it. Other servers have it under the same number, in logs of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionNumber {
    /// Transactions are numbered for each domain. Of two domains nobody says which was first.
    pub domain: u32,
    /// The server that made it.
    pub server: NonZeroU32,
    /// Higher than that of any transaction of the domain that this server had.
    pub number: u64,
}

/// A set of transactions, as both write it: of MariaDB the last one of each domain, as in `0-1-4711,7-2-9`; of MySQL the UUIDs of servers or groups, each with
/// numbers, as in `3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidSet {
    /// Those of MariaDB: the last one of each domain, and with it all before.
    last: Vec<TransactionNumber>,
    /// Those of MySQL, in their order, with gaps between them.
    numbers: Vec<Numbers>,
}

/// Numbers of one UUID. A lower one can be of a later transaction: members of a group have theirs from blocks of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Numbers {
    server: u128,
    range: RangeInclusive<u64>,
}

impl TransactionNumber {
    /// Reads `0-1-4711`; nothing for any other text, or for a server without a number.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-').map(digits);
        let (domain, server, number) = (parts.next()??, parts.next()??, parts.next()??);
        Some(Self {
            domain: domain.parse().ok()?,
            server: server.parse().ok()?,
            number: number.parse().ok()?,
        })
    }
}

impl GtidSet {
    /// Reads a set, or the name of one transaction, which is a set as well; nothing for any other text. The empty text is the empty set.
    pub fn parse(text: &str) -> Option<Self> {
        let mut set = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            if let Some(number) = TransactionNumber::parse(part) {
                set.last.push(number);
                continue;
            }
            let (server, ranges) = part.split_once(':')?;
            let server = uuid(server)?;
            for range in ranges.split(':') {
                set.numbers.push(Numbers { server, range: numbers(range)? });
            }
        }
        set.join();
        Some(set)
    }

    /// Whether there is no transaction in it.
    pub fn is_empty(&self) -> bool {
        self.last.is_empty() && self.numbers.is_empty()
    }

    /// Whether all transactions of the other set are among these. Of MariaDB, one is if another of its domain is that has no lower number, as
    /// a replica of MariaDB has it that is waited for.
    pub fn has_all(&self, wanted: &Self) -> bool {
        let has_number = |wanted: &TransactionNumber| {
            self.last.iter().any(|last| last.domain == wanted.domain && last.number >= wanted.number)
        };
        wanted.last.iter().all(has_number) && wanted.numbers.iter().all(|wanted| self.has_numbers(wanted))
    }

    fn has_numbers(&self, wanted: &Numbers) -> bool {
        let begun_count = self.numbers.partition_point(|own| own.order() <= wanted.order());
        let before = begun_count.checked_sub(1).map(|at| &self.numbers[at]);
        before.is_some_and(|own| own.server == wanted.server && own.range.end() >= wanted.range.end())
    }

    /// Makes one range of those that touch.
    fn join(&mut self) {
        self.numbers.sort_unstable_by_key(Numbers::order);
        self.numbers.dedup_by(|next, before| {
            let touches =
                next.server == before.server && *next.range.start() <= before.range.end().saturating_add(1);
            if touches {
                before.range = *before.range.start()..=*before.range.end().max(next.range.end());
            }
            touches
        });
    }
}

impl Numbers {
    fn order(&self) -> (u128, u64) {
        (self.server, *self.range.start())
    }
}

/// Reads `7`, or `1-5`, which begins with 1 or a higher number and does not go down.
fn numbers(text: &str) -> Option<RangeInclusive<u64>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (digits(first)?.parse().ok()?, digits(last)?.parse().ok()?);
    (1 <= first && first <= last).then_some(first..=last)
}

fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

/// Reads 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12 (RFC 9562, section 4).
fn uuid(text: &str) -> Option<u128> {
    let lengths = [8, 4, 4, 4, 12];
    let is_hex = |byte: u8| byte.is_ascii_hexdigit();
    let is_group = |(group, length): (&str, usize)| group.len() == length && group.bytes().all(is_hex);
    let is_uuid = text.split('-').count() == lengths.len() && text.split('-').zip(lengths).all(is_group);
    is_uuid.then(|| u128::from_str_radix(&text.replace('-', ""), 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const SERVER: u128 = 0x3e11_fa47_71ca_11e1_9e33_c80a_a942_9562;

    fn number(domain: u32, server: u32, number: u64) -> TransactionNumber {
        TransactionNumber { domain, server: NonZeroU32::new(server).expect("not 0"), number }
    }

    #[test]
    fn a_text_is_a_set_of_transactions_or_nothing() {
        let largest = format!("{0}-{0}-{1}", u32::MAX, u64::MAX);
        for (text, last) in [
            ("", vec![]),
            ("0-1-4711", vec![number(0, 1, 4_711)]),
            (&largest, vec![number(u32::MAX, u32::MAX, u64::MAX)]),
            ("0-1-2,1-1-3", vec![number(0, 1, 2), number(1, 1, 3)]),
        ] {
            assert_eq!(GtidSet::parse(text), Some(GtidSet { last, numbers: vec![] }), "{text}");
        }
        let range = |range| Numbers { server: SERVER, range };
        for (text, numbers) in [
            (format!("{UUID}:23"), vec![range(23..=23)]),
            (format!("{}:23", UUID.to_uppercase()), vec![range(23..=23)]),
            (format!("{UUID}:7:1-5:6:9-11:10-20"), vec![range(1..=7), range(9..=20)]),
            (format!("{UUID}:1-5,\n{UUID}:3-4"), vec![range(1..=5)]),
            (format!("{UUID}:{0}:{0}", u64::MAX), vec![range(u64::MAX..=u64::MAX)]),
        ] {
            assert_eq!(GtidSet::parse(&text), Some(GtidSet { last: vec![], numbers }), "{text}");
        }
        for wrong in [
            "0",
            "0-1",
            "0-1-",
            "0-1-+2",
            "0-0-2",
            "-1-2",
            "0-1-2-3",
            "0-1-2 1-1-3",
            "4294967296-1-2",
            "0-1-18446744073709551616",
            UUID,
            "binlog.000001:4711",
            &format!("{UUID}:"),
            &format!("{UUID}:0"),
            &format!("{UUID}:5-1"),
            &format!("{UUID}:1-2-3"),
            &format!("{UUID}:18446744073709551616"),
            &format!("{UUID}:tag:1"),
            &format!("{UUID}0:1"),
            &format!("{}:1", UUID.replace('f', "g")),
            &format!("{}:1", UUID.replace('-', "")),
        ] {
            assert_eq!(GtidSet::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_set_has_what_was_told() {
        let has = |set: &str, wanted: &str| {
            let parse = |text| GtidSet::parse(text).expect("a set");
            parse(set).has_all(&parse(wanted))
        };
        for (set, wanted, expected) in [
            ("0-1-100", "0-1-100", true),
            ("0-1-100", "0-1-101", false),
            ("0-2-100,1-1-7", "0-1-99", true),
            ("0-2-100,1-1-7", "1-1-7,0-1-99", true),
            ("0-2-100, 1-1-7", "1-1-8", false),
            ("0-2-100, 1-1-7", "0-2-100,1-1-8", false),
            ("0-2-100", "1-2-100", false),
            ("", "0-1-1", false),
            ("0-1-1", "", true),
            ("0-1-100", &format!("{UUID}:1"), false),
            (&format!("{UUID}:1"), "0-1-1", false),
        ] {
            assert_eq!(has(set, wanted), expected, "{set} {wanted}");
        }
        let other = UUID.replace("3e", "3f");
        let set = format!("{UUID}:1-5:7:11-18,\n{other}:1-3");
        for (numbers, expected) in [
            ("1", true),
            ("1-5:11-13", true),
            ("5-7", false),
            ("6", false),
            ("7", true),
            ("10-11", false),
            ("18", true),
            ("18-19", false),
            ("19", false),
        ] {
            assert_eq!(has(&set, &format!("{UUID}:{numbers}")), expected, "{numbers}");
        }
        assert!(has(&set, &format!("{UUID}:1,{other}:2-3")));
        assert!(!has(&set, &format!("{UUID}:1,{other}:4")));
    }

    /// Numbers of two servers.
    fn sets() -> impl Strategy<Value = Vec<(bool, u64, u64)>> {
        prop::collection::vec((any::<bool>(), 1..30_u64, 0..4_u64), 0..12)
    }

    fn text_and_model(ranges: &[(bool, u64, u64)]) -> (String, BTreeSet<(bool, u64)>) {
        let other = UUID.replace("3e", "3f");
        let texts = ranges.iter().map(|(is_other, first, more)| {
            format!("{}:{first}-{}", if *is_other { &other } else { UUID }, first + more)
        });
        let numbers = ranges.iter().flat_map(|(is_other, first, more)| {
            (*first..=first + more).map(move |number| (*is_other, number))
        });
        (texts.collect::<Vec<_>>().join(","), numbers.collect())
    }

    proptest! {
        #[test]
        fn a_set_is_a_set(told in sets(), wanted in sets()) {
            let ((told, told_model), (wanted, wanted_model)) = (text_and_model(&told), text_and_model(&wanted));
            let parse = |text: &str| GtidSet::parse(text).expect("a set");
            prop_assert_eq!(parse(&told).has_all(&parse(&wanted)), told_model.is_superset(&wanted_model));
            for (is_other, number) in told_model {
                let one = parse(&text_and_model(&[(is_other, number, 0)]).0);
                prop_assert!(parse(&told).has_all(&one));
            }
        }

        #[test]
        fn any_text_is_read(text in "[0-9a-f:, -]{0,60}") {
            let _ = GtidSet::parse(&text);
        }
    }
}
