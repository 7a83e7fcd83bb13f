//! Two peers and the path between them, with a ladder of what happens.

pub mod certified;
mod isakmp;

use core::fmt::Write as _;
use core::net::{IpAddr, Ipv4Addr};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::crypto::sk::SkKeys;
use crate::proto::ike::config::{Config, Identity, SecondChild, suite_aes128_sha1_group2, suite_aes128gcm_group19};
use crate::proto::ike::{
    ChildSa, Datagram, Departure, DirectionKeys, IkeKeyLog, IkeSuite, Input, Moved, Output, Peer, SaKind,
};
use crate::reason::{Reason, State, TimerKind};
use crate::rng::{Purpose, Rng, Seldom};
use crate::time::{Duration, Instant};
use crate::wire::ike::{AuthMethod, Builder, ExchangeType, Flags, Fragment, Header, Message, Payload, parse_chain, sk};

pub const A: usize = 0;
pub const B: usize = 1;

/// What the path does with a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Deliver,
    Drop,
    Duplicate,
    /// Arrives this much later than the others.
    Late(Duration),
}

/// What an end can begin on an IKE_SA.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Undertaking {
    CreateChild,
    RekeyChild,
    RekeyIke,
    DeleteChild,
    DeleteIke,
}

impl Undertaking {
    pub const ALL: [Self; 5] =
        [Self::CreateChild, Self::RekeyChild, Self::RekeyIke, Self::DeleteChild, Self::DeleteIke];
}

/// One end, with what its owner would keep.
#[derive(Clone)]
pub struct End {
    pub peer: Peer,
    pub address: IpAddr,
    /// Its further addresses.
    pub further: Vec<IpAddr>,
    /// Between which addresses ESP goes, this end's first, and whether in UDP, if it was ever told.
    pub esp: Option<Moved>,
    /// Installed CHILD_SAs by inbound SPI.
    pub installed: BTreeMap<u32, ChildSa>,
    /// Inbound SPI of the SA that sends.
    pub sending: Option<u32>,
    pub states: Vec<(Instant, SaKind, State, Reason)>,
    pub expired: Vec<(Instant, TimerKind, Instant)>,
    pub sent: Vec<Vec<u8>>,
}

#[derive(Clone)]
enum Flight {
    Ike(Datagram),
    /// An ESP packet with this SPI and these keys.
    Esp(u32, DirectionKeys),
}

/// Two ends and a path.
#[derive(Clone)]
pub struct Pair {
    pub ends: [End; 2],
    pub now: Instant,
    pub delay: Duration,
    /// Fates by number of the datagram, counted from 0 over both directions.
    pub fates: BTreeMap<usize, Fate>,
    /// True while nothing passes, by sender.
    pub dark: [bool; 2],
    /// Addresses to and from which nothing passes.
    pub dead: BTreeSet<IpAddr>,
    /// What a NAT in front of the sender makes of its address and ports.
    pub nat: Option<(IpAddr, u16)>,
    pub ladder: String,
    /// True if the ladder tells addresses.
    pub shows_addresses: bool,
    pub datagrams: usize,
    pub esp_delivered: usize,
    pub esp_lost: usize,
    flights: BTreeMap<(Instant, u64), (usize, Flight)>,
    serial: u64,
    keys: Vec<IkeKeyLog>,
    isakmp: isakmp::Observer,
}

pub const PSK: &[u8] = b"an.example_key";

pub fn address(end: usize) -> Ipv4Addr {
    [Ipv4Addr::new(198, 51, 100, 1), Ipv4Addr::new(203, 0, 113, 1)][end]
}

