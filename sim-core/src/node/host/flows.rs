//! Applications: many flows between two hosts, each with a five-tuple of its own, that ask and are answered.
//!
//! ```text
//!   flow 1  start            connect, ask ... answer, ask ... answer, close
//!   flow 2  start + spacing    connect, ask ... answer, ask ... answer, close
//! ```
//!
//! A TCP flow is a connection to the echo service: what is asked comes back, and the next question waits for it and for its own
//! time. It may have to find out the address first, by DNS ([`super::dns`]), and a lookup is a flow that does nothing else. Whether a
//! flow survives, stalls or is reset is its TCP's doing ([`crate::proto::tcp`]). A UDP flow asks on time, answered or not, as a call
//! does. A flow that has ended is not begun again, and none survives its host.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use crate::time::{Duration, Instant};

/// By what a flow's questions go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlowKind {
    /// A TCP connection.
    Tcp,
    /// UDP datagrams between two ports.
    Udp,
    /// One question of DNS, for the address of a name.
    Lookup,
}

/// An application's flows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowsConfig {
    /// The application, by its number in the world.
    pub application: u16,
    /// By what they go.
    pub kind: FlowKind,
    /// To whom.
    pub to: IpAddr,
    /// How many.
    pub count: u32,
    /// When the first begins.
    pub start: Instant,
    /// How long after it the second begins, and so on.
    pub spacing: Duration,
    /// Octets of a question, and of its answer.
    pub size: u32,
    /// From one question of a flow to its next, if it has been answered by then.
    pub every: Duration,
    /// How often each asks; `None`: until `stop`.
    pub questions: Option<u32>,
    /// No question at or after this instant.
    pub stop: Instant,
    /// UDP: the port of the first flow; the others follow.
    pub first_port: u16,
    /// The name whose address is looked up, and to which a flow of TCP then connects; by its place among those of the host
    /// ([`super::ResolverConfig::names`]).
    pub name: Option<u16>,
}

/// How a flow ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FlowEnd {
    /// It had asked all that it wanted, and closed.
    Done,
    /// It was reset, or refused; or its name has no address, as a name server says.
    Reset,
    /// Its TCP gave up: nobody acknowledged; or no name server answered.
    TimedOut,
}

/// The longest time that a flow waited for an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// When the question was asked.
    pub asked: Instant,
    /// The last octet that had come before; none, if it was the first question.
    pub last_byte: Option<Instant>,
    /// The first octet that came after; `None`: none has.
    pub first_byte: Option<Instant>,
}

/// What a flow has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FlowLog {
    /// When it began.
    pub began: Option<Instant>,
    /// When its connection was open; of UDP, when the first answer came; of a lookup, when the address was known.
    pub connected: Option<Instant>,
    /// Questions.
    pub asked: u32,
    /// Answers that came whole.
    pub answered: u32,
    /// The latest octet that came.
    pub last_byte: Option<Instant>,
    /// Since when the flow waits for an octet, if it does.
    pub waits_since: Option<Instant>,
    /// The longest wait that has ended.
    pub longest: Option<Wait>,
    /// How it ended, if it has.
    pub end: Option<(Instant, FlowEnd)>,
}

impl FlowLog {
    fn asks(&mut self, now: Instant) {
        self.asked += 1;
        self.waits_since.get_or_insert(now);
    }

    /// What it waited for has come, if it waited.
    fn waited(&mut self, now: Instant) {
        let Some(asked) = self.waits_since.take() else { return };
        let wait = Wait { asked, last_byte: self.last_byte, first_byte: Some(now) };
        let length = |wait: &Wait| wait.first_byte.map(|at| at.since(wait.asked));
        if self.longest.is_none_or(|longest| length(&longest) < length(&wait)) {
            self.longest = Some(wait);
        }
    }
}

/// What a flow is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Act {
    /// Find out the address of its name.
    Resolve,
    /// Connect.
    Connect,
    /// Ask.
    Ask,
    /// Close.
    Close,
}

/// The flows of an application at the host that asks.
pub(super) struct Flows {
    pub config: FlowsConfig,
    logs: Vec<FlowLog>,
    /// Of each flow: octets of the latest answer that have not come, and when it was asked for.
    left: Vec<(u32, Instant)>,
    due: BTreeSet<(Instant, u32)>,
}

