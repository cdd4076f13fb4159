//! The forms by which a customer registers and logs in. They keep what was typed, but never a password.

use askama::Template;

use super::assets::{ICON, SCRIPT, STYLE};
use super::{Frame, texts};

/// One of the two forms.
#[derive(Template)]
#[template(path = "account.html")]
pub(crate) struct AccountPage<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) form: Form,
    pub(crate) user_name: &'a str,
    /// Where to go afterwards.
    pub(crate) product_id: &'a str,
    /// Why it was not taken.
    pub(crate) refusal: Option<&'a str>,
}

/// Which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Register,
    LogIn,
}

impl AccountPage<'_> {
    fn title(&self) -> &'static str {
        match self.form {
            Form::Register => texts::REGISTER,
            Form::LogIn => texts::LOG_IN,
        }
    }

    fn is_new(&self) -> bool {
        self.form == Form::Register
    }
}
