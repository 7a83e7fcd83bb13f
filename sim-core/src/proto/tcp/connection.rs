//! One TCP connection: a smoltcp socket on an interface of its own, and the host's habits around it.
//!
//! Octets travel `send` -> `queue` -> smoltcp's buffer -> packets. The queue is where Linux's habit lives: it hands smoltcp
//! at most one segment's worth, only when smoltcp has nothing unsent, and nothing at all between an RTO and the ACK of
//! all that was in flight then. So a retransmission, which smoltcp cuts from the front of its buffer, never carries new octets.

use core::fmt;
use core::net::SocketAddr;
use std::collections::VecDeque;

use smoltcp::iface::{Config, Interface};
use smoltcp::socket::tcp::{CongestionControl, RecvError, State};
use smoltcp::time::{Duration as SmolDuration, Instant as SmolInstant};
use smoltcp::wire::{HardwareAddress, IpCidr, IpEndpoint, TcpControl, TcpSeqNumber};

use super::buffered::Buffered;
use super::device::Device;
use super::flight::{Flight, MAX_RTO};
use super::segment::{self, Segment, Sent};
use super::signature;
use super::{Event, Output, Profile, TcpConfig, min_mtu};
use crate::fetch::fetch;
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// Why [`Connection::send`] took nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SendRefused {
    /// This end has closed or lost the connection.
    #[error("the connection is closed for sending")]
    Closed,
    /// The send queue holds [`TcpConfig::send_limit`] octets.
    #[error("the send queue is full")]
    Full,
}

/// One end of a TCP connection. See the module header of [`crate::proto::tcp`].
pub struct Connection {
    config: TcpConfig,
    local: SocketAddr,
    remote: SocketAddr,
    iface: Interface,
    socket: Buffered,
    device: Device,
    out: VecDeque<Output>,

    /// Accepted from the application, not yet given to smoltcp.
    queue: VecDeque<u8>,
    /// The application has closed its half; `fin_given` once smoltcp knows.
    closing: bool,
    fin_given: bool,

    /// One past the last octet given to smoltcp; valid once a SYN was sent.
    fed: TcpSeqNumber,
    /// SND.NXT at its furthest: one past all that was ever sent. `None` before the SYN.
    sent: Option<TcpSeqNumber>,
    flight: Flight,
    /// Set by an RTO to what was in flight then: until all of it is acknowledged, nothing new is sent.
    recovering: Option<TcpSeqNumber>,
    handshake_packets: u32,
    peer_mss: u16,
    /// The peer's window is zero: the persist timer probes it (RFC 9293 section 3.8.6.1) and silence is no failure.
    persisting: bool,
    ident: u16,

    connected: bool,
    peer_closed: bool,
    /// [`Event::Closed`] was reported, or the connection ended otherwise.
    ended: bool,
    fin_wait_until: Option<Instant>,
    /// Nothing more will ever happen.
    dead: bool,
    now: Instant,
    wake: Option<Instant>,
}

impl Connection {
    /// Fetches what a packet or a timer will touch, so many steps behind the device.
    pub(super) fn foresee(&self, depth: usize) {
        if depth == 3 {
            fetch(&self.config);
            fetch(&self.remote);
            fetch(&self.iface);
            fetch(&self.socket);
            fetch(&self.device);
            fetch(&self.out);
            fetch(&self.queue);
            fetch(&self.flight);
            fetch(&self.sent);
            fetch(&self.wake);
        } else {
            self.socket.ask(|socket| fetch(socket));
        }
    }

    /// An active open from `local` to `remote`. Its SYN is the first output.
    ///
    /// # Panics
    /// If an address is not unicast or a port is zero: the caller chose them.
    pub fn connect(
        config: TcpConfig,
        local: impl Into<SocketAddr>,
        remote: impl Into<SocketAddr>,
        rng: &mut Rng,
        now: Instant,
    ) -> Self {
        let (local, remote) = (local.into(), remote.into());
        let mut this = Self::new(config, local, remote, rng, now);
        let (from, to) = (IpEndpoint::from(local), IpEndpoint::from(remote));
        this.socket
            .tell(|socket| socket.connect(this.iface.context(), to, from))
            .expect("invariant: a connection is opened between unicast addresses and ports that are not zero");
        this.drive(now, false);
        this
    }

