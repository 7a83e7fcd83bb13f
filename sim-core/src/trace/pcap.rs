//! Captures in pcapng and the keys that Wireshark needs to read them.
//!
//! A capture shows a link as an instrument at the sending end would: every packet that enters it, also those that the
//! link then loses, stamped in nanoseconds with the date at which it enters, if the world begins on the date that is given. Each packet carries its name in the trace as
//! a comment. A file has an interface of raw IP, and from the first frame of Ethernet on a second one for frames: those of a LAN, and LACP's.
//! Key files are rows of Wireshark's tables `ikev2_decryption_table`, `ikev1_decryption_table` and `esp_sa`;
//! they are secrets. An IKE_SA with additional key exchanges (RFC 9370) has a row for each of its sets of keys, in order. Wireshark
//! takes the last, which opens everything but IKE_INTERMEDIATE; that opens with the rows before it alone.

use core::fmt::Write as _;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration as StdDuration;

use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::{PcapNgBlock as _, PcapNgWriter};
use pcap_file::{DataLink, PcapError};

use super::{Sink, Way};
use crate::crypto::Secret;
use crate::crypto::suite::{Encryption, Integrity, Suite};
use crate::id::{LinkId, NodeId};
use crate::packet::Packet;
use crate::time::{Duration, Instant};
use crate::wire::ethernet::is_frame;

/// The keys of one SA, for a key log.
#[derive(Debug)]
pub enum SessionKeys {
    /// An IKE SA.
    Ike {
        /// Initiator's SPI.
        spi_i: u64,
        /// Responder's SPI.
        spi_r: u64,
        /// Encryption and integrity.
        suite: Suite,
        /// SK_ei and SK_er, salts included.
        encryption: [Secret; 2],
        /// SK_ai and SK_ar; empty with AEAD.
        integrity: [Secret; 2],
    },
    /// An ISAKMP SA of IKEv1.
    Isakmp {
        /// Initiator's cookie.
        cookie_i: u64,
        /// Encryption key of both directions.
        encryption: Secret,
    },
    /// One direction of a CHILD_SA.
    Esp {
        /// Outer source and destination; `None` if a NAT rewrites them on the way.
        ends: Option<(IpAddr, IpAddr)>,
        /// SPI.
        spi: u32,
        /// Encryption and integrity.
        suite: Suite,
        /// Encryption key, salt included.
        encryption: Secret,
        /// Integrity key; empty with AEAD.
        integrity: Secret,
    },
}

impl SessionKeys {
    /// The row of the Wireshark table it belongs to, without a line end.
    pub fn row(&self) -> String {
        match self {
            Self::Ike { spi_i, spi_r, suite, encryption, integrity } => format!(
                "{spi_i:016x},{spi_r:016x},{},{},\"{}\",{},{},\"{}\"",
                hex(&encryption[0]),
                hex(&encryption[1]),
                ike_encryption(suite.encryption()),
                hex(&integrity[0]),
                hex(&integrity[1]),
                ike_integrity(suite.integrity()),
            ),
            Self::Isakmp { cookie_i, encryption } => format!("{cookie_i:016x},{}", hex(encryption)),
            Self::Esp { ends, spi, suite, encryption, integrity } => {
                // Wireshark takes a star for any address.
                let star = || ("*".to_owned(), "*".to_owned());
                let (src, dst) = ends.map_or_else(star, |(src, dst)| (src.to_string(), dst.to_string()));
                let family = if matches!(ends, Some((IpAddr::V6(_), _))) { "IPv6" } else { "IPv4" };
                let key = |secret: &Secret| {
                    let digits = hex(secret);
                    if digits.is_empty() { digits } else { format!("0x{digits}") }
                };
                format!(
                    "\"{family}\",\"{src}\",\"{dst}\",\"0x{spi:08x}\",\"{}\",\"{}\",\"{}\",\"{}\"",
                    esp_encryption(suite.encryption()),
                    key(encryption),
                    esp_integrity(suite.integrity()),
                    key(integrity),
                )
            }
        }
    }
}

fn hex(secret: &Secret) -> String {
    secret.as_ref().iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

const fn ike_encryption(encryption: Encryption) -> &'static str {
    match encryption {
        Encryption::AesCbc128 => "AES-CBC-128 [RFC3602]",
        Encryption::AesCbc256 => "AES-CBC-256 [RFC3602]",
        Encryption::AesGcm16_128 => "AES-GCM-128 with 16 octet ICV [RFC5282]",
        Encryption::AesGcm16_256 => "AES-GCM-256 with 16 octet ICV [RFC5282]",
        Encryption::Null => "NULL [RFC2410]",
    }
}

const fn ike_integrity(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::None => "NONE [RFC4306]",
        Integrity::HmacSha1_96 => "HMAC_SHA1_96 [RFC2404]",
        Integrity::HmacSha2_256_128 => "HMAC_SHA2_256_128 [RFC4868]",
        Integrity::HmacSha2_384_192 => "HMAC_SHA2_384_192 [RFC4868]",
        Integrity::HmacSha2_512_256 => "HMAC_SHA2_512_256 [RFC4868]",
    }
}

