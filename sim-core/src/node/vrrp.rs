//! The virtual routers of a device (RFC 5798): their machines, the packets and frames that these want, and what a master has.
//!
//! A master takes frames for 00-00-5E-00-01-VRID, answers ARP for the virtual addresses with that name and sends its advertisements from
//! it, so that switches learn where it is (section 7.2 and 7.3). What it forwards comes from its own name; the RFC leaves that open.
//!
//! A track that goes down takes something off the priority until it is up again, as vendors do. While nobody knows, it counts as up, so
//! that a device which has just started is not elected out by its own ignorance.

use super::Cx;
use super::ip::{Ip, TrackId};
use crate::id::{Port, RecordId, SessionId};
use crate::packet::Packet;
use crate::proto::vrrp::{self, Input, Output, VirtualRouter};
use crate::reason::{DropReason, Reason, State, Step, TimerKind};
use crate::time::Instant;
use crate::trace::HopStep;
use crate::wire::ipv4::{Ipv4Header, Ipv4Packet};
use crate::wire::vrrp::{GROUP, PROTOCOL, TTL, virtual_mac};

/// What one virtual router of a device is told.
#[derive(Clone, Debug)]
pub struct VrrpConfig {
    /// The port; it has a station on Ethernet.
    pub port: Port,
    /// Its session in records.
    pub session: SessionId,
    /// Its machine.
    pub machine: vrrp::Config,
    /// What it tracks, and what each takes off the priority while it is down.
    pub tracks: Vec<(TrackId, u8)>,
}

#[derive(Clone, Debug)]
struct Member {
    config: VrrpConfig,
    machine: VirtualRouter,
    down: Vec<TrackId>,
    /// An operator has stopped it.
    stopped: bool,
}

/// The virtual routers of a device.
#[derive(Clone, Debug, Default)]
pub struct Vrrps {
    all: Vec<Member>,
}

impl Vrrps {
    /// Virtual routers that have not begun.
    pub fn new(all: Vec<VrrpConfig>) -> Self {
        let member = |config: VrrpConfig| {
            let machine = VirtualRouter::new(config.machine.clone());
            Member { config, machine, down: Vec::new(), stopped: false }
        };
        Self { all: all.into_iter().map(member).collect() }
    }

    /// The machines, in order.
    pub fn machines(&self) -> impl Iterator<Item = &VirtualRouter> {
        self.all.iter().map(|member| &member.machine)
    }

    pub(super) fn start(&mut self, cx: &mut Cx, ip: &mut Ip) {
        let genesis = cx.cause;
        let up: Vec<Port> = ip.ports_up().collect();
        for member in &mut self.all {
            cx.cause = genesis;
            if up.contains(&member.config.port) && !member.stopped {
                member.input(cx, ip, Input::Startup(Reason::Configured));
            }
        }
    }

    /// Forgets everything, as power loss does.
    pub(super) fn reset(&mut self) {
        for member in &mut self.all {
            member.machine.reset();
            member.down.clear();
        }
    }

    /// Takes a packet for [`GROUP`] that arrived at a port.
    pub(super) fn packet(&mut self, cx: &mut Cx, ip: &mut Ip, port: Port, packet: &Packet) {
        let read = Ipv4Packet::new_checked(packet.bytes());
        let Ok(read) = read.as_ref().map(|read| (read.src(), read.ttl(), read.payload().to_vec())) else {
            return cx.drop(packet, DropReason::Malformed, RecordId::GENESIS);
        };
        let (source, ttl, octets) = read;
        let vrid = octets.get(1).copied();
        let here = |member: &&mut Member| member.config.port == port && Some(member.config.machine.vrid) == vrid;
        match self.all.iter_mut().find(here) {
            Some(member) => match member.input(cx, ip, Input::Message { source, ttl, octets: &octets }) {
                None => cx.hop(packet.meta.id, HopStep::Delivered),
                Some(reason) => cx.drop(packet, reason, RecordId::GENESIS),
            },
            // Another virtual router's.
            None => cx.hop(packet.meta.id, HopStep::Delivered),
        }
    }

    /// The link behind a port lost or regained its carrier.
    pub(super) fn carrier(&mut self, cx: &mut Cx, ip: &mut Ip, port: Port, up: bool) {
        let cause = cx.cause;
        for member in self.all.iter_mut().filter(|member| member.config.port == port && !member.stopped) {
            cx.cause = cause;
            member.input(
                cx,
                ip,
                match up {
                    true => Input::Startup(Reason::LinkRestored),
                    false => Input::Shutdown(Reason::LinkLost),
                },
            );
        }
    }

