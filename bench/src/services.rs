//! The servers that sinks write to, as `cargo xtask services up` left them: addresses, passwords and processes, from the
//! file that it writes for shells.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// What every variable of the file begins with.
const PREFIX: &str = "ONRUSH_SERVICES_";

/// The variables by what follows the prefix. They hold passwords, so they are never shown.
pub(crate) struct Services(BTreeMap<String, String>);

impl Services {
    /// Reads `services.env` in the directory of the services.
    pub(crate) fn read(directory: &Path) -> Result<Self> {
        let path = directory.join("services.env");
        let text = std::fs::read_to_string(&path);
        let text = text.with_context(|| {
            format!("read {}; start the servers by: cargo xtask services up", path.display())
        })?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let variables = text.lines().filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            let quoted = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
            Some((key.strip_prefix(PREFIX)?.to_owned(), quoted.unwrap_or(value).to_owned()))
        });
        Self(variables.collect())
    }

    /// One variable, by what follows the prefix.
    pub(crate) fn get(&self, name: &str) -> Result<&str> {
        match self.0.get(name) {
            Some(value) => Ok(value),
            None => {
                bail!("services.env has no {PREFIX}{name}; start all servers by: cargo xtask services up")
            }
        }
    }

    /// A variable that names a process.
    pub(crate) fn pid(&self, name: &str) -> Result<u32> {
        self.get(name)?.parse().with_context(|| format!("parse {PREFIX}{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Services;

    #[test]
    fn lines_as_a_shell_reads_them() {
        let services = Services::parse("ONRUSH_SERVICES=1\nONRUSH_SERVICES_A=b=c\nONRUSH_SERVICES_B='d e'\n");
        assert_eq!([services.get("A").unwrap(), services.get("B").unwrap()], ["b=c", "d e"]);
        assert!(services.get("C").unwrap_err().to_string().contains("services up"));
        assert!(services.pid("A").is_err());
    }
}
