//! Sales.

pub(crate) mod page;
