//! The sockets and TUN devices through which packets come and go.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mio::net::UdpSocket;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto};
use sim_core::node::tunnel::{IKE_PORT, NATT_PORT};
use sim_core::wire::ipv4::Ipv4Packet;
use sim_scenarios::plan::Door;
use tun_rs::{DeviceBuilder, SyncDevice};

use super::pace::Inbox;
use super::site::LiveSite;
use crate::failure::Failure;

/// The longest IPv4 packet that there is.
const LONGEST: usize = 65_535;
/// Wakes a sleeper.
const WAKER: Token = Token(usize::MAX);

/// What is to be opened.
#[derive(Debug, Default)]
pub struct Openings {
    /// The UDP sockets of each tunnel. Tunnels that have the same share them.
    pub tunnels: Vec<Door>,
    /// Addresses of this machine for ESP without UDP.
    pub esp: Vec<Ipv4Addr>,
    /// TUN devices.
    pub tuns: Vec<Tun>,
}

/// A TUN device that has a host's place.
#[derive(Clone, Debug)]
pub struct Tun {
    /// What it is called; the kernel's choice if not given.
    pub name: Option<String>,
    /// The host's address and the length of its subnet's prefix.
    pub address: ipnet::Ipv4Net,
    /// Longest packet, in octets.
    pub mtu: u16,
}

/// What has been read.
#[derive(Debug)]
pub enum Arrival {
    /// A UDP datagram, at the socket with this number.
    Udp { socket: usize, from: SocketAddrV4, bytes: Vec<u8> },
    /// ESP, without the header of IP.
    Esp { from: Ipv4Addr, to: Ipv4Addr, bytes: Vec<u8> },
    /// A packet from the TUN device with this number.
    Packet { tun: usize, bytes: Vec<u8> },
}

enum Kind {
    Udp {
        socket: UdpSocket,
        /// The tunnels that it serves.
        tunnels: Vec<usize>,
        /// The port that it has in the world: 500 or 4500.
        port: u16,
        real: SocketAddrV4,
    },
    Esp {
        socket: OwnedFd,
        address: Ipv4Addr,
    },
    Tun {
        device: SyncDevice,
        number: usize,
    },
}

/// The sending side of everything that is open.
#[derive(Clone)]
pub struct Senders(Rc<Vec<Kind>>);

impl Senders {
    /// Sends from the UDP socket of a tunnel that has this port in the world.
    pub fn udp(&self, tunnel: usize, port: u16, to: SocketAddrV4, bytes: &[u8]) -> io::Result<()> {
        let found = self.0.iter().find_map(|kind| match kind {
            Kind::Udp { socket, tunnels, port: own, .. } if *own == port && tunnels.contains(&tunnel) => Some(socket),
            _ => None,
        });
        found.ok_or(io::ErrorKind::AddrNotAvailable)?.send_to(bytes, SocketAddr::V4(to)).map(drop)
    }

    /// Sends ESP from an address; the kernel writes the header of IP.
    pub fn esp(&self, from: Ipv4Addr, to: Ipv4Addr, bytes: &[u8]) -> io::Result<()> {
        let found = self.0.iter().find_map(|kind| match kind {
            Kind::Esp { socket, address } if *address == from => Some(socket),
            _ => None,
        });
        let socket = found.ok_or(io::ErrorKind::AddrNotAvailable)?;
        net::sendto(socket, bytes, SendFlags::empty(), &SocketAddrV4::new(to, 0))?;
        Ok(())
    }

    /// Hands a packet to the kernel by a TUN device.
    pub fn packet(&self, tun: usize, bytes: &[u8]) -> io::Result<()> {
        let found = self.0.iter().find_map(|kind| match kind {
            Kind::Tun { device, number } if *number == tun => Some(device),
            _ => None,
        });
        found.ok_or(io::ErrorKind::AddrNotAvailable)?.send(bytes).map(drop)
    }

    /// The tunnels that a UDP socket serves, and its port in the world.
    pub fn served(&self, socket: usize) -> (&[usize], u16) {
        match &self.0[socket] {
            Kind::Udp { tunnels, port, .. } => (tunnels, *port),
            Kind::Esp { .. } | Kind::Tun { .. } => (&[], 0),
        }
    }

    /// What the TUN devices are called, in order.
    pub fn tun_names(&self) -> Vec<String> {
        let name = |kind: &Kind| match kind {
            Kind::Tun { device, .. } => Some(device.name().unwrap_or_default()),
            Kind::Udp { .. } | Kind::Esp { .. } => None,
        };
        self.0.iter().filter_map(name).collect()
    }
}

/// The receiving side of everything that is open.
pub struct Doors {
    poll: Poll,
    events: Events,
    all: Rc<Vec<Kind>>,
    /// Which may have something to read.
    readable: Vec<bool>,
    /// Where to look next, so that one does not silence the others.
    next: usize,
    buffer: Vec<u8>,
}

