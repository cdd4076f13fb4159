//! Requests of a rush, told by their bytes before any router. A route says of itself how ([`HotTable`] is made from all
//! routes). A request with anything out of the ordinary (an escape in its path, a query, another content type) goes to the
//! router, which has the same routes and answers alike.

use std::time::Instant;

use compact_str::CompactString;
use onrush_core::TimeMs;
use onrush_gate::{RouteGroup, Standing};
use onrush_node::{Call, Failure, Name, Reply, ReservationIds};
use smallvec::SmallVec;

use crate::catalog::Catalog;
use crate::gate::{Denylist, Gate, Identity, PageOrigin};
use crate::http::request::Request;
use crate::problem::{self, Problem};

/// What a request turned out to be.
pub(crate) enum Hot {
    /// A call, and how to write its answer.
    Call(Call, Rendering),
    /// Answered without a call.
    Ready(Box<Ready>),
    /// Refused before it became a call.
    Problem(Box<Problem>),
    /// A request for the router.
    Routed,
}

/// An answer that waits for nothing.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

/// Makes a call of a request to its path; the bytes are the segment that the path leaves open, empty if there is none.
pub(crate) type Decode = fn(&Request<'_>, &[u8], &Sender<'_>) -> Hot;

/// Who sends a request, for whoever wants to know.
pub(crate) struct Sender<'a> {
    pub(crate) gate: &'a Gate,
    pub(crate) denylist: &'a dyn Denylist,
    pub(crate) catalog: &'a Catalog,
    /// The wall clock.
    pub(crate) now: TimeMs,
    /// The clock that rate limits count by.
    pub(crate) clock: &'a dyn Fn() -> Instant,
}

impl Sender<'_> {
    /// Whom the request, which may change something, is from.
    ///
    /// # Errors
    /// What it is answered instead.
    pub(crate) fn of(&self, request: &Request<'_>) -> Result<Identity, Problem> {
        self.gate.identify(&request.fields, true, self.now)?.checked(self.denylist, self.now)
    }
}

/// Appends the body of the answer for a name, if the route has one. A failure that it hands back becomes a problem.
pub(crate) type Write = fn(&Name, Reply, &ReservationIds, &mut Vec<u8>) -> Result<Head, Failure>;

/// Appends the body of the answer for what went wrong.
pub(crate) type WriteProblem = fn(&Problem, &mut Vec<u8>) -> Head;

/// How to write the answer to a call.
pub(crate) struct Rendering {
    name: Name,
    write: Write,
    write_problem: WriteProblem,
}

impl Rendering {
    /// For an answer that repeats `name`.
    pub(crate) fn of(name: Name, write: Write) -> Self {
        Self { name, write, write_problem: render_problem }
    }

    /// For an answer that repeats no name of the path.
    pub(crate) fn without_name(write: Write) -> Self {
        Self::of(Name::const_new(""), write)
    }

    /// Writes the answer into `body`.
    pub(crate) fn render(&self, reply: Reply, ids: &ReservationIds, now: TimeMs, body: &mut Vec<u8>) -> Head {
        (self.write)(&self.name, reply, ids, body)
            .unwrap_or_else(|failure| (self.write_problem)(&Problem::from_failure(&failure, now), body))
    }
}

