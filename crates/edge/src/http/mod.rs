//! What both HTTP versions mean by a request.

pub(crate) mod authority;
pub(crate) mod request;
pub(crate) mod target;
