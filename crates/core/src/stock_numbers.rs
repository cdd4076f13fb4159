//! Which number each stock of a sale has. Records name stocks by these numbers for ever, so whoever reads them has to number
//! as the state does.

use crate::{SaleTerms, StockNo};

/// The numbers of a sale's stocks. Stocks keep their numbers by name; new ones get the next in the order of names; those of
/// stocks that were taken out are not given again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StockNumbers {
    /// Of each stock of the terms.
    nos: Vec<StockNo>,
    /// Where a stock is in the terms, by its number; [`GONE`] if it was taken out.
    places: Vec<u16>,
}

const GONE: u16 = u16::MAX;

impl StockNumbers {
    /// Those of terms whose stocks are in the order of their names and have the numbers `nos`, all below `stocks_ever`.
    ///
    /// # Panics
    /// A number is not below `stocks_ever`.
    pub fn restore(nos: Vec<StockNo>, stocks_ever: u16) -> Self {
        let mut numbers = Self { nos, places: vec![GONE; usize::from(stocks_ever)] };
        numbers.place();
        numbers
    }

    /// Numbers the stocks of new terms. `before` are the terms so far, with the stocks in the order of their names, as those
    /// that are returned have them; with each of these goes where it was before, if it was there.
    ///
    /// # Panics
    /// The sale would have had 2^16 stocks ever.
    pub fn put(&mut self, before: &SaleTerms, terms: &SaleTerms) -> (SaleTerms, Vec<Option<usize>>) {
        let mut terms = terms.clone();
        terms.stocks.sort_unstable_by(|a, b| a.stock.cmp(&b.stock));
        let mut nos = Vec::with_capacity(terms.stocks.len());
        let mut places_before = Vec::with_capacity(terms.stocks.len());
        for stock in &terms.stocks {
            let before = before.stocks.binary_search_by(|known| known.stock.cmp(&stock.stock)).ok();
            places_before.push(before);
            nos.push(before.map_or_else(|| StockNo(self.stocks_ever()), |place| self.nos[place]));
            if before.is_none() {
                self.places.push(GONE);
            }
        }
        self.nos = nos;
        self.places.fill(GONE);
        self.place();
        (terms, places_before)
    }

    /// Of each stock of the terms.
    pub fn nos(&self) -> &[StockNo] {
        &self.nos
    }

    /// The number that the next new stock will get.
    ///
    /// # Panics
    /// Never: so many were given.
    pub fn stocks_ever(&self) -> u16 {
        u16::try_from(self.places.len()).expect("a sale has fewer than 2^16 stocks ever")
    }

    /// Where the stock of this number is in the terms.
    pub fn place_of(&self, stock: StockNo) -> Option<usize> {
        let place = self.places.get(usize::from(stock.0)).copied().filter(|&place| place != GONE)?;
        Some(usize::from(place))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.nos.capacity() * size_of::<StockNo>() + self.places.capacity() * size_of::<u16>()
    }

    fn place(&mut self) {
        for (place, no) in (0..).zip(&self.nos) {
            self.places[usize::from(no.0)] = place;
        }
    }
}