/// Everything of an answer but its body and what every answer has.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Absent if there is no body.
    pub(crate) content_type: Option<&'static str>,
    pub(crate) fields: SmallVec<[(&'static str, CompactString); 2]>,
    /// A field that comes behind the body. Only HTTP/2 sends it.
    pub(crate) trailer: Option<(&'static str, &'static str)>,
    /// How a rate limit stands, if one was asked; it makes header fields of its own.
    pub(crate) standing: Option<Standing>,
    /// From where the page may be that reads it; it makes header fields as well.
    pub(crate) page_origin: PageOrigin,
}

impl Head {
    /// A success.
    pub(crate) fn ok(content_type: &'static str) -> Self {
        Self { content_type: Some(content_type), ..Self::default() }
    }
}

impl Default for Head {
    /// A success that has nothing to say.
    fn default() -> Self {
        let page_origin = PageOrigin::default();
        let (fields, trailer) = (SmallVec::new(), None);
        Self { status: 200, content_type: None, fields, trailer, standing: None, page_origin }
    }
}

/// Writes a problem into `body`.
pub(crate) fn render_problem(problem: &Problem, body: &mut Vec<u8>) -> Head {
    problem.write_body(body);
    let fields = problem.headers().map(|(name, value)| (name, CompactString::from(value))).collect();
    let (status, content_type) = (problem.status(), Some(problem::CONTENT_TYPE));
    Head { status, content_type, fields, standing: problem.standing(), ..Head::default() }
}

/// A route as bytes, so that it can be told before any router is asked.
pub(crate) struct RouteBytes {
    /// Nothing takes every method.
    method: Option<FirstBytes>,
    /// What stands before the open segment, or the whole path if it has none.
    before: &'static [u8],
    /// The first bytes of that, by which most other routes are told at a glance.
    first: FirstBytes,
    /// What stands behind the open segment.
    after: Option<&'static [u8]>,
    /// Of a hot route.
    hot: Option<HotForm>,
    group: Option<RouteGroup>,
    write_problem: WriteProblem,
}

/// How a rush's requests to a route are taken apart.
#[derive(Clone, Copy)]
pub(crate) struct HotForm {
    pub(crate) decode: Decode,
    /// Whether it takes the query apart. Otherwise a request with a query is one for the router.
    pub(crate) takes_query: bool,
}

/// A request's route, and the segment that its path leaves open, empty if there is none.
pub(crate) type Found<'t, 'r> = Option<(&'t RouteBytes, &'r [u8])>;

impl HotForm {
    /// Of requests without a query.
    pub(crate) const fn of(decode: Decode) -> Self {
        Self { decode, takes_query: false }
    }
}

impl RouteBytes {
    /// Of a path with one open segment in braces, or with several, in which case all from the first to the last is one open part.
    pub(crate) fn new(
        method: Option<&'static str>,
        path: &'static str,
        hot: Option<HotForm>,
        group: Option<RouteGroup>,
    ) -> Self {
        let open = path.split_once('{').map(|(before, rest)| (before, rest.rsplit_once('}')));
        let (before, after) = match open {
            Some((before, Some((_, after)))) => (before, Some(after.as_bytes())),
            _ => (path, None),
        };
        let before = before.as_bytes();
        let first = FirstBytes::of(before);
        let method = method.map(|method| FirstBytes::of_whole(method.as_bytes()));
        Self { method, before, first, after, hot, group, write_problem: render_problem }
    }

    /// The same for a route that says in a way of its own what went wrong.
    #[must_use]
    pub(crate) fn refusing(self, write_problem: WriteProblem) -> Self {
        Self { write_problem, ..self }
    }

    /// Whether a request with these first bytes of method and path may be one to this route.
    fn may_be(&self, method: u64, path: u64) -> bool {
        self.first.fits(path) && self.method.is_none_or(|own| own.fits(method))
    }

    /// The open segment of a path of this route.
    fn segment_of<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        let rest = path.strip_prefix(self.before)?;
        match self.after {
            Some(after) => rest.strip_suffix(after),
            None => rest.is_empty().then_some(rest),
        }
    }
}

/// Up to eight bytes that something begins with, as one number.
#[derive(Clone, Copy)]
struct FirstBytes {
    bytes: u64,
    /// Which of the eight count.
    mask: u64,
}

impl FirstBytes {
    /// What begins with `start`.
    fn of(start: &[u8]) -> Self {
        let counted = start.len().min(8);
        let mut mask = [0; 8];
        mask[..counted].fill(u8::MAX);
        Self { bytes: first_bytes(start), mask: u64::from_le_bytes(mask) }
    }

    /// What is `whole`, which has fewer than eight bytes.
    fn of_whole(whole: &[u8]) -> Self {
        assert!(whole.len() < 8, "the zero behind it counts, or else something longer would do");
        Self { bytes: first_bytes(whole), mask: u64::MAX }
    }

    /// Whether something with these first bytes begins like this.
    fn fits(self, first: u64) -> bool {
        first & self.mask == self.bytes
    }
}

/// The first eight bytes, with zeros behind fewer. Neither a method nor a path holds a zero.
fn first_bytes(of: &[u8]) -> u64 {
    if let Some(first) = of.first_chunk::<8>() {
        return u64::from_le_bytes(*first);
    }
    of.iter().rev().fold(0, |first, byte| first << 8 | u64::from(*byte))
}

/// All hot routes that are on, and those that are limited or refused in another way than most.
#[derive(Default)]
pub(crate) struct HotTable(Vec<RouteBytes>);

impl HotTable {
    pub(crate) fn new(routes: impl IntoIterator<Item = RouteBytes>) -> Self {
        Self(routes.into_iter().collect())
    }

    /// The route of a request if it is one of these.
    pub(crate) fn find<'t, 'r>(&'t self, request: &Request<'r>) -> Found<'t, 'r> {
        let (method, path) = (first_bytes(request.method), first_bytes(request.path));
        let mut candidates = self.0.iter().filter(|route| route.may_be(method, path));
        candidates.find_map(|route| Some((route, route.segment_of(request.path)?)))
    }
}

