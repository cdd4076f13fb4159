//! Scripts about the gate.

use super::super::tests::check;

#[test]
fn a_rate_is_off_or_a_rate_and_a_burst() {
    for key in [
        "limit_reserve_address",
        "limit_reserve_route",
        "limit_reserve_customer",
        "limit_pages_address",
        "limit_pages_route",
    ] {
        for good in ["off", "1/ms burst 1000", "20/s burst 100"] {
            check(&format!("file [gate]\nfile {key} = \"{good}\"\nshows {key} = \"{good}\""));
        }
        for (bad, rule) in [
            ("", "must be off, or a rate and a burst"),
            ("on", "must be off, or a rate and a burst"),
            ("1/ms", "must be off, or a rate and a burst"),
            ("0/s burst 1", "must have 1 to 1,000,000 requests"),
            ("1/h burst 10", "must have a burst that the rate gives back within an hour"),
        ] {
            check(&format!(
                "file [gate]\nfile {key} = \"{bad}\"\nrefuses gate.{key} = \"{bad}\"\nrefuses {rule}"
            ));
        }
    }
    check("file [gate]\nfile limit_pages_route = 5\nrefuses must be text in quotes, not 5");
}

#[test]
fn trusted_proxies_are_networks() {
    check(
        "file [gate]
         file trusted_proxies = [\"10.0.0.0/8\", \"2001:db8::7\"]
         file forwarded_field = \"forwarded\"
         shows trusted_proxies = [\"10.0.0.0/8\", \"2001:db8::7\"]
         shows forwarded_field = \"forwarded\"",
    );
    check(
        "env ONRUSH_GATE__TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.1
         shows trusted_proxies = [\"10.0.0.0/8\", \"192.0.2.1\"]",
    );
    check("env ONRUSH_GATE__TRUSTED_PROXIES=\nshows trusted_proxies = []");
    check(
        "env ONRUSH_GATE__TRUSTED_PROXIES=10.0.0.1/8,proxy.example
         env ONRUSH_GATE__FORWARDED_FIELD=x-client-ip
         env ONRUSH_GATE__LIMIT_ALGORITHM=leaky
         refuses gate.trusted_proxies = \"10.0.0.1/8\" (from ONRUSH_GATE__TRUSTED_PROXIES): has bits set behind its length: write 10.0.0.0/8
         refuses gate.trusted_proxies = \"proxy.example\" (from ONRUSH_GATE__TRUSTED_PROXIES): is neither
         refuses gate.forwarded_field = \"x-client-ip\" (from ONRUSH_GATE__FORWARDED_FIELD): must be one of \"x-forwarded-for\", \"forwarded\", \"x-real-ip\"
         refuses gate.limit_algorithm = \"leaky\" (from ONRUSH_GATE__LIMIT_ALGORITHM): must be one of \"bucket\", \"window\"",
    );
    let many: Vec<_> = (0..257).map(|number| format!("10.0.{}.{}", number / 256, number % 256)).collect();
    let many = many.join(",");
    check(&format!("env ONRUSH_GATE__TRUSTED_PROXIES={many}\nrefuses may hold 256 networks at most"));
    check("file [gate]\nfile trusted_proxies = \"10.0.0.0/8\"\nrefuses must be a list of texts in quotes");
    check("file [gate]\nfile trusted_proxies = [1]\nrefuses must be a list of texts in quotes");
}

#[test]
fn challenges() {
    check(
        "shows proof_of_work_min = 50000
         shows proof_of_work_max = 1000000",
    );
    check(
        "file [gate]
         file proof_of_work_min = 1
         file proof_of_work_max = 1
         file unsafe_challenge_answer = \"012345\"
         shows proof_of_work_max = 1
         shows unsafe_challenge_answer = \"012345\"",
    );
    for (line, rule) in [
        ("proof_of_work_min = 0", "must be 1 to 100000000"),
        ("proof_of_work_max = 100000001", "must be 1 to 100000000"),
        ("proof_of_work_max = 49999", "must be at least gate.proof_of_work_min"),
        ("unsafe_challenge_answer = \"12345\"", "must be six digits"),
        ("unsafe_challenge_answer = \"12345a\"", "must be six digits"),
        ("unsafe_challenge_answer = 123456", "must be text in quotes"),
    ] {
        check(&format!("file [gate]\nfile {line}\nrefuses {rule}"));
    }
}

#[test]
fn origins_are_as_browsers_send_them() {
    check("shows cors_origins = []");
    check(
        "file [server]
         file cors_origins = [\"https://shop.example\", \"http://localhost:3000\"]
         shows cors_origins = [\"https://shop.example\", \"http://localhost:3000\"]",
    );
    check(
        "env ONRUSH_SERVER__CORS_ORIGINS=https://shop.example, https://m.shop.example
         shows cors_origins = [\"https://shop.example\", \"https://m.shop.example\"]",
    );
    check(
        "env ONRUSH_SERVER__CORS_ORIGINS=*,https://*.example,null,shop.example,https://Shop.example/,https://bücher.example
         refuses server.cors_origins = \"*\" (from ONRUSH_SERVER__CORS_ORIGINS): has a star, which would let pages of anybody act with the sessions of customers: list each origin
         refuses server.cors_origins = \"https://*.example\" (from ONRUSH_SERVER__CORS_ORIGINS): has a star
         refuses server.cors_origins = \"null\" (from ONRUSH_SERVER__CORS_ORIGINS): is what browsers send for pages whose origin they hide
         refuses server.cors_origins = \"shop.example\" (from ONRUSH_SERVER__CORS_ORIGINS): must be the origin of pages
         refuses server.cors_origins = \"https://Shop.example/\" (from ONRUSH_SERVER__CORS_ORIGINS): is not as browsers send it: write https://shop.example
         refuses server.cors_origins = \"https://bücher.example\" (from ONRUSH_SERVER__CORS_ORIGINS): must be the origin of pages",
    );
    let many: Vec<_> = (0..65).map(|number| format!("https://shop-{number}.example")).collect();
    let many = many.join(",");
    check(&format!("env ONRUSH_SERVER__CORS_ORIGINS={many}\nrefuses may hold 64 origins at most"));
    check(
        "file [server]\nfile cors_origins = \"https://shop.example\"\nrefuses must be a list of texts in quotes",
    );
}
