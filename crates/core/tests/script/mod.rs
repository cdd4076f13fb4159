//! The script language: parses a line, runs it against a state, and says what came of it in one line of text.

mod accounts;
mod denials;
mod parse;
mod rows;
mod tell;

use std::collections::HashMap;

use onrush_core::{
    Answer, Asker, Command, Event, IdempotencyKey, Incarnation, Limits, LineRequest, Now, Precondition,
    Refusal, ReservationNo, ReservationRef, Reserve, SaleNo, State, TermsVersion, Verdict, explain,
};

use self::parse::{Words, duration, shape, terms};

/// Runs a script: numbered lines, the first of which is its title. The error begins with the line's number.
pub(crate) fn check(script: &[(usize, &str)]) -> Result<(), String> {
    let [(_, title), lines @ ..] = script else { return Ok(()) };
    let mut run = Run::new(Limits::default());
    for (number, line) in lines {
        let (step, expected) =
            line.split_once("->").map_or((*line, None), |(step, told)| (step, Some(told.trim())));
        let told = run
            .step(&mut Words::new(step))
            .map_err(|wrong| format!("{number}: {title}\n    {line}\n    {wrong}"))?;
        if expected.is_some_and(|expected| expected != told) {
            return Err(format!("{number}: {title}\n    {line}\n    was: {told}"));
        }
        if run.state.digest() != run.shadow.digest() {
            return Err(format!("{number}: {title}\n    {line}\n    the replay differs"));
        }
    }
    if restored(&run.state, run.limits).digest() == run.state.digest() {
        Ok(())
    } else {
        Err(format!("0: {title}\n    the restored state differs"))
    }
}

/// A state that is made from the facts of this one, under other limits.
fn restored(state: &State, limits: Limits) -> State {
    let mut restored = State::restore(limits, 3);
    state.facts(&mut |fact| restored.restore_fact(&fact).expect("a state's own facts are sound"));
    restored
}

struct Run {
    state: State,
    /// Has another hash seed and gets the events alone.
    shadow: State,
    limits: Limits,
    now: Now,
    /// Reservations by the names that the script gives them.
    named: HashMap<String, (String, ReservationRef)>,
    /// What the gate of the last command's sale would have refused it for, in shadow mode.
    shadow_refusal: &'static str,
    /// Versions of terms by the names that the script gives them.
    seen: HashMap<String, TermsVersion>,
}

impl Run {
    fn new(limits: Limits) -> Self {
        let shadow = State::new(limits, 2);
        let (named, seen) = (HashMap::new(), HashMap::new());
        Self {
            state: State::new(limits, 1),
            shadow,
            limits,
            now: Now::default(),
            named,
            shadow_refusal: "none",
            seen,
        }
    }

