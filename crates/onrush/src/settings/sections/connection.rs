//! The keys with which a server is reached: its URL, the password, and whether the connection is encrypted.

use std::path::Path;

use onrush_connect::{Secret, Tls, TlsSettings};

use super::read::SectionKeys;
use super::typed::password_ways;

/// Whether connections are encrypted, as it is typed.
pub(in crate::settings) const TLS_CHOICES: [(&str, Tls); 4] = [
    ("auto", Tls::Auto),
    ("off", Tls::Off),
    ("verify", Tls::Verify),
    ("unsafe-no-verify", Tls::UnsafeNoVerify),
];

impl<K: Copy + PartialEq> SectionKeys<'_, K> {
    /// The password from the environment or the file that says it; problems are added, and then there is none.
    pub(in crate::settings) fn password(&mut self) -> Option<Secret> {
        let path = self.path("password_file");
        match password_of(path.as_deref(), self.typed.password.as_ref()) {
            Ok(password) => password,
            Err(problem) => self.refuse("password_file", problem),
        }
    }

    /// A URL without a password.
    pub(in crate::settings) fn url(&mut self, key: &str) -> Option<String> {
        let url = self.optional(key)?;
        if has_password(&url) {
            let ways = password_ways(self.sort.section, self.name);
            return self.refuse(key, format!("a password must not be in a URL: {ways}"));
        }
        Some(url)
    }

    /// A url that is needed.
    pub(in crate::settings) fn required_url(&mut self) -> Option<String> {
        let is_empty = self.typed.values.get("url").is_some_and(|typed| typed.value.as_str() == Some(""));
        if is_empty { self.refuse("url", "must not be empty") } else { self.url("url") }
    }

    /// Whether and how connections are encrypted.
    pub(in crate::settings) fn tls(&mut self) -> Option<TlsSettings> {
        let mode = self.choice("tls", &TLS_CHOICES);
        let ca_file = self.path("tls_ca_file");
        Some(TlsSettings { mode: mode?, ca_file })
    }
}

/// The password that a file says, or a variable, whose name is told; or what is wrong with the file.
pub(in crate::settings) fn password_of(
    path: Option<&Path>,
    variable: Option<&(Secret, String)>,
) -> Result<Option<Secret>, String> {
    match (path, variable) {
        (None, variable) => Ok(variable.map(|(password, _)| password.clone())),
        (Some(_), Some((_, name))) => {
            Err(format!("{name} in the environment says the password as well; keep one of them"))
        }
        (Some(path), None) => {
            let password = Secret::in_file(path);
            password.reveal().map(drop)?;
            Ok(Some(password))
        }
    }
}

/// Whether a connection string has a password in any of the places where clients look for one: before the last `@`, so that
/// one with a slash in it is found as well, or as a parameter.
fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let before_host = rest.rsplit_once('@').map_or("", |(before, _)| before);
    let words = url.to_ascii_lowercase().replace(' ', "");
    before_host.contains(':') || words.contains("password=") || words.contains("pass=")
}