impl Doors {
    /// Opens everything. The waker ends a [`Inbox::receive`] early, from any thread.
    pub fn open(openings: &Openings) -> Result<(Self, Senders, Arc<Waker>), Failure> {
        let unavailable = |error: io::Error| Failure::no_socket("sockets", &error);
        let poll = Poll::new().map_err(unavailable)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(unavailable)?);
        let mut all = Vec::new();
        for (tunnel, door) in openings.tunnels.iter().enumerate() {
            for (real, port) in [(door.ike_port, IKE_PORT), (door.nat_port, NATT_PORT)] {
                udp(&mut all, tunnel, port, SocketAddrV4::new(door.address, real))?;
            }
        }
        for &address in &openings.esp {
            let socket = esp(address).map_err(|error| Failure::no_raw_socket(address, &error))?;
            all.push(Kind::Esp { socket, address });
        }
        for (number, tun) in openings.tuns.iter().enumerate() {
            all.push(Kind::Tun { device: tun.open()?, number });
        }
        for (token, kind) in all.iter_mut().enumerate() {
            let (registry, token) = (poll.registry(), Token(token));
            match kind {
                Kind::Udp { socket, .. } => registry.register(socket, token, Interest::READABLE),
                Kind::Esp { socket, .. } => {
                    registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE)
                }
                Kind::Tun { device, .. } => {
                    registry.register(&mut SourceFd(&device.as_raw_fd()), token, Interest::READABLE)
                }
            }
            .map_err(unavailable)?;
        }
        let all = Rc::new(all);
        let doors = Self {
            poll,
            events: Events::with_capacity(64),
            readable: vec![true; all.len()],
            all: Rc::clone(&all),
            next: 0,
            buffer: vec![0; LONGEST],
        };
        Ok((doors, Senders(all), waker))
    }

    /// What can be read without waiting.
    fn read(&mut self) -> Option<Arrival> {
        let all = self.all.len();
        for i in (0..all).map(|n| (self.next + n) % all) {
            while self.readable[i] {
                match self.all[i].read(i, &mut self.buffer) {
                    Ok(Some(arrival)) => {
                        self.next = (i + 1) % all;
                        return Some(arrival);
                    }
                    // Readiness is told once: what is open is read until it is empty.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable[i] = false,
                    // An ICMP error for something that was sent earlier, a signal, or IPv6: none is for the world.
                    Ok(None) | Err(_) => {}
                }
            }
        }
        None
    }
}

impl Kind {
    fn read(&self, socket: usize, buffer: &mut [u8]) -> io::Result<Option<Arrival>> {
        Ok(match self {
            Self::Udp { socket: udp, .. } => match udp.recv_from(buffer)? {
                (length, SocketAddr::V4(from)) => Some(Arrival::Udp { socket, from, bytes: buffer[..length].to_vec() }),
                (_, SocketAddr::V6(_)) => None,
            },
            Self::Esp { socket, .. } => {
                let (length, _) = net::recv(socket, &mut *buffer, RecvFlags::empty())?;
                let ip = Ipv4Packet::new_checked(&buffer[..length]).ok();
                ip.map(|ip| Arrival::Esp { from: ip.src(), to: ip.dst(), bytes: ip.payload().to_vec() })
            }
            Self::Tun { device, number } => {
                let length = device.recv(buffer)?;
                let ip = Ipv4Packet::new_checked(&buffer[..length]).ok();
                ip.map(|ip| Arrival::Packet { tun: *number, bytes: ip.datagram().to_vec() })
            }
        })
    }
}

fn udp(all: &mut Vec<Kind>, tunnel: usize, port: u16, real: SocketAddrV4) -> Result<(), Failure> {
    let shared = all.iter_mut().find_map(|kind| match kind {
        Kind::Udp { tunnels, port: other, real: taken, .. } if (*other, *taken) == (port, real) => Some(tunnels),
        _ => None,
    });
    match shared {
        Some(tunnels) => tunnels.push(tunnel),
        None => {
            let failed = |error: io::Error| Failure::no_socket(&format!("UDP {real}"), &error);
            let socket = UdpSocket::bind(real.into()).map_err(failed)?;
            all.push(Kind::Udp { socket, tunnels: vec![tunnel], port, real });
        }
    }
    Ok(())
}

/// A raw socket for ESP at one address.
fn esp(address: Ipv4Addr) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::INET, SocketType::RAW, flags, Some(ipproto::ESP))?;
    net::bind(&socket, &SocketAddrV4::new(address, 0))?;
    Ok(socket)
}

impl Tun {
    fn open(&self) -> Result<SyncDevice, Failure> {
        let failed = |error: io::Error| Failure::no_tun(self.name.as_deref(), &error);
        let mut builder = DeviceBuilder::new().mtu(self.mtu);
        builder = builder.ipv4(self.address.addr(), self.address.prefix_len(), None);
        if let Some(name) = &self.name {
            builder = builder.name(name);
        }
        let device = builder.build_sync().map_err(failed)?;
        device.set_nonblocking(true).map_err(failed)?;
        Ok(device)
    }
}

impl Inbox<LiveSite> for Doors {
    fn receive(&mut self, pause: Duration) -> Result<Option<Arrival>, Failure> {
        if let Some(arrival) = self.read() {
            return Ok(Some(arrival));
        }
        match self.poll.poll(&mut self.events, Some(pause)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(Failure::no_socket("sockets", &error));
            }
            _ => {}
        }
        for event in &self.events {
            if let Some(readable) = self.readable.get_mut(event.token().0) {
                *readable = true;
            }
        }
        Ok(self.read())
    }
}
