//! Numbered datagrams through a tunnel, both ways at once: which of them came, and how often.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration as Pause;

use sim_core::packet::{Meta, Packet};
use sim_core::time::{Duration, Instant};
use sim_core::wire::ipv4::Ipv4Packet;
use sim_core::wire::udp::{self, UdpDatagram};

use crate::process::Outcome;

/// Port of the datagrams, at both hosts.
pub const PORT: u16 = 7_000;
/// The number, and something behind it.
const OCTETS: usize = 200;
/// Who was held up makes good for no more than this many datagrams at once: a longer burst could overflow buffers in the
/// kernel, which is not what is asked here.
const BURST: u64 = 256;

/// What one end has sent and received.
#[derive(Default, Debug)]
pub struct Count {
    /// So many were sent, numbered from 0.
    pub sent: u32,
    /// The numbers that came, in the order in which they came.
    pub received: Vec<u32>,
}

impl Count {
    /// An error unless each of the `sent` datagrams came once.
    pub fn holds(&self, whose: &str, sent: u32) -> Outcome {
        let mut times = vec![0_u32; sent as usize];
        for number in &self.received {
            *times.get_mut(*number as usize).ok_or_else(|| format!("{whose} datagram {number} was never sent"))? += 1;
        }
        let of = |n: u32| times.iter().enumerate().filter(move |(_, t)| **t == n).map(|(i, _)| i);
        let lost: Vec<usize> = of(0).collect();
        if !lost.is_empty() {
            return Err(format!("{} of {sent} {whose} datagrams are lost: {lost:?}", lost.len()));
        }
        match times.iter().position(|times| *times > 1) {
            None => Ok(()),
            Some(number) => Err(format!("{whose} datagram {number} came {} times", times[number])),
        }
    }
}

fn content(number: u32) -> [u8; OCTETS] {
    let mut content = [0x5a; OCTETS];
    content[..4].copy_from_slice(&number.to_be_bytes());
    content
}

/// The load of our machine.
pub struct Load {
    begun: (Instant, std::time::Instant),
    every: Duration,
    next: Option<Instant>,
    count: Count,
}

impl Load {
    /// One that begins now.
    #[allow(clippy::disallowed_methods, reason = "live peers live in wall-clock time")]
    pub fn new(now: Instant, per_second: u64) -> Self {
        let every = Duration::from_nanos(1_000_000_000 / per_second);
        Self { begun: (now, std::time::Instant::now()), every, next: Some(now), count: Count::default() }
    }

    pub fn stop(&mut self) {
        self.next = None;
    }

    pub fn wake(&self) -> Option<Instant> {
        self.next
    }

    pub fn count(&self) -> &Count {
        &self.count
    }

    /// The datagram that is due by now, if one is.
    pub fn due(&mut self, now: Instant, (from, to): (Ipv4Addr, Ipv4Addr)) -> Option<Packet> {
        let due = self.next.filter(|due| *due <= now)?;
        let present = self.begun.0 + Duration::from_nanos(self.begun.1.elapsed().as_nanos() as u64);
        let late = present.since(due).saturating_sub(self.every * BURST);
        self.next = Some(due + self.every + late);
        let number = self.count.sent;
        self.count.sent += 1;
        Some(udp::packet((from, PORT), (to, PORT), &content(number), Meta::default()))
    }

    /// True if the inner packet is a datagram of the other end's load, which is then counted.
    pub fn take(&mut self, packet: &Packet) -> bool {
        let Ok(ip) = Ipv4Packet::new_checked(packet.bytes()) else { return false };
        let Ok(datagram) = UdpDatagram::new_checked(ip.payload()) else { return false };
        let number = datagram.payload().first_chunk().map(|number| u32::from_be_bytes(*number));
        let number = number.filter(|number| datagram.dst_port() == PORT && datagram.payload() == content(*number));
        self.count.received.extend(number);
        number.is_some()
    }
}

/// The load of the host behind the peer, on two threads of its own.
pub struct Host {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicBool>,
    sender: JoinHandle<Outcome<u32>>,
    receiver: JoinHandle<Outcome<Vec<u32>>>,
}

impl Host {
    /// Begins to send so many datagrams a second, and to listen.
    pub fn start(socket: UdpSocket, per_second: u64) -> Outcome<Self> {
        let [stop, done] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let from = socket.try_clone().map_err(|e| e.to_string())?;
        from.set_read_timeout(Some(Pause::from_millis(50))).map_err(|e| e.to_string())?;
        let (told, finished) = (Arc::clone(&stop), Arc::clone(&done));
        let sender = std::thread::spawn(move || send(&socket, per_second, &told));
        let receiver = std::thread::spawn(move || receive(&from, &finished));
        Ok(Self { stop, done, sender, receiver })
    }

    /// No more datagrams are sent; those that come are counted still.
    pub fn stop_sending(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The end.
    pub fn finish(self) -> Outcome<Count> {
        self.stop_sending();
        self.done.store(true, Ordering::Relaxed);
        let panicked = |_| "a thread of the host panicked".to_owned();
        let sent = self.sender.join().map_err(panicked)??;
        Ok(Count { sent, received: self.receiver.join().map_err(panicked)?? })
    }
}

#[allow(clippy::disallowed_methods, reason = "a real host sends in wall-clock time")]
fn send(socket: &UdpSocket, per_second: u64, stop: &AtomicBool) -> Outcome<u32> {
    let every = Pause::from_nanos(1_000_000_000 / per_second);
    let mut sent = 0;
    let mut due = std::time::Instant::now();
    while !stop.load(Ordering::Relaxed) {
        socket.send(&content(sent)).map_err(|e| format!("datagram {sent} of the host: {e}"))?;
        sent += 1;
        due += every;
        let now = std::time::Instant::now();
        due = due.max(now.checked_sub(every * BURST as u32).unwrap_or(now));
        std::thread::sleep(due.saturating_duration_since(now));
    }
    Ok(sent)
}

fn receive(socket: &UdpSocket, done: &AtomicBool) -> Outcome<Vec<u32>> {
    let mut received = Vec::new();
    let mut buffer = [0; 2_048];
    // The last read before the end finds nothing.
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => received.extend(buffer[..length].first_chunk().map(|number| u32::from_be_bytes(*number))),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if done.load(Ordering::Relaxed) {
                    return Ok(received);
                }
            }
            Err(error) => return Err(format!("the host hears: {error}")),
        }
    }
}
