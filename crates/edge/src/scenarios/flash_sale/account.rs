//! Registering, logging in and logging out by forms.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use onrush_node::Name;

use super::detail::frame;
use super::product::{PRODUCT_ID, back_to, parse_product_id};
use super::sender::{counted, sender_of_page};
use crate::api::answer::{WithoutBody, WithoutQuery, form_body, with_header};
use crate::api::app::App;
use crate::gate::{Identity, Password};
use crate::http::form::parse_form;
use crate::http::query::parameters;
use crate::limits::BODY_BYTES_MAX;
use crate::pages::account::{AccountPage, Form};
use crate::pages::{Keep, html, notice, refused, see_other, texts};
use crate::problem::Problem;

/// The product to which a form leads if it does not say.
const FIRST_PRODUCT: &str = "1";

pub(super) async fn show_register(State(app): State<Arc<App>>, request: WithoutBody) -> Response {
    show(&app, Form::Register, &request)
}

pub(super) async fn show_log_in(State(app): State<Arc<App>>, request: WithoutBody) -> Response {
    show(&app, Form::LogIn, &request)
}

pub(super) async fn register(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Response {
    submit(&app, Form::Register, request).await
}

pub(super) async fn log_in(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Response {
    submit(&app, Form::LogIn, request).await
}

/// The browser forgets the session. A browser does not send the cookie with a form of another site, so that the site is asked for
/// by itself.
pub(super) async fn log_out(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Response {
    let done = app
        .check_site(&request.fields)
        .map_err(|problem| counted(&app, problem))
        .and_then(|()| Ok(app.gate.sessions()?.ending_cookie()));
    match done {
        Ok(cookie) => with_header(back_to(FIRST_PRODUCT), header::SET_COOKIE, &cookie),
        Err(problem) => notice(&problem, frame(&app, &Identity::Anyone)),
    }
}

fn show(app: &App, form: Form, request: &WithoutBody) -> Response {
    let sender = sender_of_page(app, &request.fields);
    let frame = frame(app, &sender);
    let asked = parameters(request.uri.query(), [PRODUCT_ID])
        .and_then(|[product_id]| product_or_first(product_id.as_deref()))
        .and_then(|product_id| app.passwords().map(|_| product_id));
    match asked {
        Ok(product_id) => {
            let page = AccountPage { frame, form, user_name: "", product_id: &product_id, refusal: None };
            html(StatusCode::OK, &page, Keep::Nobody)
        }
        Err(problem) => notice(&problem, frame),
    }
}

/// What a form says and its page shows again.
struct Typed<'a> {
    user_name: Cow<'a, str>,
    product_id: Name,
}

async fn submit(app: &App, form: Form, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let sender = sender_of_page(app, &parts.headers);
    let body = match form_body(&parts.headers, body, BODY_BYTES_MAX).await {
        Ok(body) => body,
        Err(problem) => return notice(&problem, frame(app, &sender)),
    };
    let (typed, password) = match parse(form, &body) {
        Ok(typed) => typed,
        Err(problem) => return notice(&problem, frame(app, &sender)),
    };
    let done = match form {
        Form::Register => registered(app, &parts.headers, &typed, password).await,
        Form::LogIn => logged_in(app, &parts.headers, &typed, password).await,
    };
    done.unwrap_or_else(|problem| {
        let text = texts::account_refusal(&problem);
        let page = AccountPage {
            frame: frame(app, &sender),
            form,
            user_name: &typed.user_name,
            product_id: &typed.product_id,
            refusal: Some(&text),
        };
        refused(&problem, &page)
    })
}

/// The page has no field for a nickname. Clients of the other system send one; it is not kept.
fn parse(form: Form, body: &[u8]) -> Result<(Typed<'_>, Password), Problem> {
    let [user_name, password, product_id] = match form {
        Form::Register => {
            let [_, user_name, password, product_id] =
                parse_form(body, ["nickName", "userName", "password", PRODUCT_ID])?;
            [user_name, password, product_id]
        }
        Form::LogIn => parse_form(body, ["userName", "password", PRODUCT_ID])?,
    };
    let product_id = product_or_first(product_id.as_deref())?;
    let password = Password::new(password.unwrap_or_default().into_owned());
    Ok((Typed { user_name: user_name.unwrap_or_default(), product_id }, password))
}

fn product_or_first(product_id: Option<&str>) -> Result<Name, Problem> {
    parse_product_id(Some(product_id.unwrap_or(FIRST_PRODUCT)))
}

async fn registered(
    app: &App,
    fields: &HeaderMap,
    typed: &Typed<'_>,
    password: Password,
) -> Result<Response, Problem> {
    app.register(fields, &typed.user_name, password).await?;
    Ok(see_other(&format!("/user/login?productID={}", typed.product_id)))
}

async fn logged_in(
    app: &App,
    fields: &HeaderMap,
    typed: &Typed<'_>,
    password: Password,
) -> Result<Response, Problem> {
    let begun = app.log_in(fields, &typed.user_name, password).await?;
    Ok(with_header(back_to(&typed.product_id), header::SET_COOKIE, &begun.cookie))
}
