//! The operator's pages of the flash sale: what they show and change, and for whom.

use std::net::SocketAddr;

use onrush_edge::{OperatorKey, Settings};

use crate::flash_sale::{ANN, CHECK, get, log_in, shop, with_flash_sale, with_sessions};
use crate::support::{Answer, Http1, Rig};

/// `:secret` and `ops:wrong`.
const PASSWORD: &str = "Authorization: Basic OnNlY3JldA==\r\n";
const WRONG: &str = "Authorization: Basic b3BzOndyb25n\r\n";

/// GET without a body, POST with a form.
fn ask(listener: SocketAddr, target: &str, fields: &str, form: Option<&str>) -> Answer {
    let method = if form.is_some() { "POST" } else { "GET" };
    let media_type = form.map_or("", |_| "Content-Type: application/x-www-form-urlencoded\r\n");
    let body = form.unwrap_or_default();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}{media_type}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Http1::connect(listener).call(request.as_bytes()).expect("an answer")
}

#[track_caller]
fn check(rig: &Rig, target: &str, form: Option<&str>, status: u16, words: &[&str]) {
    let answer = ask(rig.operator(), target, "", form);
    assert_eq!(answer.status, status, "{target} {form:?}: {answer:?}");
    for words in words {
        assert!(answer.body.contains(words), "{target} {form:?} lacks {words}: {answer:?}");
    }
    assert!(!answer.body.contains("<b>"), "{answer:?}");
    assert!(status >= 400 || answer.field("cache-control") == Some("no-store"), "{answer:?}");
}

#[test]
fn products_are_added_changed_and_listed() {
    let rig = Rig::start_with(with_flash_sale(), with_sessions());
    check(&rig, "/product/all", None, 200, &["There are no products yet."]);
    check(&rig, "/order/all", None, 200, &["There are no orders here."]);
    check(&rig, "/product/add", None, 200, &["<form method=\"post\" action=\"/product/add\">"]);
    let added =
        ask(rig.operator(), "/product/add", "", Some("ProductName=%3Cb%3Eshoe%3C%2Fb%3E&ProductNum=2"));
    assert_eq!((added.status, added.field("location")), (303, Some("/product/all")), "{added:?}");
    check(&rig, "/product/add", Some("ProductName=a+hat&ProductNum=0"), 303, &[]);
    check(
        &rig,
        "/product/all",
        None,
        200,
        &["&#60;b&#62;shoe", "/product/manager?id=1", "a hat", "/product/manager?id=2"],
    );
    check(&rig, "/product/manager?id=2", None, 200, &["value=\"a hat\"", "action=\"/product/update\""]);
    check(&rig, "/product/update", Some("ID=2&ProductName=a+cap&ProductNum=7"), 303, &[]);
    check(&rig, "/product/all", None, 200, &["a cap", ">7</td>"]);
    let ann = log_in(&rig, ANN);
    assert_eq!(get(&rig, CHECK, &ann).body, "true");
    assert!(get(&rig, "/product/detail?productID=2", "").body.contains("7 left"));
    check(&rig, "/order/all", None, 200, &["&#60;b&#62;shoe", "<td>ann</td>", "<td>confirmed</td>"]);
}

