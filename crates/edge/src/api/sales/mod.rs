//! Sales.

pub(crate) mod force;
pub(crate) mod page;
