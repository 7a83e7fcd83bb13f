//! Datagrams that find their session, and those that do not.

use super::*;
use crate::id::NodeId;
use crate::node::Emit;
use crate::time::Duration;
use crate::trace::{SessionInfo, SessionKind, Trace};

const HERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);

/// The BFD of one device.
struct End {
    bfd: Bfd,
    trace: Trace,
    packets: u64,
    now: Instant,
}

impl End {
    fn new(sessions: &[(Ipv4Addr, Ipv4Addr, bool)], device: &str) -> Self {
        let mut trace = Trace::default();
        let usual = Duration::from_millis(300);
        let config = |(i, &(local, remote, multihop)): (usize, &(Ipv4Addr, Ipv4Addr, bool))| {
            let name = format!("{i}@{device}");
            let info = SessionInfo { kind: SessionKind::Bfd, node: NodeId(0), name: name.clone(), peer: None };
            let session = trace.add_session(info);
            let machine = bfd::Config {
                desired_min_tx: usual,
                required_min_rx: usual,
                detect_multiplier: 3,
                passive: false,
                multihop,
            };
            (name, BfdConfig { local, remote, port: Port(i as u16), session, machine })
        };
        let all: Vec<_> = sessions.iter().enumerate().map(config).collect();
        Self { bfd: Bfd::new(1, all), trace, packets: 0, now: Instant::START }
    }

    fn touch(&mut self, input: impl FnOnce(&mut Bfd, &mut Cx, &mut Vec<BfdEvent>)) -> Vec<BfdEvent> {
        let (mut events, mut out): (_, Vec<Emit>) = (Vec::new(), Vec::new());
        let mut cx = Cx {
            now: self.now,
            node: NodeId(0),
            cause: RecordId::GENESIS,
            enabler: RecordId::GENESIS,
            trace: &mut self.trace,
            out: &mut out,
            packets: &mut self.packets,
            rearm: false,
        };
        input(&mut self.bfd, &mut cx, &mut events);
        events
    }

    fn take(&mut self, packet: &Packet, port: u16) -> Vec<BfdEvent> {
        self.touch(|bfd, cx, events| assert!(bfd.packet(cx, packet, Port(port), events)))
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.trace.drops().iter().filter(|(key, _)| key.reason == reason).map(|(_, count)| count.packets).sum()
    }

    fn states(&self) -> Vec<Sta> {
        self.bfd.sessions().map(Session::state).collect()
    }
}

fn sent(events: Vec<BfdEvent>) -> Vec<Packet> {
    let packet = |event| match event {
        BfdEvent::Send(packet, _) => Some(packet),
        BfdEvent::Changed(..) => None,
    };
    events.into_iter().filter_map(packet).collect()
}

/// Lets each end hear the other until nobody answers at once; the changes of the first.
fn converse(a: &mut End, b: &mut End, first: Vec<Packet>) -> Vec<bool> {
    let mut changes = Vec::new();
    let mut way = first;
    let mut to_b = true;
    while !way.is_empty() {
        let end = if to_b { &mut *b } else { &mut *a };
        let events: Vec<BfdEvent> = way.iter().flat_map(|packet| end.take(packet, 0)).collect();
        if !to_b {
            changes.extend(events.iter().filter_map(|event| match event {
                BfdEvent::Changed(_, up, _) => Some(*up),
                BfdEvent::Send(..) => None,
            }));
        }
        way = sent(events);
        to_b = !to_b;
    }
    changes
}

fn up() -> (End, End) {
    let (mut a, mut b) = (End::new(&[(HERE, THERE, false)], "a"), End::new(&[(THERE, HERE, false)], "b"));
    let first = sent(a.touch(|bfd, cx, events| bfd.start(cx, events)));
    b.touch(|bfd, cx, events| bfd.start(cx, events));
    let changes = converse(&mut a, &mut b, first);
    assert_eq!((a.states(), b.states(), changes), (vec![Sta::Up], vec![Sta::Up], vec![true]));
    (a, b)
}