impl Flows {
    pub fn new(config: FlowsConfig) -> Self {
        let count = config.count as usize;
        let due = (0..config.count).map(|flow| (config.start + config.spacing * u64::from(flow), flow));
        let due = due.filter(|(at, _)| *at < config.stop).collect();
        Self { config, logs: vec![FlowLog::default(); count], left: vec![(0, Instant::START); count], due }
    }

    pub fn logs(&self) -> &[FlowLog] {
        &self.logs
    }

    pub fn wake(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Nothing is done any more: the host has no power.
    pub fn halt(&mut self) {
        self.due.clear();
    }

    /// The next flow that is to do something, and what.
    pub fn next(&mut self, now: Instant) -> Option<(u32, Act)> {
        let &(at, flow) = self.due.first().filter(|(at, _)| *at <= now)?;
        self.due.remove(&(at, flow));
        let (log, config) = (&mut self.logs[flow as usize], &self.config);
        let enough = config.questions.is_some_and(|most| log.asked >= most) || now >= config.stop;
        Some((
            flow,
            match (log.began, config.kind) {
                (Some(_), _) if enough => {
                    // A call that nobody answers any more does not end well.
                    let heard = log.waits_since.is_none_or(|since| now.since(since) <= config.every);
                    if config.kind == FlowKind::Udp && log.answered > 0 && heard {
                        log.end = Some((now, FlowEnd::Done));
                    }
                    Act::Close
                }
                (None, FlowKind::Tcp) => {
                    log.began = Some(now);
                    log.waits_since = Some(now);
                    if config.name.is_some() { Act::Resolve } else { Act::Connect }
                }
                (None, FlowKind::Lookup) => {
                    log.began = Some(now);
                    log.asks(now);
                    Act::Resolve
                }
                (None, FlowKind::Udp) => {
                    log.began = Some(now);
                    self.ask(now, flow);
                    Act::Ask
                }
                (Some(_), _) => {
                    self.ask(now, flow);
                    Act::Ask
                }
            },
        ))
    }

    fn ask(&mut self, now: Instant, flow: u32) {
        self.logs[flow as usize].asks(now);
        self.left[flow as usize] = (self.config.size, now);
        // A call goes on whether it is heard or not.
        if self.config.kind == FlowKind::Udp {
            self.due.insert((now + self.config.every, flow));
        }
    }

    /// The name of a flow came to this. A lookup has ended by it.
    pub fn resolved(&mut self, now: Instant, flow: u32, found: Result<Ipv4Addr, FlowEnd>) {
        let lookup = self.config.kind == FlowKind::Lookup;
        let log = &mut self.logs[flow as usize];
        match found {
            Ok(_) if lookup => {
                log.connected = Some(now);
                log.waited(now);
                log.last_byte = Some(now);
                log.answered += 1;
                self.ended(now, flow, FlowEnd::Done);
            }
            Ok(_) => {}
            Err(end) => self.ended(now, flow, end),
        }
    }

    /// The connection of a flow is open.
    pub fn connected(&mut self, now: Instant, flow: u32) {
        let log = &mut self.logs[flow as usize];
        log.connected = Some(now);
        log.waited(now);
        self.due.insert((now, flow));
    }

    /// Octets came.
    pub fn heard(&mut self, now: Instant, flow: u32, octets: usize) {
        let (log, (left, asked)) = (&mut self.logs[flow as usize], &mut self.left[flow as usize]);
        log.waited(now);
        log.last_byte = Some(now);
        log.connected.get_or_insert(now);
        if self.config.kind == FlowKind::Udp {
            log.answered += 1;
            return;
        }
        if *left == 0 {
            return;
        }
        *left = left.saturating_sub(u32::try_from(octets).unwrap_or(u32::MAX));
        if *left > 0 {
            log.waits_since = Some(now);
            return;
        }
        log.answered += 1;
        let last = self.config.questions.is_some_and(|most| log.asked >= most);
        let next = if last { now } else { *asked + self.config.every };
        // At the end of the application the flow closes.
        self.due.insert((next.min(self.config.stop).max(now), flow));
    }

    /// A flow has ended.
    pub fn ended(&mut self, now: Instant, flow: u32, end: FlowEnd) {
        self.logs[flow as usize].end.get_or_insert((now, end));
        self.due.retain(|(_, other)| *other != flow);
    }
}
