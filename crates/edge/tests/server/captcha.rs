//! Challenges of the flash sale: by the paths of the other system, and on the page.

use crate::challenges::{DIGITS, with_known_answers};
use crate::flash_sale::{ANN, BOB, CHECK, get, log_in, post_form, with_sessions};
use crate::support::{Answer, Rig, call_json, call_with};

const PAGE: &str = "/product/detail?productID=1";

fn start(kind: &str) -> Rig {
    let rig = Rig::start_with(with_known_answers(), with_sessions());
    let gate = format!(r#"{{"session":"required","challenge":"{kind}"}}"#);
    let body = format!(r#"{{"gate":{gate},"stocks":[{{"stock":"1","quantity_total":10}}]}}"#);
    assert_eq!(call_json(rig.operator(), "PUT", "/v1/sales/flash", "", &body).status, 201);
    rig
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.field("onrush-refusal")), (status, Some(code)), "{answer:?}");
}

/// The cookies of a session and of the challenge that an answer set.
fn with_cookie(session: &str, answer: &Answer) -> String {
    let cookie = answer.field("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie");
    assert!(cookie.starts_with("captcha_id="), "{cookie}");
    session.replace("\r\n", &format!("; {cookie}\r\n"))
}

#[test]
fn a_verified_challenge_is_worth_one_purchase() {
    let rig = start("image");
    let ann = log_in(&rig, ANN);
    refused(&get(&rig, CHECK, &ann), 403, "challenge_required");
    let picture = get(&rig, "/captcha/?1700000000", &ann);
    assert_eq!((picture.status, picture.field("content-type")), (200, Some("image/png")));
    let given = with_cookie(&ann, &picture);
    refused(&get(&rig, CHECK, &given), 403, "challenge_required");
    let id = given.split("captcha_id=").nth(1).expect("an id").trim_end();
    assert_eq!(get(&rig, &format!("/captcha/{id}.wav"), "").field("content-type"), Some("audio/wav"));
    let verified = get(&rig, &format!("/captcha/verify?code={DIGITS}"), &given);
    assert_eq!(
        (verified.status, verified.body.as_str()),
        (200, r#"{"error_code":0,"msg":"Pass verification"}"#)
    );
    let done = with_cookie(&ann, &verified);
    let again = get(&rig, &format!("/captcha/verify?code={DIGITS}"), &done);
    assert_eq!((again.status, again.field("set-cookie")), (200, None), "what was won stays");
    let bought = get(&rig, CHECK, &done);
    assert_eq!((bought.status, bought.body.as_str()), (200, "true"));
    refused(&get(&rig, CHECK, &done), 403, "challenge_failed");
    // It was used up before it was worth a purchase.
    refused(&get(&rig, &format!("/captcha/verify?code={DIGITS}"), &given), 403, "challenge_failed");
    assert_eq!(get(&rig, &format!("/captcha/{id}.txt"), "").status, 404);
}

#[test]
fn a_wrong_code_and_a_code_of_another_verify_nothing() {
    let rig = start("either");
    let (ann, bob) = (log_in(&rig, ANN), log_in(&rig, BOB));
    let verify = |fields: &str, code: &str| get(&rig, &format!("/captcha/verify?code={code}"), fields);
    let given = with_cookie(&ann, &get(&rig, "/captcha/", &ann));
    let stolen = given.replace(ann.trim_end(), bob.trim_end());
    refused(&verify(&stolen, DIGITS), 403, "challenge_failed");
    let wrong = verify(&given, "543210");
    refused(&wrong, 403, "challenge_failed");
    assert_eq!(wrong.body, r#"{"error_code":1,"msg":"Fail to pass verification"}"#);
    refused(&verify(&given, DIGITS), 403, "challenge_failed");
    refused(&verify(&ann, DIGITS), 403, "challenge_failed");
    assert_eq!(get(&rig, "/captcha/verify", &ann).status, 400);
    assert_eq!(get(&rig, "/captcha/", "").status, 401);
    assert_eq!(verify("", DIGITS).status, 401);
}

#[test]
fn a_sale_that_takes_work_alone_gives_no_pictures() {
    let rig = start("proof_of_work");
    let refused = get(&rig, "/captcha/", &log_in(&rig, ANN));
    assert!(refused.status == 400 && refused.body.contains("is not what the sale asks for"), "{refused:?}");
}

#[test]
fn the_page_has_no_challenge_before_it_can_be_used_and_none_that_is_not_asked() {
    let rig = start("either");
    let ann = log_in(&rig, ANN);
    for (change, has_field, has_picture) in [
        (r#"{"opens_at":"2100-01-01T00:00:00Z"}"#, true, false),
        (r#"{"opens_at":null,"stocks":[{"stock":"1","quantity_total":0}]}"#, true, false),
        (r#"{"stocks":[{"stock":"1","quantity_total":1}]}"#, true, true),
        (r#"{"gate":{"mode":"shadow"}}"#, false, false),
    ] {
        let merge = "Content-Type: application/merge-patch+json\r\n";
        assert_eq!(
            call_with(rig.operator(), "PATCH", "/v1/sales/flash", merge, change).status,
            200,
            "{change}"
        );
        let page = get(&rig, PAGE, &ann).body;
        assert_eq!(page.contains("name=\"captcha\""), has_field, "{change}: {page}");
        assert_eq!(page.contains(".png"), has_picture, "{change}: {page}");
    }
}

/// What the form of a page has under this name.
fn hidden(page: &Answer, name: &str) -> String {
    let (_, rest) = page.body.split_once(&format!("name=\"{name}\" value=\"")).expect("a field");
    rest.split_once('"').expect("a value").0.to_owned()
}

#[test]
fn the_page_shows_a_challenge_and_takes_its_digits() {
    let rig = start("either");
    let ann = log_in(&rig, ANN);
    let page = get(&rig, PAGE, &ann);
    let form = |page: &Answer, code: &str| {
        let (key, captcha) = (hidden(page, "key"), hidden(page, "captcha"));
        post_form(&rig, "/product/buy", &ann, &format!("productID=1&key={key}&captcha={captcha}&code={code}"))
    };
    assert!(page.body.contains(&format!("/v1/challenges/{}.png", hidden(&page, "captcha"))), "{page:?}");
    let again = form(&page, "543210");
    assert_eq!(again.status, 403);
    assert!(again.body.contains("That was not right"), "{again:?}");
    assert_ne!(hidden(&again, "captcha"), hidden(&page, "captcha"), "there is another task");
    assert_eq!(form(&page, DIGITS).status, 403, "the first is used up");
    assert_eq!(form(&again, "012+345").status, 303);
    assert!(get(&rig, PAGE, &ann).body.contains("You have it"));
    assert_eq!(post_form(&rig, "/product/buy", &ann, "productID=1&key=k").status, 403);
}

#[test]
fn the_page_of_a_sale_that_takes_work_alone_leaves_it_to_the_script() {
    let rig = start("proof_of_work");
    let page = get(&rig, PAGE, &log_in(&rig, ANN));
    assert!(
        page.body.contains("name=\"work\" data-salt=\"") && page.body.contains("data-max=\"200\""),
        "{page:?}"
    );
    assert!(!page.body.contains("name=\"captcha\""), "{page:?}");
}