/// A customer gateway (A) and an AWS endpoint (B) with the fast suite.
pub fn configs() -> [Config; 2] {
    let id = |end| Identity::Ipv4(address(end));
    let mut cgw = Config::customer_gateway(id(A), id(B), PSK);
    let mut aws = Config::aws(id(B), id(A), PSK);
    let (ike, esp) = suite_aes128gcm_group19();
    cgw.ike_offers = vec![ike.clone()];
    cgw.esp_offers = vec![esp.clone()];
    aws.ike_offers = vec![ike];
    aws.esp_offers = vec![esp];
    // Rekeying only where a test wants it.
    cgw.rekey.initiates = false;
    aws.rekey.initiates = false;
    // Nor is a CHILD_SA deleted that nobody has asked to delete: no packet may be lost by what the other end makes.
    aws.second_child = SecondChild::Kept;
    [cgw, aws]
}

/// As [`configs`], with AWS's default outcome.
pub fn default_configs() -> [Config; 2] {
    let mut configs = configs();
    let (ike, esp) = suite_aes128_sha1_group2();
    for config in &mut configs {
        config.ike_offers = vec![ike.clone()];
        config.esp_offers = vec![esp.clone()];
    }
    configs
}

impl Pair {
    pub fn new(configs: [Config; 2]) -> Self {
        Self::seeded(configs, 1)
    }

    pub fn seeded([a, b]: [Config; 2], seed: u64) -> Self {
        let end = |i: usize, config: Config| {
            let (local, remote) = (IpAddr::V4(address(i)), IpAddr::V4(address(1 - i)));
            let owner = ["a", "b"][i];
            End {
                peer: Peer::new(
                    Arc::new(config),
                    local,
                    remote,
                    Seldom::stream(seed, owner, Purpose::IkeSecrets),
                    Seldom::stream(seed, owner, Purpose::IkeTimers),
                    Instant::START,
                ),
                address: local,
                further: Vec::new(),
                esp: None,
                installed: BTreeMap::new(),
                sending: None,
                states: Vec::new(),
                expired: Vec::new(),
                sent: Vec::new(),
            }
        };
        Self {
            ends: [end(A, a), end(B, b)],
            now: Instant::START,
            delay: Duration::from_millis(10),
            fates: BTreeMap::new(),
            dark: [false; 2],
            dead: BTreeSet::new(),
            nat: None,
            ladder: String::new(),
            shows_addresses: false,
            datagrams: 0,
            esp_delivered: 0,
            esp_lost: 0,
            flights: BTreeMap::new(),
            serial: 0,
            keys: Vec::new(),
            isakmp: isakmp::Observer::default(),
        }
    }

    /// A pair whose tunnel is up.
    pub fn up(configs: [Config; 2]) -> Self {
        let mut pair = Self::new(configs);
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.run_for(Duration::from_secs(1));
        assert!(pair.is_up(), "{}", pair.ladder);
        pair.ladder.clear();
        pair.datagrams = 0;
        pair
    }

    /// Power loss at an end, which comes back with another configuration.
    pub fn reconfigure(&mut self, end: usize, config: Config) {
        let this = &mut self.ends[end];
        let stream = |purpose| Seldom::stream(2, ["a", "b"][end], purpose);
        this.peer = Peer::new(
            Arc::new(config),
            this.address,
            IpAddr::V4(address(1 - end)),
            stream(Purpose::IkeSecrets),
            stream(Purpose::IkeTimers),
            self.now,
        );
        this.installed.clear();
        this.sending = None;
    }

    pub fn with_fate(mut self, datagram: usize, fate: Fate) -> Self {
        self.fates.insert(datagram, fate);
        self
    }

    pub fn input(&mut self, end: usize, input: Input) {
        self.ends[end].peer.handle(self.now, input);
        self.drain(end);
    }

    /// These are the addresses of an end from here on, the first is to be used.
    pub fn readdress(&mut self, end: usize, addresses: &[IpAddr]) {
        let list: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        self.line(end, &format!("has {} from here on", list.join(" and ")));
        let this = &mut self.ends[end];
        (this.address, this.further) = (addresses[0], addresses[1..].to_vec());
        self.input(end, Input::Addresses(addresses.to_vec()));
    }

    /// True if what goes between these addresses, the sender's first, arrives.
    fn passes(&self, from: usize, ends: (IpAddr, IpAddr)) -> bool {
        let has = |end: &End, address: IpAddr| end.address == address || end.further.contains(&address);
        has(&self.ends[from], ends.0)
            && has(&self.ends[1 - from], ends.1)
            && !self.dead.contains(&ends.0)
            && !self.dead.contains(&ends.1)
    }

