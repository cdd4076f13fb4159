//! Flash sale: the pages and paths of a shop that sells the stocks of the sale `flash`. Stock `1` is product 1. What is bought is a
//! reservation like any other: the same decisions, limits and cool-down, whichever way it was asked for.

mod account;
mod buy;
mod captcha;
mod detail;
mod operations;
mod operator;
mod product;
mod sender;

use onrush_core::{ChallengeTerms, ConfirmBy, GateMode, GateTerms, SessionTerms};
use utoipa::openapi::{RefOr, Schema};

use crate::api::route::Route;
use crate::pages::write_notice;

/// The sale that this shop sells.
pub(super) const SALE: &str = "flash";

/// What a new sale of this shop asks of buyers, by whichever path they come: the paths of the shop ask for a session anyway.
pub(super) const BUYERS_GATE: GateTerms = GateTerms {
    session: SessionTerms::Required,
    challenge: ChallengeTerms::Off,
    cooldown_ms: 0,
    holds_unpaid_max: None,
    confirm_by: ConfirmBy::Anyone,
    mode: GateMode::Enforce,
};

pub(super) fn routes() -> Vec<Route> {
    let [register, registered, log_in, logged_in, logged_out] = operations::accounts();
    let [detail, buy, check, check_again, right] = operations::public();
    let [captcha, shown, verified] = operations::captcha();
    vec![
        Route::new(detail, detail::show).refusing(write_notice),
        Route::new(buy, buy::buy).reserving().refusing(write_notice),
        Route::any(operations::CHECK_PATH, vec![check, check_again], buy::check)
            .hot_with_query(buy::decode_check)
            .refusing(buy::write_no)
            .reserving(),
        Route::new(right, buy::check_right).refusing(buy::write_no),
        Route::new(captcha, captcha::give),
        Route::new(shown, captcha::show),
        Route::new(verified, captcha::verify),
        Route::new(register, account::show_register).refusing(write_notice),
        Route::new(registered, account::register).refusing(write_notice),
        Route::new(log_in, account::show_log_in).refusing(write_notice),
        Route::new(logged_in, account::log_in).refusing(write_notice),
        Route::new(logged_out, account::log_out).refusing(write_notice),
    ]
}

pub(super) fn operator_routes() -> Vec<Route> {
    let [all, form, added, one, changed, orders] = operations::operator();
    vec![
        Route::new(all, operator::list_products),
        Route::new(form, operator::new_product),
        Route::new(added, operator::add_product),
        Route::new(one, operator::show_product),
        Route::new(changed, operator::change_product),
        Route::new(orders, operator::list_orders),
    ]
}

pub(super) fn schemas() -> [(&'static str, RefOr<Schema>); 6] {
    [
        ("BuyForm", operations::buy_form()),
        ("CaptchaResult", operations::captcha_result()),
        ("RegisterForm", operations::register_form()),
        ("LogInForm", operations::log_in_form()),
        ("ProductForm", operations::product_form()),
        ("ProductChangeForm", operations::product_change_form()),
    ]
}
