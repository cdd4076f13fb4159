//! Operations of the flash sale.

use onrush_core::{QUANTITY_TOTAL_MAX, TITLE_BYTES_MAX};
use serde_json::json;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{ContentBuilder, HttpMethod, RefOr, Required, ResponseBuilder, Schema};

use super::product::PRODUCT_ID;
use crate::api::challenges::shows;
use crate::http::media_type::FORM;
use crate::openapi::operation::{OPERATOR, Operation, SCENARIOS, optional_parameter, text_header};
use crate::openapi::parts::{name, object, one_of, text, whole};
use crate::problem::Code;

pub(super) const CHECK_PATH: &str = "/check";

/// What buying can end in besides what every call can.
const REFUSALS: [Code; 16] = [
    Code::SessionRequired,
    Code::SessionExpired,
    Code::InvalidCredentials,
    Code::CrossSite,
    Code::Denied,
    Code::HoldsUnpaid,
    Code::SaleNotFound,
    Code::StockNotFound,
    Code::InsufficientStock,
    Code::CustomerLimitReached,
    Code::SaleNotOpen,
    Code::SaleClosed,
    Code::StockClosed,
    Code::CoolingDown,
    Code::ChallengeRequired,
    Code::ChallengeFailed,
];

/// The statuses of a refusal.
const REFUSED: [u16; 7] = [400, 401, 403, 404, 409, 429, 503];

pub(super) fn public() -> [Operation; 5] {
    let detail =
        Operation::new(HttpMethod::Get, "/product/detail", SCENARIOS, "showProduct", "Show a product")
            .description(
                "A page. With a session it shows what the customer has of it, and the button that buys one.",
            )
            .parameter(product_id());
    let detail = page(detail, 200, "The page.")
        .problems(&[Code::Denied, Code::SaleNotFound, Code::StockNotFound])
        .asks();
    let buy = Operation::new(HttpMethod::Post, "/product/buy", SCENARIOS, "buyProduct", "Buy one unit by the form of the page")
        .description(
            "Needs a session, and takes none that a page of another site sent along. The `key` names the order: the same form \
             again buys nothing more.",
        )
        .body_as(FORM, "BuyForm", json!({"productID": "1", "key": "5f1b6f9c2d"}))
        .answer(303, ResponseBuilder::new().description("Bought. Back to the page of the product."))
        .header(303, "Location", text_header("The page of the product."))
        .problems(&REFUSALS)
        .problems(&[Code::IdempotencyKeyReused])
        .asks();
    let right = Operation::new(
        HttpMethod::Get,
        "/checkRight",
        SCENARIOS,
        "checkRight",
        "Ask whether the customer may buy",
    )
    .description(
        "Whether there is a session and its customer is not denied. It changes nothing and promises nothing.",
    )
    .problems(&[
        Code::SessionRequired,
        Code::SessionExpired,
        Code::InvalidCredentials,
        Code::CrossSite,
        Code::Denied,
        Code::SaleNotFound,
    ])
    .asks();
    [
        pages(detail, &[400, 403, 404, 429, 503]),
        pages(buy, &[400, 401, 403, 404, 409, 413, 415, 422, 429, 503]),
        check(HttpMethod::Get, "check"),
        check(HttpMethod::Post, "checkByPost"),
        words(right),
    ]
}

/// What the paths of the other system give out, show and take of challenges.
pub(super) fn captcha() -> [Operation; 3] {
    let cookie = || text_header("The challenge, as `captcha_id`, for five minutes.");
    let sessions = [Code::SessionRequired, Code::SessionExpired, Code::InvalidCredentials, Code::CrossSite];
    let given = Operation::new(HttpMethod::Get, "/captcha/", SCENARIOS, "giveCaptcha", "Ask for a challenge")
        .description("For the customer of the session. The query may be the time, in digits alone.")
        .answer(
            200,
            ResponseBuilder::new()
                .description("Its picture.")
                .content("image/png", ContentBuilder::new().build()),
        )
        .header(200, "Set-Cookie", cookie())
        .problems(&sessions)
        .problems(&[Code::SaleNotFound])
        .asks();
    let shown = shows(Operation::new(
        HttpMethod::Get,
        "/captcha/{file}",
        SCENARIOS,
        "showCaptcha",
        "Show or speak a challenge",
    ));
    let code = ParameterBuilder::new()
        .name("code")
        .parameter_in(ParameterIn::Query)
        .required(Required::True)
        .description(Some("The digits."))
        .schema(Some(text("The digits.")))
        .example(Some(json!("123456")))
        .build();
    let result = |number: u8, message: &str| json!({"error_code": number, "msg": message});
    let passed = result(0, "Pass verification");
    let verified = Operation::new(HttpMethod::Get, "/captcha/verify", SCENARIOS, "verifyCaptcha", "Verify the digits")
        .description("Of the challenge in the cookie, which is used up. What was verified is in the cookie then, for one reservation.")
        .parameter(code)
        .json(200, "They are right.", "CaptchaResult", passed)
        .header(200, "Set-Cookie", cookie())
        .json(403, "They are wrong.", "CaptchaResult", result(1, "Fail to pass verification"))
        .problems(&sessions)
        .problems(&[Code::SaleNotFound])
        .asks();
    [given, shown, verified]
}