    pub fn undertake(&mut self, end: usize, what: Undertaking) {
        self.line(end, &format!("begins {what:?}"));
        self.ends[end].peer.v2.undertake(self.now, what);
        self.drain(end);
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    pub fn run_until(&mut self, until: Instant) {
        let mut steps = 0;
        loop {
            let arrival = self.flights.keys().next().map(|(at, _)| *at);
            let wake = |end: usize| self.ends[end].peer.wake().map(|(at, _)| at);
            let next = [arrival, wake(A), wake(B)].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= until) else {
                break;
            };
            steps += 1;
            assert!(steps < 100_000, "a storm:\n{}", &self.ladder[..2000]);
            self.now = self.now.max(at);
            if arrival == Some(at) {
                let (_, (to, flight)) = self.flights.pop_first().unwrap();
                self.arrive(to, flight);
            } else {
                let end = if wake(A) == Some(at) { A } else { B };
                self.ends[end].peer.handle_timeout(self.now);
                self.drain(end);
            }
        }
        self.now = until;
    }

    fn arrive(&mut self, to: usize, flight: Flight) {
        match flight {
            Flight::Ike(datagram) => {
                let input = Input::Datagram(datagram);
                self.ends[to].peer.handle(self.now, input);
            }
            Flight::Esp(spi, keys) => match self.ends[to].installed.get(&spi) {
                Some(sa) if sa.inbound == keys => {
                    self.esp_delivered += 1;
                    let input = Input::InboundTraffic { spi_in: spi };
                    self.ends[to].peer.handle(self.now, input);
                }
                _ => self.esp_lost += 1,
            },
        }
        self.drain(to);
    }

    /// Both ends send an ESP packet each `interval` until `until`.
    pub fn traffic(&mut self, interval: Duration, until: Instant) {
        while self.now < until {
            for end in [A, B] {
                self.send_esp(end);
            }
            self.run_until((self.now + interval).min(until));
        }
    }

    pub fn send_esp(&mut self, end: usize) {
        let sending = self.ends[end].sending;
        match sending.and_then(|spi| self.ends[end].installed.get(&spi)) {
            Some(sa) if !self.dark[end] && self.esp_passes(end) => {
                let flight = Flight::Esp(sa.spi_out, sa.outbound.clone());
                self.fly(1 - end, flight, self.delay);
            }
            Some(_) => {}
            None => self.esp_lost += 1,
        }
    }

    fn esp_passes(&self, end: usize) -> bool {
        let moved = self.ends[end].esp.map(|esp| (esp.local, esp.remote));
        moved.is_none_or(|ends| self.nat.is_some() || self.passes(end, ends))
    }

    fn fly(&mut self, to: usize, flight: Flight, delay: Duration) {
        self.serial += 1;
        let at = self.now + delay;
        self.flights.insert((at, self.serial), (to, flight));
    }

    fn drain(&mut self, end: usize) {
        while let Some(output) = self.ends[end].peer.poll() {
            self.output(end, output);
        }
    }