    /// What is tracked went up or down.
    pub(super) fn track(&mut self, cx: &mut Cx, ip: &mut Ip, track: TrackId, up: bool) {
        let cause = cx.cause;
        for member in &mut self.all {
            if !member.config.tracks.iter().any(|(of, _)| *of == track) {
                continue;
            }
            member.down.retain(|down| *down != track);
            if !up {
                member.down.push(track);
            }
            let taken = member.config.tracks.iter().filter(|(of, _)| member.down.contains(of)).map(|(_, by)| *by);
            let priority = taken.fold(member.config.machine.priority, u8::saturating_sub).max(1);
            cx.cause = cause;
            member.input(cx, ip, Input::Priority(priority));
        }
    }

    /// An operator stops the virtual routers of a port, or starts them again.
    pub(super) fn operate(&mut self, cx: &mut Cx, ip: &mut Ip, port: Port, stop: bool) {
        let (cause, up) = (cx.cause, ip.ports_up().any(|other| other == port));
        for member in self.all.iter_mut().filter(|member| member.config.port == port) {
            cx.cause = cause;
            member.stopped = stop;
            if stop {
                member.input(cx, ip, Input::Shutdown(Reason::AdminDown));
            } else if up {
                member.input(cx, ip, Input::Startup(Reason::AdminUp));
            }
        }
    }

    pub(super) fn timeout(&mut self, cx: &mut Cx, ip: &mut Ip) {
        for member in &mut self.all {
            if member.machine.wake().is_some_and(|(at, _)| at <= cx.now) {
                cx.cause = RecordId::GENESIS;
                member.machine.handle_timeout(cx.now);
                member.drain(cx, ip);
            }
        }
    }

    /// When the first of them wants `timeout`.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.all.iter().filter_map(|member| member.machine.wake()).min_by_key(|(at, _)| *at)
    }
}

impl Member {
    fn input(&mut self, cx: &mut Cx, ip: &mut Ip, input: Input<'_>) -> Option<DropReason> {
        cx.rearm();
        self.machine.handle(cx.now, input);
        self.drain(cx, ip)
    }

    /// Carries out what the machine wants. Answers why a message had no effect, if it had none.
    fn drain(&mut self, cx: &mut Cx, ip: &mut Ip) -> Option<DropReason> {
        let VrrpConfig { port, session, .. } = self.config;
        let mac = virtual_mac(self.config.machine.vrid);
        let mut ignored = None;
        while let Some(output) = self.machine.poll() {
            let machine = &self.config.machine;
            match output {
                Output::Transmit(octets) => {
                    let mut meta = cx.meta();
                    meta.session = Some(session);
                    let header = Ipv4Header { ttl: TTL, ..Ipv4Header::new(machine.primary, GROUP, PROTOCOL) };
                    let mut packet = header.packet(&octets, meta);
                    ip.identify(&mut packet);
                    cx.created(&packet);
                    ip.with_lan(|lan| lan.multicast(cx, port, mac, packet));
                }
                Output::Announce => {
                    cx.step(session, Step::GratuitousArpSent, machine.vrid.into());
                    ip.with_lan(|lan| {
                        machine.addresses.iter().for_each(|address| lan.announce(cx, port, mac, *address))
                    });
                }
                Output::Expired(armed_at) => {
                    cx.expired(Some(session), TimerKind::VrrpMasterDown, armed_at);
                }
                Output::Moved(from, to, reason) => {
                    let record = cx.state(session, state(from), state(to), reason);
                    let held = to == vrrp::State::Master;
                    ip.with_lan(|lan| lan.set_virtual(port, mac, &machine.addresses, held, record));
                    for address in machine.addresses.iter().filter(|_| machine.accept) {
                        ip.set_own(*address, held);
                    }
                }
                Output::Released => drop(cx.step(session, Step::MasterReleased, machine.vrid.into())),
                Output::Ignored(reason) => ignored = Some(reason),
            }
        }
        ignored
    }
}

const fn state(state: vrrp::State) -> State {
    match state {
        vrrp::State::Initialize => State::Initialize,
        vrrp::State::Backup => State::Backup,
        vrrp::State::Master => State::Master,
    }
}
