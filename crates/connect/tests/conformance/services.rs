//! Which servers there are: those of `cargo xtask services up`, by their environment variables.

/// A variable of the services. Without it a test does nothing and says so, unless `ONRUSH_SERVICES=1` requires it.
pub(crate) fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    let is_required = std::env::var("ONRUSH_SERVICES").is_ok_and(|required| required == "1");
    assert!(value.is_some() || !is_required, "{name} is not set");
    if value.is_none() {
        println!("skipped: {name} is not set (cargo xtask services up)");
    }
    value
}
