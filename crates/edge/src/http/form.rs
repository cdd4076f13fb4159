//! Bodies of HTML forms, as `application/x-www-form-urlencoded`. Unknown and repeated fields are errors, as those of JSON are.

use std::borrow::Cow;

use crate::problem::Problem;
use crate::text::decode_segment;

/// The decoded values of the fields that are `known`, in that order.
///
/// # Errors
/// The body is no form, or has other fields, or one twice.
pub(crate) fn parse_form<'a, const N: usize>(
    body: &'a [u8],
    known: [&'static str; N],
) -> Result<[Option<Cow<'a, str>>; N], Problem> {
    let no_form = || Problem::malformed("The body is not a form of percent-encoded UTF-8.");
    let body = std::str::from_utf8(body).map_err(|_| no_form())?;
    let mut values = [const { None }; N];
    for pair in body.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = decode(name).zip(decode(value)).ok_or_else(no_form)?;
        let Some(at) = known.iter().position(|known| *known == name) else {
            let rule = format!("is not a known field; known are {}", known.join(", "));
            return Err(Problem::invalid(name.into_owned(), &rule));
        };
        if values[at].replace(value).is_some() {
            return Err(Problem::invalid(known[at], "is given twice"));
        }
    }
    Ok(values)
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
