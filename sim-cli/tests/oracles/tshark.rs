//! What tshark sees in a capture, packet by packet, with the key files that lie beside it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use crate::process::{Outcome, command};

/// One packet of a capture, seen by somebody. What a packet does not have is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Nanoseconds since the epoch of the capture.
    pub at_ns: u64,
    /// Octets of the IP packet.
    pub len: u64,
    /// The IKE message it is.
    pub ike: Option<Ike>,
    /// The ESP packet it is.
    pub esp: Option<Esp>,
    /// Source, destination and protocol of every IP header, outermost first, decrypted ones included.
    pub headers: Vec<(Ipv4Addr, Ipv4Addr, u8)>,
    /// Prefixes of BGP UPDATEs that this packet completes.
    pub announced: Vec<Ipv4Addr>,
    /// Withdrawn prefixes of BGP UPDATEs that this packet completes.
    pub withdrawn: Vec<Ipv4Addr>,
}

/// An IKE header (RFC 7296 section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ike {
    /// Initiator's and responder's SPI, in hexadecimal.
    pub spis: (String, String),
    /// Exchange type: 34 IKE_SA_INIT, 35 IKE_AUTH, 36 CREATE_CHILD_SA, 37 INFORMATIONAL.
    pub exchange: u8,
    /// The flags octet.
    pub flags: u8,
    /// Message ID.
    pub message_id: u32,
}

/// An ESP header (RFC 4303 section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Esp {
    /// Security parameters index.
    pub spi: u32,
    /// Sequence number.
    pub sequence: u32,
}

/// IKE_SA_INIT, the only exchange that is not encrypted.
const IKE_SA_INIT: u8 = 34;

/// What is asked of tshark, in the order in which [`Row`] reads it.
const FIELDS: &[&str] = &[
    "frame.number",
    "frame.time_epoch",
    "ip.len",
    "ip.src",
    "ip.dst",
    "ip.proto",
    "_ws.malformed",
    "isakmp.ispi",
    "isakmp.rspi",
    "isakmp.exchangetype",
    "isakmp.flags",
    "isakmp.messageid",
    "isakmp.enc.decrypted",
    "isakmp.ikev2.integrity_checksum",
    "esp.spi",
    "esp.sequence",
    "esp.icv_good",
    "esp.icv_bad",
    "bgp.nlri_prefix",
    "bgp.withdrawn_prefix",
];

/// Dissects `capture` with the files `ikev2_decryption_table` and `esp_sa` of the folder `keys`.
///
/// A malformed packet, an IKE message after IKE_SA_INIT or an ESP packet that does not decrypt and authenticate, and
/// anything that tshark complains of, is an error.
pub fn dissect(capture: &Path, keys: &Path) -> Outcome<Vec<Frame>> {
    let mut tshark =
        command("tshark --disable-heuristic wg -T fields -E separator=/t -E occurrence=a");
    tshark
        .args(["-o", "esp.enable_encryption_decode:TRUE"])
        .args(["-o", "esp.enable_authentication_check:TRUE"])
        .args(["-o", "tcp.reassemble_out_of_order:TRUE"])
        .args(FIELDS.iter().flat_map(|field| ["-e", field]))
        .arg("-r")
        .arg(capture)
        .env("WIRESHARK_CONFIG_DIR", keys);
    say(&mut tshark)?
        .lines()
        .map(|line| Row::new(line).frame())
        .collect::<Outcome<_>>()
        .map_err(|e| format!("{}: {e}", capture.display()))
}

