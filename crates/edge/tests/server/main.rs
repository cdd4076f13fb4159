//! A running server, asked over sockets.

mod conditions;
mod meaning;
mod quiet;
mod stop;
mod strict;
mod support;
mod unread;
