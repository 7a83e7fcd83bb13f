//! What tshark sees in a capture, packet by packet, with the key files that lie beside it.

use std::fmt::Display;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::Stdio;
use std::str::FromStr;

use crate::process::{Outcome, command};
use crate::repeats::Readable;

/// One packet of a capture, in tshark's eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The name of the interface it was captured on.
    pub interface: String,
    /// The packet's comment.
    pub comment: String,
    /// Nanoseconds since the epoch of the capture.
    pub at_ns: u64,
    /// The IKE message it is.
    pub ike: Option<Ike>,
    /// The ESP packet it is.
    pub esp: Option<Esp>,
    /// The TCP segment it is or carries, and what that completes.
    pub tcp: Option<Tcp>,
    /// The message of a LAN's protocol that it is.
    pub lan: Option<Lan>,
}

/// Protocols of a LAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lan {
    /// ARP (RFC 826).
    Arp,
    /// VRRP version 3 (RFC 5798), its checksum good.
    Vrrp,
    /// LACP version 1 (IEEE 802.1AX).
    Lacp,
}

/// A TCP segment, as part of the octet stream that tshark puts together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// The number of its connection in this capture.
    pub stream: u32,
    /// Where it comes from and goes to: the inner addresses, if it is in a tunnel.
    pub ends: (IpAddr, IpAddr),
    /// The BGP UPDATEs that end in it, each told once however often its segments were sent.
    pub updates: Vec<Update>,
}

/// A BGP UPDATE (RFC 4271 section 4.3); one without prefixes is an End-of-RIB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Withdrawn Routes, and those of MP_UNREACH_NLRI (RFC 4760 section 4).
    pub withdrawn: Vec<String>,
    /// Network Layer Reachability Information, and that of MP_REACH_NLRI (section 3).
    pub announced: Vec<String>,
}

/// An IKE header (RFC 7296 section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ike {
    /// Exchange type.
    pub exchange: u32,
    /// Message ID.
    pub message_id: u32,
    /// Which fragment of the message it is (RFC 7383), from 1 on; 1 if it is whole.
    pub fragment: u32,
}

/// An ESP packet (RFC 4303 section 2), authentic and deciphered, or one of AH (RFC 4302), of which tshark has no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Esp {
    /// Security parameters index.
    pub spi: u32,
    /// Sequence number.
    pub sequence: u32,
    /// Integrity check value, in hexadecimal.
    pub icv: String,
    /// The inner packet; of AH, which hides nothing, `None`.
    pub inner: Option<Vec<u8>>,
}

/// What is asked of tshark about ICVs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Icvs {
    /// They must be good.
    Good,
    /// They cannot be judged: tshark before 4.2 has no extended sequence numbers, so it computes them over too little. That
    /// they decrypt, and that their ends are those of our trace, is asked all the same.
    Extended,
    /// They must be good, and so must IKE_INTERMEDIATE's, with the first keys of its IKE_SA, which nothing else is asked about.
    Intermediate,
}

/// IKE_SA_INIT, the only exchange of IKEv2 that is not encrypted.
const IKE_SA_INIT: u32 = 34;
/// IKE_INTERMEDIATE (RFC 9242), after which an IKE_SA has other keys. tshark's table has one row for an IKE_SA, the last one.
const IKE_INTERMEDIATE: u32 = 43;
/// A Notify payload (RFC 7296 section 3.2).
const NOTIFY: u32 = 41;
/// The exchange types of IKEv1 end here (RFC 2409 appendix A).
const NEW_GROUP_MODE: u32 = 33;

