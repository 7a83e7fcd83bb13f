//! LACP (IEEE 802.1AX-2020 section 6.4): one end of an aggregation of links.
//!
//! A port hears its partner or it does not (the Receive machine, section 6.4.12):
//!
//! ```text
//!            up                 3 s                 
//!  disabled ----> EXPIRED ----------------> DEFAULTED
//!                  ^   | LACPDU               | LACPDU
//!       3 s, 90 s  |   v                      |
//!                 CURRENT <-------------------'
//! ```
//!
//! and is a member or is not (the coupled Mux machine, section 6.4.15): DETACHED, WAITING two seconds once it is selected, ATTACHED, and
//! COLLECTING and DISTRIBUTING while both ends say that they are in synchronization. A port sends every second or every 30 s, as its
//! partner asks (Periodic Transmission, section 6.4.13), and at once when what its partner knows is wrong (NTT).
//!
//! With fewer members than the least number of links that is asked for, no port is in synchronization, so that the other end does not use
//! them either. The standard has no such number; that it works like this is what routers do, and what "the whole LAG is down" (Direct
//! Connect user guide, lags.html) needs at the other end.
//!
//! Left out: several aggregators (a port whose partner is another system than the first member's is not selected), waiting until all
//! ports are ready (section 6.4.14), the limit of three LACPDUs in a second (section 6.4.16), Marker and version 2 with conversation-sensitive
//! collection (section 6.6).

use std::collections::VecDeque;

use crate::reason::{DropReason, TimerKind};
use crate::time::{Duration, Instant};
use crate::wire::lacp::{End, LEN, Lacpdu, state};

#[cfg(test)]
mod tests;

/// Fast_Periodic_Time.
pub const FAST: Duration = Duration::from_secs(1);
/// Slow_Periodic_Time.
pub const SLOW: Duration = Duration::from_secs(30);
/// Short_Timeout_Time.
pub const SHORT_TIMEOUT: Duration = Duration::from_secs(3);
/// Long_Timeout_Time.
pub const LONG_TIMEOUT: Duration = Duration::from_secs(90);
/// Aggregate_Wait_Time.
pub const AGGREGATE_WAIT: Duration = Duration::from_secs(2);
const PRIORITY: u16 = 0x8000;

/// What one end is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Its address.
    pub system: [u8; 6],
    /// The key of its ports.
    pub key: u16,
    /// How many ports there are.
    pub ports: usize,
    /// True if it wants to hear its partner every second and misses it after three; otherwise every 30 s, and after 90.
    pub short_timeout: bool,
    /// Fewest members with which any carries; 0 is as 1.
    pub minimum_links: usize,
}

/// What happens to it.
#[derive(Debug)]
pub enum Input<'a> {
    /// A port has a carrier, or has none.
    Port(usize, bool),
    /// A frame of a slow protocol arrived at a port.
    Frame(usize, &'a [u8]),
}

/// What it wants, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send this frame out of a port.
    Transmit(usize, Box<[u8; LEN]>),
    /// A port has not heard its partner in time; the wait began then.
    Expired(usize, Instant),
    /// A port carries traffic, or does not.
    Carries(usize, bool),
    /// A frame had no effect.
    Ignored(DropReason),
}

/// The Receive machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Receive {
    /// No carrier.
    PortDisabled,
    /// Not heard for a while, or not yet.
    Expired,
    /// Not heard.
    Defaulted,
    /// Heard.
    Current,
}

/// The Mux machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mux {
    Detached,
    Waiting(Instant),
    Attached,
    Carrying,
}

#[derive(Clone, Copy, Debug)]
struct Port {
    receive: Receive,
    mux: Mux,
    partner: End,
    /// When it is missed, and when that wait began.
    current_while: Option<(Instant, Instant)>,
    /// When it sends next.
    periodic: Option<Instant>,
    /// What the partner knows of this end is wrong.
    need_to_transmit: bool,
}

/// One end of an aggregation of links.
#[derive(Clone, Debug)]
pub struct Aggregator {
    config: Config,
    ports: Vec<Port>,
    out: VecDeque<Output>,
}

impl Aggregator {
    /// One with no port up.
    pub fn new(config: Config) -> Self {
        let port = Port {
            receive: Receive::PortDisabled,
            mux: Mux::Detached,
            partner: End::default(),
            current_while: None,
            periodic: None,
            need_to_transmit: false,
        };
        Self { config, ports: vec![port; config.ports], out: VecDeque::new() }
    }