    fn step(&mut self, words: &mut Words<'_>) -> Result<String, String> {
        let verb = words.next()?;
        let told = match verb {
            "limits" => self.restart_under(parse::limits(words)?),
            "advance" | "clock" | "wall" => self.set_clocks(verb, duration(words.next()?)?),
            "expire" => self.expire(),
            "time" => tell::time(self.state.time()),
            "next-expiry" => self.state.next_expiry().map_or("never".into(), tell::time),
            "create-partition" => self.create_partition(words)?,
            "begin" => {
                let incarnation = Incarnation(parse::number(words.next()?)?);
                self.decide(&Command::BeginIncarnation { incarnation })
            }
            "add" => {
                let counter = words.next()?;
                self.decide(&Command::AddToCounter { counter, by: words.number("by")?.unwrap_or(1) })
            }
            "counter" => self.state.counter(words.next()?).map_or("none".into(), |value| value.to_string()),
            "hit" => self.hit(words)?,
            "put-window" => {
                let window = words.next()?;
                self.decide(&Command::PutWindow { window, shape: shape(words)? })
            }
            "window" => {
                let view = self.state.window(words.next()?, self.now.partition);
                view.map_or("none".into(), |view| view.count.to_string())
            }
            "put" => {
                let sale = words.next()?;
                let only_if = &self.precondition(words)?;
                self.decide(&Command::PutSale { sale, terms: &terms(words)?, left_out: &[], only_if })
            }
            "put-given" => self.put_given(words)?,
            "change" => self.change(words)?,
            "end-holds" => self.end_holds(words)?,
            "archive" => self.archive(words)?,
            "see" => self.see(words)?,
            "reserve" => self.reserve(words)?,
            "confirm" | "reclaim" | "release" => {
                let (sale, reservation) = self.reservation(words)?;
                self.end(verb, &sale, reservation, parse::asker(words))
            }
            "sale" => {
                self.state.sale(words.next()?, self.now.wall).map_or("none".into(), |view| tell::sale(&view))
            }
            "shadow" => self.shadow_refusal.into(),
            "explain" => self.explain(words)?,
            "version" => self
                .state
                .sale(words.next()?, self.now.wall)
                .map_or("none".into(), |view| view.version.number.to_string()),
            "sales" => self.sales(words)?,
            "reservation" => {
                let (sale, reservation) = self.reservation(words)?;
                self.state
                    .reservation(&sale, reservation)
                    .map_or("none".into(), |view| tell::reservation(&view))
            }
            "of" => self.reservations_of(words)?,
            "create-account" | "account" => self.accounts(verb, words)?,
            "deny" | "undeny" | "denied" | "denials" | "forget" => self.denials(verb, words)?,
            "put-rows" | "delete-row" | "row" | "collection" => self.rows(verb, words)?,
            "totals" => tell::totals(&self.state),
            "counts" => tell::counts(&self.state),
            _ => return Err(format!("there is no command `{verb}`")),
        };
        words.finish()?;
        Ok(told)
    }

    fn restart_under(&mut self, limits: Limits) -> String {
        self.limits = limits;
        self.state = restored(&self.state, limits);
        String::new()
    }

    fn end(&mut self, verb: &str, sale: &str, reservation: ReservationRef, asker: Asker<'_>) -> String {
        match verb {
            "confirm" => self.decide(&Command::Confirm { sale, reservation, asker }),
            "reclaim" => self.decide(&Command::Reclaim { sale, reservation }),
            _ => self.decide(&Command::Release { sale, reservation, asker }),
        }
    }

    /// Every check that does not pass.
    fn explain(&self, words: &mut Words<'_>) -> Result<String, String> {
        let (sale, customer) = (words.next()?, words.text("customer"));
        let checks = match explain(&self.state, sale, customer, self.now) {
            Ok(checks) => checks,
            Err(refusal) => return Ok(tell::refusal(&refusal)),
        };
        let told = checks.iter().filter_map(|(check, verdict)| match verdict {
            Verdict::Passed => None,
            Verdict::Refused(refusal) => Some(format!("{} {}", check.as_str(), tell::refusal(refusal))),
            Verdict::RefusedInShadow(refusal) => {
                Some(format!("{} in shadow {}", check.as_str(), tell::refusal(refusal)))
            }
            Verdict::NotAsked => Some(format!("{} ?", check.as_str())),
        });
        let told: Vec<_> = told.collect();
        Ok(if told.is_empty() { "allowed".into() } else { told.join(", ") })
    }

    fn set_clocks(&mut self, verb: &str, time: u64) -> String {
        match verb {
            "advance" => {
                self.now = Now { partition: self.now.partition + time, wall: self.now.wall + time };
                return self.expire();
            }
            "clock" => self.now = Now::both(time),
            _ => self.now.wall = time,
        }
        String::new()
    }

    /// Decides and applies.
    fn decide(&mut self, command: &Command<'_>) -> String {
        match self.answer(command) {
            Ok((answer, is_new)) => tell::answer(&answer, is_new),
            Err(refusal) => tell::refusal(&refusal),
        }
    }

    fn answer(&mut self, command: &Command<'_>) -> Result<(Answer, bool), Refusal> {
        let code = onrush_core::shadow_refusal(&self.state, command, self.now);
        self.shadow_refusal = code.map_or("none", onrush_core::RefusalCode::as_str);
        let decision = onrush_core::decide(&self.state, command, self.now)?;
        if let Some(event) = &decision.event {
            self.state.apply(event, self.now.partition);
            self.shadow.apply(event, self.now.partition);
        }
        Ok((decision.answer, decision.event.is_some()))
    }

