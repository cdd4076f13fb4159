//! What both HTTP versions mean by a request.

pub(crate) mod authority;
pub(crate) mod target;
