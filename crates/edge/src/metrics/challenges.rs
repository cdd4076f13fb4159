//! The figures of challenges.

use super::Page;

pub(super) fn render(page: &mut Page, given: &[(&str, u64)]) {
    let name = "onrush_challenges_total";
    page.family(name, "counter", "Challenges that were given out.");
    for (kind, count) in given {
        page.sample(name, &format!("kind=\"{kind}\""), &count.to_string());
    }
}
