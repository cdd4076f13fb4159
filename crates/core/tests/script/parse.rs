//! Words of a script line: positional ones first, then `name=value` in any order.

use std::str::FromStr;

use onrush_core::{
    Asker, BroughtChallenge, ChallengeKind, ChallengeTerms, ConfirmBy, GateChange, GateField, GateMode,
    GateTerms, Limits, LineRequest, SaleTerms, SessionTerms, StockTerms, TermsChange, TermsField,
    WindowShape,
};

pub(crate) struct Words<'a> {
    positional: Vec<&'a str>,
    named: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    pub(crate) fn new(line: &'a str) -> Self {
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        for word in line.split_whitespace() {
            match word.split_once('=') {
                Some(pair) => named.push(pair),
                None => positional.push(word),
            }
        }
        positional.reverse();
        Self { positional, named }
    }

    /// The next positional word. `''` stands for nothing, `x64` and the like for so many times the letter.
    pub(crate) fn next(&mut self) -> Result<&'a str, String> {
        self.positional.pop().map(expand).ok_or("a word is missing".into())
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<&'a str> {
        let at = self.named.iter().position(|(other, _)| *other == name)?;
        Some(expand(self.named.swap_remove(at).1))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.named.iter().any(|(other, _)| *other == name)
    }

    pub(crate) fn number<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, String> {
        self.text(name).map(number).transpose()
    }

    pub(crate) fn duration(&mut self, name: &str) -> Result<Option<u64>, String> {
        self.text(name).map(duration).transpose()
    }

    /// All that is left of `name=value`, in order.
    pub(crate) fn pairs(&mut self) -> Vec<(&'a str, &'a str)> {
        std::mem::take(&mut self.named)
            .into_iter()
            .map(|(name, value)| (expand(name), expand(value)))
            .collect()
    }

    /// Whether every word was understood.
    pub(crate) fn finish(&self) -> Result<(), String> {
        match (self.positional.last(), self.named.first()) {
            (None, None) => Ok(()),
            (Some(word), _) => Err(format!("`{word}` is one word too many")),
            (None, Some((name, _))) => Err(format!("`{name}=` means nothing here")),
        }
    }
}

pub(crate) fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is no such number"))
}

/// `60s`, `100ms`, `2m`, `1h`, `3d`, or plain milliseconds.
pub(crate) fn duration(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit_ms = match &text[digits.len()..] {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        unit => return Err(format!("`{unit}` is no unit of time")),
    };
    Ok(number::<u64>(digits)? * unit_ms)
}

/// `span=1s precision=100ms`
pub(crate) fn shape(words: &mut Words<'_>) -> Result<WindowShape, String> {
    let mut field = |name, default| -> Result<u32, String> {
        let ms = words.duration(name)?.unwrap_or(default);
        u32::try_from(ms).map_err(|_| format!("`{name}` is too long"))
    };
    Ok(WindowShape { span_ms: field("span", 1_000)?, precision_ms: field("precision", 1_000)? })
}

/// `title=… opens=… closes=… max=… ttl=… stocks=a:10,b:5@20s-30s^25s,c:7!title`, or `stocks=10*a:5` for `a0` to `a9`
pub(crate) fn terms(words: &mut Words<'_>) -> Result<SaleTerms, String> {
    let ttl = words.duration("ttl")?.unwrap_or(0);
    Ok(SaleTerms {
        title: words.text("title").unwrap_or("").to_owned(),
        opens_at: words.duration("opens")?,
        closes_at: words.duration("closes")?,
        per_customer_max: words.number("max")?,
        hold_ttl_ms: u32::try_from(ttl).map_err(|_| "`ttl` is too long")?,
        gate: gate(words)?,
        stocks: stocks(words.text("stocks").unwrap_or("a:10"))?,
    })
}

/// `session=off|optional|required challenge=off|image|proof_of_work|either cooldown=10s unpaid=2 confirm=anyone|operator mode=enforce|shadow`
fn gate(words: &mut Words<'_>) -> Result<GateTerms, String> {
    Ok(GateTerms {
        session: session(words)?.unwrap_or_default(),
        challenge: challenge(words)?.unwrap_or_default(),
        cooldown_ms: cooldown(words)?.unwrap_or_default(),
        holds_unpaid_max: words.number("unpaid")?,
        confirm_by: confirm_by(words)?.unwrap_or_default(),
        mode: mode(words)?.unwrap_or_default(),
    })
}

fn session(words: &mut Words<'_>) -> Result<Option<SessionTerms>, String> {
    one_of(
        words,
        "session",
        &[
            ("off", SessionTerms::Off),
            ("optional", SessionTerms::Optional),
            ("required", SessionTerms::Required),
        ],
    )
}

