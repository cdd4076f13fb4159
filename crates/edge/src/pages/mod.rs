//! Pages for browsers: HTML from templates that escape what they are given, one style sheet and one small script, all from this
//! server. What a page shows is given by whoever answers with it; every word stands in [`texts`].

pub(crate) mod account;
pub(crate) mod assets;
pub(crate) mod operator;
pub(crate) mod product;
pub(crate) mod texts;

use askama::Template;
use axum::body::Body;
use axum::response::Response;
use compact_str::CompactString;
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::hot::Head;
use crate::problem::Problem;
use assets::{ICON, SCRIPT, STYLE};

/// The content type of a page.
const HTML: &str = "text/html; charset=utf-8";

/// Nothing from elsewhere, nothing within the page itself, and nobody may frame it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; media-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What a page has around what it is about.
#[derive(Clone, Debug)]
pub(crate) struct Frame<'a> {
    /// Who is logged in.
    pub(crate) customer: Option<&'a str>,
    /// Whether pages lead to a log-in.
    pub(crate) has_log_in: bool,
}

/// Who may keep a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Nobody: it is one customer's, or an answer to what was just done.
    Nobody,
    /// Anybody, for a second, unless cookies differ.
    ForASecond,
}

/// A page that says one thing.
#[derive(Template)]
#[template(path = "notice.html")]
struct NoticePage<'a> {
    frame: Frame<'a>,
    text: &'a str,
}

/// An answer that is a page.
///
/// # Panics
/// Never in practice: pages are written to memory.
pub(crate) fn html(status: StatusCode, page: &impl Template, keep: Keep) -> Response {
    let body = page.render().expect("a page is written to memory");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    for (name, value) in fields(keep) {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(HTML));
    response
}

/// The header fields of every page, but for its content type.
fn fields(keep: Keep) -> [(&'static str, &'static str); 8] {
    let kept = match keep {
        Keep::Nobody => "no-store",
        Keep::ForASecond => "public, max-age=1",
    };
    [
        ("cache-control", kept),
        ("vary", "Cookie"),
        ("content-security-policy", CONTENT_SECURITY_POLICY),
        // `no-referrer` would make the browser send forms with the origin `null`.
        ("referrer-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
        // The same as `frame-ancestors`, for browsers that are older than it.
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ]
}

/// An answer that is a page and was refused for `problem`, whose status and header fields it has.
pub(crate) fn refused(problem: &Problem, page: &impl Template) -> Response {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::BAD_REQUEST);
    with_fields_of(problem, html(status, page, Keep::Nobody))
}

/// A page that says in plain words what went wrong, and nothing else.
pub(crate) fn notice(problem: &Problem, frame: Frame<'_>) -> Response {
    let text = texts::refusal(problem);
    refused(problem, &NoticePage { frame, text: &text })
}

/// The same for what the gate refuses, which knows nobody yet. Costs a template of one sentence.
///
/// # Panics
/// Never in practice: pages are written to memory.
pub(crate) fn write_notice(problem: &Problem, out: &mut Vec<u8>) -> Head {
    let text = texts::refusal(problem);
    let page = NoticePage { frame: Frame { customer: None, has_log_in: false }, text: &text };
    page.write_into(out).expect("a page is written to memory");
    let of_page = fields(Keep::Nobody).map(|(name, value)| (name, CompactString::const_new(value)));
    let of_problem = problem.headers().map(|(name, value)| (name, CompactString::from(value)));
    Head {
        status: problem.status(),
        content_type: Some(HTML),
        fields: of_page.into_iter().chain(of_problem).collect(),
        standing: problem.standing(),
        ..Head::default()
    }
}

/// 303: what was asked for was done, and this page shows it. A reload of it sends no form again.
pub(crate) fn see_other(location: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// The same answer with the header fields that belong to a problem.
fn with_fields_of(problem: &Problem, mut response: Response) -> Response {
    for (name, value) in problem.headers() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    if let Some(standing) = problem.standing() {
        response.extensions_mut().insert(standing);
    }
    response
}
