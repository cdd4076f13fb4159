//! Every word of the pages, in English. Whoever translates the pages translates this file. Words in braces are filled in by the
//! script.

use onrush_core::{TimeMs, write_rfc3339};

use crate::problem::{Code, Problem};

pub(crate) const LANGUAGE: &str = "en";
pub(crate) const SHOP: &str = "Flash sale";
pub(crate) const ACCOUNT: &str = "Account";
pub(crate) const LOG_IN: &str = "Log in";
pub(crate) const REGISTER: &str = "Register";
pub(crate) const LOGGED_IN_AS: &str = "Logged in as";
pub(crate) const LOG_OUT: &str = "Log out";
pub(crate) const USER_NAME: &str = "User name";
pub(crate) const USER_NAME_HINT: &str = "1 to 64 letters, digits and . _ ~ : @ -";
pub(crate) const PASSWORD: &str = "Password";
pub(crate) const PASSWORD_HINT: &str = "8 to 128 characters";
pub(crate) const HAS_ACCOUNT: &str = "You have an account?";
pub(crate) const BACK: &str = "Back to the product";
pub(crate) const REFUSED: &str = "That did not work";

pub(crate) const YOU_HAVE_IT: &str = "You have it";
pub(crate) const YOUR_ORDER: &str = "Your order";
pub(crate) const UNITS: &str = "Units";
pub(crate) const HELD_UNTIL: &str = "Held for you until";
pub(crate) const OPENS_AT: &str = "The sale opens at";
pub(crate) const OPENS_IN: &str = "It opens in {time}.";
pub(crate) const OPEN_NOW: &str = "It is open.";
pub(crate) const RELOAD_WHEN_OPEN: &str = "Load this page again when it is open.";
pub(crate) const ENDED: &str = "The sale has ended.";
pub(crate) const LEFT: &str = "{count} left";
pub(crate) const SOLD_OUT: &str = "Sold out";
pub(crate) const MAY_COME_BACK: &str =
    "Some are held by customers who have not paid yet. What they do not pay for comes back.";
pub(crate) const BUY: &str = "Buy";
pub(crate) const BUYING: &str = "Buying …";
pub(crate) const WAIT: &str = "Try again in {time}";
pub(crate) const CHALLENGE: &str = "Are you a person?";
pub(crate) const PICTURE: &str = "Six digits in a picture";
pub(crate) const DIGITS: &str = "Type the six digits";
pub(crate) const LISTEN: &str = "The six digits, spoken in English";
pub(crate) const LISTEN_INSTEAD: &str = "You cannot read them? Listen to them, or take";
pub(crate) const ANOTHER: &str = "another picture";
pub(crate) const WORKING: &str = "Checking your browser …";
pub(crate) const CANNOT_WORK: &str = "Your browser cannot do this check here. Try another browser.";
pub(crate) const NEEDS_SCRIPT: &str =
    "This sale checks your browser by a script. Allow scripts for this page, or use another browser.";
pub(crate) const HAS_ALL: &str = "You have as many as the sale allows, so you cannot buy another one.";
pub(crate) const LOG_IN_TO_BUY: &str = "Log in to buy";
pub(crate) const NO_ACCOUNT: &str = "No account yet?";
pub(crate) const LOG_IN_AT_SHOP: &str = "Log in at the shop to buy.";

pub(crate) const OPERATOR: &str = "Operator";
pub(crate) const PRODUCTS: &str = "Products";
pub(crate) const ORDERS: &str = "Orders";
pub(crate) const ADD_PRODUCT: &str = "Add a product";
pub(crate) const CHANGE_PRODUCT: &str = "Change product";
pub(crate) const NO_PRODUCTS: &str = "There are no products yet.";
pub(crate) const NO_ORDERS: &str = "There are no orders here.";
pub(crate) const PRODUCT_ID: &str = "ID";
pub(crate) const PRODUCT_NAME: &str = "Name";
pub(crate) const TOTAL: &str = "Units for sale";
pub(crate) const HELD: &str = "Held";
pub(crate) const CONFIRMED: &str = "Sold";
pub(crate) const AVAILABLE: &str = "Left";
pub(crate) const SAVE: &str = "Save";
pub(crate) const ORDER: &str = "Order";
pub(crate) const CUSTOMER: &str = "Customer";
pub(crate) const STATUS: &str = "Status";
pub(crate) const MADE_AT: &str = "Made at";
pub(crate) const OLDER: &str = "Older orders";

