//! Registering, logging in and logging out by the forms of the flash sale.

use std::sync::Arc;

use onrush_edge::{Components, PasswordPool};

use crate::flash_sale::{get, post_form, with_flash_sale, with_sessions};
use crate::support::{Answer, Rig};

const REGISTER: &str = "/user/register";
const LOG_IN: &str = "/user/login";
const ADA: &str = "userName=ada&password=correct+horse&productID=7";

fn shop() -> Rig {
    let passwords = Some(Arc::new(PasswordPool::start().expect("threads")));
    Rig::start_with(with_flash_sale(), Components { passwords, ..with_sessions() })
}

fn cookie_of(answer: &Answer) -> &str {
    answer.field("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie")
}

#[test]
fn a_customer_registers_logs_in_and_out() {
    let rig = shop();
    let form = get(&rig, "/user/register?productID=7", "");
    assert_eq!((form.status, form.field("cache-control")), (200, Some("no-store")), "{form:?}");
    assert!(form.body.contains("name=\"productID\" value=\"7\""), "{form:?}");
    let registered = post_form(&rig, REGISTER, "", &format!("nickName=Ada+L.&{ADA}"));
    assert_eq!((registered.status, registered.field("location")), (303, Some("/user/login?productID=7")));
    let session = post_form(&rig, LOG_IN, "Sec-Fetch-Site: same-origin\r\n", ADA);
    assert_eq!((session.status, session.field("location")), (303, Some("/product/detail?productID=7")));
    let cookie = format!("Cookie: {}\r\n", cookie_of(&session));
    assert!(get(&rig, "/product/detail?productID=7", &cookie).body.contains("<strong>ada</strong>"));
    let site = format!("{cookie}Sec-Fetch-Site: cross-site\r\n");
    assert_eq!(post_form(&rig, "/user/logout", &site, "").status, 403);
    // As a browser sends it, which keeps the cookie back.
    let without_cookie = post_form(&rig, "/user/logout", "Sec-Fetch-Site: cross-site\r\n", "");
    assert_eq!((without_cookie.status, without_cookie.field("set-cookie")), (403, None));
    let ended = post_form(&rig, "/user/logout", &cookie, "");
    assert_eq!((ended.status, cookie_of(&ended)), (303, "onrush_session="), "{ended:?}");
}

#[test]
fn forms_that_are_not_taken_keep_the_name_and_never_the_password() {
    let rig = shop();
    assert_eq!(post_form(&rig, REGISTER, "", ADA).status, 303);
    for (target, fields, body, status, words) in [
        (REGISTER, "", ADA, 409, "There is an account with this user name already"),
        (REGISTER, "", "userName=bob&password=short+1", 400, "must have 8 to 128 characters"),
        (REGISTER, "", "userName=%3Cb%3E&password=correct+horse", 400, "value=\"&#60;b&#62;\""),
        (REGISTER, "", "password=correct+horse", 400, "must be 1 to 64 characters"),
        (REGISTER, "Sec-Fetch-Site: cross-site\r\n", ADA, 403, "Another site made this request"),
        (LOG_IN, "", "userName=ada&password=correct+hors", 401, "The user name or the password is wrong."),
        (
            LOG_IN,
            "",
            "userName=nobody&password=correct+horse",
            401,
            "The user name or the password is wrong.",
        ),
        (LOG_IN, "", "userName=%3Cb%3E&password=correct+horse", 401, "value=\"&#60;b&#62;\""),
        (LOG_IN, "", "userName=ada", 401, "value=\"ada\""),
        (LOG_IN, "Origin: http://evil.example\r\n", ADA, 403, "Another site made this request"),
        (LOG_IN, "", "userName=ada&password=correct+horse&productID=//evil", 400, "must be a whole number"),
        (LOG_IN, "", "userName=ada&userName=bob", 400, "is given twice"),
    ] {
        let answer = post_form(&rig, target, fields, body);
        assert_eq!(answer.status, status, "{target} {body}: {answer:?}");
        assert!(answer.body.contains(words), "{target} {body} lacks {words}: {answer:?}");
        assert!(!answer.body.contains("correct") && !answer.body.contains("short"), "{answer:?}");
        assert!(answer.field("set-cookie").is_none() && answer.field("cache-control") == Some("no-store"));
    }
    let unknown = post_form(&rig, LOG_IN, "", "userName=nobody&password=correct+horse");
    let known = post_form(&rig, LOG_IN, "", "userName=ada&password=wrong+horses");
    assert_eq!(unknown.body, known.body.replace("ada", "nobody"), "nothing tells who has an account");
}

#[test]
fn without_accounts_there_are_no_forms() {
    let rig = Rig::start_with(with_flash_sale(), with_sessions());
    for target in [REGISTER, LOG_IN] {
        assert_eq!(get(&rig, target, "").status, 404, "{target}");
        assert_eq!(post_form(&rig, target, "", ADA).status, 404, "{target}");
    }
    assert!(!get(&rig, "/product/detail?productID=7", "").body.contains("/user/login"));
}