    /// Forgets everything, as power loss does.
    pub fn reset(&mut self) {
        *self = Self::new(self.config);
    }

    /// The ports that carry traffic.
    pub fn carrying(&self) -> impl Iterator<Item = usize> {
        self.ports.iter().enumerate().filter(|(_, port)| port.mux == Mux::Carrying).map(|(number, _)| number)
    }

    /// True if a port takes frames.
    pub fn collects(&self, port: usize) -> bool {
        self.ports.get(port).is_some_and(|port| port.mux == Mux::Carrying)
    }

    /// True if anything is carried.
    pub fn is_up(&self) -> bool {
        self.carrying().next().is_some()
    }

    /// How well a port hears its partner.
    pub fn receive(&self, port: usize) -> Receive {
        self.ports[port].receive
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Port(number, true) if self.ports[number].receive == Receive::PortDisabled => {
                let port = &mut self.ports[number];
                port.receive = Receive::Expired;
                port.partner.state = state::TIMEOUT;
                port.current_while = Some((now + SHORT_TIMEOUT, now));
                port.need_to_transmit = true;
            }
            Input::Port(_, true) => {}
            Input::Port(number, false) => {
                let port = &mut self.ports[number];
                port.receive = Receive::PortDisabled;
                (port.current_while, port.periodic) = (None, None);
                port.partner.state &= !state::SYNCHRONIZATION;
            }
            Input::Frame(number, frame) => match Lacpdu::parse(frame) {
                Ok(pdu) if self.ports[number].receive != Receive::PortDisabled => self.heard(now, number, &pdu),
                Ok(_) => self.out.push_back(Output::Ignored(DropReason::LinkDown)),
                Err(_) => self.out.push_back(Output::Ignored(DropReason::Malformed)),
            },
        }
        self.settle(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        for number in 0..self.ports.len() {
            let port = &mut self.ports[number];
            if let Some((_, armed_at)) = port.current_while.filter(|(due, _)| *due <= now) {
                match port.receive {
                    Receive::Current => {
                        port.receive = Receive::Expired;
                        port.partner.state = port.partner.state & !state::SYNCHRONIZATION | state::TIMEOUT;
                        port.current_while = Some((now + SHORT_TIMEOUT, now));
                        port.need_to_transmit = true;
                        self.out.push_back(Output::Expired(number, armed_at));
                    }
                    Receive::Expired => {
                        port.receive = Receive::Defaulted;
                        port.partner = End::default();
                        port.current_while = None;
                    }
                    Receive::Defaulted | Receive::PortDisabled => port.current_while = None,
                }
            }
            let port = &mut self.ports[number];
            if port.periodic.is_some_and(|due| due <= now) {
                port.periodic = None;
                port.need_to_transmit = true;
            }
        }
        self.settle(now);
    }

