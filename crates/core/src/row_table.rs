//! Rows by key in a table whose copies share what did not change, so that readers have one of a moment while the next one is made.
//!
//! It is a tree by the bits of a hash of the key: 8 branches at each level, and rows in the leaves. A change copies the leaf and the
//! branches above it, or changes them where they are if no other copy has them. A leaf that is full becomes a branch; leaves that
//! become empty stay, because what a collection had it often has again.

use std::sync::Arc;

use crate::Row;

/// Bits of the hash that choose a branch.
const BRANCH_BITS: u32 = 3;
const BRANCHES: usize = 1 << BRANCH_BITS;

/// Rows of a leaf. One more makes a branch of it.
const LEAF_ROWS_MAX: usize = 48;

/// Keys that are looked for side by side.
const LANES: usize = 16;

/// Rows by key. A copy costs nothing.
#[derive(Clone, Default)]
pub(crate) struct RowTable {
    root: Node,
    row_count: usize,
}

#[derive(Clone)]
enum Node {
    Leaf(Arc<Vec<Place>>),
    Branch(Arc<[Node; BRANCHES]>),
}

/// A row in a leaf, with the hash of its key.
#[derive(Clone)]
pub(crate) struct Place {
    hash: u64,
    row: Row,
}

impl RowTable {
    pub(crate) fn row_count(&self) -> usize {
        self.row_count
    }

    /// The row of a key with this hash.
    pub(crate) fn get(&self, hash: u64, key: &str) -> Option<&Row> {
        let (mut node, mut rest) = (&self.root, hash);
        while let Node::Branch(branches) = node {
            node = &branches[branch_of(rest)];
            rest >>= BRANCH_BITS;
        }
        let Node::Leaf(leaf) = node else { return None };
        leaf.iter().find(|place| place.is_at(hash, key.as_bytes())).map(|place| &place.row)
    }

    /// Gives the rows of these keys to `take`, in their order. Most of what a look takes is waiting for memory, so keys are looked for side by
    /// side, one step of all of them after the other: a processor fetches for the next key while it waits for one.
    pub(crate) fn get_each<'t>(
        &'t self,
        keys: &[impl AsRef<str>],
        hash_of: impl Fn(&str) -> u64,
        mut take: impl FnMut(Option<&'t Row>),
    ) {
        for keys in keys.chunks(LANES) {
            if let [key] = keys {
                let key = key.as_ref();
                take(self.get(hash_of(key), key));
                continue;
            }
            let mut hashes = [0; LANES];
            for (hash, key) in hashes.iter_mut().zip(keys) {
                *hash = hash_of(key.as_ref());
            }
            let hashes = &hashes[..keys.len()];
            let mut places = [None; LANES];
            for ((place, leaf), hash) in places.iter_mut().zip(self.leaves(hashes)).zip(hashes) {
                // Without an end at the place that is found, nothing depends on what was fetched.
                *place = leaf
                    .iter()
                    .fold(None, |found, place| if place.hash == *hash { Some(place) } else { found });
            }
            for ((place, key), hash) in places.into_iter().zip(keys).zip(hashes) {
                take(match place {
                    Some(place) if place.is_at(*hash, key.as_ref().as_bytes()) => Some(&place.row),
                    // Another key has the same hash.
                    Some(_) => self.get(*hash, key.as_ref()),
                    None => None,
                });
            }
        }
    }

    /// The leaves that these hashes, at most [`LANES`], lead to.
    fn leaves(&self, hashes: &[u64]) -> [&[Place]; LANES] {
        let mut nodes = [&self.root; LANES];
        let mut shift = 0;
        loop {
            let mut has_branch = false;
            for (node, hash) in nodes.iter_mut().zip(hashes) {
                if let Node::Branch(branches) = node {
                    *node = &branches[branch_of(hash >> shift)];
                    has_branch = true;
                }
            }
            if !has_branch {
                break;
            }
            shift += BRANCH_BITS;
        }
        nodes.map(|node| match node {
            Node::Leaf(leaf) => leaf.as_slice(),
            Node::Branch(_) => &[],
        })
    }

    /// Adds a row whose key has this hash. Returns the one that it replaces.
    pub(crate) fn insert(&mut self, hash: u64, row: Row) -> Option<Row> {
        let before = self.root.insert(Place { hash, row }, 0);
        self.row_count += usize::from(before.is_none());
        before
    }

    /// Takes out the row of a key with this hash.
    pub(crate) fn remove(&mut self, hash: u64, key: &str) -> Option<Row> {
        let (mut node, mut rest) = (&mut self.root, hash);
        while let Node::Branch(branches) = node {
            node = &mut Arc::make_mut(branches)[branch_of(rest)];
            rest >>= BRANCH_BITS;
        }
        let Node::Leaf(leaf) = node else { return None };
        let at = leaf.iter().position(|place| place.is_at(hash, key.as_bytes()))?;
        let removed = Arc::make_mut(leaf).swap_remove(at);
        self.row_count -= 1;
        Some(removed.row)
    }

