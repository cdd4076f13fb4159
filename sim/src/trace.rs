//! What happened in a run, for people. Nothing is written unless somebody wants to read it.

/// The lines of a run.
#[derive(Default)]
pub(crate) struct Trace(Option<Vec<String>>);

impl Trace {
    /// One that is written.
    pub(crate) fn written() -> Self {
        Self(Some(Vec::new()))
    }

    /// Adds a line.
    pub(crate) fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.0 {
            lines.push(line());
        }
    }

    /// The lines.
    pub(crate) fn lines(&self) -> &[String] {
        self.0.as_deref().unwrap_or_default()
    }
}
