//! Pages of other origins: whose requests count like those of our own pages, and who may read answers (Fetch, section 3.2).
//! `docs/gate/other-origins.md` says what users see of it.

use crate::http::authority::is_of_origin;
use crate::http::origin::Origin;
use crate::http::request::Fields;

/// The origins that the operator listed, in order.
#[derive(Debug)]
pub(crate) struct Origins(Vec<Origin>);

/// Where the page is from that made a request, as far as that matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PageOrigin {
    /// No origin is listed, so that nobody looked.
    #[default]
    NotAsked,
    /// No origin that is listed; or from no page.
    NotListed,
    /// The origin of this number.
    Listed(usize),
}

/// Every field that an answer may have and that pages of other origins could not read otherwise.
const EXPOSED: &str = "age, etag, idempotent-replayed, location, onrush-customer, onrush-lag-ms, onrush-refusal, \
                       onrush-replica-lag-ms, onrush-version, ratelimit, ratelimit-policy, retry-after, x-request-id";

impl Origins {
    /// Nobody but our own pages.
    pub(crate) const NONE: Self = Self(Vec::new());

    pub(crate) fn new(mut listed: Vec<Origin>) -> Self {
        listed.sort();
        Self(listed)
    }

    /// Where the page is from that made a request with these fields.
    pub(crate) fn page_origin(&self, fields: &Fields<'_>) -> PageOrigin {
        if self.0.is_empty() {
            return PageOrigin::NotAsked;
        }
        let mut origins = fields.all("origin");
        match (origins.next(), origins.next()) {
            (Some(origin), None) => self
                .0
                .binary_search_by(|listed| listed.as_str().as_bytes().cmp(origin))
                .map_or(PageOrigin::NotListed, PageOrigin::Listed),
            // Browsers send one. Of two it is not known which counts.
            _ => PageOrigin::NotListed,
        }
    }

    /// Names and values of the fields by which browsers know who may read an answer.
    pub(crate) fn answer_fields(&self, page: PageOrigin) -> impl Iterator<Item = (&'static str, &str)> {
        let vary = (page != PageOrigin::NotAsked).then_some(("vary", "Origin"));
        let reader = match page {
            PageOrigin::Listed(number) => self.0.get(number),
            PageOrigin::NotAsked | PageOrigin::NotListed => None,
        };
        let shared = reader.map(|origin| {
            [
                ("access-control-allow-origin", origin.as_str()),
                ("access-control-allow-credentials", "true"),
                ("access-control-expose-headers", EXPOSED),
            ]
        });
        vary.into_iter().chain(shared.into_iter().flatten())
    }

    /// Whether a page of another site may have made a browser send this, which is not listed. Browsers say so in
    /// `Sec-Fetch-Site`; older ones say in `Origin` where the page is from. A client that sends neither is no browser.
    pub(crate) fn is_cross_site(&self, fields: &Fields<'_>) -> bool {
        self.is_cross_site_at(fields, fields.authority().unwrap_or_default())
    }

    /// The same where browsers know this server by another authority than the request has.
    pub(crate) fn is_cross_site_at(&self, fields: &Fields<'_>, authority: &[u8]) -> bool {
        if matches!(self.page_origin(fields), PageOrigin::Listed(_)) {
            return false;
        }
        let mut sites = fields.all("sec-fetch-site").peekable();
        if sites.peek().is_some() {
            return !sites.all(|site| matches!(site, b"same-origin" | b"none"));
        }
        !fields.all("origin").all(|origin| is_of_origin(authority, origin))
    }
}
