//! The gate of the operator's listener: whoever has the key, or whoever is no page of another site. A browser gives the key as a
//! password (HTTP Basic), for pages alone.

use subtle::ConstantTimeEq as _;

use super::origins::Origins;
use crate::http::authority::{is_loopback, is_loopback_origin};
use crate::http::credentials::{basic_password, bearer};
use crate::http::request::{Fields, Request};
use crate::problem::Problem;
use crate::settings::OperatorKey;

/// Lets through whoever has the key, or, without a key, whoever is no page of another site.
pub(crate) struct OperatorGate {
    key: Option<OperatorKey>,
    paths: OperatorPaths,
}

/// Paths that are for browsers.
#[derive(Default)]
pub(crate) struct OperatorPaths {
    /// They do not ask for the key.
    pub(crate) open: Vec<&'static str>,
    /// They ask for the key as a password.
    pub(crate) with_password: Vec<&'static str>,
}

impl OperatorGate {
    pub(crate) fn new(key: Option<OperatorKey>, paths: OperatorPaths) -> Self {
        Self { key, paths }
    }

    pub(super) fn check(&self, request: &Request<'_>) -> Result<(), Problem> {
        let refused = match &self.key {
            None => is_cross_site(&request.fields).then(Problem::cross_site),
            Some(_) if is_one_of(&self.paths.open, request) => None,
            Some(key) => match key.read() {
                Some(key) if is_one_of(&self.paths.with_password, request) => check_page(request, &key).err(),
                Some(key) => (!carries(&request.fields, &key)).then(Problem::unauthorized),
                None => Some(Problem::operator_key_unreadable()),
            },
        };
        refused.map_or(Ok(()), |problem| {
            let (peer, code) = (request.peer.0, problem.code());
            tracing::debug!(%peer, code, "refused at the operator listener");
            Err(problem)
        })
    }
}

/// Whether a browser may have sent this for a page that this machine does not serve. Such a page can have given its own
/// name our address, which `Host` tells, or send a form to us, which `Origin` and `Sec-Fetch-Site` tell. A client that
/// sends none of them is no browser.
fn is_cross_site(fields: &Fields<'_>) -> bool {
    let is_ours = fields.all("origin").all(is_loopback_origin);
    let is_from_page_of_ours = is_ours && fields.all("origin").next().is_some();
    let is_site_foreign = |site: &[u8]| match site {
        b"same-origin" | b"none" => false,
        b"same-site" => !is_from_page_of_ours,
        _ => true,
    };
    !is_ours
        || !fields.authority().is_none_or(is_loopback)
        || fields.all("sec-fetch-site").any(is_site_foreign)
}

fn is_one_of(paths: &[&str], request: &Request<'_>) -> bool {
    paths.iter().any(|path| path.as_bytes() == request.path)
}

/// A browser sends the password without being asked, also for a page of another site. So with a password nothing is taken that may
/// change something and that such a page may have sent.
fn check_page(request: &Request<'_>, key: &str) -> Result<(), Problem> {
    if carries(&request.fields, key) {
        return Ok(());
    }
    let password = basic_password(&request.fields);
    if !password.is_some_and(|password| bool::from(password.as_slice().ct_eq(key.as_bytes()))) {
        return Err(Problem::password_required());
    }
    let may_write = !matches!(request.method, b"GET" | b"HEAD");
    if may_write && Origins::NONE.is_cross_site(&request.fields) {
        Err(Problem::cross_site_form())
    } else {
        Ok(())
    }
}

fn carries(fields: &Fields<'_>, key: &str) -> bool {
    // It takes as long whatever the bytes are, so that a key cannot be guessed a byte at a time; only the length shows.
    bearer(fields).is_some_and(|token| bool::from(token.ct_eq(key.as_bytes())))
}
