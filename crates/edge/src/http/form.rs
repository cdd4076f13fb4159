//! Bodies of HTML forms, as `application/x-www-form-urlencoded`. Unknown and repeated fields are errors, as those of JSON are.

use std::borrow::Cow;

use super::pairs::Pairs;
use crate::problem::Problem;
use crate::text::decode_segment;

const FORM: Pairs = Pairs {
    decode,
    malformed: "The body is not a form of percent-encoded UTF-8.",
    unknown: |known| format!("is not a known field; known are {}", known.join(", ")),
};

/// The decoded values of the fields that are `known`, in that order.
///
/// # Errors
/// The body is no form, or has other fields, or one twice.
pub(crate) fn parse_form<'a, const N: usize>(
    body: &'a [u8],
    known: [&'static str; N],
) -> Result<[Option<Cow<'a, str>>; N], Problem> {
    let body = std::str::from_utf8(body).map_err(|_| Problem::malformed(FORM.malformed))?;
    FORM.values(body, known)
}

/// A `+` stands for a space, an escaped one for itself.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('+') {
        return decode_segment(text);
    }
    decode_segment(&text.replace('+', " ")).map(|decoded| Cow::Owned(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_or_named() {
        let read = |body: &str| {
            parse_form(body.as_bytes(), ["name", "number"])
                .map(|values| values.map(|value| value.unwrap_or_default().into_owned()).join("|"))
                .map_err(|problem| problem.detail().to_owned())
        };
        for (body, expected) in [
            ("", "|"),
            ("name=a+b%2B%C3%A9&number=7", "a b+é|7"),
            ("number=&name", "|"),
            ("&&number=1&", "|1"),
        ] {
            assert_eq!(read(body).as_deref(), Ok(expected), "{body}");
        }
        for (body, words) in [
            ("name=%", "not a form"),
            ("name=%ff", "not a form"),
            ("name=1&name=2", "`name` is given twice"),
            ("colour=red", "`colour` is not a known field"),
        ] {
            let detail = read(body).expect_err(body);
            assert!(detail.contains(words), "{body}: {detail}");
        }
        assert!(parse_form(b"\xff", ["name"]).is_err());
    }
}
