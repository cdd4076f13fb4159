//! The page of one product: how its sale stands, what is left, what the customer has of it, and the button that buys one.

use askama::Template;
use onrush_core::TimeMs;
use onrush_gate::challenge::CHALLENGE_TTL_MS;

use super::assets::{ICON, SCRIPT, STYLE};
use super::texts::Moment;
use super::{Frame, texts};

/// Until a challenge on the page is nearly over, in seconds.
const RELOAD_S: u64 = CHALLENGE_TTL_MS / 1_000 - 20;

/// The page.
#[derive(Template)]
#[template(path = "product.html")]
pub(crate) struct ProductPage<'a> {
    pub(crate) frame: Frame<'a>,
    /// The name of its sale, for the script.
    pub(crate) sale: &'a str,
    /// The name of its stock.
    pub(crate) product_id: &'a str,
    pub(crate) title: &'a str,
    /// The server's wall clock, by which the script counts down.
    pub(crate) now: TimeMs,
    pub(crate) stage: Stage,
    /// Units that nobody has.
    pub(crate) left: u32,
    /// Units that are held and may come back.
    pub(crate) held: u32,
    pub(crate) per_customer_max: Option<u32>,
    /// What the customer has of it.
    pub(crate) orders: Vec<Order>,
    pub(crate) buyer: Buyer,
    /// Why what was just asked for was refused.
    pub(crate) refusal: Option<Refusal>,
}

/// How the sale stands for this product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Scheduled { opens_at: Moment },
    Open,
    Closed,
}

/// An order of the customer for this product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) quantity: u32,
    /// Until when it is held, if it is not final.
    pub(crate) held_until: Option<Moment>,
}

/// Who looks at the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Buyer {
    /// Nobody is logged in.
    Anyone,
    /// A customer who has as many as the sale allows.
    HasAll,
    /// A customer who may buy. The key names the next order, so that sending the form twice buys once.
    /// What has to be solved first goes with it.
    Customer { key: String, challenge: Option<Asked> },
}

/// A challenge on the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Digits in the picture of this id.
    Digits { id: String },
    /// It is given with the page once the sale is open and something is left: it does not last long.
    Later,
    /// A number that the script finds.
    Work { salt: String, challenge: String, attempts_max: u32 },
}

/// A refusal in plain words, and how long to wait before the button makes sense again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) text: String,
    pub(crate) wait_s: u64,
}

impl ProductPage<'_> {
    fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// When the sale opens, if it has not.
    fn opens_at(&self) -> Option<Moment> {
        match self.stage {
            Stage::Scheduled { opens_at } => Some(opens_at),
            Stage::Open | Stage::Closed => None,
        }
    }

    fn is_closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    fn is_sold_out(&self) -> bool {
        self.left == 0
    }

    fn left_text(&self) -> String {
        texts::left(self.left)
    }

    fn limit_text(&self) -> Option<String> {
        self.per_customer_max.map(texts::per_customer)
    }

    fn wait_s(&self) -> u64 {
        self.refusal.as_ref().map_or(0, |refusal| refusal.wait_s)
    }
}