    /// What it wants next.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Aggregator::handle_timeout`] must be called next, and for which timer.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        let of = |port: &Port| {
            let current = port.current_while.map(|(due, _)| (due, TimerKind::LacpCurrentWhile));
            let periodic = port.periodic.map(|due| (due, TimerKind::LacpPeriodic));
            let wait = match port.mux {
                Mux::Waiting(due) => Some((due, TimerKind::LacpAggregateWait)),
                Mux::Detached | Mux::Attached | Mux::Carrying => None,
            };
            current.into_iter().chain(periodic).chain(wait).min_by_key(|(at, _)| *at)
        };
        self.ports.iter().filter_map(of).min_by_key(|(at, _)| *at)
    }

    /// recordPDU and update_NTT (section 6.4.9).
    fn heard(&mut self, now: Instant, number: usize, pdu: &Lacpdu) {
        let own = self.actor(number);
        let names = |end: &End| (end.system, end.key, end.port, end.state & state::AGGREGATION);
        let known = names(&pdu.partner) == names(&own);
        let timeout = if self.config.short_timeout { SHORT_TIMEOUT } else { LONG_TIMEOUT };
        let port = &mut self.ports[number];
        let partner_timeout = port.partner.state & state::TIMEOUT;
        port.partner = pdu.actor;
        if !known {
            port.partner.state &= !state::SYNCHRONIZATION;
        }
        port.receive = Receive::Current;
        port.current_while = Some((now + timeout, now));
        let told = state::ACTIVITY | state::TIMEOUT | state::SYNCHRONIZATION | state::AGGREGATION;
        port.need_to_transmit |= !known || (pdu.partner.state ^ own.state) & told != 0;
        // The partner wants to hear more often, or less.
        if port.partner.state & state::TIMEOUT != partner_timeout {
            port.periodic = None;
        }
    }

    /// What a port says of itself.
    fn actor(&self, number: usize) -> End {
        let port = &self.ports[number];
        let mut own = state::ACTIVITY | state::AGGREGATION;
        if self.config.short_timeout {
            own |= state::TIMEOUT;
        }
        if self.is_in_synchronization(number) {
            own |= state::SYNCHRONIZATION;
        }
        if port.mux == Mux::Carrying {
            own |= state::COLLECTING | state::DISTRIBUTING;
        }
        match port.receive {
            Receive::Expired => own |= state::EXPIRED,
            Receive::Defaulted => own |= state::DEFAULTED,
            Receive::PortDisabled | Receive::Current => {}
        }
        let name = (PRIORITY, number as u16 + 1);
        End { system: (PRIORITY, self.config.system), key: self.config.key, port: name, state: own }
    }

    /// True if a port could be a member: its partner is heard, aggregates and is that of the first port that hears one.
    fn is_selected(&self, number: usize) -> bool {
        let partner = |port: &Port| (port.partner.system, port.partner.key);
        let heard = |port: &&Port| port.receive == Receive::Current && port.partner.is(state::AGGREGATION);
        let port = &self.ports[number];
        let first = self.ports.iter().find(heard).map(partner);
        match port.receive {
            Receive::Current => heard(&port) && Some(partner(port)) == first,
            // It stays selected until it is known that nobody is there.
            Receive::Expired => port.mux != Mux::Detached,
            Receive::PortDisabled | Receive::Defaulted => false,
        }
    }

    fn is_attached(port: &Port) -> bool {
        port.receive == Receive::Current && matches!(port.mux, Mux::Attached | Mux::Carrying)
    }

    fn is_in_synchronization(&self, number: usize) -> bool {
        let members = self.ports.iter().filter(|port| Self::is_attached(port)).count();
        matches!(self.ports[number].mux, Mux::Attached | Mux::Carrying) && members >= self.config.minimum_links.max(1)
    }

    /// Moves every Mux machine as far as it goes, then sends what has to be sent.
    fn settle(&mut self, now: Instant) {
        let mut moved = true;
        while moved {
            moved = false;
            for number in 0..self.ports.len() {
                let (selected, synchronized) = (self.is_selected(number), self.is_in_synchronization(number));
                let port = self.ports[number];
                let both = synchronized && port.partner.is(state::SYNCHRONIZATION);
                let next = match port.mux {
                    Mux::Detached if selected => Mux::Waiting(now + AGGREGATE_WAIT),
                    Mux::Waiting(due) if selected && due <= now => Mux::Attached,
                    Mux::Attached if selected && both => Mux::Carrying,
                    Mux::Carrying if selected && !both => Mux::Attached,
                    Mux::Waiting(_) | Mux::Attached | Mux::Carrying if !selected => Mux::Detached,
                    stays @ (Mux::Detached | Mux::Waiting(_) | Mux::Attached | Mux::Carrying) => stays,
                };
                if next == port.mux {
                    continue;
                }
                moved = true;
                if (port.mux == Mux::Carrying) != (next == Mux::Carrying) {
                    self.out.push_back(Output::Carries(number, next == Mux::Carrying));
                }
                self.ports[number].mux = next;
                // Whether there are enough may be news for all.
                self.ports.iter_mut().for_each(|port| port.need_to_transmit = true);
            }
        }
        for number in 0..self.ports.len() {
            if self.ports[number].receive == Receive::PortDisabled {
                self.ports[number].need_to_transmit = false;
                continue;
            }
            let interval = if self.ports[number].partner.is(state::TIMEOUT) { FAST } else { SLOW };
            if core::mem::take(&mut self.ports[number].need_to_transmit) {
                let pdu = Lacpdu { actor: self.actor(number), partner: self.ports[number].partner };
                self.out.push_back(Output::Transmit(number, Box::new(pdu.emit())));
                self.ports[number].periodic = Some(now + interval);
            }
            self.ports[number].periodic.get_or_insert(now + interval);
        }
    }
}
