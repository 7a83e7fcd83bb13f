//! A run to develop renderings against: an active/passive pair whose active path goes silent both ways at 60 s and
//! comes back at 180 s. Written by hand, with the instants that RFC 4271 timers give: HoldTimer 30 s, KEEPALIVEs every
//! 10 s, the last of them received at 56.3 s by the gateway and at 57.9 s by the VPN endpoint.

use sim_core::id::RecordId;
use sim_core::time::{Duration, Instant};

use super::{Identity, Outcome, build};
use crate::measure::outage::StreamLog;
use crate::measure::{
    Assumption, Causes, DropCount, FaultIndex, FaultLog, Observed, RouteChange, SessionLog, Step, StepKind, Transition,
};

const DARK: FaultIndex = FaultIndex(0);
const HEAL: FaultIndex = FaultIndex(1);
const FAULT_RECORD: RecordId = RecordId(100);
const CGW_ROUTE: RecordId = RecordId(140);
const VGW_ROUTE: RecordId = RecordId(150);
const HEAL_RECORD: RecordId = RecordId(200);
const BACK_RECORD: RecordId = RecordId(240);

const fn ms(n: u64) -> Instant {
    Instant::from_nanos(n * 1_000_000)
}

struct Ladder;

impl Causes for Ladder {
    fn fault_behind(&self, record: RecordId) -> Option<FaultIndex> {
        match record {
            r if r >= HEAL_RECORD => Some(HEAL),
            r if r >= FAULT_RECORD => Some(DARK),
            _ => None,
        }
    }

    fn critical_path(&self, fault: FaultIndex, to: RecordId) -> Vec<Step> {
        if (fault, to) != (DARK, VGW_ROUTE) {
            return Vec::new();
        }
        let assumption = Assumption {
            parameter: "connections.vpn.programming_delay".into(),
            value: "1s".into(),
            source: "AWS publishes no figure; the length is a guess".into(),
        };
        let step = |at, node: &str, event, subject: &str, reason, waited| Step {
            at: ms(at),
            node: node.into(),
            event,
            subject: subject.into(),
            reason,
            waited: Duration::from_millis(waited),
            assumption: None,
        };
        vec![
            step(60_000, "internet-a", StepKind::Fault, "path-a-dark", "blackhole", 0),
            step(67_900, "internet-a", StepKind::PacketDropped, "bgp tunnel-a KEEPALIVE", "blackhole", 0),
            step(87_900, "vpn-a", StepKind::TimerExpired, "bgp tunnel-a", "hold_timer", 27_900),
            step(87_900, "vpn-a", StepKind::SessionChanged, "bgp tunnel-a", "hold_timer_expired", 0),
            Step {
                assumption: Some(assumption),
                ..step(88_900, "vgw", StepKind::RouteChanged, "10.0.0.0/16 via tunnel-b", "session_down", 1_000)
            },
        ]
    }
}

fn probe_log() -> StreamLog {
    let mut log = StreamLog::new("office-to-app", ["office".into(), "app".into()], Duration::from_millis(20), true);
    for seq in 0..12_000u32 {
        let sent = u64::from(seq) * 20;
        let jitter = u64::from(seq % 7) * 100_000;
        log.sent(ms(sent));
        let arrival = Instant::from_nanos((sent + 15) * 1_000_000 + jitter);
        let reply = Instant::from_nanos((sent + 31) * 1_000_000 + jitter * 2);
        let enabler = match sent {
            ..60_000 => RecordId(90),
            60_000..180_000 => CGW_ROUTE,
            180_000.. => BACK_RECORD,
        };
        match sent {
            // On their way when the path went dark.
            59_970..59_985 => {
                log.arrived(seq, false, arrival, enabler);
                log.lost(seq, true, FAULT_RECORD);
            }
            59_985..86_300 => log.lost(seq, false, FAULT_RECORD),
            86_300..88_885 => {
                log.arrived(seq, false, arrival, enabler);
                log.lost(seq, true, FAULT_RECORD);
            }
            120_000 => log.lost(seq, false, RecordId(95)),
            _ => {
                log.arrived(seq, false, arrival, enabler);
                let enabler = if (88_885..180_000).contains(&sent) { VGW_ROUTE } else { enabler };
                log.arrived(seq, true, reply, enabler);
            }
        }
    }
    log
}