    /// What a leader does before each batch. Tells the reservations that expired.
    fn expire(&mut self) -> String {
        let mut expired = Vec::new();
        while let Some(event) = onrush_core::decide_expiry(&self.state, self.now.partition) {
            self.state.apply(&event, self.now.partition);
            self.shadow.apply(&event, self.now.partition);
            if let Event::Expired { reservation } = event {
                expired.push(self.name_of(reservation));
            }
        }
        expired.join(" ")
    }

    /// Names the terms of a sale as they are, for `if=`.
    fn see(&mut self, words: &mut Words<'_>) -> Result<String, String> {
        let (name, sale) = (words.next()?, words.next()?);
        let view = self.state.sale(sale, self.now.wall).ok_or(format!("there is no sale `{sale}`"))?;
        self.seen.insert(name.into(), view.version.terms);
        Ok(String::new())
    }

    /// `if=*`, `if=none`, or `if=a,b` for terms that were named; nothing is required without it.
    fn precondition(&self, words: &mut Words<'_>) -> Result<Precondition, String> {
        let seen = |name| self.seen.get(name).copied().ok_or(format!("no terms are named `{name}`"));
        Ok(match words.text("if") {
            None => Precondition::None,
            Some("*") => Precondition::Exists,
            Some("none") => Precondition::IsNew,
            Some(names) => Precondition::TermsAre(names.split(',').map(seen).collect::<Result<_, _>>()?),
        })
    }

    fn archive(&mut self, words: &mut Words<'_>) -> Result<String, String> {
        let (sale, only_if) = (words.next()?, &self.precondition(words)?);
        Ok(self.decide(&Command::ArchiveSale { sale, only_if }))
    }

    /// Ends the holds of a closed sale one after the other. Tells which ones, and whether they were released or expired.
    fn end_holds(&mut self, words: &mut Words<'_>) -> Result<String, String> {
        let (sale, first) = (words.next()?, words.number("from")?);
        let only_if = self.precondition(words)?;
        let (mut from, mut ended) = (Some(first.unwrap_or(0)), Vec::new());
        while let Some(at) = from {
            let end = match onrush_core::decide_hold_end(&self.state, sale, &only_if, at, self.now) {
                Ok(end) => end,
                Err(refusal) => return Ok(tell::refusal(&refusal)),
            };
            from = end.next;
            let Some(event) = end.event else { continue };
            self.state.apply(&event, self.now.partition);
            self.shadow.apply(&event, self.now.partition);
            ended.push(match event {
                Event::Released { reservation } => format!("released {}", self.name_of(reservation)),
                Event::Expired { reservation } => format!("expired {}", self.name_of(reservation)),
                other => return Err(format!("{other:?} ends no hold")),
            });
        }
        Ok(ended.join(", "))
    }

    fn create_partition(&mut self, words: &mut Words<'_>) -> Result<String, String> {
        let id_key = [words.number("key")?.unwrap_or(0); 16];
        Ok(self.decide(&Command::CreatePartition { id_key }))
    }

    fn put_given(&mut self, words: &mut Words<'_>) -> Result<String, String> {
        let (sale, only_if) = (words.next()?, &self.precondition(words)?);
        let (terms, left_out) = parse::given_terms(words)?;
        Ok(self.decide(&Command::PutSale { sale, terms: &terms, left_out: &left_out, only_if }))
    }

    fn change(&mut self, words: &mut Words<'_>) -> Result<String, String> {
        let (sale, only_if) = (words.next()?, self.precondition(words)?);
        Ok(match onrush_core::change_terms(&self.state, sale, &parse::change(words)?, &only_if) {
            Ok(terms) => {
                let only_if = &Precondition::None;
                self.decide(&Command::PutSale { sale, terms: &terms, left_out: &[], only_if })
            }
            Err(refusal) => tell::refusal(&refusal),
        })
    }

