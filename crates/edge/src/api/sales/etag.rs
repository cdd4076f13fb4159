//! Entity tags of sales, and what requests require by them (RFC 9110, sections 8.8.3 and 13.1).
//!
//! A sale's tag is five parts with hyphens between: the log and its incarnation, the sale's number, its version, its status, and
//! a hash of its terms. All of it follows every byte of the sale's JSON. What is required of a sale that is to change is its
//! terms, which is the last part: reservations change the rest all the time.

use http::{HeaderMap, header};
use onrush_core::{Precondition, SaleView, TermsVersion};
use onrush_node::ReservationIds;
use xxhash_rust::xxh3::xxh3_64;

use super::body::sale_status_text;
use crate::http::etag::{Tag, Tags, read_tags};
use crate::problem::Problem;

/// The strong entity tag of a sale. `ids` know the log.
pub(super) fn sale_etag(sale: &SaleView, ids: &ReservationIds) -> String {
    let (log, version) = (ids.log_mark(sale.version.incarnation), sale.version.number);
    let (no, status, terms) = (sale.sale_no.0, sale_status_text(sale.status), sale.version.terms.0);
    format!("\"{log:016x}-{no}-{version}-{status}-{terms:016x}\"")
}

/// The strong entity tag of a page of sales, over the tags of its sales and whether there is a next page.
pub(super) fn sales_etag<'a>(
    sales: &[SaleView],
    next_after: Option<&str>,
    ids_of: impl Fn(&str) -> &'a ReservationIds,
) -> String {
    let mut tags: String = sales.iter().map(|sale| sale_etag(sale, ids_of(&sale.sale))).collect();
    tags.push_str(next_after.unwrap_or_default());
    format!("\"{:016x}\"", xxh3_64(tags.as_bytes()))
}

/// What `If-Match` and `If-None-Match` require of a sale that is to be put, changed or archived.
pub(super) fn parse_precondition(fields: &HeaderMap) -> Result<Precondition, Problem> {
    let is_new = match read_tags(fields, &header::IF_NONE_MATCH)? {
        None => false,
        Some(Tags::Any) => true,
        Some(Tags::These(_)) => {
            return Err(Problem::invalid(
                "If-None-Match",
                "must be * here; for terms that were read, send If-Match",
            ));
        }
    };
    Ok(match (read_tags(fields, &header::IF_MATCH)?, is_new) {
        (None, false) => Precondition::None,
        (None, true) => Precondition::IsNew,
        (Some(Tags::Any), false) => Precondition::Exists,
        (Some(Tags::These(tags)), false) => {
            Precondition::TermsAre(tags.iter().filter_map(terms_of).collect())
        }
        // It cannot be there and be new.
        (Some(_), true) => Precondition::TermsAre(Vec::new()),
    })
}

