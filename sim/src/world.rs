//! Several nodes, the log that they share, and clients. It is stepped: each step is one [`Action`], and what can be next follows from
//! what is there.

use std::time::Duration;

use fastrand::Rng;
use onrush_log::Format;
use onrush_log::shared::memory::{AckForm, MemoryCounts, MemorySharedLog};
use onrush_log::shared::{ClaimTimes, LogId, NodeId, RecordKind, RecordNo, SharedBounds, SharedRecord};

use crate::action::{ALL, Action, Troubles};
use crate::bug::Bug;
use crate::choices::Choices;
use crate::figures::Figures;
use crate::history::{Fate, History};
use crate::node::{Around, Node};
use crate::question::Question;
use crate::seat::Seat;
use crate::trace::Trace;
use crate::truth::Truth;

/// So long nobody is heard before a node tries to lead, and so much longer for each node before it.
const SILENCE_MS: u64 = 100;
const RANK_MS: u64 = 30;
const SILENCE_OF_LIVING_MS: u64 = 400;
/// When worlds begin.
const START_MS: u64 = 1_000_000;
/// Records on their way, and acknowledgements, among which the next one is chosen.
const REORDERED_MAX: usize = 3;
/// Steps after which the trouble must be over once it has ended.
const SETTLING_STEPS_MAX: usize = 2_000;

/// What a world is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) node_count: u32,
    /// The first two nodes have the same id, as a machine and its copy.
    pub(crate) has_twins: bool,
    /// Reads only if there is nothing else to do.
    pub(crate) laggard: Option<usize>,
    pub(crate) outstanding_max: usize,
    pub(crate) numbers_are_dense: bool,
    pub(crate) refuses_misplaced: bool,
    pub(crate) troubles: Troubles,
    /// How likely it is that things go on smoothly; each of the others that can happen has a few.
    pub(crate) smooth_weight: u32,
    pub(crate) step_count: usize,
    pub(crate) question_count: usize,
}

impl Shape {
    /// Any.
    pub(crate) fn draw(random: &mut Rng) -> Self {
        Self {
            node_count: random.u32(2..4),
            has_twins: random.u32(0..8) == 0,
            laggard: Some(random.usize(0..6)).filter(|node| *node < 3),
            outstanding_max: random.usize(1..6),
            numbers_are_dense: random.u32(0..8) > 0,
            refuses_misplaced: random.u32(0..8) == 0,
            troubles: Troubles::draw(random),
            smooth_weight: [10, 50, 200, 800][random.usize(0..4)],
            step_count: random.usize(30..140),
            question_count: ALL,
        }
    }

    /// One with all troubles and few things that they can happen to.
    pub(crate) fn small(step_count: usize) -> Self {
        Self {
            node_count: 2,
            has_twins: false,
            laggard: None,
            outstanding_max: 3,
            numbers_are_dense: true,
            refuses_misplaced: false,
            troubles: Troubles::ALL,
            smooth_weight: 1,
            step_count,
            question_count: 6,
        }
    }

    fn bounds(&self) -> SharedBounds {
        SharedBounds {
            record_bytes_max: 1 << 20,
            outstanding_max: self.outstanding_max,
            numbers_are_dense: self.numbers_are_dense,
        }
    }
}

/// All that there is in a run.
pub(crate) struct World {
    shape: Shape,
    bug: Option<Bug>,
    random: Rng,
    log: MemorySharedLog,
    nodes: Vec<Node>,
    truth: Truth,
    history: History,
    pub(crate) trace: Trace,
    now_ms: u64,
    is_log_frozen: bool,
    is_deaf: bool,
    note_count: u64,
    step_count: u64,
    late_question_count: u64,
    options: Vec<(Action, u32)>,
}

impl World {
    /// A world with an empty log. `random` says what clients ask.
    pub(crate) fn new(shape: Shape, bug: Option<Bug>, random: Rng, trace: Trace) -> Self {
        let log = MemorySharedLog::new(shape.bounds(), shape.refuses_misplaced);
        let nodes = (0..shape.node_count).map(|rank| {
            let index = u64::from(rank);
            let times = ClaimTimes {
                silence: Duration::from_millis(SILENCE_MS + RANK_MS * index),
                silence_of_living: Duration::from_millis(SILENCE_OF_LIVING_MS + RANK_MS * index),
            };
            let id = NodeId(if shape.has_twins && rank == 1 { 0 } else { rank });
            // All are due at once, so that they meet in the empty log.
            Node::new(index, id, times, &log, START_MS - SILENCE_OF_LIVING_MS)
        });
        Self {
            shape,
            bug,
            random,
            nodes: nodes.collect(),
            log,
            truth: Truth::default(),
            history: History::default(),
            trace,
            now_ms: START_MS,
            is_log_frozen: false,
            is_deaf: false,
            note_count: 0,
            step_count: 0,
            late_question_count: 0,
            options: Vec::with_capacity(64),
        }
    }