#[test]
fn forms_that_are_not_taken_say_why_and_keep_what_was_typed() {
    let rig = shop("", 3);
    let ann = log_in(&rig, ANN);
    assert_eq!(get(&rig, CHECK, &ann).body, "true");
    let long = format!("ProductName={}&ProductNum=1", "x".repeat(257));
    for (target, form, status, words) in [
        ("/product/add", "ProductName=&ProductNum=1", 400, "`ProductName` must be 1 to 256 bytes"),
        ("/product/add", &*long, 400, "`ProductName` must be 1 to 256 bytes"),
        ("/product/add", "ProductName=%3Cb%3E&ProductNum=%2B1", 400, "value=\"&#60;b&#62;\""),
        ("/product/add", "ProductName=a&ProductNum=1000000001", 400, "must be a whole number from 0"),
        ("/product/add", "ProductName=a&ProductImage=b", 400, "`ProductImage` is not a known field"),
        ("/product/update", "ID=1&ProductName=a&ProductNum=0", 409, "Give it a quantity_total of at least"),
        ("/product/update", "ID=9&ProductName=a&ProductNum=1", 404, "value=\"a\""),
        ("/product/update", "ProductName=a&ProductNum=1", 400, "`ID` is missing"),
    ] {
        check(&rig, target, Some(form), status, &[words]);
    }
    check(&rig, "/product/manager?id=9", None, 404, &["Check the number of the product"]);
    check(&rig, "/product/manager", None, 400, &["`id` is missing"]);
    check(&rig, "/order/all?before=-1", None, 400, &["`before` must be a whole number"]);
    for target in ["/product/delete?id=1", "/order/delete?id=1", "/order/manager?id=1"] {
        assert_eq!(ask(rig.operator(), target, "", None).status, 404, "{target}");
    }
    assert_eq!(ask(rig.operator(), "/product/update?id=1", "", None).status, 405);
    check(&rig, "/product/all", None, 200, &[">3</td>"]);
}

#[test]
fn orders_come_newest_first_and_in_parts() {
    let rig = shop("", 1_000);
    let ann = log_in(&rig, ANN);
    for _ in 0..102 {
        assert_eq!(get(&rig, CHECK, &ann).body, "true");
    }
    check(&rig, "/order/all", None, 200, &["/order/all?before=2"]);
    let older = ask(rig.operator(), "/order/all?before=2", "", None);
    assert_eq!((older.status, older.body.matches("<td>ann</td>").count()), (200, 2));
    assert!(!older.body.contains("?before="), "{older:?}");
}

#[test]
fn a_browser_gives_the_key_as_the_password_and_other_sites_cannot_use_it() {
    let operator_key = Some(OperatorKey::new(|| Some("secret".to_owned())));
    let rig = Rig::start_with(Settings { operator_key, ..with_flash_sale() }, with_sessions());
    let ask = |target: &str, fields: &str, form: Option<&str>| ask(rig.operator(), target, fields, form);
    let asks_for = |fields: &str, target: &str| {
        let answer = ask(target, fields, None);
        assert_eq!(answer.status, 401, "{target} {fields}: {answer:?}");
        answer.field("www-authenticate").expect("what is asked for").to_owned()
    };
    let basic = "Basic realm=\"onrush operator\", charset=\"UTF-8\"";
    for target in ["/product/all", "/product/add", "/product/manager?id=1", "/order/all"] {
        for fields in ["", WRONG, "Authorization: Basic \r\n", "Authorization: Bearer no\r\n"] {
            assert_eq!(asks_for(fields, target), basic);
        }
    }
    // The password is for pages alone, so a program's mistake opens no window in a browser.
    for target in ["/metrics", "/v1/denylist", "/product/nothing"] {
        assert_eq!(asks_for(PASSWORD, target), "Bearer");
    }
    let form = Some("ProductName=shoe&ProductNum=1");
    for site in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
    ] {
        let refused = ask("/product/add", &format!("{PASSWORD}{site}"), form);
        assert_eq!(refused.status, 403, "{site}: {refused:?}");
    }
    assert_eq!(ask("/product/add", "", form).status, 401);
    assert!(ask("/product/all", PASSWORD, None).body.contains("There are no products yet."));
    let ours = format!("{PASSWORD}Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost\r\n");
    assert_eq!(ask("/product/add", &ours, form).status, 303);
    assert_eq!(ask("/product/add", "Authorization: Bearer secret\r\n", form).status, 303);
    let page = ask("/product/all", PASSWORD, None);
    assert_eq!(page.body.matches("<td>shoe</td>").count(), 2, "{page:?}");
    let loaded: Vec<&str> = page.body.split('"').filter(|text| text.starts_with("/pages/")).collect();
    assert_eq!(loaded.len(), 3, "{page:?}");
    for path in loaded {
        assert_eq!(ask(path, "", None).status, 200, "{path}");
    }
}