pub(super) fn captcha_result() -> RefOr<Schema> {
    object(
        "Whether the digits are right.",
        vec![
            ("error_code", whole("0 if they are.", 0, Some(1)).into()),
            ("msg", text("The same in words.").into()),
        ],
    )
}

pub(super) fn accounts() -> [Operation; 5] {
    let get = |path, id, summary| {
        let operation = Operation::new(HttpMethod::Get, path, SCENARIOS, id, summary)
            .description("A page. 404 while accounts are off.")
            .parameter(ParameterBuilder::from(product_id()).required(Required::False).build())
            .problems(&[Code::Denied]);
        pages(page(operation, 200, "The page."), &[400, 403, 404, 429])
    };
    let post = |path, id, summary, form, example, where_to| {
        let operation = Operation::new(HttpMethod::Post, path, SCENARIOS, id, summary)
            .description("What the form of the page sends. A refusal is the page again with what was typed, but for the password.")
            .body_as(FORM, form, example)
            .answer(303, ResponseBuilder::new().description(where_to))
            .header(303, "Location", text_header(where_to))
            .asks();
        pages(operation, &[400, 401, 403, 404, 409, 413, 415, 429, 503])
    };
    let typed = json!({"userName": "ada", "password": "correct horse", "productID": "1"});
    [
        get("/user/register", "showRegister", "Show the form of a new account"),
        post(
            "/user/register",
            "register",
            "Make an account",
            "RegisterForm",
            typed.clone(),
            "The page to log in.",
        )
        .problems(&[Code::CustomerExists, Code::CrossSite]),
        get("/user/login", "showLogIn", "Show the form to log in"),
        post("/user/login", "logIn", "Log in", "LogInForm", typed, "The page of the product.")
            .header(303, "Set-Cookie", text_header("The session."))
            .problems(&[Code::InvalidCredentials, Code::CrossSite]),
        pages(
            Operation::new(
                HttpMethod::Post,
                "/user/logout",
                SCENARIOS,
                "logOut",
                "Make the browser forget its session",
            )
            .answer(303, ResponseBuilder::new().description("The page of the product."))
            .header(303, "Location", text_header("The page of the product."))
            .header(303, "Set-Cookie", text_header("An empty cookie that expires at once."))
            .problems(&[Code::CrossSite, Code::SessionExpired, Code::InvalidCredentials]),
            &[401, 403, 404, 429],
        ),
    ]
}

pub(super) fn register_form() -> RefOr<Schema> {
    let nickname = ("nickName?", text("Taken from clients of the other system, and not kept.").into());
    object("A new account.", [nickname].into_iter().chain(account_fields()).collect())
}

pub(super) fn log_in_form() -> RefOr<Schema> {
    object("Who logs in.", account_fields())
}

fn account_fields() -> Vec<(&'static str, RefOr<Schema>)> {
    vec![
        ("userName", name("The customer.")),
        ("password", text("8 to 128 characters.").min_length(Some(8)).max_length(Some(128)).into()),
        ("productID?", whole("The product to go to.", 1, Some(u32::MAX as usize)).into()),
    ]
}

