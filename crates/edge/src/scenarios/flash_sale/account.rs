//! Logging out by a form.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::header;

use super::buy::sender_of;
use super::detail::frame;
use crate::api::answer::{WithoutBody, WithoutQuery, with_header};
use crate::api::app::App;
use crate::gate::Identity;
use crate::pages::{notice, see_other};

/// The browser forgets the session.
pub(super) async fn log_out(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Response {
    let done = sender_of(&app, &request.fields).and_then(|_| Ok(app.gate.sessions()?.ending_cookie()));
    match done {
        Ok(cookie) => with_header(see_other("/product/detail?productID=1"), header::SET_COOKIE, &cookie),
        Err(problem) => notice(&problem, frame(&Identity::Anyone)),
    }
}
