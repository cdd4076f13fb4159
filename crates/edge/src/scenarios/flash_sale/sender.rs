//! Who sends a request to this shop.

use http::HeaderMap;

use crate::api::app::App;
use crate::gate::Identity;
use crate::http::request::Fields;
use crate::problem::Problem;

/// Who looks at a page. One who cannot prove it, or whose session was ended, is anyone: the page is there for them as well.
pub(super) fn sender_of_page(app: &App, fields: &HeaderMap) -> Identity {
    let sender = app.gate.identify(&Fields::Mapped(fields), false, app.backend.now_ms());
    sender.unwrap_or(Identity::Anyone).unless_ended(&*app.backend)
}

/// The same problem, counted if it has to do with sessions.
pub(super) fn counted(app: &App, problem: Problem) -> Problem {
    app.gate.count_refusal(&problem);
    problem
}
