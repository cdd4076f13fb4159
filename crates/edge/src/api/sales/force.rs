//! Whether a sale is to be archived although units of it are held.

use crate::http::query::parameters;
use crate::problem::Problem;

/// The query of `DELETE /v1/sales/{sale}`: `force`, true or false, which it is if it is absent.
pub(crate) fn parse_force(query: Option<&str>) -> Result<bool, Problem> {
    let [force] = parameters(query, ["force"])?;
    match force.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::invalid("force", "must be true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_force;

    #[test]
    fn force_is_said_in_full() {
        for (query, force) in [
            (None, Some(false)),
            (Some("force=false"), Some(false)),
            (Some("force=true"), Some(true)),
            (Some("force"), None),
            (Some("force=1"), None),
            (Some("force=TRUE"), None),
            (Some("force=true&force=true"), None),
            (Some("forced=true"), None),
        ] {
            assert_eq!(parse_force(query).ok(), force, "{query:?}");
        }
    }
}