fn sessions() -> Vec<SessionLog> {
    let change = |at, from, to, reason| Transition { at: ms(at), from, to, reason };
    let mut all = Vec::new();
    for (end, tunnel, lost) in
        [("cgw", "a", Some(86_300)), ("vpn-a", "a", Some(87_900)), ("cgw", "b", None), ("vpn-b", "b", None)]
    {
        all.push(SessionLog {
            kind: "ike".into(),
            name: format!("{end} tunnel-{tunnel}"),
            transitions: vec![
                change(0, "down", "connecting", "startup"),
                change(94, "connecting", "up", "authenticated"),
            ],
        });
        let mut bgp = SessionLog {
            kind: "bgp".into(),
            name: format!("{end} tunnel-{tunnel}"),
            transitions: vec![
                change(94, "idle", "connect", "tunnel_up"),
                change(125, "connect", "open_sent", "tcp_connected"),
                change(156, "open_sent", "open_confirm", "open_received"),
                change(187, "open_confirm", "established", "keepalive_received"),
            ],
        };
        if let Some(at) = lost {
            bgp.transitions.extend([
                change(at, "established", "idle", "hold_timer_expired"),
                change(182_400, "idle", "open_sent", "tcp_connected"),
                change(182_462, "open_sent", "established", "keepalive_received"),
            ]);
        }
        all.push(bgp);
    }
    all
}

fn routes() -> Vec<RouteChange> {
    let change = |at, node: &str, prefix: &str, via: &str, reason, record| RouteChange {
        at: ms(at),
        node: node.into(),
        prefix: prefix.into(),
        via: Some(via.into()),
        reason,
        record,
    };
    let (vpc, office) = ("172.31.0.0/16", "10.0.0.0/16");
    vec![
        change(190, "cgw", vpc, "tunnel-a", "learned", RecordId(80)),
        change(191, "vgw", office, "tunnel-a", "learned", RecordId(81)),
        change(86_300, "cgw", vpc, "tunnel-b", "session_down", CGW_ROUTE),
        change(88_900, "vgw", office, "tunnel-b", "session_down", VGW_ROUTE),
        change(182_470, "cgw", vpc, "tunnel-a", "better_route", BACK_RECORD),
        change(183_480, "vgw", office, "tunnel-a", "better_route", RecordId(241)),
    ]
}

fn drops() -> Vec<DropCount> {
    let dark = |direction: &str, packets, bytes, last| DropCount {
        node: None,
        link: Some("internet-a".into()),
        direction: Some(direction.into()),
        reason: "blackhole",
        packets,
        bytes,
        first: ms(60_003),
        last: ms(last),
    };
    vec![
        dark("cgw to vpn-a", 1_326, 226_746, 86_291),
        dark("vpn-a to cgw", 142, 24_282, 88_899),
        DropCount {
            node: None,
            link: Some("internet-b".into()),
            direction: Some("cgw to vpn-b".into()),
            reason: "loss",
            packets: 1,
            bytes: 171,
            first: ms(120_000),
            last: ms(120_000),
        },
        DropCount {
            node: Some("cgw".into()),
            link: None,
            direction: None,
            reason: "no_sa",
            packets: 2,
            bytes: 342,
            first: ms(20),
            last: ms(40),
        },
    ]
}

/// The run before it is measured.
pub(super) fn observed() -> (Observed, impl Causes) {
    let observed = Observed {
        streams: vec![probe_log()],
        faults: vec![
            FaultLog {
                id: "path-a-dark".into(),
                at: ms(60_000),
                what: "blackhole".into(),
                target: "internet-a".into(),
                heals: None,
            },
            FaultLog {
                id: "path-a-dark/heal".into(),
                at: ms(180_000),
                what: "heal".into(),
                target: "internet-a".into(),
                heals: Some(DARK),
            },
        ],
        sessions: sessions(),
        routes: routes(),
        drops: drops(),
        end: ms(240_000),
    };
    (observed, Ladder)
}

/// The whole run, measured.
pub(crate) fn failover() -> Outcome {
    let (observed, causes) = observed();
    let identity = Identity {
        version: "0.1.0".into(),
        scenario: "active_passive".into(),
        seed: 7,
        digest: 0x0123_4567_89ab_cdef_0011_2233_4455_6677,
    };
    let mut outcome = build(identity, &observed, &causes);
    outcome.report.expectations = vec![
        super::model::Expectation {
            name: "expectation".into(),
            text: "round-trip outage of office-to-app between 20s and 32s".into(),
            held: true,
            detail: "28.920 s".into(),
        },
        super::model::Expectation {
            name: "expectation".into(),
            text: "detected by hold_timer".into(),
            held: true,
            detail: "vpn-a at 87.900 s".into(),
        },
        super::model::Expectation {
            name: "expectation".into(),
            text: "no drops with reason no_sa".into(),
            held: false,
            detail: "2 packets at cgw from 0.020 s to 0.040 s".into(),
        },
    ];
    outcome
}
