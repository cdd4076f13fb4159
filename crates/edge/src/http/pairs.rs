//! Pairs of names and values as a query and a form have them. Unknown and repeated names are errors, as unknown fields of JSON are.

use std::borrow::Cow;

use crate::problem::Problem;

/// What tells a query from a form.
pub(super) struct Pairs {
    /// The text of a name or a value, or nothing if it is wrong.
    pub(super) decode: for<'a> fn(&'a str) -> Option<Cow<'a, str>>,
    /// What is said of a text that is wrong.
    pub(super) malformed: &'static str,
    /// What is said of a name that is not among these.
    pub(super) unknown: fn(&[&str]) -> String,
}

impl Pairs {
    /// The decoded values of the names that are `known`, in that order.
    pub(super) fn values<'a, const N: usize>(
        &self,
        text: &'a str,
        known: [&'static str; N],
    ) -> Result<[Option<Cow<'a, str>>; N], Problem> {
        let mut values = [const { None }; N];
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = (self.decode)(name).zip((self.decode)(value));
            let (name, value) = decoded.ok_or_else(|| Problem::malformed(self.malformed))?;
            let Some(at) = known.iter().position(|known| *known == name) else {
                return Err(Problem::invalid(name.into_owned(), &(self.unknown)(&known)));
            };
            if values[at].replace(value).is_some() {
                return Err(Problem::invalid(known[at], "is given twice"));
            }
        }
        Ok(values)
    }
}
