//! Values by network, found by address.

use std::net::IpAddr;
use std::sync::Arc;

use rpds::HashTrieMapSync;

use crate::{Network, canonical};

/// Values by network. A copy costs nothing and shares what does not change later. A look-up costs a hash for each length that
/// some network of the address's family has, however many networks there are.
#[derive(Clone)]
pub struct NetworkMap<V> {
    by_network: HashTrieMapSync<Network, V>,
    /// Of IPv4 and of IPv6: lengths in use, and how many networks have each.
    lengths: [Arc<Vec<(u8, u32)>>; 2],
}

impl<V> Default for NetworkMap<V> {
    fn default() -> Self {
        Self { by_network: HashTrieMapSync::new_sync(), lengths: Default::default() }
    }
}

impl<V> NetworkMap<V> {
    /// Puts a value in place of the one that the network had.
    pub fn insert(&mut self, network: Network, value: V) {
        if !self.by_network.contains_key(&network) {
            let lengths = Arc::make_mut(&mut self.lengths[family(network.address())]);
            match lengths.iter_mut().find(|(length, _)| *length == network.length()) {
                Some((_, count)) => *count += 1,
                None => lengths.push((network.length(), 1)),
            }
        }
        self.by_network.insert_mut(network, value);
    }

    /// Takes a network out, if it is in.
    pub fn remove(&mut self, network: &Network) {
        if self.by_network.remove_mut(network) {
            let lengths = Arc::make_mut(&mut self.lengths[family(network.address())]);
            lengths
                .iter_mut()
                .filter(|(length, _)| *length == network.length())
                .for_each(|(_, count)| *count -= 1);
            lengths.retain(|(_, count)| *count > 0);
        }
    }

    /// The values of all networks that have the address, in no order.
    pub fn of(&self, address: IpAddr) -> impl Iterator<Item = &V> {
        let address = canonical(address);
        let lengths = self.lengths[family(address)].iter();
        lengths.filter_map(move |(length, _)| self.by_network.get(&Network::around(address, *length)))
    }

    /// Whether there is no network.
    pub fn is_empty(&self) -> bool {
        self.by_network.is_empty()
    }
}

fn family(address: IpAddr) -> usize {
    usize::from(address.is_ipv6())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(map: &NetworkMap<&'static str>, address: &str) -> Vec<&'static str> {
        let mut found: Vec<_> = map.of(address.parse().unwrap()).copied().collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn an_address_is_found_in_all_its_networks_and_in_no_other() {
        let mut map = NetworkMap::default();
        for network in ["192.0.2.7", "192.0.2.0/24", "10.0.0.0/8", "2001:db8::/32", "2001:db8::7"] {
            map.insert(network.parse().unwrap(), network);
            map.insert(network.parse().unwrap(), network);
        }
        let before = map.clone();
        assert_eq!(of(&map, "192.0.2.7"), ["192.0.2.0/24", "192.0.2.7"]);
        assert_eq!(of(&map, "::ffff:192.0.2.7"), ["192.0.2.0/24", "192.0.2.7"]);
        assert_eq!(of(&map, "192.0.2.8"), ["192.0.2.0/24"]);
        assert!(of(&map, "192.0.3.7").is_empty());
        assert_eq!(of(&map, "2001:db8::7"), ["2001:db8::/32", "2001:db8::7"]);
        assert!(of(&map, "2001:db9::7").is_empty());
        map.remove(&"192.0.2.0/24".parse().unwrap());
        map.remove(&"192.0.2.0/24".parse().unwrap());
        map.remove(&"10.0.0.0/8".parse().unwrap());
        assert_eq!(of(&map, "192.0.2.7"), ["192.0.2.7"]);
        assert_eq!(of(&before, "192.0.2.8"), ["192.0.2.0/24"], "a copy is as it was");
        assert_eq!(map.lengths[0].as_slice(), [(32, 1)]);
    }

    #[test]
    fn the_networks_of_all_addresses_have_all_of_their_family() {
        let mut map = NetworkMap::default();
        assert!(map.is_empty());
        map.insert("0.0.0.0/0".parse().unwrap(), "v4");
        map.insert("::/0".parse().unwrap(), "v6");
        assert_eq!(of(&map, "203.0.113.9"), ["v4"]);
        assert_eq!(of(&map, "2001:db8::1"), ["v6"]);
    }
}
