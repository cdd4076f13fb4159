//! The schema of problems, which every error is.

use onrush_core::ChallengeTerms;
use utoipa::openapi::{RefOr, Schema};

use super::parts::{list, object, one_of, text, time, whole};
use crate::problem::Code;

pub(super) fn schema() -> RefOr<Schema> {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let kinds = ChallengeTerms::Either.kinds().iter().map(|kind| kind.as_str()).collect::<Vec<_>>();
    let taken =
        |what| format!("`quantity_below_reserved`, `stock_in_use`: units of the stock that are {what}.");
    let held = format!("{} `holds_pending`: units of all held reservations of the sale.", taken("held"));
    object(
        "What went wrong (RFC 9457). `code` is stable; `detail` is for people.",
        vec![
            ("type", text("Names the kind of problem; ends in the code.").into()),
            ("title", text("The kind of problem in words.").into()),
            ("status", whole("Repeats the status of the answer.", 400, Some(599)).into()),
            ("code", one_of("The kind of problem, for programs.", &codes)),
            ("detail", text("What to do about it.").into()),
            ("field?", text("`invalid_request`: the field, parameter or header at fault.").into()),
            (
                "stock?",
                text(
                    "`insufficient_stock`, `stock_not_found`, `stock_closed`, `quantity_below_reserved`, `stock_in_use`: which stock.",
                )
                .into(),
            ),
            ("quantity_available?", whole("`insufficient_stock`: what the stock has left.", 0, None).into()),
            ("quantity_held?", whole(&held, 0, None).into()),
            ("quantity_confirmed?", whole(&taken("confirmed"), 0, None).into()),
            ("per_customer_max?", whole("`customer_limit_reached`: the sale's limit.", 1, None).into()),
            (
                "quantity_taken?",
                whole("`customer_limit_reached`: units that the customer holds and has confirmed.", 0, None)
                    .into(),
            ),
            ("opens_at?", time("`sale_not_open`: when the sale opens.")),
            ("closes_at?", time("`sale_closed`, `stock_closed`: when the sale or the stock closed.")),
            ("cooldown_left_ms?", whole("`cooling_down`: in how many milliseconds it is over.", 1, None).into()),
            ("holds_unpaid_max?", whole("`holds_unpaid`: the sale's limit.", 1, None).into()),
            (
                "kinds?",
                list("`challenge_required`: which challenges will do.", one_of("One.", &kinds), None),
            ),
            ("limit?", one_of("`rate_limited`: which limit refused.", &["address", "route", "customer"])),
            ("held_count?", whole("`holds_pending`: reservations of the sale that are held.", 1, None).into()),
            ("held_until?", time("`holds_pending`: no reservation of the sale is held for longer.")),
        ],
    )
}
