//! Questions that readers ask of a state. A window is read at the partition's time, which counts as the state's if it is
//! before that; where a sale stands follows the wall clock.

use std::sync::Arc;

use super::{Sale, State, image::page};
use crate::{
    CUSTOMER_DETAILS_BYTES_MAX, CUSTOMER_RESERVATIONS_MAX, Denial, DenialKind, DenialsPage, PasswordHash,
    ReservationRef, ReservationView, RowCollection, SaleView, SalesPage, TimeMs, WindowView,
};

impl State {
    /// The counter's total, if it exists.
    pub fn counter(&self, counter: &str) -> Option<u64> {
        self.counters.value(&self.hash, counter)
    }

    /// The window's count at `now`, if it exists.
    pub fn window(&self, window: &str, now: TimeMs) -> Option<WindowView> {
        let window = self.windows.get(&self.hash, window)?;
        Some(WindowView { count: window.count(self.clamp(now)), shape: window.shape })
    }

    /// Whether there is a sale of this name.
    pub fn has_sale(&self, sale: &str) -> bool {
        self.sales.find(&self.hash, sale).is_some()
    }

    /// The sale as it stands when the wall clock shows `wall`, if it exists.
    pub fn sale(&self, sale: &str, wall: TimeMs) -> Option<SaleView> {
        self.sales.find(&self.hash, sale).map(|sale| sale.view(wall))
    }

    /// At most `limit` sales in the order of names, from the first whose name comes after `sale`.
    pub fn sales_after(&self, sale: Option<&str>, limit: usize, wall: TimeMs) -> SalesPage {
        let sales = self.sales.after(sale);
        page(sales.map(|sale| (sale.terms.stocks.len(), || sale.view(wall))), limit)
    }

    /// The denial of this kind and value, if it is there and not over at `wall`.
    pub fn denial(&self, kind: DenialKind, value: &str, wall: TimeMs) -> Option<&Arc<Denial>> {
        self.denylist.get(kind, value).filter(|denial| denial.is_live(wall))
    }

    /// All denials, by kind and value, those that are over and not yet forgotten among them.
    pub fn denials(&self) -> impl Iterator<Item = &Arc<Denial>> {
        self.denylist.iter()
    }

    /// At most `limit` denials that are not over at `wall`, from the first behind `after`. A page may have fewer, or none, and yet
    /// have a next one: it looks at [`crate::DENIALS_SEARCH_MAX`] of them at most.
    pub fn denials_after(
        &self,
        after: Option<(DenialKind, &str)>,
        limit: usize,
        wall: TimeMs,
    ) -> DenialsPage {
        self.denylist.page(after, limit, wall)
    }

    /// What the password of the customer is checked against, if the customer has an account.
    pub fn account(&self, customer: &str) -> Option<PasswordHash<'_>> {
        self.accounts.get(customer)
    }

    /// A collection of the catalogue; nothing if it never had a row.
    pub fn collection(&self, collection: &str) -> Option<&RowCollection> {
        self.rows.collection(collection)
    }

    /// All collections that ever had a row, by name.
    pub fn collections(&self) -> impl Iterator<Item = (&Arc<str>, &RowCollection)> {
        self.rows.iter()
    }

    /// The reservation, if the sale exists and has it. A hold that is over stays held here until its `Expired` event.
    pub fn reservation(&self, sale: &str, reservation: ReservationRef) -> Option<ReservationView> {
        let sale = self.sales.find(&self.hash, sale)?;
        sale.find(reservation).map(|_| sale.reservation_view(reservation.no.seq))
    }

    /// At most `limit` reservations of a sale, newest first: of those before the one of ordinal `before`, or of all. `None` if the
    /// sale does not exist.
    pub fn reservations_before(
        &self,
        sale: &str,
        before: Option<u32>,
        limit: usize,
    ) -> Option<Vec<ReservationView>> {
        let sale = self.sales.find(&self.hash, sale)?;
        let end = before.unwrap_or(u32::MAX).min(sale.reservations.len());
        Some((0..end).rev().take(limit).map(|seq| sale.reservation_view(seq)).collect())
    }

    /// The newest reservations of a customer, newest last: [`CUSTOMER_RESERVATIONS_MAX`] of them, or fewer if their details
    /// pass [`CUSTOMER_DETAILS_BYTES_MAX`]. `None` if the sale does not exist.
    pub fn reservations_of(&self, sale: &str, customer: &str) -> Option<Vec<ReservationView>> {
        let sale = self.sales.find(&self.hash, sale)?;
        let customer = sale.customers.find(&self.hash, customer);
        let newest = customer.map(|customer| sale.customers.last_reservation(customer));
        let previous = |&seq: &u32| sale.reservations.get(seq).and_then(super::Record::previous);
        let mut views = Vec::new();
        let mut details_bytes = 0;
        for seq in std::iter::successors(newest, previous).take(CUSTOMER_RESERVATIONS_MAX) {
            let view = sale.reservation_view(seq);
            details_bytes += view.details.len();
            views.push(view);
            if details_bytes > CUSTOMER_DETAILS_BYTES_MAX {
                break;
            }
        }
        views.reverse();
        Some(views)
    }
}

impl Sale {
    /// The reservation of this ordinal, which the sale must have.
    fn reservation_view(&self, seq: u32) -> ReservationView {
        let record = self.reservations.get(seq).expect("the sale has the reservation");
        let name_of = |stock| {
            let place = self.place(stock).expect("a stock that has reservations stays");
            self.terms.stocks[place].stock.clone()
        };
        let lines = self.reservations.lines(seq);
        ReservationView {
            reservation: self.reservation_ref(seq),
            sale: self.name.to_string(),
            customer: self.customers.name(record.customer).to_owned(),
            status: record.status(),
            lines: lines.iter().map(|line| (name_of(line.stock), u32::from(line.quantity))).collect(),
            details: self.reservations.details(seq).to_vec(),
            created_at: record.created_at,
            expires_at: record.expires_at(),
        }
    }
}
