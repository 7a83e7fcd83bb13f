//! FRR's bfdd opposite our BFD, over a TUN device: the figures are those of AWS Direct Connect, 300 ms three times.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use sim_core::packet::Meta;
use sim_core::proto::bfd::{Config, Input, Output, Session};
use sim_core::rng::{Purpose, Seldom};
use sim_core::time::{Duration, Instant};
use sim_core::wire::bfd::{self, ControlPacket, Diagnostic, State};
use sim_core::wire::ipv4::{Ipv4Packet, protocol};
use sim_core::wire::udp::{self, UdpDatagram};
use tun_rs::SyncDevice;

use crate::frr::Frr;
use crate::network::isolated;
use crate::pace::{Clock, Site};
use crate::process::{Outcome, expect};
use crate::router::{OURS, THEIRS, link, parse};

/// Far more than anything here takes, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(30);
const FAST: Duration = Duration::from_millis(300);
/// Three times the slower of both ends' intervals, which are the same.
const DETECTION_TIME: Duration = Duration::from_millis(900);

#[test]
fn frr_comes_up_and_dies() {
    isolated("bfd::frr_comes_up_and_dies", || {
        let (clock, mut end, inbox) = start()?;
        let mut frr = Bfdd::start()?;
        come_up(&clock, &mut end, &inbox, &frr)?;

        // A Poll Sequence of ours, and what FRR takes of it.
        let slower = Input::Intervals { desired_min_tx: Duration::from_millis(600), required_min_rx: FAST };
        end.input(clock.now(), slower)?;
        let answered = |end: &End| end.session.transmit_interval() == Some(Duration::from_millis(600));
        clock.run("FRR's Final", LIMIT, &mut end, &inbox, answered)?;
        let told = || expect(&frr.peers()?, &["\"remote-transmit-interval\":600", "\"status\":\"up\""]);
        clock.ask("FRR after the Poll Sequence", LIMIT, &mut end, &inbox, told)?;

        frr.0.daemon.kill();
        clock.run("our detection", LIMIT, &mut end, &inbox, |end| end.session.state() == State::Down)?;
        let (at, _, diagnostic) = *end.changes.last().ok_or("no change")?;
        if (diagnostic, at.since(end.heard)) != (Diagnostic::DetectionTimeExpired, DETECTION_TIME) {
            return Err(format!("{diagnostic:?}, {} after the last packet", at.since(end.heard)));
        }
        Ok(())
    });
}

/// FRR misses us no sooner than its Detection Time after our last packet, and tells us why. How much later a busy machine lets it
/// is not ours to judge, as long as it is nearer than the time after.
#[test]
fn frr_misses_us() {
    isolated("bfd::frr_misses_us", || {
        let (clock, mut end, inbox) = start()?;
        let frr = Bfdd::start()?;
        come_up(&clock, &mut end, &inbox, &frr)?;
        end.dark = true;
        clock.run("FRR's detection", LIMIT, &mut end, &inbox, |end| end.session.state() == State::Down)?;
        let (at, told, diagnostic) = *end.changes.last().ok_or("no change")?;
        let silence = at.since(end.sent);
        let expected = (Diagnostic::NeighborSignaledDown, Some((State::Down, Diagnostic::DetectionTimeExpired)));
        if (diagnostic, told) != expected || silence < DETECTION_TIME || silence > DETECTION_TIME.scale(2, 1) {
            return Err(format!("{diagnostic:?}, FRR says {told:?}, {silence} after our last packet"));
        }
        // Heard again, it comes back.
        end.dark = false;
        come_up(&clock, &mut end, &inbox, &frr)
    });
}

#[test]
fn frr_is_shut_down_by_its_operator_and_we_by_ours() {
    isolated("bfd::frr_is_shut_down_by_its_operator_and_we_by_ours", || {
        let (clock, mut end, inbox) = start()?;
        let frr = Bfdd::start()?;
        come_up(&clock, &mut end, &inbox, &frr)?;

        frr.configure("shutdown")?;
        clock.run("FRR's AdminDown", LIMIT, &mut end, &inbox, |end| end.session.state() == State::Down)?;
        let (_, told, diagnostic) = *end.changes.last().ok_or("no change")?;
        // FRR 8.4 leaves the diagnostic of its shutdown at 0.
        if diagnostic != Diagnostic::NeighborSignaledDown || told.map(|(state, _)| state) != Some(State::AdminDown) {
            return Err(format!("{diagnostic:?}, FRR says {told:?}"));
        }
        frr.configure("no shutdown")?;
        come_up(&clock, &mut end, &inbox, &frr)?;

        end.input(clock.now(), Input::Stop)?;
        let told =
            || expect(&frr.peers()?, &["\"status\":\"down\"", "\"diagnostic\":\"neighbor signaled session down\""]);
        clock.ask("FRR hears our AdminDown", LIMIT, &mut end, &inbox, told)?;
        end.input(clock.now(), Input::Start)?;
        come_up(&clock, &mut end, &inbox, &frr)
    });
}

