//! The UDP sockets that stand for the outside addresses of tunnels.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use sim_core::node::tunnel::{IKE_PORT, NATT_PORT};
use sim_scenarios::plan::Door;

use super::pace::Inbox;
use super::site::LiveSite;
use crate::failure::Failure;

/// The longest UDP datagram that there is.
const LONGEST: usize = 65_535;
/// Wakes a sleeper.
const WAKER: Token = Token(usize::MAX);

/// A datagram that a socket has read.
#[derive(Debug)]
pub struct Arrival {
    /// The tunnel, by its number among all that have doors.
    pub tunnel: usize,
    /// The port that it has in the world: 500 or 4500.
    pub port: u16,
    /// Who sent it.
    pub from: SocketAddrV4,
    pub bytes: Vec<u8>,
}

struct Socket {
    socket: UdpSocket,
    tunnel: usize,
    port: u16,
}

/// The sending side of all sockets.
#[derive(Clone)]
pub struct Senders(Rc<Vec<Socket>>);

impl Senders {
    /// Sends from the socket of a tunnel that has this port in the world.
    pub fn send(&self, tunnel: usize, port: u16, to: SocketAddrV4, bytes: &[u8]) -> io::Result<()> {
        let found = self.0.iter().find(|socket| (socket.tunnel, socket.port) == (tunnel, port));
        let socket = found.ok_or(io::ErrorKind::AddrNotAvailable)?;
        socket.socket.send_to(bytes, SocketAddr::V4(to)).map(drop)
    }
}

/// The receiving side of all sockets.
pub struct Doors {
    poll: Poll,
    events: Events,
    sockets: Rc<Vec<Socket>>,
    /// Which sockets may have something to read.
    readable: Vec<bool>,
    /// Where to look next, so that one socket does not silence the others.
    next: usize,
    buffer: Vec<u8>,
}

impl Doors {
    /// Opens two sockets for each tunnel. The waker ends a [`Inbox::receive`] early, from any thread.
    pub fn open(doors: &[Door]) -> Result<(Self, Senders, Arc<Waker>), Failure> {
        let unavailable = |error: io::Error| Failure::no_socket("sockets", &error);
        let poll = Poll::new().map_err(unavailable)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(unavailable)?);
        let mut sockets = Vec::new();
        for (tunnel, door) in doors.iter().enumerate() {
            for (real, port) in [(door.ike_port, IKE_PORT), (door.nat_port, NATT_PORT)] {
                let address = SocketAddrV4::new(door.address, real);
                let failed = |error: io::Error| Failure::no_socket(&format!("UDP {address}"), &error);
                let mut socket = UdpSocket::bind(address.into()).map_err(failed)?;
                let token = Token(sockets.len());
                poll.registry().register(&mut socket, token, Interest::READABLE).map_err(failed)?;
                sockets.push(Socket { socket, tunnel, port });
            }
        }
        let sockets = Rc::new(sockets);
        let doors = Self {
            poll,
            events: Events::with_capacity(64),
            readable: vec![true; sockets.len()],
            sockets: Rc::clone(&sockets),
            next: 0,
            buffer: vec![0; LONGEST],
        };
        Ok((doors, Senders(sockets), waker))
    }

    /// What can be read without waiting.
    fn read(&mut self) -> Option<Arrival> {
        let all = self.sockets.len();
        for i in (0..all).map(|n| (self.next + n) % all) {
            while self.readable[i] {
                let Socket { socket, tunnel, port } = &self.sockets[i];
                match socket.recv_from(&mut self.buffer) {
                    Ok((length, SocketAddr::V4(from))) => {
                        self.next = (i + 1) % all;
                        let bytes = self.buffer[..length].to_vec();
                        return Some(Arrival { tunnel: *tunnel, port: *port, from, bytes });
                    }
                    // Readiness is told once: a socket is read until it is empty.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable[i] = false,
                    // An ICMP error for something that was sent earlier, or a signal: neither is a datagram.
                    Ok((_, SocketAddr::V6(_))) | Err(_) => {}
                }
            }
        }
        None
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
