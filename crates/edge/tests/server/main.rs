//! A running server, asked over sockets.

mod accounts;
mod captcha;
mod catalog;
mod challenges;
mod conditions;
mod denied;
mod explained;
mod flash_sale;
mod flash_sale_accounts;
mod flash_sale_operator;
mod front;
mod gate;
mod grpc;
mod meaning;
mod other_origins;
mod quiet;
mod rate_limits;
mod said;
mod sessions;
mod start;
mod stop;
mod strict;
mod support;
mod unread;
