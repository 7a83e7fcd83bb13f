//! What a switch learns, forgets and passes on.

use super::*;
use crate::node::Emit;
use crate::packet::Meta;
use crate::trace::Trace;
use crate::wire::ethernet::{BROADCAST, ethertype};
use crate::wire::lacp;

const A: Mac = [2, 0, 0, 0, 0, 1];
const B: Mac = [2, 0, 0, 0, 0, 2];

/// A switch with ports 0 and 1 of VLAN 10, 2 of VLAN 20, and 3 for both with tags.
struct Bench {
    switch: Switch,
    trace: Trace,
    packets: u64,
}

impl Bench {
    fn new() -> Self {
        let access = |vlan| SwitchPort { untagged: Some(vlan), tagged: Vec::new() };
        let trunk = SwitchPort { untagged: None, tagged: vec![10, 20] };
        let ports = vec![access(10), access(10), access(20), trunk];
        Self { switch: Switch::new(ports, Duration::from_secs(300)), trace: Trace::default(), packets: 0 }
    }

    fn touch(&mut self, second: u64, input: impl FnOnce(&mut Switch, &mut Cx)) -> Vec<(u16, Option<u16>)> {
        let (now, mut out) = (Instant::START + Duration::from_secs(second), Vec::new());
        input(&mut self.switch, &mut self.trace.cx(now, 0, &mut out, &mut self.packets));
        let sent = |emit: Emit| match emit {
            Emit::Packet(port, frame) => (port.0, Header::parse(frame.bytes()).expect("it is a frame").vlan),
            Emit::Notice(..) => panic!("a switch tells nobody anything"),
        };
        let mut sent: Vec<_> = out.into_iter().map(sent).collect();
        sent.sort_unstable();
        sent
    }

    /// By which ports, and with which tag, a frame goes out that comes in at a port.
    fn frame(&mut self, second: u64, port: u16, (src, dst): (Mac, Mac), vlan: Option<u16>) -> Vec<(u16, Option<u16>)> {
        let mut packet = Packet::zeroed(46, Meta::default());
        Header { dst, src, vlan, ethertype: ethertype::IPV4 }.frame(&mut packet);
        self.touch(second, |switch, cx| switch.receive(cx, Port(port), packet))
    }
}

/// IEEE 802.1Q-2022 sections 8.6 and 8.8: everywhere in its VLAN while nobody knows, and then to one port, with a tag where the port wants
/// one.
#[test]
fn who_has_been_heard_is_found() {
    let mut bench = Bench::new();
    assert_eq!(bench.frame(0, 0, (A, B), None), [(1, None), (3, Some(10))]);
    assert_eq!(bench.frame(1, 3, (B, A), Some(10)), [(0, None)]);
    assert_eq!(bench.frame(2, 0, (A, B), None), [(3, Some(10))]);
    assert_eq!(bench.frame(3, 0, (A, BROADCAST), None), [(1, None), (3, Some(10))], "all of them, always");
    // The same station in another VLAN is another one (independent learning).
    assert_eq!(bench.frame(4, 2, (A, B), None), [(3, Some(20))]);
    assert_eq!(bench.switch.port_of(10, A), Some(Port(0)));
    // It moves with its next frame.
    assert_eq!(bench.frame(5, 1, (A, B), None), [(3, Some(10))]);
    assert_eq!(bench.switch.port_of(10, A), Some(Port(1)));
}

/// Section 8.8.3: what is not heard for the aging time is forgotten, and so is what was behind a port without a carrier.
#[test]
fn what_is_not_heard_is_forgotten() {
    let mut bench = Bench::new();
    bench.frame(0, 3, (B, A), Some(10));
    assert_eq!(bench.frame(300, 0, (A, B), None), [(3, Some(10))]);
    assert_eq!(bench.frame(301, 0, (A, B), None), [(1, None), (3, Some(10))]);
    bench.frame(302, 3, (B, A), Some(10));
    bench.touch(303, |switch, cx| switch.carrier(cx, Port(3), false));
    assert_eq!(bench.frame(304, 0, (A, B), None), [(1, None)], "not by a port without a carrier either");
    bench.touch(305, |switch, cx| switch.carrier(cx, Port(3), true));
    assert_eq!(bench.frame(306, 0, (A, B), None), [(1, None), (3, Some(10))]);
}

/// Section 8.6.2 and 8.6.3: a port takes frames of its own VLANs alone, and no bridge passes reserved addresses on.
#[test]
fn what_is_not_of_the_vlan_goes_nowhere() {
    let mut bench = Bench::new();
    assert_eq!(bench.frame(0, 0, (A, B), Some(20)), []);
    assert_eq!(bench.frame(0, 3, (A, B), None), []);
    assert_eq!(bench.frame(0, 0, (A, lacp::DESTINATION), None), []);
    bench.touch(1, |switch, cx| switch.command(cx, Command::Vlan { vlan: 10, removed: true }));
    assert_eq!(bench.frame(2, 0, (A, B), None), []);
    assert_eq!(bench.frame(2, 2, (A, B), None), [(3, Some(20))], "the other VLAN is as it was");
    bench.touch(3, |switch, cx| switch.command(cx, Command::Vlan { vlan: 10, removed: false }));
    assert_eq!(bench.frame(4, 0, (A, B), None), [(1, None), (3, Some(10))]);
}
