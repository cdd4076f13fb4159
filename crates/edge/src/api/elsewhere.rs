//! What the other listener answers. A request that comes to the wrong one is told which one to ask.

use http::Method;

use super::route::Route;
use crate::http::path::is_path_of;
use crate::problem::Problem;

/// A listener, as hints name it.
#[derive(Clone, Copy)]
pub(super) enum Listener {
    Public,
    Operator,
}

/// Method and path of every route of the other listener.
pub(super) struct Elsewhere {
    listener: Listener,
    routes: Vec<(Option<&'static str>, &'static str)>,
}

impl Elsewhere {
    pub(super) fn new(listener: Listener, routes: &[Route]) -> Self {
        Self { listener, routes: routes.iter().map(|route| (route.method(), route.path)).collect() }
    }

    /// What to say of a path that this listener does not know.
    pub(super) fn not_found(&self, path: &str) -> Problem {
        match (self.methods_of(path).next(), self.listener) {
            (None, _) => Problem::not_found(),
            (Some(_), Listener::Public) => Problem::not_found_here(PATH_OF_PUBLIC),
            (Some(_), Listener::Operator) => Problem::not_found_here(PATH_OF_OPERATOR),
        }
    }

    /// What to say of a method that this listener's path does not take.
    pub(super) fn method_not_allowed(&self, method: &Method, path: &str) -> Problem {
        let is_there = self.methods_of(path).any(|taken| taken.is_none_or(|taken| taken == method.as_str()));
        match (is_there, self.listener) {
            (false, _) => Problem::method_not_allowed(None),
            (true, Listener::Public) => Problem::method_not_allowed_here(METHOD_OF_PUBLIC),
            (true, Listener::Operator) => Problem::method_not_allowed_here(METHOD_OF_OPERATOR),
        }
    }

    /// The methods that the other listener takes at this path; nothing stands for all.
    fn methods_of<'a>(&'a self, path: &'a str) -> impl Iterator<Item = Option<&'static str>> + 'a {
        let of_path = self.routes.iter().filter(move |(_, template)| is_path_of(template, path.as_bytes()));
        of_path.map(|(method, _)| *method)
    }
}

const PATH_OF_PUBLIC: &str =
    "The public listener answers this path. Its address is the setting server.listen.";
const PATH_OF_OPERATOR: &str =
    "The operator listener answers this path. Its address is the setting operator.listen.";
const METHOD_OF_PUBLIC: &str = "The public listener takes this method here. Its address is the setting server.listen. \
                                This listener takes the methods in the Allow header.";
const METHOD_OF_OPERATOR: &str = "The operator listener takes this method here. Its address is the setting \
                                  operator.listen. This listener takes the methods in the Allow header.";