/// The limits of a request; nothing if it has none. What no table knows is a page.
pub(crate) fn group_of(found: Found<'_, '_>) -> Option<RouteGroup> {
    found.map_or(Some(RouteGroup::Pages), |(route, _)| route.group)
}

/// Tells a hot request from one for the router.
pub(crate) fn decode(request: &Request<'_>, found: Found<'_, '_>, sender: &Sender<'_>) -> Hot {
    match found {
        Some((RouteBytes { hot: Some(hot), write_problem, .. }, segment))
            if hot.takes_query || request.query.is_none() =>
        {
            match (hot.decode)(request, segment, sender) {
                Hot::Call(call, rendering) => {
                    Hot::Call(call, Rendering { write_problem: *write_problem, ..rendering })
                }
                other => other,
            }
        }
        _ => Hot::Routed,
    }
}

/// How the route of a request says what went wrong.
pub(crate) fn write_problem_of(found: Found<'_, '_>) -> WriteProblem {
    found.map_or(render_problem, |(route, _)| route.write_problem)
}

/// The call about the name that `segment` is, of a request without a body. A segment that needs decoding is none.
pub(crate) fn bare_call(request: &Request<'_>, segment: &[u8], call: fn(Name) -> Call, write: Write) -> Hot {
    match plain_name(segment).filter(|_| request.body.is_empty()) {
        Some(name) => Hot::Call(call(name.clone()), Rendering::of(name, write)),
        None => Hot::Routed,
    }
}

/// The query, if there is one, of a request without a body that is plain otherwise.
#[expect(clippy::option_option, reason = "no request and no query are two things")]
pub(crate) fn bare_query<'a>(request: &Request<'a>) -> Option<Option<&'a str>> {
    let query = request.query.map(std::str::from_utf8).transpose().ok()?;
    request.body.is_empty().then_some(query)
}

/// The name that a path segment is, if it is one without any decoding.
pub(crate) fn plain_name(segment: &[u8]) -> Option<Name> {
    let segment = std::str::from_utf8(segment).ok()?;
    // Dot segments mean something else in a path (RFC 3986, section 5.2.4); the router says what.
    let is_dots = matches!(segment, "." | "..");
    (onrush_core::is_name(segment) && !is_dots).then(|| Name::from(segment))
}

/// Whether the body is JSON, said in the usual words.
pub(crate) fn is_plain_json(request: &Request<'_>) -> bool {
    request.fields.content_type().is_some_and(|value| value.eq_ignore_ascii_case(b"application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_told_by_its_method_and_its_path() {
        let one = RouteBytes::new(Some("GET"), "/v1/counters/{counter}", None, None);
        let inner = RouteBytes::new(Some("POST"), "/v1/sales/{sale}/reservations", None, None);
        let two = RouteBytes::new(Some("GET"), "/v1/catalog/{collection}/{key}", None, None);
        let short = RouteBytes::new(None, "/hit", None, None);
        let may_be = |route: &RouteBytes, method: &str, path: &str| {
            let is_candidate = route.may_be(first_bytes(method.as_bytes()), first_bytes(path.as_bytes()));
            is_candidate.then(|| route.segment_of(path.as_bytes())).flatten().map(<[u8]>::to_vec)
        };
        for (route, method, path, segment) in [
            (&one, "GET", "/v1/counters/home", Some("home")),
            (&one, "GET", "/v1/counters/", Some("")),
            (&one, "GETS", "/v1/counters/home", None),
            (&one, "GE", "/v1/counters/home", None),
            (&one, "POST", "/v1/counters/home", None),
            (&one, "GET", "/v1/counter", None),
            (&one, "GET", "/v1/c", None),
            (&one, "GET", "", None),
            (&inner, "POST", "/v1/sales/a/reservations", Some("a")),
            (&inner, "POST", "/v1/sales/a/b/reservations", Some("a/b")),
            (&inner, "POST", "/v1/sales/a/reservation", None),
            (&inner, "POSTSCRIPT", "/v1/sales/a/reservations", None),
            (&two, "GET", "/v1/catalog/products/1", Some("products/1")),
            (&two, "GET", "/v1/catalog/products", Some("products")),
            (&short, "BREW", "/hit", Some("")),
            (&short, "GET", "/hits", None),
            (&short, "GET", "/hi", None),
        ] {
            let found = may_be(route, method, path);
            assert_eq!(found.as_deref(), segment.map(str::as_bytes), "{method} {path}");
        }
    }
}