/// Some units of a product.
pub(crate) fn units_of(quantity: u32, title: &str) -> String {
    if quantity == 1 { title.to_owned() } else { format!("{quantity} × {title}") }
}

/// How many are left.
pub(crate) fn left(count: u32) -> String {
    LEFT.replace("{count}", &count.to_string())
}

/// How many one customer may have.
pub(crate) fn per_customer(max: u32) -> String {
    match max {
        1 => "One per person.".to_owned(),
        max => format!("At most {max} per person."),
    }
}

/// What a product without a title is called.
pub(crate) fn untitled(product_id: &str) -> String {
    format!("Product {product_id}")
}

/// A moment on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) TimeMs);

impl Moment {
    /// For the script.
    pub(crate) fn ms(self) -> TimeMs {
        self.0
    }

    /// As programs read it.
    pub(crate) fn precise(self) -> String {
        let mut text = Vec::new();
        write_rfc3339(&mut text, self.0);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// As people read it. The script shows it in their own time zone.
    pub(crate) fn readable(self) -> String {
        let text = self.precise();
        let (date, in_day) = text.split_once('T').unwrap_or((&text, ""));
        format!("{date} {} UTC", in_day.get(..8).unwrap_or(in_day))
    }
}

/// Why nothing was bought, or shown, for customers.
pub(crate) fn refusal(problem: &Problem) -> String {
    let text = match problem.known_code() {
        Code::SessionRequired => "Log in first. Nothing was bought.",
        Code::SessionExpired => "You were logged in too long ago. Log in again. Nothing was bought.",
        Code::CrossSite => {
            "Another site made this request, so nothing was done. Press the button on this page."
        }
        Code::Denied => "The shop does not serve you. Nothing was bought.",
        Code::HoldsUnpaid => "Too many of your orders were never paid, so this sale takes no more from you.",
        Code::NotFound | Code::SaleNotFound | Code::StockNotFound => "There is no such page or product.",
        Code::InsufficientStock => "Sold out: somebody else was faster. Nothing was bought.",
        Code::CustomerLimitReached => "You have as many as the sale allows. Nothing was bought.",
        Code::SaleNotOpen => "The sale has not opened yet. Nothing was bought.",
        Code::SaleClosed | Code::StockClosed => "The sale has ended. Nothing was bought.",
        Code::CoolingDown => "You have just bought something. Nothing more was bought.",
        Code::ChallengeRequired => "Solve the task on this page first. Nothing was bought.",
        Code::ChallengeFailed => {
            "That was not right, or it took too long. Here is another task. Nothing was bought."
        }
        Code::RateLimited => "Too many requests came from you. Nothing was bought.",
        Code::Overloaded => "Too many people ask at the same moment. Nothing was bought.",
        Code::Draining | Code::NotLeader => "The shop is restarting. Nothing was bought.",
        Code::LogUnavailable => {
            "The shop cannot make sure of your order now. Look whether you have it before you try again."
        }
        _ => return format!("{}. Nothing was done. {}", problem.title(), problem.detail()),
    };
    format!("{text}{}", when_again(problem))
}

/// Why nobody was registered or logged in.
pub(crate) fn account_refusal(problem: &Problem) -> String {
    let text = match problem.known_code() {
        Code::InvalidCredentials => "The user name or the password is wrong.",
        Code::CustomerExists => {
            "There is an account with this user name already. Choose another name, or log in."
        }
        Code::CrossSite => "Another site made this request, so nothing was done.",
        Code::Overloaded => "Too many people ask at the same moment. Nothing was done.",
        Code::InvalidRequest => return problem.detail().to_owned(),
        _ => return format!("{}. {}{}", problem.title(), problem.detail(), when_again(problem)),
    };
    format!("{text}{}", when_again(problem))
}

/// Why something was refused, for the operator.
pub(crate) fn operator_refusal(problem: &Problem) -> String {
    format!("{}. {}", problem.title(), problem.detail())
}

fn when_again(problem: &Problem) -> String {
    match problem.retry_after_s() {
        Some(1) => " Try again in a second.".to_owned(),
        Some(seconds @ ..120) => format!(" Try again in {seconds} seconds."),
        Some(seconds @ ..7_200) => format!(" Try again in {} minutes.", seconds.div_ceil(60)),
        Some(seconds) => format!(" Try again in {} hours.", seconds.div_ceil(3_600)),
        None => String::new(),
    }
}