const fn esp_encryption(encryption: Encryption) -> &'static str {
    match encryption {
        Encryption::AesCbc128 | Encryption::AesCbc256 => "AES-CBC [RFC3602]",
        Encryption::AesGcm16_128 | Encryption::AesGcm16_256 => "AES-GCM with 16 octet ICV [RFC4106]",
        Encryption::Null => "NULL",
    }
}

const fn esp_integrity(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::None => "NULL",
        Integrity::HmacSha1_96 => "HMAC-SHA-1-96 [RFC2404]",
        Integrity::HmacSha2_256_128 => "HMAC-SHA-256-128 [RFC4868]",
        Integrity::HmacSha2_384_192 => "HMAC-SHA-384-192 [RFC4868]",
        Integrity::HmacSha2_512_256 => "HMAC-SHA-512-256 [RFC4868]",
    }
}

/// Where a capture keeps the first thing that went wrong, because a sink cannot fail.
pub type FirstError = Rc<RefCell<Option<io::Error>>>;

/// Where the rows of each of Wireshark's tables go.
pub struct Tables<W> {
    /// `ikev2_decryption_table`.
    pub ikev2: W,
    /// `ikev1_decryption_table`.
    pub ikev1: W,
    /// `esp_sa`.
    pub esp: W,
}

/// The file of one link.
struct Tap<W: Write> {
    name: String,
    pcap: PcapNgWriter<W>,
    /// Whether it has its second interface, that of Ethernet.
    framed: bool,
}

impl<W: Write> Tap<W> {
    fn interface(&mut self, linktype: DataLink) -> io::Result<()> {
        let name = Cow::Owned(self.name.clone());
        let options = vec![InterfaceDescriptionOption::IfName(name), InterfaceDescriptionOption::IfTsResol(9)];
        let interface = InterfaceDescriptionBlock { linktype, snaplen: 0, options };
        self.pcap.write_block(&interface.into_block()).map_err(io_error).map(drop)
    }
}

/// Writes tapped links and keys as they pass.
pub struct Capture<W: Write> {
    links: BTreeMap<LinkId, Tap<W>>,
    tables: Tables<W>,
    /// Rows already written: both ends of an SA know its keys.
    known: BTreeSet<String>,
    began: Duration,
    failed: FirstError,
}

impl<W: Write> Capture<W> {
    /// Captures `links`, each into its writer, and keys into their tables. The world began so long after 1970 (UTC), as pcapng
    /// counts.
    /// The first failed write is kept in the returned cell; later ones are not tried.
    ///
    /// # Errors
    /// If a file header cannot be written.
    pub fn new(began: Duration, links: Vec<(LinkId, String, W)>, tables: Tables<W>) -> io::Result<(Self, FirstError)> {
        let open = |(id, name, writer): (LinkId, String, W)| {
            let mut tap = Tap { name, pcap: PcapNgWriter::new(writer).map_err(io_error)?, framed: false };
            tap.interface(DataLink::RAW)?;
            Ok((id, tap))
        };
        let links = links.into_iter().map(open).collect::<io::Result<_>>()?;
        let failed = FirstError::default();
        Ok((Self { links, tables, known: BTreeSet::new(), began, failed: Rc::clone(&failed) }, failed))
    }

    fn attempt(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.failed.borrow().is_none()
            && let Err(error) = write(self)
        {
            *self.failed.borrow_mut() = Some(error);
        }
    }
}

fn io_error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

impl<W: Write> Sink for Capture<W> {
    fn wire(&mut self, at: Instant, link: LinkId, _way: Way, packet: &Packet) {
        self.attempt(|this| {
            let Some(tap) = this.links.get_mut(&link) else { return Ok(()) };
            let framed = is_frame(packet.bytes());
            if framed && !tap.framed {
                tap.interface(DataLink::ETHERNET)?;
                tap.framed = true;
            }
            let block = EnhancedPacketBlock {
                interface_id: framed.into(),
                timestamp: StdDuration::from_nanos(this.began.as_nanos() + at.as_nanos()),
                original_len: packet.len() as u32,
                data: Cow::Borrowed(packet.bytes()),
                options: vec![EnhancedPacketOption::Comment(Cow::Owned(format!("#{}", packet.meta.id.0)))],
            };
            tap.pcap.write_block(&block.into_block()).map_err(io_error).map(drop)
        });
    }

    fn keys(&mut self, _at: Instant, _node: NodeId, keys: &SessionKeys) {
        let row = keys.row();
        if !self.known.insert(row.clone()) {
            return;
        }
        self.attempt(|this| match keys {
            SessionKeys::Ike { .. } => writeln!(this.tables.ikev2, "{row}"),
            SessionKeys::Isakmp { .. } => writeln!(this.tables.ikev1, "{row}"),
            SessionKeys::Esp { .. } => writeln!(this.tables.esp, "{row}"),
        });
    }
}