    fn output(&mut self, end: usize, output: Output) {
        let now = self.now;
        let this = &mut self.ends[end];
        match output {
            Output::Transmit { local_port, remote_port, remote, bytes } => {
                let local = (this.address, local_port);
                self.transmit(end, Departure { local, remote: (remote, remote_port), bytes });
            }
            Output::TransmitFrom(departure) => self.transmit(end, *departure),
            Output::Moved(moved) => {
                this.esp = Some(*moved);
                let udp = if moved.encapsulation.is_some() { ", in UDP" } else { "" };
                self.line(end, &format!("ESP goes {} > {}{udp}", moved.local, moved.remote));
            }
            Output::Expired { timer, armed_at } => {
                this.expired.push((now, timer, armed_at));
                self.line(end, &format!("{timer} expired, armed at {armed_at}"));
            }
            Output::State { sa, from, to, reason } => {
                this.states.push((now, sa, to, reason));
                self.line(end, &format!("{sa:?} {from} -> {to} ({reason})"));
            }
            Output::IkeKeys(keys) => self.keys.push(*keys),
            Output::IsakmpKeys(keys) => self.isakmp.learn(*keys),
            Output::ChildUp(sa) => {
                let what = match sa.rekeys {
                    Some(_) => "child up, replaces one",
                    None => "child up",
                };
                let spi = sa.spi_in;
                if sa.send_now {
                    this.sending = Some(spi);
                }
                let send = if sa.send_now { "" } else { ", sends later" };
                this.installed.insert(spi, *sa);
                self.line(end, &format!("{what}{send}"));
            }
            Output::ChildRekeyed { new_spi_in, .. } => {
                this.sending = Some(new_spi_in);
                self.line(end, "sends on the new child");
            }
            Output::ChildDown { spi_in, reason } => {
                this.installed.remove(&spi_in).expect("an installed SA");
                if this.sending == Some(spi_in) {
                    this.sending = this.installed.keys().next().copied();
                }
                self.line(end, &format!("child down ({reason})"));
            }
            Output::Ignored { reason } => self.line(end, &format!("ignored ({reason})")),
            Output::PeerMoved { remote } => {
                self.line(end, &format!("peer moved to {}:{}", remote.0, remote.1));
            }
            Output::Step { .. } => {}
        }
    }

    fn transmit(&mut self, end: usize, Departure { local, remote, bytes }: Departure) {
        let ((own, from), (remote, to)) = (local, remote);
        let number = self.datagrams;
        self.datagrams += 1;
        let mut fate = self.fates.get(&number).copied().unwrap_or(Fate::Deliver);
        if self.dark[end] {
            fate = Fate::Drop;
        }
        let arrow = if end == A { "A -> B" } else { "B -> A" };
        let lost = self.nat.is_none() && !self.passes(end, (own, remote));
        let mark = match fate {
            _ if lost => "  TO NOBODY".into(),
            Fate::Deliver => String::new(),
            Fate::Drop => "  LOST".into(),
            Fate::Duplicate => "  TWICE".into(),
            Fate::Late(by) => format!("  LATE by {by}"),
        };
        let what = self.describe(&bytes);
        let ports = if from == 500 { "" } else { "4500 " };
        let at = seconds(self.now);
        let both = if self.shows_addresses { format!("{own} > {remote}  ") } else { String::new() };
        let _ = writeln!(self.ladder, "{at} {arrow}  {both}{ports}{what}{mark}");
        self.ends[end].sent.push(bytes.clone());
        if lost {
            return;
        }
        let source = match self.nat {
            Some(outside) if end == A => outside,
            _ => (own, from),
        };
        let expected = match self.nat {
            // A mapping that is gone leads nowhere.
            Some(outside) if end == B && (remote, to) != outside => return,
            Some(_) if end == B => (self.ends[A].address, from),
            _ => (remote, to),
        };
        assert!(self.nat.is_none() || expected.0 == self.ends[1 - end].address);
        let datagram = Datagram { local: expected, remote: source, bytes };
        let copies = match fate {
            Fate::Drop => [None, None],
            Fate::Deliver => [Some(self.delay), None],
            Fate::Duplicate => [Some(self.delay), Some(self.delay * 2)],
            Fate::Late(by) => [Some(self.delay + by), None],
        };
        for delay in copies.into_iter().flatten() {
            self.fly(1 - end, Flight::Ike(datagram.clone()), delay);
        }
    }

