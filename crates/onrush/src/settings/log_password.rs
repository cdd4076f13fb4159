//! The password of a shared log as it is typed: in a variable, beside everything that is printed.

use figment::value::{Dict, Value};
use onrush_connect::Secret;

/// The password of the log, which is in a variable and not in a settings file.
#[derive(Default)]
pub(super) struct LogPassword(Option<(Secret, String)>);

impl LogPassword {
    /// Takes a variable whose name, in lower case and without the prefix, is `path`, if it is this one.
    pub(super) fn take_variable(&mut self, path: &str, name: &str, text: &str) -> bool {
        let is_it = path == "log__password";
        // Empty is how a container platform says that there is none.
        if is_it && !text.is_empty() {
            self.0 = Some((Secret::new(text), name.to_owned()));
        }
        is_it
    }

    /// Takes it out of a settings file, where it does not belong.
    pub(super) fn leave_out(values: &mut Dict, origin: &str, problems: &mut Vec<String>) {
        if let Some(Value::Dict(_, log)) = values.get_mut("log")
            && log.remove("password").is_some()
        {
            problems.push(format!(
                "log.password (from {origin}): a password does not belong here: put it into a file and name that as \
                 log.password_file, or set ONRUSH_LOG__PASSWORD in the environment"
            ));
        }
    }

    /// It, and the variable that it came from.
    #[cfg(feature = "kafka")]
    pub(super) fn typed(&self) -> Option<&(Secret, String)> {
        self.0.as_ref()
    }

    /// The variable that it came from.
    pub(super) fn variable(&self) -> Option<&str> {
        self.0.as_ref().map(|(_, variable)| variable.as_str())
    }
}