pub(super) fn operator() -> [Operation; 6] {
    let get = |path, id, summary| {
        let operation = Operation::new(HttpMethod::Get, path, OPERATOR, id, summary)
            .description("A page. Where a key is set, a browser gives it as the password.");
        pages(page(operation, 200, "The page."), &[400, 404, 503])
            .problems(&[Code::SaleNotFound, Code::StockNotFound])
    };
    let post = |path, id, summary, form, example| {
        let operation = Operation::new(HttpMethod::Post, path, OPERATOR, id, summary)
            .description("What the form of the page sends. No page of another site can.")
            .body_as(FORM, form, example)
            .answer(303, ResponseBuilder::new().description("Done. To the list of products."))
            .header(303, "Location", text_header("The list of products."))
            .problems(&[
                Code::CrossSite,
                Code::SaleNotFound,
                Code::StockNotFound,
                Code::PreconditionFailed,
                Code::QuantityBelowReserved,
            ])
            .asks();
        pages(operation, &[400, 404, 409, 412, 413, 415, 503])
    };
    let id = ParameterBuilder::new()
        .name("id")
        .parameter_in(ParameterIn::Query)
        .required(Required::True)
        .description(Some("The product."))
        .schema(Some(whole("The product.", 1, Some(u32::MAX as usize))))
        .example(Some(json!(1)))
        .build();
    let before = optional_parameter(
        "before",
        ParameterIn::Query,
        "Where the page begins, as the page before says.",
        whole("A whole number.", 0, Some(u32::MAX as usize)),
    );
    let product = json!({"ProductName": "Flash item", "ProductNum": "10000"});
    let change = json!({"ID": "1", "ProductName": "Flash item", "ProductNum": "10000"});
    [
        get("/product/all", "showProducts", "Show all products").asks(),
        get("/product/add", "showNewProduct", "Show the form of a new product"),
        post("/product/add", "addProduct", "Add a product", "ProductForm", product),
        get("/product/manager", "showProductForm", "Show the form of a product").parameter(id).asks(),
        post("/product/update", "changeProduct", "Change a product", "ProductChangeForm", change),
        get("/order/all", "showOrders", "Show orders, the newest first").parameter(before).asks(),
    ]
}

pub(super) fn product_form() -> RefOr<Schema> {
    object("A new product.", product_fields())
}

pub(super) fn product_change_form() -> RefOr<Schema> {
    let id = ("ID", whole("The product.", 1, Some(u32::MAX as usize)).into());
    object("A product as it is to be.", [id].into_iter().chain(product_fields()).collect())
}

fn product_fields() -> Vec<(&'static str, RefOr<Schema>)> {
    vec![
        (
            "ProductName",
            text("At most 256 bytes.").min_length(Some(1)).max_length(Some(TITLE_BYTES_MAX)).into(),
        ),
        ("ProductNum", whole("Units for sale.", 0, Some(QUANTITY_TOTAL_MAX as usize)).into()),
    ]
}

pub(super) fn buy_form() -> RefOr<Schema> {
    object(
        "What the form of a product's page sends.",
        vec![
            (PRODUCT_ID, whole("The product.", 1, Some(u32::MAX as usize)).into()),
            (
                "key",
                text("Names the order: 1 to 128 printable ASCII characters.")
                    .min_length(Some(1))
                    .max_length(Some(128))
                    .into(),
            ),
            ("captcha?", text("The challenge of the page; with `code`.").into()),
            ("code?", text("The digits of its picture.").into()),
            ("work?", text("What was found for a proof of work, as the ALTCHA widget writes it.").into()),
        ],
    )
}

fn check(method: HttpMethod, id: &str) -> Operation {
    let operation = Operation::new(method, CHECK_PATH, SCENARIOS, id, "Buy one unit")
        .description(
            "Needs a session. By a cookie it takes no request that a page of another site made, and no GET that a browser opens \
             as a page.",
        )
        .parameter(product_id())
        .problems(&REFUSALS)
        .asks();
    words(operation)
}

fn product_id() -> Parameter {
    ParameterBuilder::new()
        .name(PRODUCT_ID)
        .parameter_in(ParameterIn::Query)
        .required(Required::True)
        .description(Some("The product: a stock of the sale `flash` whose name is this number."))
        .schema(Some(whole("The product.", 1, Some(u32::MAX as usize))))
        .example(Some(json!(1)))
        .build()
}

/// `true`, or `false` with a status that says why.
fn words(operation: Operation) -> Operation {
    let word = |word: &str| one_of("Whether it is so.", &[word]);
    let yes = operation.content(200, "Yes.", "text/plain", word("true"), json!("true"));
    REFUSED.into_iter().fold(yes, |operation, status| {
        operation.content(status, "No", "text/plain", word("false"), json!("false")).header(
            status,
            "Onrush-Refusal",
            text_header("The code of the problem."),
        )
    })
}

fn page(operation: Operation, status: u16, description: &str) -> Operation {
    operation.content(status, description, "text/html", text("A page.").into(), json!("<!doctype html>"))
}

/// Refusals as pages.
fn pages(operation: Operation, statuses: &[u16]) -> Operation {
    statuses.iter().fold(operation, |operation, status| page(operation, *status, "A page that says why"))
}
