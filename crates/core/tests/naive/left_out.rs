//! What a PUT may leave out.

use onrush_core::{GateField, GateTerms, InvalidTerms, Refusal, SaleTerms, TermsField};

use super::ensure;

/// Whether what is left out stays as it was.
pub(super) fn check_left_out(
    old: &SaleTerms,
    new: &SaleTerms,
    left_out: &[TermsField],
) -> Result<(), Refusal> {
    for field in left_out {
        let (path, keeps) = match field {
            TermsField::OpensAt => ("opens_at".into(), old.opens_at == new.opens_at),
            TermsField::ClosesAt => ("closes_at".into(), old.closes_at == new.closes_at),
            TermsField::PerCustomerMax => {
                let keeps = old.per_customer_max == new.per_customer_max;
                ("per_customer_max".into(), keeps)
            }
            TermsField::HoldTtlMs => ("hold_ttl_ms".into(), old.hold_ttl_ms == new.hold_ttl_ms),
            TermsField::Gate(field) => gate(*field, old.gate, new.gate),
            TermsField::StockStartsAt(at) => {
                let stock = &new.stocks[*at];
                let mut before = old.stocks.iter().filter(|old| old.stock == stock.stock);
                (format!("stocks[{at}].starts_at"), before.all(|old| old.starts_at == stock.starts_at))
            }
            TermsField::StockClosesAt(at) => {
                let stock = &new.stocks[*at];
                let mut before = old.stocks.iter().filter(|old| old.stock == stock.stock);
                (format!("stocks[{at}].closes_at"), before.all(|old| old.closes_at == stock.closes_at))
            }
            other => unreachable!("steps do not leave out {other:?}"),
        };
        ensure(keeps, || {
            let rule = "is left out but is not at its default in this sale: give its value. PATCH changes single fields of a sale, and replaces its list of stocks whole";
            Refusal::InvalidTerms(Box::new(InvalidTerms { field: path, rule }))
        })?;
    }
    Ok(())
}

fn gate(field: GateField, old: GateTerms, new: GateTerms) -> (String, bool) {
    let (name, keeps) = match field {
        GateField::Session => ("session", old.session == new.session),
        GateField::Challenge => ("challenge", old.challenge == new.challenge),
        GateField::CooldownMs => ("cooldown_ms", old.cooldown_ms == new.cooldown_ms),
        GateField::HoldsUnpaidMax => ("holds_unpaid_max", old.holds_unpaid_max == new.holds_unpaid_max),
        GateField::ConfirmBy => ("confirm_by", old.confirm_by == new.confirm_by),
        GateField::Mode => ("mode", old.mode == new.mode),
    };
    (format!("gate.{name}"), keeps)
}