    /// A row of the leaf that the lowest of these bits lead to, chosen by the highest; nothing if that leaf is empty.
    pub(crate) fn pick(&self, bits: u64) -> Option<&Row> {
        let (mut node, mut rest) = (&self.root, bits);
        while let Node::Branch(branches) = node {
            node = &branches[branch_of(rest)];
            rest >>= BRANCH_BITS;
        }
        let Node::Leaf(leaf) = node else { return None };
        let chosen = usize::try_from(bits >> 32).ok()?.checked_rem(leaf.len())?;
        Some(&leaf[chosen].row)
    }

    /// All rows, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Row> {
        let mut waiting = vec![&self.root];
        std::iter::from_fn(move || {
            loop {
                match waiting.pop()? {
                    Node::Branch(branches) => waiting.extend(branches.iter()),
                    Node::Leaf(leaf) => return Some(leaf.iter().map(|place| &place.row)),
                }
            }
        })
        .flatten()
    }
}

impl Node {
    /// `depth` branches are above this node.
    fn insert(&mut self, place: Place, depth: u32) -> Option<Row> {
        let shift = depth * BRANCH_BITS;
        match self {
            Self::Branch(branches) => {
                Arc::make_mut(branches)[branch_of(place.hash >> shift)].insert(place, depth + 1)
            }
            Self::Leaf(leaf) => {
                let found = leaf.iter().position(|other| other.is_at(place.hash, place.row.key_bytes()));
                if let Some(at) = found {
                    return Some(std::mem::replace(&mut Arc::make_mut(leaf)[at], place).row);
                }
                // Once all bits are used up, keys of one hash stay together.
                if leaf.len() >= LEAF_ROWS_MAX && shift + BRANCH_BITS <= u64::BITS {
                    *self = Self::split(leaf, shift);
                    return self.insert(place, depth);
                }
                let leaf = Arc::make_mut(leaf);
                // There are many leaves, and room in each of them would be a good part of all memory.
                leaf.reserve_exact(1);
                leaf.push(place);
                None
            }
        }
    }

    fn split(leaf: &[Place], shift: u32) -> Self {
        let mut leaves: [Vec<Place>; BRANCHES] = Default::default();
        for place in leaf {
            leaves[branch_of(place.hash >> shift)].push(place.clone());
        }
        Self::Branch(Arc::new(leaves.map(|mut leaf| {
            leaf.shrink_to_fit();
            Self::Leaf(Arc::new(leaf))
        })))
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::Leaf(Arc::default())
    }
}

impl Place {
    fn is_at(&self, hash: u64, key: &[u8]) -> bool {
        self.hash == hash && self.row.key_bytes() == key
    }
}

/// The branch that the lowest bits choose.
#[expect(clippy::cast_possible_truncation, reason = "only the lowest bits are wanted")]
fn branch_of(rest: u64) -> usize {
    rest as usize % BRANCHES
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::RowLine;

    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    /// A row that is told from others of its key.
    fn row(key: &str, number: u64) -> Row {
        Row::new(RowLine { key, json: &number.to_le_bytes() })
    }

    fn number(row: &Row) -> u64 {
        u64::from_le_bytes(row.json().try_into().expect("eight bytes"))
    }

    fn contents(table: &RowTable) -> BTreeMap<String, u64> {
        let rows: Vec<_> = table.iter().map(|row| (row.key().to_owned(), number(row))).collect();
        let count = rows.len();
        let by_key: BTreeMap<_, _> = rows.into_iter().collect();
        assert_eq!((by_key.len(), table.row_count()), (count, count), "each key once");
        by_key
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Hashes of few values, of few bits, and of all bits: leaves that split, and keys that never can be told apart.
        #[test]
        fn a_table_is_a_map_and_its_copies_stay_as_they_were(
            steps in proptest::collection::vec((0..300_u64, any::<bool>(), 0..40_u8), 0..900),
            mask in prop_oneof![Just(0_u64), Just(7), Just(u64::MAX)],
        ) {
            let (mut table, mut map) = (RowTable::default(), BTreeMap::new());
            let mut copies = Vec::new();
            for (version, (key, puts, copies_now)) in (1..).zip(steps) {
                let (name, hash) = (key.to_string(), key.wrapping_mul(FACTOR) & mask);
                if puts {
                    let before = table.insert(hash, row(&name, version)).map(|row| number(&row));
                    prop_assert_eq!(before, map.insert(name, version));
                } else {
                    let removed = table.remove(hash, &name).map(|row| number(&row));
                    prop_assert_eq!(removed, map.remove(&name));
                }
                if copies_now == 0 {
                    copies.push((table.clone(), map.clone()));
                }
            }
            copies.push((table, map));
            for (table, map) in copies {
                prop_assert_eq!(&contents(&table), &map);
                let hash_of = |key: &str| key.parse::<u64>().expect("a number").wrapping_mul(FACTOR) & mask;
                let keys: Vec<_> = (0..300_u64).map(|key| key.to_string()).collect();
                let expected: Vec<_> = keys.iter().map(|key| map.get(key).copied()).collect();
                let found = keys.iter().map(|key| table.get(hash_of(key), key).map(number));
                prop_assert_eq!(&found.collect::<Vec<_>>(), &expected);
                let keys: Vec<_> = keys.iter().map(String::as_str).collect();
                let mut found = Vec::new();
                table.get_each(&keys, hash_of, |row| found.push(row.map(number)));
                prop_assert_eq!(&found, &expected);
            }
        }
    }
}