fn challenge(words: &mut Words<'_>) -> Result<Option<ChallengeTerms>, String> {
    one_of(words, "challenge", &ChallengeTerms::ALL.map(|value| (value.as_str(), value)))
}

fn cooldown(words: &mut Words<'_>) -> Result<Option<u32>, String> {
    let ms = words.duration("cooldown")?.map(|ms| u32::try_from(ms).map_err(|_| "`cooldown` is too long"));
    Ok(ms.transpose()?)
}

fn confirm_by(words: &mut Words<'_>) -> Result<Option<ConfirmBy>, String> {
    one_of(words, "confirm", &[("anyone", ConfirmBy::Anyone), ("operator", ConfirmBy::Operator)])
}

fn mode(words: &mut Words<'_>) -> Result<Option<GateMode>, String> {
    one_of(words, "mode", &[("enforce", GateMode::Enforce), ("shadow", GateMode::Shadow)])
}

fn one_of<T: Copy>(words: &mut Words<'_>, name: &str, values: &[(&str, T)]) -> Result<Option<T>, String> {
    let Some(text) = words.text(name) else { return Ok(None) };
    let found = values.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| Some(*value)).ok_or_else(|| format!("`{name}` is never `{text}`"))
}

/// The same fields, each to change; `none` takes the limit of unpaid holds away.
fn gate_change(words: &mut Words<'_>) -> Result<GateChange, String> {
    let unpaid = |text: &str| if text == "none" { Ok(None) } else { number(text).map(Some) };
    Ok(GateChange {
        session: session(words)?,
        challenge: challenge(words)?,
        cooldown_ms: cooldown(words)?,
        holds_unpaid_max: words.text("unpaid").map(unpaid).transpose()?,
        confirm_by: confirm_by(words)?,
        mode: mode(words)?,
    })
}

/// `solved=image`, `solved=proof_of_work` or `solved=wrong`; nothing if it is not there.
pub(crate) fn brought_challenge(words: &mut Words<'_>) -> Result<BroughtChallenge, String> {
    let solved = [
        ("image", BroughtChallenge::Solved(ChallengeKind::Image)),
        ("proof_of_work", BroughtChallenge::Solved(ChallengeKind::ProofOfWork)),
        ("wrong", BroughtChallenge::Failed),
    ];
    Ok(one_of(words, "solved", &solved)?.unwrap_or_default())
}

/// `by=operator`, or the customer of a session; anyone if it is not there.
pub(crate) fn asker<'a>(words: &mut Words<'a>) -> Asker<'a> {
    match words.text("by") {
        None => Asker::Anyone,
        Some("operator") => Asker::Operator,
        Some(customer) => Asker::Customer(customer),
    }
}

/// The same, with the fields that the line leaves out.
pub(crate) fn given_terms(words: &mut Words<'_>) -> Result<(SaleTerms, Vec<TermsField>), String> {
    let fields = [
        ("title", TermsField::Title),
        ("opens", TermsField::OpensAt),
        ("closes", TermsField::ClosesAt),
        ("max", TermsField::PerCustomerMax),
        ("ttl", TermsField::HoldTtlMs),
        ("session", TermsField::Gate(GateField::Session)),
        ("challenge", TermsField::Gate(GateField::Challenge)),
        ("cooldown", TermsField::Gate(GateField::CooldownMs)),
        ("unpaid", TermsField::Gate(GateField::HoldsUnpaidMax)),
        ("confirm", TermsField::Gate(GateField::ConfirmBy)),
        ("mode", TermsField::Gate(GateField::Mode)),
    ];
    let mut left_out: Vec<_> =
        fields.into_iter().filter(|(name, _)| !words.has(name)).map(|(_, field)| field).collect();
    let terms = terms(words)?;
    left_out.extend(left_out_of_stocks(&terms.stocks));
    Ok((terms, left_out))
}

/// `title=… opens=… closes=… max=… ttl=… stocks=…`, each to change; `none` takes a time or the limit away.
pub(crate) fn change(words: &mut Words<'_>) -> Result<TermsChange, String> {
    let time = |text: Option<&str>| -> Result<Option<Option<u64>>, String> {
        text.map(|text| if text == "none" { Ok(None) } else { duration(text).map(Some) }).transpose()
    };
    let max = |text: &str| if text == "none" { Ok(None) } else { number(text).map(Some) };
    let stocks = words.text("stocks").map(stocks).transpose()?;
    let ttl = words.duration("ttl")?.map(|ttl| u32::try_from(ttl).map_err(|_| "`ttl` is too long"));
    Ok(TermsChange {
        title: words.text("title").map(str::to_owned),
        opens_at: time(words.text("opens"))?,
        closes_at: time(words.text("closes"))?,
        per_customer_max: words.text("max").map(max).transpose()?,
        hold_ttl_ms: ttl.transpose()?,
        gate: gate_change(words)?,
        left_out: stocks.as_deref().map(left_out_of_stocks).unwrap_or_default(),
        stocks,
    })
}