    /// A passive open by the SYN that `syn`, a whole IP packet, carries. The SYN,ACK is the first output.
    ///
    /// # Errors
    /// Why the packet opens no connection.
    pub fn accept(config: TcpConfig, syn: &[u8], rng: &mut Rng, now: Instant) -> Result<Self, DropReason> {
        let syn = Segment::parse(syn)?;
        if !syn.opens() || syn.ttl < config.min_ttl {
            return Err(DropReason::PortUnreachable);
        }
        syn.verify(config.md5.as_ref())?;
        Ok(Self::accept_segment(config, &syn, rng, now))
    }

    pub(super) fn accept_segment(config: TcpConfig, syn: &Segment<'_>, rng: &mut Rng, now: Instant) -> Self {
        let mut this = Self::new(config, syn.dst, syn.src, rng, now);
        this.socket
            .tell(|socket| socket.listen(IpEndpoint::from(syn.dst)))
            .expect("invariant: a parsed segment has ports that are not zero");
        this.handle_segment(now, syn);
        this
    }

    fn new(mut config: TcpConfig, local: SocketAddr, remote: SocketAddr, rng: &mut Rng, now: Instant) -> Self {
        config.mtu = config.mtu.max(min_mtu(local.ip()));
        let mut socket = Buffered::with_buffers(config.receive_buffer, config.send_buffer);
        socket.tell(|socket| {
            socket.set_nagle_enabled(false);
            socket.set_congestion_control(CongestionControl::Reno);
            socket.set_ack_delay(config.ack_delay.map(|d| SmolDuration::from_micros(d.as_nanos() / 1_000)));
        });
        let mut device = Device::new(config.mtu - signature_length(&config));
        let iface = interface(&mut device, local, rng.u64(), now);
        Self {
            peer_mss: u16::MAX,
            ident: rng.u32() as u16,
            config,
            local,
            remote,
            iface,
            socket,
            device,
            out: VecDeque::new(),
            queue: VecDeque::new(),
            closing: false,
            fin_given: false,
            fed: TcpSeqNumber(0),
            sent: None,
            flight: Flight::default(),
            recovering: None,
            handshake_packets: 0,
            persisting: false,
            connected: false,
            peer_closed: false,
            ended: false,
            fin_wait_until: None,
            dead: false,
            now,
            wake: None,
        }
    }

    /// This end's address and port.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The other end's address and port.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// A packet arrived for this connection.
    pub fn handle(&mut self, now: Instant, packet: &[u8]) {
        match Segment::parse(packet) {
            Ok(s) if (s.src, s.dst) == (self.remote, self.local) => self.handle_segment(now, &s),
            Ok(_) => self.event(Event::Ignored(DropReason::NotForMe)),
            Err(reason) => self.event(Event::Ignored(reason)),
        }
    }

    pub(super) fn handle_segment(&mut self, now: Instant, segment: &Segment<'_>) {
        if segment.ttl < self.config.min_ttl {
            return self.event(Event::Ignored(DropReason::TtlTooLow));
        }
        if let Err(reason) = segment.verify(self.config.md5.as_ref()) {
            return self.event(Event::Ignored(reason));
        }
        if self.dead {
            return;
        }
        let mss = segment.mss.saturating_sub(signature_length(&self.config));
        if segment.control == TcpControl::Syn {
            self.peer_mss = mss;
        }
        if self.idle_duplicate(segment) {
            return;
        }
        self.persisting = segment.window == 0 && segment.control != TcpControl::Rst;
        let limit = self.local_mss().min(mss);
        let copy = self.device.deliver(segment.packet);
        segment.clamp_mss(copy, limit);
        let now = self.clock(now);
        self.socket.take_in(&mut self.iface, now, &mut self.device);
        if segment.control == TcpControl::Rst && self.state() == State::Closed && !self.ended {
            self.end(Event::Reset);
        }
        self.drive(self.now, false);
    }

    /// Queues octets for sending.
    ///
    /// # Errors
    /// [`SendRefused`]; nothing was taken then.
    pub fn send(&mut self, now: Instant, octets: &[u8]) -> Result<(), SendRefused> {
        if self.closing || self.dead || self.ended {
            return Err(SendRefused::Closed);
        }
        if self.queue.len() + octets.len() > self.config.send_limit {
            return Err(SendRefused::Full);
        }
        self.queue.extend(octets);
        self.drive(now, false);
        Ok(())
    }

