//! What both HTTP versions mean by a request and by an answer, and what their parts are made of.

pub(crate) mod authority;
pub(crate) mod credentials;
pub(crate) mod etag;
pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod media_type;
pub(crate) mod name;
pub(crate) mod origin;
pub(crate) mod page;
mod pairs;
pub(crate) mod path;
pub(crate) mod query;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod size;
pub(crate) mod target;
