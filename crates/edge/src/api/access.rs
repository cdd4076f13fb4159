//! Who may call the operator listener: whoever has its key, or, without a key, nobody from another site.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use http::{HeaderMap, HeaderValue, header};
use subtle::ConstantTimeEq as _;

use super::answer::Answer;
use super::app::App;
use crate::http::authority::{is_loopback, is_loopback_origin};
use crate::problem::Problem;

/// Lets a request through if it carries the key, or if no key is set.
pub(super) async fn ask_key(State(app): State<Arc<App>>, request: Request, next: Next) -> Answer {
    if let Some(key) = &app.operator_key {
        match key.read() {
            Some(key) if carries(request.headers(), &key) => {}
            Some(_) => return Err(Problem::unauthorized()),
            None => return Err(Problem::operator_key_unreadable()),
        }
    }
    Ok(next.run(request).await)
}

/// Where no key is set, lets a request through if no other site can have made it.
pub(super) async fn refuse_other_sites(State(app): State<Arc<App>>, request: Request, next: Next) -> Answer {
    if app.operator_key.is_none() && is_cross_site(request.headers()) {
        return Err(Problem::cross_site());
    }
    Ok(next.run(request).await)
}

/// Whether a browser may have sent this for a page that this machine does not serve. Such a page can have given its own
/// name our address, which `Host` tells, or send a form to us, which `Origin` and `Sec-Fetch-Site` tell. A client that
/// sends none of them is no browser.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let all = |name: &str| headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let is_ours = all("origin").all(is_loopback_origin);
    let is_from_page_of_ours = is_ours && headers.contains_key(header::ORIGIN);
    let is_site_foreign = |site: &[u8]| match site {
        b"same-origin" | b"none" => false,
        b"same-site" => !is_from_page_of_ours,
        _ => true,
    };
    !is_ours || !all("host").all(is_loopback) || all("sec-fetch-site").any(is_site_foreign)
}

fn carries(headers: &HeaderMap, key: &str) -> bool {
    let Some(credentials) = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes) else {
        return false;
    };
    let Some((scheme, token)) = credentials.split_at_checked("Bearer ".len()) else { return false };
    // It takes as long whatever the bytes are, so that a key cannot be guessed a byte at a time; only the length shows.
    let is_key = token.trim_ascii().ct_eq(key.as_bytes());
    scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(is_key)
}
