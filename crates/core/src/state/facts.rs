//! The state as a stream of facts, in their canonical order.

use super::State;
use crate::{Fact, ReservationNo, RowLine};

impl State {
    /// Gives every fact of the state to `take`, in the order of [`Fact`]. Two states with equal facts are equal.
    pub fn facts(&self, take: &mut impl FnMut(Fact<'_>)) {
        take(Fact::Partition {
            id_key: self.id_key,
            time: self.time,
            sales_ever: self.sales_ever,
            incarnation: self.incarnation,
        });
        for (counter, value) in self.counters.sorted() {
            take(Fact::Counter { counter, value });
        }
        for (name, window) in self.windows.sorted() {
            take(Fact::Window { window: name, shape: window.shape });
            for (pane, count) in window.panes() {
                take(Fact::Pane { pane, count });
            }
        }
        for denial in self.denylist.iter() {
            let (value, reason) = (&*denial.value, &*denial.reason);
            take(Fact::Denial { kind: denial.kind, value, reason, expires_at: denial.expires_at });
        }
        for (customer, password) in self.accounts.iter() {
            take(Fact::Account { customer, password });
        }
        for (collection, found) in self.rows.iter() {
            take(Fact::Collection { collection, version: found.version() });
            for row in found.sorted() {
                let line = RowLine { key: row.key(), json: row.json() };
                take(Fact::Row { row: line });
            }
        }
        for sale in self.sales.by_no() {
            take(Fact::Sale {
                sale_no: sale.no,
                sale: &sale.name,
                terms: &sale.terms,
                stock_nos: sale.stock_numbers.nos(),
                stocks_ever: sale.stock_numbers.stocks_ever(),
                version: sale.version.number,
            });
            let mut begun = sale.incarnations.iter().peekable();
            for (seq, record) in (0..).zip(sale.reservations.iter()) {
                while let Some((_, incarnation)) = begun.next_if(|(first, _)| *first == seq) {
                    take(Fact::Incarnation { first: ReservationNo { sale: sale.no, seq }, incarnation });
                }
                take(Fact::Reservation {
                    reservation: ReservationNo { sale: sale.no, seq },
                    customer: sale.customers.name(record.customer),
                    status: record.status(),
                    lines: sale.reservations.lines(seq),
                    created_at: record.created_at,
                    hold_until: record.hold_until(),
                    key: sale.reservations.key(seq),
                    details: sale.reservations.details(seq),
                });
            }
        }
    }
}
