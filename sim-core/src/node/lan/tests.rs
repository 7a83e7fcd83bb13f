//! A station and ARP, one frame at a time.

use super::*;
use crate::node::Emit;
use crate::packet::Meta;
use crate::trace::Trace;
use crate::wire::udp;

const PORT: Port = Port(0);
const MINE: Mac = [2, 0, 0, 0, 0, 1];
const OTHER: Mac = [2, 0, 0, 0, 0, 2];
const VIRTUAL: Mac = [0, 0, 0x5e, 0, 1, 10];

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 1, 0, last)
}

struct Bench {
    lan: Lan,
    trace: Trace,
    packets: u64,
}

impl Bench {
    fn new() -> Self {
        let mut lan = Lan::default();
        let (address, gateway) = ("10.1.0.10/24".parse().unwrap(), Some(address(1)));
        lan.add(StationConfig { port: PORT, mac: MINE, address, vlan: None, gateway });
        Self { lan, trace: Trace::default(), packets: 0 }
    }

    /// Touches the station. Answers with the frames that it sends.
    fn touch<T>(&mut self, ms: u64, input: impl FnOnce(&mut Lan, &mut Cx) -> T) -> (T, Vec<Packet>) {
        let (now, mut out) = (Instant::START + Duration::from_millis(ms), Vec::new());
        let answer = input(&mut self.lan, &mut self.trace.cx(now, 0, &mut out, &mut self.packets));
        let sent = |emit: Emit| match emit {
            Emit::Packet(_, frame) => frame,
            Emit::Notice(..) => panic!("a station tells nobody anything"),
        };
        (answer, out.into_iter().map(sent).collect())
    }

    fn send(&mut self, ms: u64, to: Ipv4Addr) -> Vec<Packet> {
        let packet = udp::packet((address(10), 1), (to, 2), &[0; 8], Meta::default());
        let hop = self.lan.next_hop(PORT, to, None);
        self.touch(ms, |lan, cx| lan.send(cx, PORT, packet, hop)).1
    }

    fn hear(&mut self, ms: u64, arp: &Arp) -> Vec<Packet> {
        let mut frame = Packet::from_bytes(&arp.emit(), Meta::default());
        Header { dst: BROADCAST, src: arp.sender.0, vlan: None, ethertype: ethertype::ARP }.frame(&mut frame);
        self.touch(ms, |lan, cx| lan.receive(cx, PORT, frame).is_none()).1
    }
}

fn arp(frame: &Packet) -> Arp {
    let header = Header::parse(frame.bytes()).unwrap();
    assert_eq!(header.ethertype, ethertype::ARP);
    Arp::parse(&frame.bytes()[header.octets()..]).unwrap()
}

fn to(frame: &Packet) -> Mac {
    Header::parse(frame.bytes()).unwrap().dst
}

/// RFC 826, "Packet Generation": the packet waits, and goes when the answer comes. What is elsewhere goes to the gateway.
#[test]
fn a_packet_waits_for_the_answer() {
    let mut bench = Bench::new();
    let asked = bench.send(0, address(20));
    assert_eq!((asked.len(), to(&asked[0])), (1, BROADCAST));
    assert_eq!(arp(&asked[0]), Arp::request((MINE, address(10)), address(20)));
    assert!(bench.send(1, address(20)).is_empty(), "one question for both");
    let went = bench.hear(2, &Arp::reply((OTHER, address(20)), (MINE, address(10))));
    assert_eq!(went.iter().map(to).collect::<Vec<_>>(), [OTHER, OTHER]);
    assert_eq!(to(&bench.send(3, address(20))[0]), OTHER);
    let asked = bench.send(4, Ipv4Addr::new(192, 0, 2, 1));
    assert_eq!(arp(&asked[0]).target.1, address(1), "that of another network goes to the gateway");
}

/// RFC 1122 section 2.3.2: it is asked no more than once a second, and what is known does not stay known for ever.
#[test]
fn nobody_answers_and_what_is_known_ages() {
    let mut bench = Bench::new();
    bench.send(0, address(20));
    for second in 1..3 {
        assert_eq!(bench.lan.wake(), Some((Instant::START + Duration::from_secs(second), TimerKind::ArpRetry)));
        assert_eq!(bench.touch(second * 1000, |lan, cx| lan.timeout(cx)).1.len(), 1);
    }
    assert!(bench.touch(3000, |lan, cx| lan.timeout(cx)).1.is_empty());
    let dropped: u64 = bench.trace.drops().values().map(|count| count.packets).sum();
    assert_eq!((dropped, bench.lan.wake()), (1, None), "after three questions");
    bench.hear(4000, &Arp::request((OTHER, address(20)), address(10)));
    assert_eq!(to(&bench.send(63_999, address(20))[0]), OTHER);
    assert_eq!(to(&bench.send(64_000, address(20))[0]), BROADCAST, "a minute later it is asked again");
}

/// RFC 826, "Packet Reception": a request for its own address is answered, others are not; what is known is brought up to date by
/// whatever is heard, as by the announcement of RFC 5227 section 2.3.
#[test]
fn a_station_answers_for_itself_and_believes_announcements() {
    let mut bench = Bench::new();
    let answered = bench.hear(0, &Arp::request((OTHER, address(20)), address(10)));
    assert_eq!(arp(&answered[0]), Arp::reply((MINE, address(10)), (OTHER, address(20))));
    assert!(bench.hear(1, &Arp::request((OTHER, address(20)), address(30))).is_empty());
    assert!(bench.hear(2, &Arp::announcement(VIRTUAL, address(20))).is_empty());
    assert_eq!(to(&bench.send(3, address(20))[0]), VIRTUAL, "it has moved");
    assert!(bench.hear(4, &Arp::announcement(OTHER, address(40))).is_empty());
    assert_eq!(to(&bench.send(5, address(40))[0]), BROADCAST, "of whom nothing was known, nothing is kept");
}

/// RFC 5798 sections 6.4.2, 6.4.3 and 8.1.2: a master answers ARP for the virtual address with the virtual name and takes its frames; a
/// backup does neither.
#[test]
fn only_a_master_has_the_virtual_name() {
    for held in [true, false] {
        let mut bench = Bench::new();
        bench.lan.set_virtual(PORT, VIRTUAL, &[address(1)], held, RecordId(5));
        let answered = bench.hear(0, &Arp::request((OTHER, address(20)), address(1)));
        let expected = Arp::reply((VIRTUAL, address(1)), (OTHER, address(20)));
        assert_eq!(answered.first().map(arp), held.then_some(expected));
        let mut frame = udp::packet((address(20), 1), (Ipv4Addr::new(192, 0, 2, 1), 2), &[0; 8], Meta::default());
        Header { dst: VIRTUAL, src: OTHER, vlan: None, ethertype: ethertype::IPV4 }.frame(&mut frame);
        let taken = bench.touch(1, |lan, cx| lan.receive(cx, PORT, frame)).0;
        assert_eq!(taken.map(|packet| packet.meta.enabler), held.then_some(RecordId(5)), "and knows since when");
    }
}
