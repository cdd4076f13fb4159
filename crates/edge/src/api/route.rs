//! A route, stated once: its path and method, what answers it, how a rush's requests are told by their bytes, and its
//! entries in the `OpenAPI` document. The router, the table of hot routes and the document are all made from this.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, any, on};
use onrush_gate::RouteGroup;
use utoipa::openapi::HttpMethod;

use super::app::App;
use crate::hot::{Decode, HotForm, RouteBytes, WriteProblem};
use crate::openapi::operation::Operation;

/// One route of a listener.
pub(crate) struct Route {
    pub(crate) path: &'static str,
    /// One, or one for each method of a path that takes all of them.
    pub(crate) operations: Vec<Operation>,
    /// Nothing takes every method.
    method: Option<&'static str>,
    handler: MethodRouter<Arc<App>>,
    hot: Option<HotForm>,
    /// Whose rate limits hold on the public listener; nothing if it has none.
    group: Option<RouteGroup>,
    is_for_proxies: bool,
    /// How it says what went wrong, if that is not a problem document.
    write_problem: Option<WriteProblem>,
}

impl Route {
    /// What is described as `operation` is answered by `handler`.
    pub(crate) fn new<H, T>(operation: Operation, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let (filter, method) = method_of(&operation);
        Self {
            path: operation.path,
            method: Some(method),
            operations: vec![operation],
            handler: on(filter, handler),
            hot: None,
            group: Some(RouteGroup::Pages),
            is_for_proxies: false,
            write_problem: None,
        }
    }

    /// Every method of `path` is answered by `handler`, which may refuse some; the document has these operations of it.
    pub(crate) fn any<H, T>(path: &'static str, operations: Vec<Operation>, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        Self {
            path,
            method: None,
            operations,
            handler: any(handler),
            hot: None,
            group: Some(RouteGroup::Pages),
            is_for_proxies: false,
            write_problem: None,
        }
    }

    /// Plain requests to this route are told by their bytes.
    #[must_use]
    pub(crate) fn hot(self, decode: Decode) -> Self {
        Self { hot: Some(HotForm::of(decode)), ..self }
    }

    /// The same, and their queries are taken apart as well.
    #[must_use]
    pub(crate) fn hot_with_query(self, decode: Decode) -> Self {
        Self { hot: Some(HotForm { decode, takes_query: true }), ..self }
    }

    /// What the gate refuses, and what a hot answer says went wrong, is written like this.
    #[must_use]
    pub(crate) fn refusing(self, write_problem: WriteProblem) -> Self {
        Self { write_problem: Some(write_problem), ..self }
    }

    /// It makes reservations, and has the limits of those.
    #[must_use]
    pub(crate) fn reserving(self) -> Self {
        Self { group: Some(RouteGroup::Reserve), ..self }
    }

    /// No rate limit holds for it.
    #[must_use]
    pub(crate) fn unlimited(self) -> Self {
        Self { group: None, ..self }
    }

    /// Proxies ask for it about requests to other applications. It asks the limits by itself.
    #[must_use]
    pub(crate) fn for_proxies(self) -> Self {
        Self { group: None, is_for_proxies: true, ..self }
    }

    /// Whether proxies ask for it, and no browser.
    pub(crate) fn is_for_proxies(&self) -> bool {
        self.is_for_proxies
    }

    /// The one method that it takes; nothing if it takes every method.
    pub(crate) fn method(&self) -> Option<&'static str> {
        self.method
    }

    /// The route as bytes, if it has to be told before the router is asked.
    pub(crate) fn bytes(&self) -> Option<RouteBytes> {
        let is_plain =
            self.hot.is_none() && self.group == Some(RouteGroup::Pages) && self.write_problem.is_none();
        // HEAD, too, is for the route that proxies ask, which asks the limits by itself.
        let method = if self.is_for_proxies { None } else { self.method };
        let bytes = || RouteBytes::new(method, self.path, self.hot, self.group);
        (!is_plain).then(|| match self.write_problem {
            Some(write_problem) => bytes().refusing(write_problem),
            None => bytes(),
        })
    }

    /// Whether a rush's requests to it are told by their bytes.
    #[cfg(test)]
    pub(crate) fn is_hot(&self) -> bool {
        self.hot.is_some()
    }

    /// The route in a router.
    pub(crate) fn add_to(self, router: Router<Arc<App>>) -> Router<Arc<App>> {
        router.route(self.path, self.handler)
    }
}

fn method_of(operation: &Operation) -> (MethodFilter, &'static str) {
    match operation.method {
        HttpMethod::Get => (MethodFilter::GET, "GET"),
        HttpMethod::Post => (MethodFilter::POST, "POST"),
        HttpMethod::Put => (MethodFilter::PUT, "PUT"),
        HttpMethod::Patch => (MethodFilter::PATCH, "PATCH"),
        HttpMethod::Delete => (MethodFilter::DELETE, "DELETE"),
        HttpMethod::Options => (MethodFilter::OPTIONS, "OPTIONS"),
        HttpMethod::Head => (MethodFilter::HEAD, "HEAD"),
        HttpMethod::Trace => (MethodFilter::TRACE, "TRACE"),
    }
}
