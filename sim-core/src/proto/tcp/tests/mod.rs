//! Two ends and the wire between them, one packet at a time.

mod hosts;
mod ipv6;
mod ladders;
mod laws;
mod signature;

use core::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::wire::{Ipv4Packet, TcpPacket};

use super::{Connection, Event, Output, TcpConfig};
use crate::packet::Packet;
use crate::rng::{Purpose, Rng};
use crate::time::{Duration, Instant};

pub(super) const A: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(169, 254, 10, 2), 40_000);
pub(super) const B: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(169, 254, 10, 1), 179);

pub(super) fn at_ms(ms: u64) -> Instant {
    Instant::START + Duration::from_millis(ms)
}

pub(super) fn rng(owner: &str) -> Rng {
    Rng::stream(7, owner, Purpose::Test)
}

/// Drains a connection into its packets and events.
pub(super) fn drain(c: &mut Connection) -> (Vec<Packet>, Vec<Event>) {
    let (mut packets, mut events) = (Vec::new(), Vec::new());
    while let Some(output) = c.poll() {
        match output {
            Output::Transmit(packet) => packets.push(packet),
            Output::Event(event) => events.push(event),
        }
    }
    (packets, events)
}

/// A segment as a ladder shows it: flags, first octet's offset from the initial sequence number, payload length.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    pub(super) flags: String,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) len: usize,
}

pub(super) fn see(packet: &[u8]) -> Seen {
    let ip = Ipv4Packet::new_checked(packet).expect("a well-formed packet");
    assert!(ip.verify_checksum());
    let tcp = TcpPacket::new_checked(ip.payload()).expect("a well-formed segment");
    assert!(tcp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
    let flags = [(tcp.syn(), 'S'), (tcp.fin(), 'F'), (tcp.rst(), 'R'), (tcp.psh(), 'P'), (tcp.ack(), '.')];
    Seen {
        flags: flags.iter().filter(|f| f.0).map(|f| f.1).collect(),
        seq: tcp.seq_number().0 as u32,
        ack: tcp.ack_number().0 as u32,
        len: tcp.payload().len(),
    }
}

/// Two connected ends and a wire without delay, whose directions can be cut.
pub(super) struct Pair {
    pub(super) a: Connection,
    pub(super) b: Connection,
    pub(super) now: Instant,
    /// What a direction loses.
    pub(super) cut_ab: bool,
    pub(super) cut_ba: bool,
    /// What each end sent since [`Pair::clear`], with its instant; lost packets too.
    pub(super) from_a: Vec<(Instant, Seen)>,
    pub(super) from_b: Vec<(Instant, Seen)>,
    pub(super) events_a: Vec<Event>,
    pub(super) events_b: Vec<Event>,
}

impl Pair {
    /// Both ends established at the beginning of the world.
    pub(super) fn established(config: TcpConfig) -> Self {
        let now = Instant::START;
        let mut a = Connection::connect(config.clone(), A, B, &mut rng("a"), now);
        let (syn, _) = drain(&mut a);
        let b = Connection::accept(config, syn[0].bytes(), &mut rng("b"), now).expect("a SYN");
        let mut pair = Self {
            a,
            b,
            now,
            cut_ab: false,
            cut_ba: false,
            from_a: Vec::new(),
            from_b: Vec::new(),
            events_a: Vec::new(),
            events_b: Vec::new(),
        };
        pair.settle();
        assert_eq!(pair.events_a, [Event::Connected]);
        assert_eq!(pair.events_b, [Event::Connected]);
        pair.clear();
        pair
    }

    pub(super) fn clear(&mut self) {
        self.from_a.clear();
        self.from_b.clear();
        self.events_a.clear();
        self.events_b.clear();
    }

    /// Carries packets until both ends are silent.
    pub(super) fn settle(&mut self) {
        loop {
            let (from_a, events) = drain(&mut self.a);
            self.events_a.extend(events);
            let (from_b, events) = drain(&mut self.b);
            self.events_b.extend(events);
            if from_a.is_empty() && from_b.is_empty() {
                return;
            }
            for p in from_a {
                self.from_a.push((self.now, see(p.bytes())));
                if !self.cut_ab {
                    self.b.handle(self.now, p.bytes());
                }
            }
            for p in from_b {
                self.from_b.push((self.now, see(p.bytes())));
                if !self.cut_ba {
                    self.a.handle(self.now, p.bytes());
                }
            }
        }
    }

    /// Lets time pass until `end`, serving every wake at its instant.
    pub(super) fn run_until(&mut self, end: Instant) {
        self.settle();
        while let Some(t) = [self.a.wake(), self.b.wake()].into_iter().flatten().min().filter(|&t| t <= end) {
            assert!(t > self.now, "a wake must be later than the present");
            self.now = t;
            if self.a.wake() == Some(t) {
                self.a.handle_timeout(t);
            }
            if self.b.wake() == Some(t) {
                self.b.handle_timeout(t);
            }
            self.settle();
        }
        self.now = end;
    }

    /// What `b` received since [`Pair::clear`].
    pub(super) fn received_by_b(&self) -> Vec<u8> {
        received(&self.events_b)
    }
}

pub(super) fn received(events: &[Event]) -> Vec<u8> {
    let mut all = Vec::new();
    for event in events {
        if let Event::Received(octets) = event {
            all.extend_from_slice(octets);
        }
    }
    all
}