/// RFC 5881 sections 4 and 5: UDP 3784 from a port of 49152 or above, with TTL 255.
#[test]
fn over_one_hop_a_packet_leaves_by_its_port_with_the_highest_ttl() {
    let mut a = End::new(&[(HERE, THERE, false), (HERE, FAR, true)], "a");
    let events = a.touch(|bfd, cx, events| bfd.start(cx, events));
    let seen: Vec<_> = events
        .iter()
        .map(|event| {
            let BfdEvent::Send(packet, port) = event else { panic!("{event:?}") };
            let ip = Ipv4Packet::new_checked(packet.bytes()).expect("an IPv4 packet");
            assert!(ip.verify_checksum());
            let udp = UdpDatagram::new_checked(ip.payload()).expect("a UDP datagram");
            assert!(udp.verify_checksum(ip.src(), ip.dst()) && udp.src_port() >= 49_152);
            (ip.ttl(), udp.dst_port(), ip.dst(), *port)
        })
        .collect();
    assert_eq!(seen, [(255, 3784, THERE, Some(Port(0))), (255, 4784, FAR, None)]);
    let names: Vec<u32> = a.bfd.sessions().map(Session::discriminator).collect();
    assert!(names[0] != names[1] && names.iter().all(|name| *name != 0), "{names:?}");
}

#[test]
fn a_packet_from_farther_away_is_not_taken_unless_that_is_meant() {
    let mut there = End::new(&[(THERE, HERE, false)], "b");
    let mut packet = sent(there.touch(|bfd, cx, events| bfd.start(cx, events))).remove(0);
    let mut ip = Ipv4Packet::new_unchecked(packet.bytes_mut());
    ip.set_ttl(254);
    ip.fill_checksum();
    let mut here = End::new(&[(HERE, THERE, false)], "a");
    here.touch(|bfd, cx, events| bfd.start(cx, events));
    assert!(here.take(&packet, 0).is_empty());
    assert_eq!((here.states(), here.dropped(DropReason::TtlTooLow)), (vec![Sta::Down], 1));
    // By another port than the session's it finds none, and over several hops neither matters.
    let mut fresh = End::new(&[(THERE, HERE, false)], "b");
    let packet = sent(fresh.touch(|bfd, cx, events| bfd.start(cx, events))).remove(0);
    here.take(&packet, 1);
    assert_eq!(here.dropped(DropReason::NotForMe), 1);
    let mut far = End::new(&[(FAR, HERE, true)], "c");
    let mut packet = sent(far.touch(|bfd, cx, events| bfd.start(cx, events))).remove(0);
    let mut ip = Ipv4Packet::new_unchecked(packet.bytes_mut());
    ip.set_ttl(250);
    ip.fill_checksum();
    let mut multihop = End::new(&[(HERE, FAR, true)], "a");
    multihop.touch(|bfd, cx, events| bfd.start(cx, events));
    multihop.take(&packet, 7);
    assert_eq!(multihop.states(), [Sta::Init]);
}

#[test]
fn silence_is_told_and_an_operator_s_hand_is_not() {
    let (mut a, b) = up();
    let (mut held, silent) = (b, a.bfd.clone());
    a.now = Instant::from_secs(1);
    let events = a.touch(|bfd, cx, events| bfd.timeout(cx, events));
    assert!(events.iter().any(|event| matches!(event, BfdEvent::Changed(0, false, _))), "0.9 s of silence: {events:?}");
    let last = a.trace.records().last().expect("a record").1;
    let why = crate::trace::What::State {
        session: SessionId(0),
        from: State::Up,
        to: State::Down,
        reason: Reason::BfdDetectionExpired,
    };
    assert_eq!(format!("{:?}", last.what), format!("{why:?}"));
    // RFC 5880 section 6.2: AdminDown says nothing of the path, so nothing follows from it.
    a.bfd = silent;
    a.now = Instant::START;
    let goodbye = held.touch(|bfd, cx, events| assert_eq!(bfd.input(cx, 0, Input::Stop, events), None));
    let heard: Vec<BfdEvent> = sent(goodbye).iter().flat_map(|packet| a.take(packet, 0)).collect();
    assert_eq!(a.states(), [Sta::Down]);
    assert!(!heard.iter().any(|event| matches!(event, BfdEvent::Changed(..))), "{heard:?}");
}
