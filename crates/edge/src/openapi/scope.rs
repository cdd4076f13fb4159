//! Which calls a document is about, and what it says of all of them.

use onrush_core::NAME_ALPHABET;
use utoipa::openapi::{Info, InfoBuilder, License};

use crate::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX, OPERATOR_BODY_BYTES_MAX, TARGET_BYTES_MAX};
use crate::settings::Scenarios;

/// Which calls a document is about.
#[derive(Clone, Copy)]
pub(crate) enum Scope {
    /// Those of both listeners, with everything that can be switched on.
    Everything,
    /// Those of a public listener where these scenarios are on.
    Public(Scenarios),
    /// Those of an operator listener.
    Operator { has_key: bool, scenarios: Scenarios },
}

impl Scope {
    pub(super) fn info(self) -> Info {
        let title = match self {
            Self::Everything => "onrush",
            Self::Public(_) => "onrush: public API",
            Self::Operator { .. } => "onrush: operator API",
        };
        let license = || License::builder().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
        InfoBuilder::new()
            .title(title)
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(self.description()))
            .license(matches!(self, Self::Everything).then(license))
            .build()
    }

    fn description(self) -> String {
        let body_bytes_max = match self {
            Self::Everything => {
                format!("{BODY_BYTES_MAX} bytes ({OPERATOR_BODY_BYTES_MAX} on the operator listener)")
            }
            Self::Public(_) => format!("{BODY_BYTES_MAX} bytes"),
            Self::Operator { .. } => format!("{OPERATOR_BODY_BYTES_MAX} bytes"),
        };
        let but = match self {
            Self::Everything | Self::Public(Scenarios { visitor_counter: true, .. }) => {
                " but `/web-counter/increment`"
            }
            Self::Public(_) | Self::Operator { .. } => "",
        };
        format!(
            "Counts and reserves when everyone arrives at once. A success is answered only after it is durable.\n\n\
             Times are RFC 3339 in UTC. Names are 1 to 64 of `{NAME_ALPHABET}`. Unknown fields and query \
             parameters are an error, and so is a body where a call takes none. A body is at most {body_bytes_max}, a \
             target {TARGET_BYTES_MAX}, request line and header fields together {HEAD_BYTES_MAX}. Every error is \
             `application/problem+json` (RFC 9457) with a stable `code`. Every GET{but} also answers HEAD. An \
             `X-Request-Id` of a request comes back in its answer; without one the server makes one."
        )
    }

    /// Whether some call is one for the operator's key.
    pub(crate) fn has_key(self) -> bool {
        match self {
            Self::Everything => true,
            Self::Public(_) => false,
            Self::Operator { has_key, .. } => has_key,
        }
    }
}
