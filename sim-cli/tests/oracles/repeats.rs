//! Messages of IKEv1 that were sent again, which tshark cannot decipher.
//!
//! The initialization vector of a message is the last ciphertext block of the one before it in its exchange (RFC 2409 appendix B).
//! tshark takes the one before it in the capture, so a retransmission deciphers to nonsense, and so does what follows it. Whether
//! there is one depends on how fast a real peer answers. In the copy of a capture that this makes, a message that was sent again is
//! no IKE by its port, and the reader of the answer puts back what the first of its kind was.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use pcap_file::pcapng::{Block, PcapNgReader, PcapNgWriter};
use sim_core::wire::ike::Header;
use sim_core::wire::ipv4::{Ipv4Packet, protocol};
use sim_core::wire::udp::UdpDatagram;
use tempfile::TempDir;

use crate::captures::packets;
use crate::process::Outcome;
use crate::tshark::{Frame, Ike};

/// Where the flags are in an ISAKMP header, and the one that says that the rest is encrypted (RFC 2408 section 3.1).
const FLAGS_AT: usize = 19;
const ENCRYPTED: u8 = 1;
/// A port of nobody's (RFC 863).
const DISCARD: u16 = 9;
const IKE: u16 = 500;
const NAT_T: u16 = 4500;
/// In front of IKE on [`NAT_T`] (RFC 3948 section 2.2).
const NON_ESP_MARKER: [u8; 4] = [0; 4];

/// A capture as tshark can read it.
pub struct Readable {
    /// The copy, if one had to be made.
    copy: Option<(TempDir, PathBuf)>,
    /// By the place of a packet that was sent again, that of the first like it.
    first: BTreeMap<usize, usize>,
    /// What the packets before were, by place, as far as one of them comes again.
    ike: BTreeMap<usize, Option<Ike>>,
    next: usize,
}

impl Readable {
    /// Looks through `capture`, and copies it if a message of IKEv1 is in it twice.
    pub fn of(capture: &Path) -> Outcome<Self> {
        let first = repeated(capture)?;
        let ike = first.values().map(|place| (*place, None)).collect();
        let copy = if first.is_empty() { None } else { Some(without(capture, &first)?) };
        Ok(Self { copy, first, ike, next: 0 })
    }

    /// What tshark is to read, where `capture` is what this was made of.
    pub fn path<'a>(&'a self, capture: &'a Path) -> &'a Path {
        self.copy.as_ref().map_or(capture, |(_, path)| path)
    }

    /// How many messages were sent again.
    pub fn repeats(&self) -> usize {
        self.first.len()
    }

    /// Takes the frames in order and completes each.
    pub fn complete(&mut self, frame: Frame) -> Frame {
        let place = self.next;
        self.next += 1;
        if let Some(kept) = self.ike.get_mut(&place) {
            *kept = frame.ike.clone();
        }
        match self.first.get(&place).and_then(|first| self.ike.get(first)) {
            Some(ike) => Frame { ike: ike.clone(), ..frame },
            None => frame,
        }
    }
}

/// The places of packets with a message of IKEv1 that was there before, from the same address.
fn repeated(capture: &Path) -> Outcome<BTreeMap<usize, usize>> {
    let (mut seen, mut repeated) = (BTreeMap::new(), BTreeMap::new());
    for (place, packet) in packets(capture)?.enumerate() {
        if let Some(message) = ikev1(&packet?) {
            let first = *seen.entry(message).or_insert(place);
            if first != place {
                repeated.insert(place, first);
            }
        }
    }
    Ok(repeated)
}

/// The source and the encrypted message of IKEv1 in a whole packet of IPv4, if it is one. What is in clear stays: of a proposal that is
/// sent again tshark takes the last algorithm until it sees the answer again.
fn ikev1(packet: &[u8]) -> Option<(IpAddr, Vec<u8>)> {
    let ip = Ipv4Packet::new_checked(packet).ok().filter(|ip| ip.protocol() == protocol::UDP)?;
    let udp = UdpDatagram::new_checked(ip.payload()).ok()?;
    let message = match [udp.src_port(), udp.dst_port()] {
        ports if ports.contains(&IKE) => udp.payload(),
        ports if ports.contains(&NAT_T) => udp.payload().strip_prefix(&NON_ESP_MARKER)?,
        _ => return None,
    };
    let header = Header::parse(message).ok()?;
    (header.major == 1 && message[FLAGS_AT] & ENCRYPTED != 0).then(|| (IpAddr::V4(ip.src()), message.to_vec()))
}

/// A copy of `capture` in which the packets at these places are no IKE.
fn without(capture: &Path, places: &BTreeMap<usize, usize>) -> Outcome<(TempDir, PathBuf)> {
    let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
    let path = directory.path().join(capture.file_name().unwrap_or_default());
    let source = File::open(capture).map_err(|e| format!("{}: {e}", capture.display()))?;
    let mut reader = PcapNgReader::new(BufReader::new(source)).map_err(|e| format!("{}: {e}", capture.display()))?;
    let file = File::create(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let section = reader.section().clone();
    let mut writer = PcapNgWriter::with_section_header(BufWriter::new(file), section).map_err(|e| e.to_string())?;
    let mut place = 0;
    while let Some(block) = reader.next_block() {
        let mut block = block.map_err(|e| e.to_string())?;
        if let Block::EnhancedPacket(packet) = &mut block {
            if places.contains_key(&place) {
                let mut ip = Ipv4Packet::new_checked(packet.data.to_mut().as_mut_slice()).map_err(|e| e.to_string())?;
                let mut udp = UdpDatagram::new_checked(ip.payload_mut()).map_err(|e| e.to_string())?;
                udp.set_src_port(DISCARD);
                udp.set_dst_port(DISCARD);
            }
            place += 1;
        }
        writer.write_block(&block).map_err(|e| e.to_string())?;
    }
    Ok((directory, path))
}