    /// The message as an observer with the key log sees it.
    pub fn describe(&mut self, bytes: &[u8]) -> String {
        if bytes[17] >> 4 == 1 {
            return self.isakmp.describe(bytes);
        }
        let message = Message::parse(bytes).expect("a peer sends well-formed messages");
        let header = message.header;
        let kind = if header.flags.response { "response" } else { "request" };
        let mut text = format!("{:?} {kind} {}", header.exchange, header.message_id);
        if let Ok(fragment) = Fragment::parse(bytes) {
            let _ = write!(text, " SKF {} of {}, {} octets", fragment.number, fragment.total, bytes.len());
            return text;
        }
        let Some((header_len, first)) = sk::header_len(bytes.len(), &message.payloads) else {
            let _ = write!(text, " {}", names(&message.payloads));
            return text;
        };
        // An IKE_SA has other keys after each IKE_INTERMEDIATE.
        let keys = self.keys.iter().filter(|k| (k.spi_i, k.spi_r) == (header.spi_i, header.spi_r));
        let opened = keys.into_iter().find_map(|keys| {
            let (e, a) = if header.flags.initiator { (&keys.sk_ei, &keys.sk_ai) } else { (&keys.sk_er, &keys.sk_ar) };
            let keys = SkKeys::new(keys.suite.protection, e.clone(), a.clone());
            let mut bytes = bytes.to_vec();
            let inner = keys.open(&mut bytes, header_len).ok()?;
            Some((bytes, inner))
        });
        let (bytes, inner) = opened.expect("the keys of every protected message are logged");
        let inner = parse_chain(first, &bytes[inner]).expect("a peer sends well-formed payloads");
        let _ = write!(text, " SK {}", names(&inner));
        text
    }

    fn line(&mut self, end: usize, text: &str) {
        let at = seconds(self.now);
        let (a, b) = if end == A { ("A", " ") } else { (" ", "B") };
        let _ = writeln!(self.ladder, "{at} {a}    {b}      {text}");
    }

    /// Both ends have an IKE_SA and each sends on an SA that the other has, with the same keys.
    pub fn is_up(&self) -> bool {
        let up = |end: &End| end.peer.state(SaKind::Ike) == State::Up && end.peer.state(SaKind::Child) == State::Up;
        self.ends.iter().all(up) && self.heard(A) && self.heard(B)
    }

    /// Both ends have the same IKE_SAs and the same CHILD_SAs, with the same keys.
    pub fn is_symmetric(&self) -> bool {
        let [a, b] = &self.ends;
        let mirrored = |this: &End, other: &End| {
            this.installed.values().all(|sa| {
                let there = other.installed.get(&sa.spi_out);
                there.is_some_and(|there| there.spi_out == sa.spi_in && there.inbound == sa.outbound)
            })
        };
        a.peer.v2.established_spis() == b.peer.v2.established_spis() && mirrored(a, b) && mirrored(b, a)
    }

    /// The suite of each IKE_SA, as each end logged it.
    pub fn ike_suites(&self) -> Vec<IkeSuite> {
        self.keys.iter().map(|keys| keys.suite).collect()
    }

    /// What this end sends can be read by the other.
    pub fn heard(&self, end: usize) -> bool {
        let (this, other) = (&self.ends[end], &self.ends[1 - end]);
        let sa = this.sending.and_then(|spi| this.installed.get(&spi));
        sa.is_some_and(|sa| {
            let there = other.installed.get(&sa.spi_out);
            there.is_some_and(|there| there.inbound == sa.outbound)
        })
    }

    /// When and why an end entered a state for the last time.
    pub fn entered(&self, end: usize, sa: SaKind, state: State) -> Option<(Instant, Reason)> {
        let states = self.ends[end].states.iter();
        states.filter(|(_, s, to, _)| (*s, *to) == (sa, state)).map(|(at, _, _, reason)| (*at, *reason)).next_back()
    }
}

fn seconds(at: Instant) -> String {
    let millis = at.as_nanos() / 1_000_000;
    format!("{:5}.{:03}", millis / 1000, millis % 1000)
}