/// The last part of a sale's tag. Tags that are weak, or not of our making, match nothing (RFC 9110, section 13.1.1).
fn terms_of(tag: &Tag) -> Option<TermsVersion> {
    let text = std::str::from_utf8(&tag.quoted).ok()?.trim_matches('"');
    let (_, terms) = text.rsplit_once('-').filter(|(_, terms)| !tag.is_weak && terms.len() == 16)?;
    let is_ours = terms.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    u64::from_str_radix(terms, 16).ok().filter(|_| is_ours).map(TermsVersion)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use onrush_core::{Incarnation, SaleNo, SaleStatus, SaleVersion};

    fn ids() -> ReservationIds {
        ReservationIds::new(0, [7; 16])
    }

    fn view() -> SaleView {
        SaleView {
            sale_no: SaleNo(3),
            sale: "pwtc".into(),
            version: SaleVersion { number: 17, incarnation: Incarnation(5), terms: TermsVersion(0xab) },
            title: String::new(),
            opens_at: None,
            closes_at: None,
            per_customer_max: None,
            hold_ttl_ms: 0,
            gate: onrush_core::GateTerms::default(),
            status: SaleStatus::Open,
            stocks: Vec::new(),
        }
    }

    fn precondition(lines: &[(&'static str, &str)]) -> Result<Precondition, u16> {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(*name, HeaderValue::from_str(value).unwrap());
        }
        parse_precondition(&fields).map_err(|problem| problem.status())
    }

    #[test]
    fn tags_follow_every_change_and_the_log() {
        let tag = sale_etag(&view(), &ids());
        assert!(tag.ends_with("-3-17-open-00000000000000ab\""), "{tag}");
        let version = |number, incarnation, terms| SaleVersion {
            number,
            incarnation: Incarnation(incarnation),
            terms: TermsVersion(terms),
        };
        let (here, other_log) = (ids(), ReservationIds::new(0, [8; 16]));
        let page = sales_etag(&[view()], None, |_| &here);
        assert_ne!(page, sales_etag(&[view()], Some("pwtc"), |_| &here));
        assert_ne!(page, sales_etag(&[], None, |_| &here));
        for other in [
            SaleView { version: version(18, 5, 0xab), ..view() },
            SaleView { version: version(17, 6, 0xab), ..view() },
            SaleView { version: version(17, 5, 0xac), ..view() },
            SaleView { sale_no: SaleNo(4), ..view() },
            SaleView { status: SaleStatus::SoldOut, ..view() },
        ] {
            assert_ne!(sale_etag(&other, &ids()), tag);
            assert_ne!(sales_etag(&[other], None, |_| &here), page);
        }
        assert_ne!(sale_etag(&view(), &other_log), tag);
        assert_ne!(sales_etag(&[view()], None, |_| &other_log), page);
    }

    #[test]
    fn preconditions_are_read() {
        let terms = |versions: &[u64]| {
            Ok(Precondition::TermsAre(versions.iter().map(|version| TermsVersion(*version)).collect()))
        };
        let tag = sale_etag(&view(), &ids());
        let two = format!("{tag}, \"0-1-2-closed-00000000000000ff\"");
        for (lines, expected) in [
            (&[][..], Ok(Precondition::None)),
            (&[("if-match", "*")], Ok(Precondition::Exists)),
            (&[("if-match", " * ")], Ok(Precondition::Exists)),
            (&[("if-none-match", "*")], Ok(Precondition::IsNew)),
            (&[("if-match", "*"), ("if-none-match", "*")], terms(&[])),
            (&[("if-match", &*tag)], terms(&[0xab])),
            (&[("if-match", &*two)], terms(&[0xab, 0xff])),
            (&[("if-match", &*tag), ("if-match", "\"0-1-2-closed-00000000000000ff\"")], terms(&[0xab, 0xff])),
            (&[("if-match", ", \"a,b\" ,,\"-00000000000000ff\",")], terms(&[0xff])),
            // These match nothing: weak, without our last part, of another form.
            (&[("if-match", "W/\"a-00000000000000ff\"")], terms(&[])),
            (&[("if-match", "\"\"")], terms(&[])),
            (&[("if-match", "\"00000000000000ff\"")], terms(&[])),
            (&[("if-match", "\"a-+0000000000000ff\"")], terms(&[])),
            (&[("if-match", "\"a-00000000000000FF\"")], terms(&[])),
            (&[("if-match", "\"a-ff\"")], terms(&[])),
            (&[("if-match", "")], Err(400)),
            (&[("if-match", ",")], Err(400)),
            (&[("if-match", "a")], Err(400)),
            (&[("if-match", "\"a")], Err(400)),
            (&[("if-match", "\"a\" \"b\"")], Err(400)),
            (&[("if-match", "*, \"a\"")], Err(400)),
            (&[("if-match", "w/\"a\"")], Err(400)),
            (&[("if-none-match", &*tag)], Err(400)),
            (&[("if-none-match", "x")], Err(400)),
        ] {
            assert_eq!(precondition(lines), expected, "{lines:?}");
        }
    }
}