    /// Octets that the application sent and the peer has not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.queue.len() + self.socket.ask(|socket| socket.send_queue())
    }

    /// Ends the sending half: FIN follows the queued data. Before the peer has answered the SYN, the connection is forgotten.
    pub fn close(&mut self, now: Instant) {
        if self.closing || self.dead {
            return;
        }
        self.closing = true;
        if self.state() == State::SynSent {
            return self.forget();
        }
        self.drive(now, false);
    }

    /// Aborts: RST, and no event. Before the peer has answered the SYN, nothing is sent (RFC 9293 section 3.10.5).
    pub fn abort(&mut self, now: Instant) {
        if self.dead {
            return;
        }
        self.ended = true;
        if matches!(self.state(), State::SynSent | State::Listen | State::TimeWait) {
            return self.forget();
        }
        self.socket.tell(|socket| socket.abort());
        self.drive(now, false);
    }

    /// A timer may have expired.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.dead {
            return;
        }
        if self.fin_wait_until.is_some_and(|t| t <= now) {
            self.end(Event::Closed);
            return self.forget();
        }
        if self.own_clock() && self.flight.expiry().is_some_and(|t| t <= now) {
            self.expire(now);
        }
        self.drive(now, true);
    }

    /// The path carries packets of at most `mtu` octets (ICMP fragmentation needed, RFC 1191, or packet too big, RFC 8201). Also raises it again.
    pub fn set_mtu(&mut self, now: Instant, mtu: u16) {
        self.config.mtu = mtu.max(min_mtu(self.local.ip()));
        self.device.mtu = self.config.mtu - signature_length(&self.config);
        // An interface reads its device's MTU once, when it is made; it holds nothing else that outlives a packet.
        self.iface = interface(&mut self.device, self.local, 0, now);
        self.drive(now, false);
    }

    /// The next packet to send or event to know, in order.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Self::handle_timeout`] must be called next, always later than the last call and a whole microsecond
    /// ([`crate::reason::TimerKind::TcpTimer`]).
    pub fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// True once nothing more will ever happen: reset, timed out, aborted, or closed and TIME-WAIT over.
    pub fn is_closed(&self) -> bool {
        self.dead
    }

    fn state(&self) -> State {
        self.socket.ask(|socket| socket.state())
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn end(&mut self, event: Event) {
        if !self.ended {
            self.ended = true;
            self.event(event);
        }
    }

    /// Nothing more will happen, and nothing is sent.
    fn forget(&mut self) {
        self.dead = true;
        self.ended = true;
        self.wake = None;
        self.queue = VecDeque::new();
        self.flight = Flight::default();
    }

    /// Linux's retransmission timer expires before smoltcp's, unless the window is closed and there is nothing to repeat.
    fn own_clock(&self) -> bool {
        self.config.profile == Profile::Linux && !self.persisting
    }

    fn clock(&mut self, now: Instant) -> SmolInstant {
        self.now = self.now.max(now);
        smol(self.now)
    }

    fn smoltcp_wake(&mut self) -> Option<Instant> {
        let at = self.socket.wake(&mut self.iface, smol(self.now))?;
        Some(Instant::from_nanos(at.total_micros().max(0) as u64 * 1_000))
    }

    /// Makes smoltcp's retransmission timer expire now, by polling it past the instant it waits for. Its next expiry then lies
    /// beyond ours, so that its own RTO never interferes; the ACK of new octets brings it back to the present, and octets that
    /// were sent again are no round-trip samples.
    fn expire(&mut self, now: Instant) {
        let before = self.flight.expiry();
        if let Some(at) = self.smoltcp_wake() {
            let beyond = smol(at.max(now) + MAX_RTO);
            self.socket.let_out(&mut self.iface, beyond, &mut self.device);
            self.clock(now);
            self.collect(true);
        }
        if self.flight.expiry() == before {
            self.flight.postpone(floor(now));
            if self.overdue() {
                self.give_up();
            }
        }
    }

    /// A duplicate ACK while nothing but a FIN is in flight tells nothing (RFC 5681 section 2 counts those of data). smoltcp
    /// would take three of them for the loss of data, stop its timer for a fast retransmission, find no data, and never repeat
    /// the FIN.
    fn idle_duplicate(&self, segment: &Segment<'_>) -> bool {
        let (state, queued) = self.socket.ask(|socket| (socket.state(), socket.send_queue()));
        matches!(state, State::FinWait1 | State::Closing | State::LastAck)
            && queued == 0
            && segment.len == 0
            && segment.control == TcpControl::None
            && segment.ack == Some(self.fed)
    }

    fn overdue(&self) -> bool {
        let timeout = self.config.user_timeout;
        self.flight.oldest().is_some_and(|oldest| floor(self.now).since(oldest) >= timeout)
    }

    fn give_up(&mut self) {
        self.device.tx.clear();
        self.end(Event::TimedOut);
        self.forget();
    }

    /// Lets smoltcp send, reads what it received, feeds it, until nothing moves. `timer` says that time alone called.
    fn drive(&mut self, now: Instant, timer: bool) {
        self.turn(now, timer);
        self.wake = if self.dead { None } else { self.next_wake() };
    }

    fn next_wake(&mut self) -> Option<Instant> {
        let own = self.flight.expiry().filter(|_| self.own_clock());
        let all = [self.smoltcp_wake(), own, self.fin_wait_until];
        let next = floor(self.now) + Duration::from_micros(1);
        Some(floor(all.into_iter().flatten().min()?).max(next))
    }

    fn turn(&mut self, now: Instant, timer: bool) {
        let now = self.clock(now);
        loop {
            self.receive();
            self.acknowledged();
            self.socket.let_out(&mut self.iface, now, &mut self.device);
            let sent = self.collect(timer);
            self.progress();
            if self.dead || (!sent && !self.feed()) {
                return;
            }
        }
    }

    /// Hands the received octets to the application, before the ACK goes out with the window they would have taken.
    fn receive(&mut self) {
        self.progress();
        let mut octets = Vec::new();
        let end = self.socket.tell(|socket| {
            loop {
                let read = socket.recv(|part| {
                    octets.extend_from_slice(part);
                    (part.len(), part.len())
                });
                match read {
                    Ok(0) => break false,
                    Ok(_) => {}
                    Err(RecvError::Finished) => break true,
                    Err(RecvError::InvalidState) => break false,
                }
            }
        });
        if !octets.is_empty() {
            self.event(Event::Received(octets));
        }
        if end && !self.peer_closed && !self.ended {
            self.peer_closed = true;
            self.event(Event::PeerClosed);
        }
    }

    /// Reports what the state of the socket means.
    fn progress(&mut self) {
        let state = self.state();
        match state {
            State::SynSent | State::SynReceived => return,
            // A passive open that the peer reset returns to LISTEN, where the stack's listener already is.
            State::Listen => {
                self.end(Event::Reset);
                return self.forget();
            }
            State::Established
            | State::CloseWait
            | State::FinWait1
            | State::FinWait2
            | State::Closing
            | State::LastAck
            | State::TimeWait
            | State::Closed => {}
        }
        if !self.connected && state != State::Closed {
            self.connected = true;
            self.event(Event::Connected);
        }
        self.fin_wait_until = match state {
            State::FinWait2 => self.fin_wait_until.or(Some(self.now + self.config.fin_timeout)),
            _ => None,
        };
        if self.peer_closed && matches!(state, State::TimeWait | State::Closed) {
            self.end(Event::Closed);
        }
    }

    /// Takes note of what the peer has acknowledged.
    fn acknowledged(&mut self) {
        if self.sent.is_none() || !self.connected {
            return;
        }
        let (state, queued) = self.socket.ask(|socket| (socket.state(), socket.send_queue()));
        let fin = self.fin_given && matches!(state, State::FinWait2 | State::TimeWait | State::Closed);
        let una = TcpSeqNumber(self.fed.0.wrapping_sub(queued as i32)) + usize::from(fin);
        self.flight.acked(floor(self.now), una);
        if self.recovering.is_some_and(|all| all <= una) {
            self.recovering = None;
        }
    }

    /// Gives smoltcp more to send. Returns true if it got something.
    fn feed(&mut self) -> bool {
        let unsent = self.sent.is_none_or(|sent| sent < self.fed);
        let linux = self.config.profile == Profile::Linux;
        if self.fin_given || (linux && (unsent || self.recovering.is_some())) {
            return false;
        }
        let chunk = match self.config.profile {
            Profile::Linux => usize::from(self.local_mss().min(self.peer_mss)),
            Profile::Rfc => self.config.send_buffer,
        };
        if !self.socket.ask(|socket| socket.may_send()) {
            return false;
        }
        let mut given = 0;
        while given < chunk && !self.queue.is_empty() {
            let (front, _) = self.queue.as_slices();
            let part = &front[..front.len().min(chunk - given)];
            match self.socket.tell(|socket| socket.send_slice(part)) {
                Ok(n) if n > 0 => {
                    self.queue.drain(..n);
                    given += n;
                }
                Ok(_) | Err(_) => break,
            }
        }
        self.fed += given;
        // The FIN rides on the last octets if they still wait, or follows alone.
        if self.closing && self.queue.is_empty() {
            self.fin_given = true;
            self.socket.tell(|socket| socket.close());
        }
        given > 0 || self.fin_given
    }

    /// Takes what smoltcp sent, completes it and queues it. Returns true if there was anything.
    fn collect(&mut self, timer: bool) -> bool {
        let any = !self.device.tx.is_empty();
        while let Some(mut packet) = self.device.tx.pop_front() {
            let sent = Sent::read(&packet);
            if sent.len == 0 {
                if let Some(next) = self.sent.filter(|&next| sent.seq < next) {
                    segment::advance(&mut packet, next);
                }
            } else if !self.note(&sent, timer) {
                self.give_up();
                return true;
            }
            self.transmit(packet);
        }
        if self.state() == State::Closed {
            // smoltcp has sent its last RST, had its last ACK or waited out TIME-WAIT.
            self.progress();
            self.forget();
        }
        any
    }

    /// Notes a segment that occupies sequence numbers. Returns false if it is one attempt too many.
    fn note(&mut self, sent: &Sent, timer: bool) -> bool {
        let now = floor(self.now);
        let end = sent.seq + sent.len;
        let again = match self.sent {
            None => {
                self.fed = end;
                false
            }
            Some(furthest) => sent.seq < furthest,
        };
        if sent.syn {
            self.handshake_packets += 1;
            let retries = match self.state() {
                State::SynReceived => self.config.synack_retries,
                _ => self.config.syn_retries,
            };
            if self.handshake_packets > retries.saturating_add(1) {
                return false;
            }
        }
        if self.sent.is_none_or(|furthest| furthest < end) && !self.persisting {
            self.sent = Some(end);
            self.flight.sent(now, end);
        }
        if !again {
            return true;
        }
        self.flight.sent_again(end);
        if timer && !self.persisting {
            if !sent.syn && self.overdue() {
                return false;
            }
            let probe = self.flight.expired(now);
            if !sent.syn && self.config.profile == Profile::Linux && !probe {
                self.recovering = self.sent;
            }
        }
        true
    }

    fn transmit(&mut self, mut packet: Packet) {
        segment::finish(&mut packet, self.config.ttl, self.config.dscp, self.ident);
        self.ident = self.ident.wrapping_add(1);
        if let Some(key) = &self.config.md5 {
            packet = signature::sign(&packet, key);
        }
        self.out.push_back(Output::Transmit(packet));
    }

    fn local_mss(&self) -> u16 {
        self.config.mtu - segment::headers(self.local.ip()) - signature_length(&self.config)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("local", &self.local)
            .field("remote", &self.remote)
            .field("state", &self.state())
            .field("unacknowledged", &self.unacknowledged())
            .field("recovering", &self.recovering)
            .finish_non_exhaustive()
    }
}

/// Octets of each segment that its signature takes from the data.
fn signature_length(config: &TcpConfig) -> u16 {
    config.md5.as_ref().map_or(0, |_| signature::SIGNATURE as u16)
}

fn interface(device: &mut Device, local: SocketAddr, seed: u64, now: Instant) -> Interface {
    let mut config = Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    let mut iface = Interface::new(config, device, smol(now));
    iface.update_ip_addrs(|addrs| {
        let host = if local.is_ipv4() { 32 } else { 128 };
        addrs.push(IpCidr::new(local.ip().into(), host)).expect("invariant: a new interface has room for an address");
    });
    iface
}

fn smol(now: Instant) -> SmolInstant {
    SmolInstant::from_micros((now.as_nanos() / 1_000) as i64)
}

/// The last whole microsecond: what smoltcp can tell apart.
fn floor(t: Instant) -> Instant {
    Instant::from_nanos(t.as_nanos() / 1_000 * 1_000)
}