    /// Goes through the steps that are chosen, then smoothly to the end, and checks everything.
    ///
    /// # Panics
    /// A promise is broken; the message says which.
    pub(crate) fn run(&mut self, choices: &mut Choices) -> Figures {
        for _ in 0..self.shape.step_count {
            let mut options = std::mem::take(&mut self.options);
            self.list_options(&mut options);
            let chosen = choices.pick(options.iter().map(|option| option.1));
            let action = options[chosen].0;
            self.options = options;
            self.act(action);
        }
        self.settle();
        self.check()
    }

    /// Takes one step.
    pub(crate) fn act(&mut self, action: Action) {
        let Self { log, trace, now_ms, .. } = self;
        trace.say(|| match action {
            Action::Store { index, .. } | Action::Lose { index } | Action::TimeOut { index } => {
                format!("{now_ms} {action}: {}", log.describe(index))
            }
            Action::Ack { index, .. } | Action::ForgetAck { index } => {
                format!("{now_ms} {action}: {}", log.describe_ack(index))
            }
            _ => format!("{now_ms} {action}"),
        });
        self.step_count += 1;
        match action {
            Action::Ask { node } => {
                let question = self.history.draw(&mut self.random);
                self.ask(node, question);
            }
            Action::Turn { node } => self.with_node(node, Node::turn),
            Action::Read { node, count } => {
                self.with_node(node, |node, around| {
                    node.read(count, around);
                });
            }
            Action::Store { index, repeats } => {
                if let Some(no) = self.log.store(index, repeats) {
                    self.stored(no);
                }
            }
            Action::Lose { index } => self.log.lose(index),
            Action::TimeOut { index } => self.log.time_out(index),
            Action::Ack { index, form } => self.log.acknowledge(index, form),
            Action::ForgetAck { index } => self.log.forget_ack(index),
            Action::Remember => self.log.remember(),
            Action::Show { count } => self.log.show(count),
            Action::Pass { ms } => self.pass(ms),
            Action::SetFrozen { node, is_frozen } => self.nodes[node].is_frozen = is_frozen,
            Action::SetBlind { node, is_blind } => self.nodes[node].is_blind = is_blind,
            Action::SetLogFrozen { is_frozen } => {
                self.is_log_frozen = is_frozen;
                self.log.set_frozen(is_frozen);
            }
            Action::Restart { node, kept_halves } => {
                let kept_count = self.nodes[node].copy_count() * kept_halves / 2;
                self.with_node(node, |node, around| node.restart(kept_count, around));
            }
            Action::SetClock { node, offset_ms } => self.nodes[node].clock_offset_ms = offset_ms,
            Action::Hurry { node } => {
                self.nodes[node].steady_ahead_ms += 2 * SILENCE_OF_LIVING_MS;
                self.nodes[node].turn_due = true;
            }
            Action::Resign { node, to } => {
                let to = to.map_or(NodeId::ANY, |to| self.nodes[to].id());
                self.nodes[node].seat_mut().expect("it leads").resign(to);
            }
            Action::Note { node } => {
                self.note_count += 1;
                self.nodes[node].seat_mut().expect("it leads").note(self.note_count);
            }
            Action::Junk => self.write_junk(),
            Action::SetDeaf { is_deaf } => self.is_deaf = is_deaf,
        }
    }

    /// A client asks a node; the number of the question.
    pub(crate) fn ask(&mut self, node: usize, question: Question) -> usize {
        let number = self.history.ask(question, self.truth.next_offset());
        self.trace.say(|| format!("    question {number}: {question:?}"));
        let is_late = |seat: &Seat| Some(seat.epoch()) != self.truth.epoch();
        self.late_question_count += u64::from(self.nodes[node].seat().is_some_and(is_late));
        self.with_node(node, |node, around| node.ask(number, question, around));
        number
    }

    fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        self.nodes.iter_mut().for_each(|node| node.turn_due = true);
    }

    fn stored(&mut self, no: RecordNo) {
        let Self { log, truth, .. } = self;
        log.with_record(no, |bytes| truth.take(no, bytes));
    }

    /// What is no record, and a claim in another log.
    fn write_junk(&mut self) {
        let mut junk = b"no record".to_vec();
        if self.random.bool() {
            junk.clear();
            let claim = SharedRecord {
                kind: RecordKind::Claim,
                format: Format::V1,
                log_id: LogId(u128::MAX),
                partition: 0,
                node: NodeId(0),
                epoch: self.truth.epoch(),
                sequence: 1,
                base_offset: 0,
                time_ms: 0,
                told_ms: 0,
                event_count: 0,
                payload: b"",
            };
            claim.encode(&mut junk);
        }
        let no = self.log.store_junk(&junk);
        self.stored(no);
    }

    fn with_node(&mut self, node: usize, step: impl FnOnce(&mut Node, &mut Around<'_>)) {
        let leads = |node: &Node| !node.is_frozen && node.seat().is_some();
        let mut answering = 0;
        for node in self.nodes.iter().filter(|node| !self.is_deaf && leads(node)) {
            answering |= 1 << node.id().0;
        }
        let mut around = Around {
            log: &self.log,
            history: &mut self.history,
            trace: &mut self.trace,
            until: self.truth.next_offset(),
            now_ms: self.now_ms,
            answering,
            bug: self.bug,
        };
        step(&mut self.nodes[node], &mut around);
    }

    /// What happens next if nothing goes wrong.
    fn smooth(&self, log: MemoryCounts) -> Action {
        let awake = || self.nodes.iter().enumerate().filter(|(_, node)| !node.is_frozen);
        if log.due_acks > 0 {
            return Action::Ack { index: 0, form: AckForm::Whole };
        }
        if log.on_the_way > 0 {
            return Action::Store { index: 0, repeats: false };
        }
        if log.hidden > 0 {
            return Action::Show { count: ALL };
        }
        let reads = |(index, node): &(usize, &Node)| {
            !self.is_log_frozen && node.can_read(log.records) && Some(*index) != self.shape.laggard
        };
        if let Some((node, _)) = awake().find(reads) {
            return Action::Read { node, count: ALL };
        }
        if let Some((node, _)) = awake().find(|(_, node)| node.has_work()) {
            return Action::Turn { node };
        }
        if self.history.asked.len() < self.shape.question_count
            && let Some(node) = self.leader()
        {
            return Action::Ask { node };
        }
        if let Some((node, _)) = awake().find(|(_, node)| !self.is_log_frozen && node.can_read(log.records)) {
            return Action::Read { node, count: ALL };
        }
        Action::Pass { ms: 60 }
    }

    /// The node that leads really, if it is awake and takes questions.
    fn leader(&self) -> Option<usize> {
        self.nodes.iter().position(|node| {
            let leads = |seat: &Seat| Some(seat.epoch()) == self.truth.epoch() && seat.takes_questions();
            !node.is_frozen && node.seat().is_some_and(leads)
        })
    }

    /// Everything that can happen next; the smooth way first.
    fn list_options(&self, options: &mut Vec<(Action, u32)>) {
        let log = self.log.counts();
        let smooth = self.smooth(log);
        options.clear();
        options.push((smooth, self.shape.smooth_weight));
        let mut add = |action, weight| {
            if weight > 0 && action != smooth {
                options.push((action, weight));
            }
        };
        let troubles = &self.shape.troubles;
        self.list_of_nodes(log, &mut add);
        for index in 0..log.on_the_way.min(REORDERED_MAX) {
            let weight = if index == 0 { 12 } else { 3 * troubles.reorder };
            add(Action::Store { index, repeats: false }, weight);
            add(Action::Store { index, repeats: true }, 3 * troubles.repeat);
            add(Action::Lose { index }, 2 * troubles.lose);
            add(Action::TimeOut { index }, 2 * troubles.time_out);
        }
        for index in 0..log.due_acks.min(REORDERED_MAX) {
            add(Action::Ack { index, form: AckForm::Whole }, 6);
            add(Action::Ack { index, form: AckForm::WithoutNumber }, 4 * troubles.acks);
            add(Action::Ack { index, form: AckForm::TimedOut }, troubles.acks);
            add(Action::ForgetAck { index }, 2 * troubles.acks);
            add(Action::Remember, troubles.acks);
        }
        if log.hidden > 0 {
            add(Action::Show { count: ALL }, 8);
            add(Action::Show { count: 1 }, 4);
        }
        add(Action::Pass { ms: 5 }, 4);
        add(Action::Pass { ms: 60 }, 4);
        add(Action::Pass { ms: 160 }, 4);
        add(Action::SetLogFrozen { is_frozen: !self.is_log_frozen }, 2 * troubles.freeze);
        add(Action::SetDeaf { is_deaf: !self.is_deaf }, 2 * troubles.freeze.max(troubles.blind));
        add(Action::Junk, 2 * troubles.junk);
    }

    fn list_of_nodes(&self, log: MemoryCounts, add: &mut impl FnMut(Action, u32)) {
        let troubles = &self.shape.troubles;
        let may_ask = self.history.asked.len() < self.shape.question_count;
        for (node, found) in self.nodes.iter().enumerate() {
            if found.is_frozen {
                add(Action::SetFrozen { node, is_frozen: false }, 4);
                continue;
            }
            add(Action::SetFrozen { node, is_frozen: true }, 2 * troubles.freeze);
            let weight = if found.is_blind { 4 } else { 2 * troubles.blind };
            add(Action::SetBlind { node, is_blind: !found.is_blind }, weight);
            for kept_halves in 0..3 {
                add(Action::Restart { node, kept_halves }, troubles.restart);
            }
            for offset_ms in [-200, 0, 300] {
                if offset_ms != found.clock_offset_ms {
                    add(Action::SetClock { node, offset_ms }, troubles.clocks);
                }
            }
            if found.has_work() {
                add(Action::Turn { node }, 8);
            }
            if found.can_read(log.records) {
                add(Action::Read { node, count: ALL }, 6);
                add(Action::Read { node, count: 1 }, 6 * troubles.lag);
            }
            let Some(seat) = found.seat() else {
                add(Action::Hurry { node }, 2 * troubles.haste);
                continue;
            };
            if may_ask {
                add(Action::Ask { node }, 30);
            }
            if seat.takes_questions() {
                add(Action::Note { node }, 2 * troubles.resign);
                for to in (0..self.nodes.len()).filter(|to| *to != node) {
                    add(Action::Resign { node, to: Some(to) }, troubles.resign);
                }
                add(Action::Resign { node, to: None }, troubles.resign);
            }
        }
    }

    /// The trouble ends. Soon somebody leads, all answers are given, and a new question is answered.
    pub(crate) fn settle(&mut self) {
        self.trace.say(|| "the trouble ends".to_owned());
        self.nodes.iter_mut().for_each(|node| (node.is_frozen, node.is_blind) = (false, false));
        self.act(Action::SetLogFrozen { is_frozen: false });
        self.is_deaf = false;
        self.shape.question_count = 0;
        let mut probe = None;
        for step in 0..SETTLING_STEPS_MAX {
            let fate = probe.map(|number: usize| &self.history.asked[number].fate);
            match fate {
                Some(Fate::Answered(_)) if self.is_quiet() => return,
                None | Some(Fate::Unknown) => {
                    if let Some(node) = self.leader() {
                        probe = Some(self.ask(node, Question::ReadUnits));
                        continue;
                    }
                }
                Some(Fate::Answered(_) | Fate::Waiting) => {}
            }
            // What was never heard of is given up when it has taken long.
            let action = if step % 100 == 99 { Action::Remember } else { self.smooth(self.log.counts()) };
            self.act(action);
        }
        let places: Vec<_> = self.nodes.iter().map(|node| (node.next_no().0, node.next_offset())).collect();
        panic!(
            "no question is answered after the trouble has ended: the log is at number {} and offset {}, nodes at {places:?}",
            self.log.counts().records,
            self.truth.next_offset()
        );
    }

    fn is_quiet(&self) -> bool {
        let log = self.log.counts();
        log.on_the_way + log.due_acks + log.hidden == 0
            && self.nodes.iter().all(|node| node.next_no().0 == log.records as u64 && !node.has_work())
            && !self.history.is_waiting()
            && self.leader().is_some()
    }

    /// What was told, to be falsified, and what it is compared with.
    #[cfg(test)]
    pub(crate) fn told(&mut self) -> (&Truth, &mut History) {
        (&self.truth, &mut self.history)
    }

    /// Compares what clients were told, and what nodes have, with what is in force.
    pub(crate) fn check(&self) -> Figures {
        let state = self.truth.check(&self.history);
        let digest = state.digest();
        for (id, node) in self.nodes.iter().enumerate() {
            assert_eq!(node.next_offset(), self.truth.next_offset(), "offset of node {id}");
            assert_eq!(node.note(), self.truth.note(), "note of node {id}");
            assert_eq!(node.state().digest(), digest, "digest of node {id}");
        }
        let count = |wanted: fn(&Fate) -> bool| {
            self.history.asked.iter().filter(|asked| wanted(&asked.fate)).count() as u64
        };
        Figures {
            step_count: self.step_count,
            answer_count: count(|fate| matches!(fate, Fate::Answered(_))),
            late_question_count: self.late_question_count,
            unknown_count: count(|fate| matches!(fate, Fate::Unknown)),
            epoch_count: self.truth.epoch_count(),
            record_count: self.log.counts().records as u64,
            event_count: self.truth.next_offset(),
        }
    }
}
