//! DNS of a host: the name server that it may be, and how its applications find the addresses of names, as resolv.conf(5) of Linux has it:
//! its servers in their order, each for so long, for so many rounds, and nothing remembered.
//!
//! ```text
//!   flow due --> Asker --> name server --> ... --> address --> TCP connects, or a lookup is done
//! ```

use std::net::{Ipv4Addr, SocketAddrV4};

use super::flows::{Act, FlowEnd, Flows, FlowsConfig};
use super::{Cx, Host};
use crate::id::{Port, RecordId};
use crate::packet::Packet;
use crate::proto::dns::{Asker, AskerConfig, Datagram, Heard, NameServer, Outcome, ServerConfig, Upstream};
use crate::reason::DropReason;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::trace::HopStep;
use crate::wire::dns::{DnsName, Message, PORT};
use crate::wire::ipv4::Ipv4Packet;
use crate::wire::udp::{self, UdpDatagram};

/// How long a host waits for a name server, and how often it asks each (resolv.conf(5): `timeout`, `attempts`).
pub const RESOLV_CONF: AskerConfig = AskerConfig { timeout: Duration::from_secs(5), rounds: 2, sticky: false };

/// Whom a host asks for names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResolverConfig {
    /// Its name servers.
    pub servers: Vec<Ipv4Addr>,
    /// How it asks them.
    pub asks: AskerConfig,
    /// The names that its applications look up ([`FlowsConfig::name`]).
    pub names: Vec<DnsName>,
}

/// A flow that waits for an address: of TCP's applications, or of lookups; the application's place, and the flow.
#[derive(Clone, Copy, Debug)]
struct Asks {
    by_tcp: bool,
    of: (usize, u32),
}

#[derive(Default)]
pub(super) struct HostDns {
    server: Option<NameServer>,
    resolver: Option<(Asker<Asks>, ResolverConfig)>,
    /// Applications that look names up and do nothing else.
    pub lookups: Vec<Flows>,
}

impl HostDns {
    pub fn wake(&self) -> Option<Instant> {
        let server = self.server.as_ref().and_then(NameServer::wake);
        server.into_iter().chain(self.resolver.as_ref().and_then(|(asker, _)| asker.wake())).min()
    }

    pub fn reset(&mut self) {
        self.server.iter_mut().for_each(NameServer::reset);
        self.resolver.iter_mut().for_each(|(asker, _)| asker.reset());
        self.lookups.iter_mut().for_each(Flows::halt);
    }

    /// Asks for the address of what a flow is to talk to. The device finds the way by itself, so any port will do.
    fn ask(&mut self, now: Instant, from: Ipv4Addr, asks: Asks, config: &FlowsConfig) {
        let Some((asker, resolver)) = &mut self.resolver else { return };
        let Some(name) = config.name.and_then(|name| resolver.names.get(usize::from(name))) else { return };
        let to = resolver.servers.iter().map(|to| Upstream { by: super::PORT, from, to: *to });
        asker.ask(now, asks, name.clone(), to.collect());
    }

    /// The next message to send.
    fn poll(&mut self) -> Option<Datagram> {
        let served = self.server.as_mut().and_then(NameServer::poll);
        served.or_else(|| self.resolver.as_mut()?.0.poll())
    }
}

/// What an application makes of what its question came to.
fn address_of(outcome: &Outcome) -> Result<Ipv4Addr, FlowEnd> {
    match outcome {
        Outcome::Answered(answer) => answer.addresses.first().copied().ok_or(FlowEnd::Reset),
        Outcome::Refused(_) => Err(FlowEnd::Reset),
        Outcome::TimedOut => Err(FlowEnd::TimedOut),
    }
}

impl Host {
    /// The same host with a name server on it. Ids and ports of what it asks are drawn from `rng`.
    pub fn with_name_server(mut self, config: ServerConfig, rng: Rng) -> Self {
        let asked_from = config.forwards.iter().flat_map(|forward| &forward.to).map(|upstream| upstream.from);
        let own: Vec<Ipv4Addr> = config.addresses.iter().copied().chain(asked_from).collect();
        self.ip.also_own(&own);
        self.dns_box().server = Some(NameServer::new(config, rng));
        self
    }