fn names(payloads: &[Payload<'_>]) -> String {
    let name = |payload: &Payload<'_>| match payload {
        Payload::Sa(proposals) => format!("SA({})", proposals.len()),
        Payload::Ke { group, .. } => format!("KE({group})"),
        Payload::IdI(_) => "IDi".into(),
        Payload::IdR(_) => "IDr".into(),
        Payload::Cert { .. } => "CERT".into(),
        Payload::CertReq { .. } => "CERTREQ".into(),
        Payload::Auth { method, .. } if *method == AuthMethod::SharedKey => "AUTH".into(),
        Payload::Auth { method, .. } => format!("AUTH({method:?})"),
        Payload::Nonce(_) => "N".into(),
        Payload::Notify(n) => format!("N({:?})", n.kind),
        Payload::Delete(d) => format!("D({:?})", d.protocol),
        Payload::VendorId(_) => "V".into(),
        Payload::TsI(ts) => format!("TSi({})", ts[0]),
        Payload::TsR(ts) => format!("TSr({})", ts[0]),
        Payload::Sealed { .. } => "SK".into(),
        Payload::Opaque { kind, .. } => format!("{kind:?}"),
    };
    let names: Vec<String> = payloads.iter().map(name).collect();
    format!("{{{}}}", names.join(", "))
}

impl Pair {
    /// Hands `to` a message with these payloads, sealed with the keys of the last IKE_SA as if the other end had sent it, and
    /// returns what comes back: outputs, and the payloads of the answer.
    pub fn forge(
        &mut self,
        to: usize,
        exchange: ExchangeType,
        message_id: u32,
        payloads: &[Payload<'_>],
    ) -> (Vec<Output>, String) {
        let header = self.forged_header(to, exchange, message_id);
        let [bytes] = &self.forged(to, &header, payloads, usize::MAX)[..] else { panic!("one datagram") };
        self.hand(to, bytes)
    }

    /// The header of a request that the other end would send to `to`.
    pub fn forged_header(&self, to: usize, exchange: ExchangeType, message_id: u32) -> Header {
        let keys = self.keys.last().expect("an IKE_SA");
        let flags = Flags { initiator: to == B, ..Flags::default() };
        Header::v2(keys.spi_i, keys.spi_r, exchange, flags, message_id)
    }

    /// A message to `to` with these payloads, sealed with the keys of the last IKE_SA as if the other end had sent it, in
    /// fragments if it has more octets than `limit`.
    pub fn forged(&self, to: usize, header: &Header, payloads: &[Payload<'_>], limit: usize) -> Vec<Vec<u8>> {
        let keys = self.keys.last().expect("an IKE_SA");
        let mut builder = Builder::new(header);
        builder.begin_sk();
        for payload in payloads {
            builder.push(payload);
        }
        let (e, a) = if to == B { (&keys.sk_ei, &keys.sk_ai) } else { (&keys.sk_er, &keys.sk_ar) };
        let mut sk = SkKeys::new(keys.suite.protection, e.clone(), a.clone());
        let unsealed = builder.finish_within(limit, |inner| sk.sealed_len(inner));
        let mut rng = Rng::stream(1, "forger", Purpose::Test);
        let sealed = unsealed.into_iter().map(|unsealed| {
            let mut bytes = unsealed.message;
            sk.seal(&mut bytes, &unsealed.inner, &mut rng);
            bytes
        });
        sealed.collect()
    }

    /// Hands `to` a datagram as if the other end had sent it, and returns what comes back: outputs, and the answer as the
    /// ladder would show it.
    pub fn hand(&mut self, to: usize, bytes: &[u8]) -> (Vec<Output>, String) {
        let (local, remote) = ((self.ends[to].address, 500), (self.ends[1 - to].address, 500));
        let peer = &mut self.ends[to].peer;
        peer.handle(self.now, Input::Datagram(Datagram { local, remote, bytes: bytes.to_vec() }));
        let outputs: Vec<Output> = core::iter::from_fn(|| peer.poll()).collect();
        let answer = outputs.iter().find_map(|output| match output {
            Output::Transmit { bytes, .. } => Some(bytes.clone()),
            Output::TransmitFrom(departure) => Some(departure.bytes.clone()),
            _ => None,
        });
        let answer = answer.map(|bytes| self.describe(&bytes));
        (outputs, answer.unwrap_or_default())
    }
}
