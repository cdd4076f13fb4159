//! Accounts of customers: registered here, and logged in to by beginning a session.

mod accounts;

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{Request, State};
use http::StatusCode;
use serde_json::json;
use utoipa::openapi::{HttpMethod, RefOr, Schema};

use super::answer::{Answer, WithoutQuery, json, json_body};
use super::app::App;
use super::route::Route;
use crate::gate::Password;
use crate::http::json::parse_json;
use crate::limits::BODY_BYTES_MAX;
use crate::openapi::operation::{Operation, PUBLIC};
use crate::openapi::parts::{name, object, text};
use crate::problem::Code;

pub(super) fn routes() -> [Route; 1] {
    let registered = Operation::new(
        HttpMethod::Post,
        "/v1/customers",
        PUBLIC,
        "register",
        "Register a customer",
    )
    .description(
        "The customer has a password from now on, and begins sessions with it. 404 while accounts are off.",
    )
    .body("AccountRequest", json!({"customer": "ada", "password": "correct horse battery"}))
    .json(201, "The customer has an account.", "Account", json!({"customer": "ada"}))
    .problems(&[Code::CustomerExists, Code::CrossSite, Code::Overloaded])
    .asks();
    [Route::new(registered, register)]
}

pub(super) fn schemas() -> [(&'static str, RefOr<Schema>); 2] {
    let password = text("8 to 128 characters.").min_length(Some(8)).max_length(Some(128));
    [
        (
            "AccountRequest",
            object(
                "A new customer.",
                vec![("customer", name("The customer's name.")), ("password", password.into())],
            ),
        ),
        ("Account", object("A customer with a password.", vec![("customer", name("The customer's name."))])),
    ]
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountBody<'a> {
    #[serde(borrow)]
    customer: Cow<'a, str>,
    #[serde(borrow)]
    password: Cow<'a, str>,
}

async fn register(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Answer {
    app.passwords()?;
    let fields = request.headers().clone();
    let body = json_body(request, BODY_BYTES_MAX).await?;
    let AccountBody { customer, password } = parse_json(&body)?;
    app.register(&fields, &customer, Password::new(password.into_owned())).await?;
    Ok(json(StatusCode::CREATED, |out| {
        out.extend_from_slice(b"{\"customer\":\"");
        out.extend_from_slice(customer.as_bytes());
        out.extend_from_slice(b"\"}");
    }))
}