    fn hit(&mut self, words: &mut Words<'_>) -> Result<String, String> {
        let window = words.next()?;
        let times: u32 = words.number("times")?.unwrap_or(1);
        let hit = Command::HitWindow { window, default_shape: shape(words)? };
        let mut told = Vec::new();
        for _ in 0..times {
            if matches!(onrush_core::decide(&self.state, &hit, self.now), Ok(made) if matches!(made.answer, Answer::WindowPut { .. }))
            {
                self.decide(&hit);
            }
            told.push(self.decide(&hit));
        }
        told.dedup();
        Ok(if told.len() > 2 { format!("{}..{}", told[0], told[told.len() - 1]) } else { told.join(",") })
    }

    fn reserve(&mut self, words: &mut Words<'_>) -> Result<String, String> {
        let name = words.next()?;
        let sale = words.text("sale").unwrap_or("s");
        let lines: Vec<LineRequest<'_>> = parse::lines(words.text("lines").unwrap_or("a*1"))?;
        let details = vec![b'd'; words.number("details")?.unwrap_or(0)];
        let fingerprint = words.number("print")?.unwrap_or(0);
        let key = words.text("key").map(|key| IdempotencyKey { key: key.as_bytes(), fingerprint });
        let customer = words.text("customer").unwrap_or("c");
        let (asker, challenge) = (parse::asker(words), parse::brought_challenge(words)?);
        let claim = Reserve { sale, asker, customer, lines: &lines, details: &details, challenge, key };
        Ok(match self.answer(&Command::Reserve(claim)) {
            Ok((answer @ Answer::Reserved { reservation, replayed, .. }, is_new)) => {
                assert_eq!(replayed, !is_new);
                if replayed {
                    return Ok(format!(
                        "{} of {}",
                        tell::answer(&answer, is_new),
                        self.name_of(reservation.no)
                    ));
                }
                self.named.insert(name.into(), (sale.into(), reservation));
                tell::answer(&answer, is_new)
            }
            Ok((answer, _)) => return Err(format!("{answer:?} is no answer to a claim")),
            Err(refusal) => tell::refusal(&refusal),
        })
    }

    /// A reservation by the name that the script gave it, or as `#sale_no.seq`; `sale=` looks for it in another sale, `of=`
    /// in another incarnation.
    fn reservation(&self, words: &mut Words<'_>) -> Result<(String, ReservationRef), String> {
        let name = words.next()?;
        let (sale, mut reservation) = match name.strip_prefix('#') {
            Some(number) => {
                let (sale_no, seq) = number.split_once('.').ok_or("a number is `#sale_no.seq`")?;
                let number =
                    ReservationNo { sale: SaleNo(parse::number(sale_no)?), seq: parse::number(seq)? };
                ("s".to_owned(), number.into())
            }
            None => self.named.get(name).cloned().ok_or(format!("no reservation is named `{name}`"))?,
        };
        if let Some(incarnation) = words.number("of")? {
            reservation.incarnation = Incarnation(incarnation);
        }
        Ok((words.text("sale").map_or(sale, str::to_owned), reservation))
    }

    fn reservations_of(&self, words: &mut Words<'_>) -> Result<String, String> {
        let (sale, customer) = (words.next()?, words.next()?);
        let Some(views) = self.state.reservations_of(sale, customer) else { return Ok("none".into()) };
        let names: Vec<_> = views.iter().map(|view| self.name_of(view.reservation.no)).collect();
        Ok(names.join(" "))
    }

    fn sales(&self, words: &mut Words<'_>) -> Result<String, String> {
        let (after, limit) = (words.text("after"), words.number("limit")?.unwrap_or(100));
        let names: Vec<_> = self
            .state
            .sales_after(after, limit, self.now.wall)
            .sales
            .into_iter()
            .map(|view| view.sale)
            .collect();
        Ok(names.join(" "))
    }

    fn name_of(&self, reservation: ReservationNo) -> String {
        let named = self.named.iter().find(|(_, (_, named))| named.no == reservation);
        named.map_or_else(|| format!("#{}.{}", reservation.sale.0, reservation.seq), |(name, _)| name.clone())
    }
}