fn start() -> Outcome<(Clock, End, Receiver<Vec<u8>>)> {
    let (device, inbox) = link()?;
    let config =
        Config { desired_min_tx: FAST, required_min_rx: FAST, detect_multiplier: 3, passive: false, multihop: false };
    let session = Session::new(config, 0x0076_7073, Seldom::stream(1, "bfd", Purpose::Test));
    let (sent, heard) = (Instant::START, Instant::START);
    let mut end = End { session, device, dark: false, sent, heard, told: None, changes: Vec::new() };
    let clock = Clock::start();
    end.input(clock.now(), Input::Start)?;
    Ok((clock, end, inbox))
}

/// Both are up, and at the intervals that they were told.
fn come_up(clock: &Clock, end: &mut End, inbox: &Receiver<Vec<u8>>, frr: &Bfdd) -> Outcome {
    let ready = |end: &End| {
        let times = (end.session.transmit_interval(), end.session.detection_time());
        end.session.state() == State::Up && times == (Some(FAST), DETECTION_TIME)
    };
    clock.run("both up at 300 ms", LIMIT, end, inbox, ready)?;
    let own = format!("\"remote-id\":{}", end.session.discriminator());
    let told = || expect(&frr.peers()?, &["\"status\":\"up\"", "\"remote-transmit-interval\":300", &own]);
    clock.ask("FRR's word", LIMIT, end, inbox, told)
}

/// When our end went into a state, what FRR had said, and why.
type Change = (Instant, Option<(State, Diagnostic)>, Diagnostic);

/// Our end and its link.
struct End {
    session: Session,
    device: Arc<SyncDevice>,
    /// True while what it sends goes nowhere.
    dark: bool,
    /// When it sent, and heard, last.
    sent: Instant,
    heard: Instant,
    /// The state that FRR said last, and why.
    told: Option<(State, Diagnostic)>,
    /// The states that it went into.
    changes: Vec<Change>,
}

impl End {
    fn input(&mut self, now: Instant, input: Input<'_>) -> Outcome {
        self.session.handle(now, input);
        self.drain(now)
    }

    fn drain(&mut self, now: Instant) -> Outcome {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Transmit(octets) if !self.dark => {
                    let ends: [Ipv4Addr; 2] = [parse(OURS)?, parse(THEIRS)?];
                    let [from, to] = [(ends[0], bfd::FIRST_SOURCE_PORT), (ends[1], bfd::PORT)];
                    let mut packet = udp::packet(from, to, &octets, Meta::default());
                    let mut header = Ipv4Packet::new_unchecked(packet.bytes_mut());
                    header.set_ttl(bfd::TTL);
                    header.fill_checksum();
                    self.device.send(packet.bytes()).map_err(|e| format!("tun0: {e}"))?;
                    self.sent = now;
                }
                Output::State { diagnostic, .. } => self.changes.push((now, self.told, diagnostic)),
                Output::Transmit(_) | Output::Expired { .. } | Output::Ignored(_) => {}
            }
        }
        Ok(())
    }
}

impl Site for End {
    type Arrival = Vec<u8>;
    type Error = String;

    fn wake(&self) -> Option<Instant> {
        self.session.wake().map(|(at, _)| at)
    }

    fn timeout(&mut self, now: Instant) -> Outcome {
        self.session.handle_timeout(now);
        self.drain(now)
    }

    fn arrival(&mut self, now: Instant, packet: Vec<u8>) -> Outcome {
        let Ok(ip) = Ipv4Packet::new_checked(&packet[..]) else { return Ok(()) };
        let Ok(datagram) = UdpDatagram::new_checked(ip.payload()) else { return Ok(()) };
        if ip.protocol() != protocol::UDP || datagram.dst_port() != bfd::PORT {
            return Ok(());
        }
        self.heard = now;
        self.told = ControlPacket::parse(datagram.payload()).map(|packet| (packet.state, packet.diagnostic)).ok();
        self.input(now, Input::Packet { payload: datagram.payload(), ttl: ip.ttl() })
    }
}

/// FRR's bfdd.
struct Bfdd(Frr);

impl Bfdd {
    fn start() -> Outcome<Self> {
        let config = format!(
            "bfd\n peer {OURS} local-address {THEIRS} interface tun0\n  detect-multiplier 3\n  receive-interval 300\n  \
             transmit-interval 300\n"
        );
        Frr::start("bfdd", "--bfdctl @DIR@/bfdd.sock", &config).map(Self)
    }

    /// Its sessions, without blanks.
    fn peers(&self) -> Outcome<String> {
        Ok(self.0.ask("show bfd peers json")?.split('\n').map(str::trim).collect())
    }

    /// Says something of the session.
    fn configure(&self, what: &str) -> Outcome {
        self.0.configure(&["bfd", &format!("peer {OURS} local-address {THEIRS} interface tun0"), what])
    }
}