fn left_out_of_stocks(stocks: &[StockTerms]) -> Vec<TermsField> {
    let mut left_out = Vec::new();
    for (at, stock) in stocks.iter().enumerate() {
        left_out.extend(stock.title.is_empty().then_some(TermsField::StockTitle(at)));
        left_out.extend(stock.starts_at.is_none().then_some(TermsField::StockStartsAt(at)));
        left_out.extend(stock.ends_at.is_none().then_some(TermsField::StockEndsAt(at)));
        left_out.extend(stock.closes_at.is_none().then_some(TermsField::StockClosesAt(at)));
    }
    left_out
}

fn stocks(text: &str) -> Result<Vec<StockTerms>, String> {
    if let Some((count, one)) = text.split_once('*') {
        let one = stock(one)?;
        let numbered = |at| StockTerms { stock: format!("{}{at}", one.stock), ..one.clone() };
        return Ok((0..number::<u32>(count)?).map(numbered).collect());
    }
    text.split(',').filter(|stock| !stock.is_empty()).map(stock).collect()
}

fn stock(text: &str) -> Result<StockTerms, String> {
    let (text, title) = text.split_once('!').unwrap_or((text, ""));
    let (text, closes_at) = text.split_once('^').unwrap_or((text, ""));
    let (text, times) = text.split_once('@').unwrap_or((text, "-"));
    let (stock, quantity_total) = text.split_once(':').ok_or("a stock is `name:quantity`")?;
    let (starts_at, ends_at) = times.split_once('-').ok_or("times are `start-end`")?;
    let time = |text: &str| (!text.is_empty()).then(|| duration(text)).transpose();
    Ok(StockTerms {
        stock: stock.to_owned(),
        title: expand(title).to_owned(),
        starts_at: time(starts_at)?,
        ends_at: time(ends_at)?,
        closes_at: time(closes_at)?,
        quantity_total: number(quantity_total)?,
    })
}

/// `a*2,b*1`, or `''` for none
pub(crate) fn lines(text: &str) -> Result<Vec<LineRequest<'_>>, String> {
    let line = |text: &'_ str| -> Result<(usize, u32), String> {
        let at = text.rfind('*').ok_or("a line is `stock*quantity`")?;
        Ok((at, number(&text[at + 1..])?))
    };
    text.split(',')
        .filter(|text| !text.is_empty())
        .map(|text| line(text).map(|(at, quantity)| LineRequest { stock: &text[..at], quantity }))
        .collect()
}

/// `counters=… windows=… sales=… stocks=… reservations=… details_bytes=… denials=… accounts=… state_bytes=…`
pub(crate) fn limits(words: &mut Words<'_>) -> Result<Limits, String> {
    let default = Limits::default();
    Ok(Limits {
        counters_max: words.number("counters")?.unwrap_or(default.counters_max),
        windows_max: words.number("windows")?.unwrap_or(default.windows_max),
        sales_max: words.number("sales")?.unwrap_or(default.sales_max),
        stocks_max: words.number("stocks")?.unwrap_or(default.stocks_max),
        reservations_max: words.number("reservations")?.unwrap_or(default.reservations_max),
        details_bytes_max: words.number("details_bytes")?.unwrap_or(default.details_bytes_max),
        denials_max: words.number("denials")?.unwrap_or(default.denials_max),
        accounts_max: words.number("accounts")?.unwrap_or(default.accounts_max),
        state_bytes_max: words.number("state_bytes")?.unwrap_or(default.state_bytes_max),
    })
}

/// `''` is the empty text, `[x64]` sixty-four times `x`.
fn expand(word: &str) -> &str {
    if word == "''" {
        return "";
    }
    let repeated = word
        .strip_prefix('[')
        .and_then(|word| word.strip_suffix(']'))
        .and_then(|word| word.split_at_checked(1));
    match repeated.map(|(letter, times)| (letter, times.parse())) {
        // Scripts are few and short-lived, so their long words may stay.
        Some((letter, Ok(times))) => letter.repeat(times).leak(),
        _ => word,
    }
}