    /// The same host with whom it asks for the names that its applications look up.
    pub fn with_resolver(mut self, config: ResolverConfig, rng: Rng) -> Self {
        self.dns_box().resolver = Some((Asker::new(config.asks, rng), config));
        self
    }

    pub(super) fn dns_box(&mut self) -> &mut HostDns {
        self.more.get_or_insert_default().dns.get_or_insert_default()
    }

    fn dns(&mut self) -> Option<&mut HostDns> {
        self.more.as_mut()?.dns.as_deref_mut()
    }

    /// Whether a datagram is of DNS and there is somebody here to read it.
    pub(super) fn is_dns(&self, udp: &UdpDatagram<&[u8]>) -> bool {
        (udp.dst_port() == PORT || udp.src_port() == PORT) && self.more.as_ref().is_some_and(|more| more.dns.is_some())
    }

    /// Takes a message, or drops it for want of room. False: nobody here waits for it.
    pub(super) fn deliver_dns(&mut self, cx: &mut Cx, by: Port, packet: &Packet) -> bool {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let udp = UdpDatagram::new_unchecked(ip.payload());
        let (from, to) = (SocketAddrV4::new(ip.src(), udp.src_port()), SocketAddrV4::new(ip.dst(), udp.dst_port()));
        let datagram = Datagram { by, from, to, octets: udp.payload().to_vec() };
        let (now, Some(dns)) = (cx.now, self.dns()) else { return false };
        let heard = dns.server.as_mut().map_or(Heard::NotForIt, |server| server.handle(now, &datagram));
        if heard == Heard::Full {
            cx.drop(packet, DropReason::NameServerFull, RecordId::GENESIS);
            return true;
        }
        let taken = heard == Heard::Taken
            || dns.resolver.as_mut().is_some_and(|(asker, _)| {
                Message::parse(&datagram.octets)
                    .is_ok_and(|message| asker.handle(now, datagram.from, datagram.to, &message))
            });
        if taken {
            cx.rearm();
            cx.hop(packet.meta.id, HopStep::Delivered);
            self.go_on_with_dns(cx);
        }
        taken
    }

    /// Asks for names whose time has come, and again for those that nobody has answered.
    pub(super) fn dns_timeout(&mut self, cx: &mut Cx) {
        let (now, from) = (cx.now, self.address);
        let wanted = self.tcp.as_mut().map(|tcp| tcp.wanted_names()).unwrap_or_default();
        let Some(dns) = self.dns() else { return };
        dns.server.iter_mut().for_each(|server| server.handle_timeout(now));
        dns.resolver.iter_mut().for_each(|(asker, _)| asker.handle_timeout(now));
        for (of, config) in wanted {
            dns.ask(now, from, Asks { by_tcp: true, of }, &config);
        }
        for application in 0..dns.lookups.len() {
            while let Some((flow, act)) = dns.lookups[application].next(now) {
                let config = dns.lookups[application].config;
                if act == Act::Resolve {
                    dns.ask(now, from, Asks { by_tcp: false, of: (application, flow) }, &config);
                }
            }
        }
        cx.cause = RecordId::GENESIS;
        cx.rearm();
        self.go_on_with_dns(cx);
    }

    /// Tells flows what their names came to, and sends what is to be sent.
    fn go_on_with_dns(&mut self, cx: &mut Cx) {
        while let Some((asks, _, outcome)) =
            self.dns().and_then(|dns| dns.resolver.as_mut()).and_then(|(asker, _)| asker.done())
        {
            let found = address_of(&outcome);
            if asks.by_tcp {
                self.with_tcp_of(cx, |tcp, cx| tcp.resolved(cx, asks.of, found));
            } else if let Some(dns) = self.dns() {
                dns.lookups[asks.of.0].resolved(cx.now, asks.of.1, found);
            }
        }
        while let Some(datagram) = self.dns().and_then(HostDns::poll) {
            let data = Packet::from_bytes(&datagram.octets, cx.meta());
            let [from, to] = [datagram.from, datagram.to].map(|end| (*end.ip(), end.port()));
            let mut packet = udp::around(data, from, to);
            self.ip.identify(&mut packet);
            cx.created(&packet);
            // Only what came by another port, or shall go by one, says by which.
            let port = if datagram.by == super::PORT { self.way(&packet) } else { datagram.by };
            self.ip.output(cx, port, packet);
        }
    }
}