/// What is asked of tshark: the columns of a [`Row`].
const FIELDS: &[&str] = &[
    "frame.number",
    "frame.interface_name",
    "frame.comment",
    "frame.protocols",
    "frame.time_epoch",
    "_ws.malformed",
    "isakmp.exchangetype",
    "isakmp.messageid",
    "isakmp.nextpayload",
    "isakmp.enc.decrypted",
    "isakmp.frag.number",
    "isakmp.flag_e",
    "isakmp.hash",
    "isakmp.sig",
    "isakmp.ikev2.integrity_checksum",
    "esp.spi",
    "esp.sequence",
    "esp.icv",
    "esp.icv_good",
    "esp.icv_bad",
    "esp.contained_data",
    "ah.spi",
    "ah.sequence",
    "ah.icv",
    "ip.proto",
    "ip.src",
    "ip.dst",
    "ipv6.nxt",
    "ipv6.src",
    "ipv6.dst",
    "tcp.stream",
    "bgp.type",
    "bgp.length",
    "bgp.update.withdrawn_routes.length",
    "bgp.update.path_attributes.length",
    "bgp.nlri_prefix",
    "bgp.withdrawn_prefix",
    "bgp.prefix_length",
    "bgp.mp_reach_nlri_ipv6_prefix",
    "bgp.mp_unreach_nlri_ipv6_prefix",
    "bgp.update.path_attribute.type_code",
    "bgp.update.path_attribute.length",
    "bgp.update.path_attribute.flags.extended_length",
    "arp.opcode",
    "vrrp.version",
    "vrrp.checksum.status",
    "lacp.version",
];

/// Dissects `capture` with the files `ikev2_decryption_table`, `ikev1_decryption_table` and `esp_sa` of the folder `keys`, and
/// hands each packet to `see`.
///
/// A malformed packet, an encrypted IKE message or an ESP packet that does not decrypt and authenticate, and
/// anything that tshark complains of, is an error.
pub fn dissect(capture: &Path, keys: &Path, icvs: Icvs, mut see: impl FnMut(Frame) -> Outcome) -> Outcome {
    let mut readable = Readable::of(capture)?;
    let mut tshark = command("tshark --disable-heuristic wg -T fields -E occurrence=a")
        .args(["-o", "esp.enable_encryption_decode:TRUE"])
        .args(["-o", "esp.enable_authentication_check:TRUE"])
        .args(["-o", "tcp.reassemble_out_of_order:TRUE"])
        .args(FIELDS.iter().flat_map(|field| ["-e", field]))
        .arg("-r")
        .arg(readable.path(capture))
        .env("WIRESHARK_CONFIG_DIR", keys)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("tshark: {e}"))?;
    let mut seen = Ok(());
    for line in tshark.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        // What is left is read all the same, so that tshark can end.
        if seen.is_ok() {
            let frame = line.map_err(|e| e.to_string()).and_then(|line| Row::new(&line).frame(icvs));
            seen = frame.and_then(|frame| see(readable.complete(frame)));
        }
    }
    let mut said = String::new();
    if let Some(mut errors) = tshark.stderr.take() {
        errors.read_to_string(&mut said).map_err(|e| e.to_string())?;
    }
    let status = tshark.wait().map_err(|e| e.to_string())?;
    let complaint = said.lines().find(|line| !line.starts_with("Running as user"));
    let complained = match complaint {
        Some(complaint) => Err(complaint.to_owned()),
        None if !status.success() => Err(status.to_string()),
        None => Ok(()),
    };
    complained.and(seen).map_err(|e| format!("tshark, {}: {e}", capture.display()))
}

/// One line of tshark's answer.
struct Row<'a>(Vec<&'a str>);

impl<'a> Row<'a> {
    fn new(line: &'a str) -> Self {
        Self(line.split('\t').collect())
    }

