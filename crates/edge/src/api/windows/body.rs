//! Answers of a few bytes, and the body that shapes a window.

use onrush_core::WindowShape;

use crate::http::json::parse_json;
use crate::problem::Problem;
use crate::text::write_number;

/// Appends `{"window":"home","count":4,"span_ms":60000,"precision_ms":100}`. The name needs no escapes.
pub fn write_window(out: &mut Vec<u8>, window: &str, count: u64, shape: WindowShape) {
    out.extend_from_slice(b"{\"window\":\"");
    out.extend_from_slice(window.as_bytes());
    out.extend_from_slice(b"\",\"count\":");
    write_number(out, count);
    out.push(b',');
    write_shape_members(out, shape);
    out.push(b'}');
}

/// Appends `{"span_ms":60000,"precision_ms":100}`.
pub fn write_window_shape(out: &mut Vec<u8>, shape: WindowShape) {
    out.push(b'{');
    write_shape_members(out, shape);
    out.push(b'}');
}

/// The body of `PUT /v1/windows/{window}`.
pub fn parse_window_shape(body: &[u8]) -> Result<WindowShape, Problem> {
    let ShapeBody { span_ms, precision_ms } = parse_json(body)?;
    let shape = WindowShape { span_ms, precision_ms };
    shape.check().map_err(|invalid| Problem::invalid(invalid.field, invalid.rule))?;
    Ok(shape)
}

fn write_shape_members(out: &mut Vec<u8>, shape: WindowShape) {
    out.extend_from_slice(b"\"span_ms\":");
    write_number(out, shape.span_ms);
    out.extend_from_slice(b",\"precision_ms\":");
    write_number(out, shape.precision_ms);
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ShapeBody {
    span_ms: u32,
    precision_ms: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_byte_for_byte() {
        let mut out = Vec::new();
        write_window(&mut out, "home", 4, WindowShape { span_ms: 60_000, precision_ms: 100 });
        assert_eq!(out, br#"{"window":"home","count":4,"span_ms":60000,"precision_ms":100}"#);
        out.clear();
        write_window_shape(&mut out, WindowShape { span_ms: 1, precision_ms: 1 });
        assert_eq!(out, br#"{"span_ms":1,"precision_ms":1}"#);
    }

    #[test]
    fn shapes_on_both_sides_of_their_bounds() {
        for (span_ms, precision_ms) in [("60000", "100"), ("1", "1"), ("86400000", "8640"), ("10000", "1")] {
            let body = format!(r#"{{"span_ms":{span_ms},"precision_ms":{precision_ms}}}"#);
            assert!(parse_window_shape(body.as_bytes()).is_ok(), "{body}");
        }
        for (span_ms, precision_ms, field) in [
            ("86400001", "86400000", "span_ms"),
            ("0", "1", "precision_ms"),
            ("10", "0", "precision_ms"),
            ("10", "11", "precision_ms"),
            ("10001", "1", "precision_ms"),
            ("-1", "1", "span_ms"),
            ("1", "1.0", "precision_ms"),
            ("\"1\"", "1", "span_ms"),
            ("null", "1", "span_ms"),
        ] {
            let body = format!(r#"{{"span_ms":{span_ms},"precision_ms":{precision_ms}}}"#);
            let problem = parse_window_shape(body.as_bytes()).expect_err(&body);
            assert!(problem.detail().starts_with(&format!("`{field}`")), "{body}: {}", problem.detail());
        }
        for body in ["{}", r#"{"span_ms":1}"#, r#"{"span_ms":1,"precision_ms":1,"x":1}"#, "[1,1]", "1", ""] {
            assert!(parse_window_shape(body.as_bytes()).is_err(), "{body}");
        }
    }
}