/// Runs tshark, which reports a bad key table on standard error and goes on.
fn say(tshark: &mut Command) -> Outcome<String> {
    let output = tshark.output().map_err(|e| format!("tshark: {e}"))?;
    let complaints: Vec<_> = String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|line| !line.starts_with("Running as user"))
        .map(str::to_owned)
        .collect();
    if output.status.success() && complaints.is_empty() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!(
        "{tshark:?}: {}\n{}",
        output.status,
        complaints.join("\n")
    ))
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

    fn has(&self, field: &str) -> bool {
        self.all(field).next().is_some()
    }

    fn texts<T: FromStr>(&self, field: &str) -> Outcome<Vec<T>> {
        let parse = |value: &str| value.parse().map_err(|_| format!("{field} {value:?}"));
        self.all(field).map(parse).collect()
    }

    /// The first occurrence of a field as a number, decimal or hexadecimal.
    fn number(&self, field: &str) -> Outcome<u32> {
        let text = self.all(field).next().unwrap_or("nothing");
        let parsed = match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => text.parse(),
        };
        parsed.map_err(|_| format!("{field} {text:?}"))
    }

    fn frame(&self) -> Outcome<Frame> {
        let number = self.all("frame.number").next().unwrap_or("?");
        self.judge()
            .and_then(|()| self.read())
            .map_err(|e| format!("frame {number}: {e}"))
    }

    /// What must hold for every packet.
    fn judge(&self) -> Outcome {
        if self.has("_ws.malformed") {
            return Err("malformed".into());
        }
        if self.has("isakmp.ikev2.integrity_checksum") {
            return Err("the integrity checksum of an IKE message is wrong".into());
        }
        let encrypted = self.has("isakmp.exchangetype")
            && self.number("isakmp.exchangetype")? != u32::from(IKE_SA_INIT);
        if encrypted && !self.has("isakmp.enc.decrypted") {
            return Err("an IKE message did not decrypt".into());
        }
        let good = self.all("esp.icv_good").all(|v| v == "1" || v == "True");
        let bad = self.all("esp.icv_bad").any(|v| v == "1" || v == "True");
        if self.has("esp.spi") && !(self.has("esp.icv_good") && good && !bad) {
            return Err("the ICV of an ESP packet is not good".into());
        }
        if self.has("esp.spi") && self.all("ip.src").count() < 2 {
            return Err("an ESP packet did not decrypt".into());
        }
        Ok(())
    }

    fn read(&self) -> Outcome<Frame> {
        let sources = self.texts("ip.src")?;
        let destinations: Vec<Ipv4Addr> = self.texts("ip.dst")?;
        let protocols: Vec<u8> = self.texts("ip.proto")?;
        let ends = sources.into_iter().zip(destinations).zip(protocols);
        Ok(Frame {
            at_ns: self.time_ns()?,
            len: self.number("ip.len")?.into(),
            ike: self.ike()?,
            esp: self.esp()?,
            headers: ends.map(|((src, dst), proto)| (src, dst, proto)).collect(),
            announced: self.texts("bgp.nlri_prefix")?,
            withdrawn: self.texts("bgp.withdrawn_prefix")?,
        })
    }

    /// `frame.time_epoch` is seconds, a point and nine digits.
    fn time_ns(&self) -> Outcome<u64> {
        let text = self.all("frame.time_epoch").next().unwrap_or_default();
        text.replace('.', "")
            .parse()
            .map_err(|_| format!("frame.time_epoch {text:?}"))
    }

    fn ike(&self) -> Outcome<Option<Ike>> {
        if !self.has("isakmp.messageid") {
            return Ok(None);
        }
        let spi = |field| self.all(field).next().unwrap_or_default().replace(':', "");
        Ok(Some(Ike {
            spis: (spi("isakmp.ispi"), spi("isakmp.rspi")),
            exchange: self.number("isakmp.exchangetype")? as u8,
            flags: self.number("isakmp.flags")? as u8,
            message_id: self.number("isakmp.messageid")?,
        }))
    }

    fn esp(&self) -> Outcome<Option<Esp>> {
        if !self.has("esp.spi") {
            return Ok(None);
        }
        Ok(Some(Esp {
            spi: self.number("esp.spi")?,
            sequence: self.number("esp.sequence")?,
        }))
    }
}