    /// All occurrences of a field.
    fn all(&self, field: &str) -> impl Iterator<Item = &'a str> {
        let column = FIELDS.iter().position(|f| *f == field);
        let text = column.and_then(|c| self.0.get(c)).copied().unwrap_or("");
        text.split(',').filter(|value| !value.is_empty())
    }

    /// The first occurrence of a field.
    fn first(&self, field: &str) -> Option<&'a str> {
        self.all(field).next()
    }

    fn has(&self, field: &str) -> bool {
        self.first(field).is_some()
    }

    fn holds(&self, field: &str) -> bool {
        self.all(field).any(|v| matches!(v, "1" | "True"))
    }

    fn list<T: FromStr>(&self, field: &str) -> Outcome<Vec<T>> {
        let parse = |value: &str| value.parse().map_err(|_| format!("{field} {value:?}"));
        self.all(field).map(parse).collect()
    }

    /// The first occurrence of a field as a number, decimal or hexadecimal.
    fn number(&self, field: &str) -> Outcome<u32> {
        let text = self.first(field).unwrap_or("nothing");
        let parsed = match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => text.parse(),
        };
        parsed.map_err(|_| format!("{field} {text:?}"))
    }

    fn frame(&self, icvs: Icvs) -> Outcome<Frame> {
        let number = self.first("frame.number").unwrap_or("?");
        self.judge(icvs).and_then(|()| self.read()).map_err(|e| format!("frame {number}: {e}"))
    }

    /// True if it is ICMP, of either version, that no tunnel hides: what that quotes of another packet is cut short.
    fn quotes(&self) -> bool {
        let layers = self.first("frame.protocols").unwrap_or_default();
        let mut layers = layers
            .split(':')
            .filter(|layer| matches!(*layer, "icmp" | "icmpv6" | "esp" | "ah" | "udp" | "tcp" | "gre"));
        layers.next().is_some_and(|first| matches!(first, "icmp" | "icmpv6"))
    }

    /// What must hold for every packet.
    fn judge(&self, icvs: Icvs) -> Outcome {
        let intermediate = self.has("isakmp.exchangetype") && self.number("isakmp.exchangetype")? == IKE_INTERMEDIATE;
        if intermediate != (icvs == Icvs::Intermediate) {
            return Ok(());
        }
        // What is quoted of a sealed packet deciphers to what makes no sense.
        if self.has("_ws.malformed") && !(self.quotes() && self.has("esp.spi")) {
            return Err("malformed".into());
        }
        if self.quotes() {
            return Ok(());
        }
        if self.has("isakmp.ikev2.integrity_checksum") {
            return Err("the integrity checksum of an IKE message is wrong".into());
        }
        if self.has("isakmp.exchangetype") && !self.deciphered()? {
            return Err("an IKE message did not decrypt".into());
        }
        if icvs == Icvs::Good && self.has("esp.spi") && (self.holds("esp.icv_bad") || !self.holds("esp.icv_good")) {
            return Err("the ICV of an ESP packet is not good".into());
        }
        if self.has("esp.spi") && !self.has("esp.contained_data") {
            return Err("an ESP packet did not decrypt".into());
        }
        Ok(())
    }

    /// True if an IKE message was readable or was made so. Every encrypted message of IKEv1 has a HASH or
    /// a SIG payload inside.
    fn deciphered(&self) -> Outcome<bool> {
        Ok(match self.number("isakmp.exchangetype")? {
            IKE_SA_INIT => true,
            // INVALID_IKE_SPI has no keys (RFC 7296 section 1.5). What is encrypted says so in its header.
            IKE_SA_INIT.. if self.number("isakmp.nextpayload")? == NOTIFY => true,
            ..=NEW_GROUP_MODE => !self.holds("isakmp.flag_e") || self.has("isakmp.hash") || self.has("isakmp.sig"),
            _ => self.has("isakmp.enc.decrypted"),
        })
    }

    fn read(&self) -> Outcome<Frame> {
        Ok(Frame {
            interface: self.first("frame.interface_name").unwrap_or_default().to_owned(),
            comment: self.first("frame.comment").unwrap_or_default().to_owned(),
            at_ns: self.time_ns()?,
            ike: self.ike()?,
            esp: self.esp()?,
            tcp: self.tcp()?,
            lan: self.lan()?,
        })
    }

    /// `frame.time_epoch` is seconds, a point and nine digits.
    fn time_ns(&self) -> Outcome<u64> {
        let text = self.first("frame.time_epoch").unwrap_or_default();
        text.replace('.', "").parse().map_err(|_| format!("frame.time_epoch {text:?}"))
    }

    fn ike(&self) -> Outcome<Option<Ike>> {
        if self.quotes() || !self.has("isakmp.messageid") {
            return Ok(None);
        }
        let fragment = if self.has("isakmp.frag.number") { self.number("isakmp.frag.number")? } else { 1 };
        let (exchange, message_id) = (self.number("isakmp.exchangetype")?, self.number("isakmp.messageid")?);
        Ok(Some(Ike { exchange, message_id, fragment }))
    }

    fn esp(&self) -> Outcome<Option<Esp>> {
        if self.quotes() {
            return Ok(None);
        }
        if self.has("ah.spi") {
            return Ok(Some(Esp {
                spi: self.number("ah.spi")?,
                sequence: self.number("ah.sequence")?,
                icv: self.first("ah.icv").unwrap_or_default().to_owned(),
                inner: None,
            }));
        }
        if !self.has("esp.spi") {
            return Ok(None);
        }
        let octet = |pair: &[u8]| {
            let digits = str::from_utf8(pair).map_err(|e| e.to_string())?;
            u8::from_str_radix(digits, 16).map_err(|e| e.to_string())
        };
        let inner = self.first("esp.contained_data").unwrap_or_default().as_bytes();
        Ok(Some(Esp {
            spi: self.number("esp.spi")?,
            sequence: self.number("esp.sequence")?,
            icv: self.first("esp.icv").unwrap_or_default().to_owned(),
            inner: Some(inner.chunks(2).map(octet).collect::<Outcome<_>>()?),
        }))
    }

    fn lan(&self) -> Outcome<Option<Lan>> {
        if self.has("arp.opcode") {
            return Ok(Some(Lan::Arp));
        }
        if self.has("lacp.version") {
            let version = self.number("lacp.version")?;
            return if version == 1 { Ok(Some(Lan::Lacp)) } else { Err(format!("LACP version {version}")) };
        }
        if !self.has("vrrp.checksum.status") {
            return Ok(None);
        }
        match (self.number("vrrp.version")?, self.first("vrrp.checksum.status")) {
            (3, Some("1" | "Good")) => Ok(Some(Lan::Vrrp)),
            other => Err(format!("VRRP version and checksum: {other:?}")),
        }
    }

    fn tcp(&self) -> Outcome<Option<Tcp>> {
        if !self.has("tcp.stream") {
            return Ok(None);
        }
        // IPv6 is always inside here, if there is any.
        let version = if self.has("ipv6.src") { "ipv6" } else { "ip" };
        let address = |end: &str| self.list(&format!("{version}.{end}"))?.pop().ok_or_else(|| format!("no {end}"));
        let (stream, ends) = (self.number("tcp.stream")?, (address("src")?, address("dst")?));
        Ok(Some(Tcp { stream, ends, updates: self.updates()? }))
    }

    /// All path attributes in order: type, octets of the value, and octets of the header (RFC 4271 section 4.3).
    fn attributes(&self) -> Outcome<Vec<(u8, usize, usize)>> {
        let kinds: Vec<u8> = self.list("bgp.update.path_attribute.type_code")?;
        let lengths: Vec<usize> = self.list("bgp.update.path_attribute.length")?;
        let extended = self.all("bgp.update.path_attribute.flags.extended_length");
        let headers = extended.map(|flag| if matches!(flag, "1" | "True") { 4 } else { 3 });
        Ok(kinds.into_iter().zip(lengths).zip(headers).map(|((kind, length), header)| (kind, length, header)).collect())
    }

    /// tshark lists the lengths of messages, of their parts and of prefixes each for itself; the layout of an UPDATE says
    /// which belong together.
    fn updates(&self) -> Outcome<Vec<Update>> {
        /// The header, and the length fields of Withdrawn Routes and of Path Attributes.
        const FIXED: usize = 23;
        const UPDATE: u8 = 2;
        let (kinds, lengths) = (self.list("bgp.type")?, self.list("bgp.length")?);
        let withdrawn_lengths: Vec<usize> = self.list("bgp.update.withdrawn_routes.length")?;
        let attribute_lengths: Vec<usize> = self.list("bgp.update.path_attributes.length")?;
        let of_updates = kinds.into_iter().zip(lengths).filter(|(kind, _): &(u8, usize)| *kind == UPDATE);
        let of_updates: Vec<usize> = of_updates.map(|(_, length)| length).collect();
        if of_updates.len() != withdrawn_lengths.len() || of_updates.len() != attribute_lengths.len() {
            return Err("the parts of UPDATEs are not as many as the UPDATEs".into());
        }
        let mut withdrawn = self.list::<Ipv4Addr>("bgp.withdrawn_prefix")?.into_iter();
        let mut announced = self.list::<Ipv4Addr>("bgp.nlri_prefix")?.into_iter();
        let mut unreachable = self.list::<Ipv6Addr>("bgp.mp_unreach_nlri_ipv6_prefix")?.into_iter();
        let mut reachable = self.list::<Ipv6Addr>("bgp.mp_reach_nlri_ipv6_prefix")?.into_iter();
        let mut attributes_of = self.attributes()?.into_iter();
        let mut bits = self.list("bgp.prefix_length")?.into_iter();
        let mut updates = Vec::new();
        for (length, (routes, attributes)) in
            of_updates.into_iter().zip(withdrawn_lengths.into_iter().zip(attribute_lengths))
        {
            let nlri = length.checked_sub(FIXED + routes + attributes).ok_or("an UPDATE shorter than its parts")?;
            let mut update = Update { withdrawn: prefixes(routes, &mut withdrawn, &mut bits)?, announced: Vec::new() };
            let mut left = if self.has("ipv6.src") { attributes } else { 0 };
            while left > 0 {
                let (kind, octets, header) = attributes_of.next().ok_or("fewer attributes than their length says")?;
                left = left.checked_sub(header + octets).ok_or("attributes longer than their length says")?;
                let behind = |fixed: usize| octets.checked_sub(fixed).ok_or("a short MP attribute");
                match kind {
                    MP_REACH_NLRI => {
                        update.announced.extend(prefixes(behind(GLOBAL_NEXT_HOP)?, &mut reachable, &mut bits)?);
                    }
                    MP_UNREACH_NLRI => update.withdrawn.extend(prefixes(behind(FAMILY)?, &mut unreachable, &mut bits)?),
                    _ => {}
                }
            }
            update.announced.extend(prefixes(nlri, &mut announced, &mut bits)?);
            updates.push(update);
        }
        match (withdrawn.next(), announced.next(), bits.next()) {
            (None, None, None) => Ok(updates),
            left => Err(format!("prefixes outside of UPDATEs: {left:?}")),
        }
    }
}

/// Path attributes of other families than IPv4 (RFC 4760).
const MP_REACH_NLRI: u8 = 14;
const MP_UNREACH_NLRI: u8 = 15;
/// Octets of AFI and SAFI.
const FAMILY: usize = 3;
/// Octets in front of the NLRI of MP_REACH_NLRI with one global next hop of IPv6, as all here have it.
const GLOBAL_NEXT_HOP: usize = FAMILY + 1 + 16 + 1;

/// The prefixes that fill a field of this many octets: each takes one for its length and as many as the length needs.
fn prefixes<A: Display>(
    mut octets: usize,
    addresses: &mut impl Iterator<Item = A>,
    bits: &mut impl Iterator<Item = usize>,
) -> Outcome<Vec<String>> {
    let mut prefixes = Vec::new();
    while octets > 0 {
        let (address, bits) = addresses.next().zip(bits.next()).ok_or("fewer prefixes than a field is long")?;
        octets = octets.checked_sub(1 + bits.div_ceil(8)).ok_or("a prefix longer than its field")?;
        prefixes.push(format!("{address}/{bits}"));
    }
    Ok(prefixes)
}
