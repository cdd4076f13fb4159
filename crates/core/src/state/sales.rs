//! All sales of a partition: by name, by number, and in the order of names.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use super::{
    index::{Index, KeyedHash},
    sale::Sale,
};
use crate::SaleNo;

/// The sales that are not archived.
pub(crate) struct Sales {
    slots: Vec<Option<Box<Sale>>>,
    free: Vec<u32>,
    by_name: Index,
    by_no: Index,
    in_order: BTreeMap<Arc<str>, u32>,
    /// Bytes of the sales themselves.
    sale_bytes: usize,
}

impl Sales {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_name: Index::new(),
            by_no: Index::new(),
            in_order: BTreeMap::new(),
            sale_bytes: 0,
        }
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.in_order.len()).expect("fewer than 2^32 sales")
    }

    pub(crate) fn find(&self, hash: &KeyedHash, name: &str) -> Option<&Sale> {
        let name_hash = hash.of_bytes(name.as_bytes());
        self.by_name.find(name_hash, |slot| &*self.at(slot).name == name).map(|slot| self.at(slot))
    }

    pub(crate) fn get(&self, hash: &KeyedHash, no: SaleNo) -> Option<&Sale> {
        self.slot(hash, no).map(|slot| self.at(slot))
    }

    /// As [`Sales::get`], for what neither adds to the sale nor takes away from it.
    pub(crate) fn get_mut(&mut self, hash: &KeyedHash, no: SaleNo) -> Option<&mut Sale> {
        let slot = self.slot(hash, no)?;
        self.slots[slot as usize].as_deref_mut()
    }

    /// The sale that was added last, as long as none was ever removed.
    pub(crate) fn last(&self) -> Option<&Sale> {
        self.slots.last()?.as_deref()
    }

    /// Changes a sale, if it is there, in any way.
    pub(crate) fn change<T>(
        &mut self,
        hash: &KeyedHash,
        no: SaleNo,
        change: impl FnOnce(&mut Sale) -> T,
    ) -> Option<T> {
        let slot = self.slot(hash, no)?;
        let sale = self.slots[slot as usize].as_deref_mut()?;
        let before = sale.memory_bytes();
        let changed = change(sale);
        self.sale_bytes = self.sale_bytes - before + sale.memory_bytes();
        Some(changed)
    }

    /// Adds a sale whose name and number no other sale has.
    pub(crate) fn insert(&mut self, hash: &KeyedHash, sale: Sale) {
        let (name_hash, no_hash) = (hash.of_bytes(sale.name.as_bytes()), hash.of_number(sale.no.0));
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 sales")
        });
        let other = self.in_order.insert(Arc::clone(&sale.name), slot);
        assert!(other.is_none(), "a sale's name is its own");
        self.sale_bytes += sale.memory_bytes();
        self.slots[slot as usize] = Some(Box::new(sale));
        let slots = &self.slots;
        let sale_at =
            |slot: u32| slots[slot as usize].as_deref().expect("an index names sales that are there");
        let hash_of_name = |slot: &u32| hash.of_bytes(sale_at(*slot).name.as_bytes());
        self.by_name.insert(name_hash, slot, |slots| slots.iter().map(hash_of_name).collect());
        let hash_of_no = |slot: &u32| hash.of_number(sale_at(*slot).no.0);
        self.by_no.insert(no_hash, slot, |slots| slots.iter().map(hash_of_no).collect());
    }

    /// Takes a sale out.
    pub(crate) fn remove(&mut self, hash: &KeyedHash, no: SaleNo) -> Option<Box<Sale>> {
        let slot = self.slot(hash, no)?;
        let sale = self.slots[slot as usize].take()?;
        self.by_name.remove(hash.of_bytes(sale.name.as_bytes()), slot);
        self.by_no.remove(hash.of_number(no.0), slot);
        self.in_order.remove(&sale.name);
        self.free.push(slot);
        self.sale_bytes -= sale.memory_bytes();
        Some(sale)
    }

    /// Sales in the order of names, from the first whose name comes after `name`.
    pub(crate) fn after(&self, name: Option<&str>) -> impl Iterator<Item = &Sale> {
        let from = name.map_or(Unbounded, Excluded);
        self.in_order.range::<str, _>((from, Unbounded)).map(|(_, &slot)| self.at(slot))
    }

    /// Sales in the order of numbers.
    pub(crate) fn by_no(&self) -> Vec<&Sale> {
        let mut all: Vec<&Sale> = self.slots.iter().flatten().map(|sale| &**sale).collect();
        all.sort_unstable_by_key(|sale| sale.no);
        all
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        // A tree of such entries is about two thirds full.
        let tree_entry = (size_of::<(Arc<str>, u32)>() * 3).div_ceil(2);
        self.slots.capacity() * size_of::<Option<Box<Sale>>>()
            + self.free.capacity() * size_of::<u32>()
            + self.by_name.heap_bytes()
            + self.by_no.heap_bytes()
            + self.in_order.len() * tree_entry
            + self.sale_bytes
    }

    pub(crate) fn check_bytes(&self) {
        self.by_name.check_bytes();
        self.by_no.check_bytes();
        self.after(None).for_each(Sale::check_bytes);
        let sale_bytes: usize = self.after(None).map(Sale::memory_bytes).sum();
        assert_eq!(self.sale_bytes, sale_bytes, "bytes of sales");
    }

    fn slot(&self, hash: &KeyedHash, no: SaleNo) -> Option<u32> {
        self.by_no.find(hash.of_number(no.0), |slot| self.at(slot).no == no)
    }

    fn at(&self, slot: u32) -> &Sale {
        self.slots[slot as usize].as_deref().expect("an index names sales that are there")
    }
}
