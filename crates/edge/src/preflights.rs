//! What a browser asks before a page of another origin may send a request that no form could send (Fetch, section 3.2.2). Such a
//! question carries no session, and its answer depends on the path and the origin alone. So the gate is not asked: no limit
//! is taken from, and the customer's own request is what is refused.

use compact_str::CompactString;
use smallvec::SmallVec;

use crate::gate::PageOrigin;
use crate::hot::{Head, Ready};
use crate::http::path::is_path_of;
use crate::http::request::Request;

/// Header fields that routes read and that pages may not send without asking.
const HEADERS: &str = "authorization, content-type, idempotency-key, if-none-match, x-request-id";

/// Seconds for which a browser need not ask again: two hours, because some take no more.
const MAX_AGE_S: &str = "7200";

/// Of a path that takes every method.
const EVERY_METHOD: &str = "GET, POST, PUT, PATCH, DELETE";

/// Which methods each path takes.
pub(crate) struct Preflights {
    /// Templates of paths.
    methods: Vec<(&'static str, CompactString)>,
    /// Paths that proxies ask for.
    of_proxies: Vec<&'static str>,
}

impl Preflights {
    /// Of routes by path and method, where none stands for every method. What proxies ask for about requests to other applications is
    /// `of_proxies`: an answer to such a question would let the request through to the application.
    pub(crate) fn new(
        routes: impl IntoIterator<Item = (&'static str, Option<&'static str>)>,
        of_proxies: Vec<&'static str>,
    ) -> Self {
        let mut methods: Vec<(&'static str, CompactString)> = Vec::new();
        for (path, method) in routes {
            let method = method.unwrap_or(EVERY_METHOD);
            match methods.iter_mut().find(|(known, _)| *known == path) {
                Some((_, listed)) => listed.extend([", ", method]),
                None => methods.push((path, method.into())),
            }
        }
        Self { methods, of_proxies }
    }

    /// The answer to a request from a page of `page_origin`, if it is such a question. Pages of origins that are not listed are
    /// told nothing, and so are all of them while none is listed.
    pub(crate) fn answer(&self, request: &Request<'_>, page_origin: PageOrigin) -> Option<Ready> {
        let is_asked = || {
            let asks_for = |name| request.fields.all(name).next().is_some();
            request.method == b"OPTIONS" && asks_for("origin") && asks_for("access-control-request-method")
        };
        let is_of_proxy = || self.of_proxies.iter().any(|path| path.as_bytes() == request.path);
        if !is_asked() || is_of_proxy() {
            return None;
        }
        let mut fields = SmallVec::new();
        if let PageOrigin::Listed(_) = page_origin {
            // A path that nothing answers takes GET and POST, which need no leave, so that the page reads of the 404.
            if let Some(methods) = self.methods_of(request.path) {
                fields.push(("access-control-allow-methods", methods.clone()));
            }
            fields.push(("access-control-allow-headers", CompactString::const_new(HEADERS)));
            fields.push(("access-control-max-age", CompactString::const_new(MAX_AGE_S)));
        }
        Some(Ready { head: Head { status: 204, fields, ..Head::default() }, body: Vec::new() })
    }

    fn methods_of(&self, path: &[u8]) -> Option<&CompactString> {
        self.methods.iter().find(|(template, _)| is_path_of(template, path)).map(|(_, methods)| methods)
    }
}
