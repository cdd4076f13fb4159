//! Script lines about the denylist.

use onrush_core::{Command, DenialKind};

use super::parse::Words;
use super::{Run, tell};

impl Run {
    /// `deny customer c reason= until=`, `undeny customer c`, `denied customer c`, `denials limit=`, `forget`.
    pub(super) fn denials(&mut self, verb: &str, words: &mut Words<'_>) -> Result<String, String> {
        Ok(match verb {
            "deny" => {
                let (kind, value) = (kind(words.next()?)?, words.next()?);
                let reason = words.text("reason").unwrap_or("");
                let expires_at = words.duration("until")?;
                self.decide(&Command::Deny { kind, value, reason, expires_at })
            }
            "undeny" => {
                let (kind, value) = (kind(words.next()?)?, words.next()?);
                self.decide(&Command::Undeny { kind, value })
            }
            "denied" => {
                let (kind, value) = (kind(words.next()?)?, words.next()?);
                self.state
                    .denial(kind, value, self.now.wall)
                    .map_or("none".into(), |denial| tell::denial(denial))
            }
            "denials" => {
                let limit = words.number("limit")?.unwrap_or(100);
                let after = match words.text("after") {
                    Some(after) => Some(after.split_once(':').ok_or("a denial is `kind:value`")?),
                    None => None,
                };
                let after = after.map(|(of, value)| kind(of).map(|kind| (kind, value))).transpose()?;
                let page = self.state.denials_after(after, limit, self.now.wall);
                let mut values: Vec<_> = page.denials.iter().map(|denial| denial.value.to_string()).collect();
                values.extend(page.next_after.map(|(kind, value)| format!("then {}:{value}", kind.as_str())));
                values.join(" ")
            }
            _ => self.forget(),
        })
    }

    /// What a leader does now and then. Tells the denials that are forgotten.
    fn forget(&mut self) -> String {
        let mut forgotten = Vec::new();
        while let Some(denial) = onrush_core::decide_denial_expiry(&self.state, self.now) {
            self.state.apply(&denial.expired(), self.now.partition);
            self.shadow.apply(&denial.expired(), self.now.partition);
            forgotten.push(denial.value.to_string());
        }
        forgotten.join(" ")
    }
}

fn kind(text: &str) -> Result<DenialKind, String> {
    let found = DenialKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    found.ok_or(format!("`{text}` is no kind of denial"))
}
