//! The Security Association payload (RFC 2408 sections 3.3 to 3.6, RFC 2407 section 4.6.1).
//!
//! ```text
//!  SA payload: DOI 1 (IPsec), Situation 1 (SIT_IDENTITY_ONLY)
//!   +- Proposal: Next Payload (2 = more, 0 = last), Length, Proposal #, Protocol-Id, SPI Size, # of Transforms, SPI
//!   |   +- Transform: Next Payload (3 = more, 0 = last), Length, Transform #, Transform-Id, attributes
//!   |   +- Transform ...
//!   +- Proposal ...
//! ```
//!
//! A transform is a whole suite: its attributes name the algorithms one by one (RFC 2409 appendix A, RFC 2407 section 4.5). Two
//! proposals with the same number are to be taken together.

pub use super::super::proposal::{Attribute, Spi};
use super::{Error, PayloadType, Reader, wire_enum};

wire_enum! {
    /// What an SA is for (RFC 2407 section 4.4.1).
    Protocol(u8) {
        None = 0,
        Isakmp = 1,
        Ah = 2,
        Esp = 3,
        Ipcomp = 4,
    }
}

/// The domain of interpretation of IPsec (RFC 2407 section 4.1).
pub(super) const DOI_IPSEC: u32 = 1;
/// The only situation without labels (RFC 2407 section 4.2.1).
const SIT_IDENTITY_ONLY: u32 = 1;
const ATTRIBUTE_FORMAT: u16 = 0x8000;
const MORE_PROPOSALS: u8 = 2;
const MORE_TRANSFORMS: u8 = 3;

/// One suite on offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transform {
    /// From 1, growing; an answer repeats the number it accepts.
    pub number: u8,
    /// KEY_IKE in phase 1, else the cipher of ESP (RFC 2407 sections 4.4.2 and 4.4.4).
    pub id: u8,
    /// What the suite consists of, in the sender's order. An answer must not change them (RFC 2409 section 5).
    pub attributes: Vec<Attribute>,
}

impl Attribute {
    /// Its type.
    pub fn kind(&self) -> u16 {
        match self {
            Self::Short(kind, _) | Self::Long(kind, _) => *kind,
        }
    }

    /// Its value, whichever form it has; `None` if that does not fit into 64 bits.
    pub fn value(&self) -> Option<u64> {
        match self {
            Self::Short(_, value) => Some(u64::from(*value)),
            Self::Long(_, octets) => {
                (octets.len() <= 8).then(|| octets.iter().fold(0, |value, octet| value << 8 | u64::from(*octet)))
            }
        }
    }
}

impl Transform {
    /// The value of the first attribute of this type.
    pub fn value(&self, kind: u16) -> Option<u64> {
        self.attributes.iter().find(|attribute| attribute.kind() == kind)?.value()
    }
}

/// Alternative suites for one protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// Proposals with the same number belong together.
    pub number: u8,
    /// What the SA is for.
    pub protocol: Protocol,
    /// The sender's inbound SPI; in phase 1 usually empty, as the cookies are it.
    pub spi: Spi,
    /// Suites in the sender's order of preference.
    pub transforms: Vec<Transform>,
}

pub(super) fn parse(r: &mut Reader<'_>) -> Result<Vec<Proposal>, Error> {
    let doi = u32::from_be_bytes(r.array("DOI")?);
    if doi != DOI_IPSEC {
        return r.value("DOI", doi);
    }
    let situation = u32::from_be_bytes(r.array("Situation")?);
    if situation != SIT_IDENTITY_ONLY {
        return r.value("Situation", situation);
    }
    let mut proposals = Vec::with_capacity(1);
    loop {
        let next = r.u8("Next Payload of a proposal")?;
        let mut inner = substructure(r, "Payload Length of a proposal")?;
        proposals.push(parse_proposal(&mut inner)?);
        match (next, r.rest.is_empty()) {
            (0, true) => return Ok(proposals),
            (MORE_PROPOSALS, false) => {}
            _ => return r.value("Next Payload of a proposal", u32::from(next)),
        }
    }
}

/// Reads RESERVED and a length that counts from the octet before them; returns what it spans.
fn substructure<'a>(r: &mut Reader<'a>, field: &'static str) -> Result<Reader<'a>, Error> {
    r.u8("RESERVED")?;
    let length = r.u16(field)?;
    let Some(n) = usize::from(length).checked_sub(4) else {
        return r.value(field, u32::from(length));
    };
    let rest = r.take(n, field)?;
    Ok(Reader { rest, payload: r.payload })
}

fn parse_proposal(r: &mut Reader<'_>) -> Result<Proposal, Error> {
    let number = r.u8("Proposal #")?;
    let protocol = Protocol::from_wire(r.u8("Protocol-Id")?);
    let spi_size = r.u8("SPI Size")?;
    let count = r.u8("# of Transforms")?;
    let Some(spi) = Spi::new(r.take(usize::from(spi_size), "SPI")?) else {
        return r.value("SPI Size", u32::from(spi_size));
    };
    let mut transforms = Vec::with_capacity(usize::from(count).min(16));
    for i in 1..=count {
        let next = r.u8("Next Payload of a transform")?;
        if next != if i == count { 0 } else { MORE_TRANSFORMS } {
            return r.value("Next Payload of a transform", u32::from(next));
        }
        let mut inner = substructure(r, "Payload Length of a transform")?;
        transforms.push(parse_transform(&mut inner)?);
    }
    if !r.rest.is_empty() {
        return r.value("# of Transforms", u32::from(count));
    }
    Ok(Proposal { number, protocol, spi, transforms })
}

fn parse_transform(r: &mut Reader<'_>) -> Result<Transform, Error> {
    let (number, id) = (r.u8("Transform #")?, r.u8("Transform-Id")?);
    r.u16("RESERVED2")?;
    Ok(Transform { number, id, attributes: attributes(r)? })
}

/// Reads what is a list of attributes to its end, such as the data of RESPONDER-LIFETIME (RFC 2407 section 4.6.3.1).
pub fn parse_attributes(bytes: &[u8]) -> Result<Vec<Attribute>, Error> {
    attributes(&mut Reader { rest: bytes, payload: PayloadType::Notification })
}

/// Writes a list of attributes.
pub fn emit_attributes(attributes: &[Attribute], out: &mut Vec<u8>) {
    for attribute in attributes {
        emit_attribute(attribute, out);
    }
}

fn attributes(r: &mut Reader<'_>) -> Result<Vec<Attribute>, Error> {
    let mut attributes = Vec::with_capacity(7);
    while !r.rest.is_empty() {
        let kind = r.u16("Attribute Type")?;
        let value = r.u16("Attribute Value")?;
        attributes.push(if kind & ATTRIBUTE_FORMAT != 0 {
            Attribute::Short(kind & !ATTRIBUTE_FORMAT, value)
        } else {
            Attribute::Long(kind, r.take(usize::from(value), "Attribute Value")?.to_vec())
        });
    }
    Ok(attributes)
}

pub(super) fn emit(proposals: &[Proposal], out: &mut Vec<u8>) {
    out.extend_from_slice(&DOI_IPSEC.to_be_bytes());
    out.extend_from_slice(&SIT_IDENTITY_ONLY.to_be_bytes());
    for (i, proposal) in proposals.iter().enumerate() {
        let at = open(out, if i + 1 < proposals.len() { MORE_PROPOSALS } else { 0 });
        let spi = proposal.spi.octets();
        out.extend_from_slice(&[
            proposal.number,
            proposal.protocol.to_wire(),
            spi.len() as u8,
            proposal.transforms.len() as u8,
        ]);
        out.extend_from_slice(spi);
        for (j, transform) in proposal.transforms.iter().enumerate() {
            let at = open(out, if j + 1 < proposal.transforms.len() { MORE_TRANSFORMS } else { 0 });
            out.extend_from_slice(&[transform.number, transform.id, 0, 0]);
            emit_attributes(&transform.attributes, out);
            close(out, at);
        }
        close(out, at);
    }
}

fn emit_attribute(attribute: &Attribute, out: &mut Vec<u8>) {
    let (kind, value, tail): (u16, u16, &[u8]) = match attribute {
        Attribute::Short(kind, value) => (kind | ATTRIBUTE_FORMAT, *value, &[]),
        Attribute::Long(kind, value) => (kind & !ATTRIBUTE_FORMAT, value.len() as u16, value),
    };
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&value.to_be_bytes());
    out.extend_from_slice(tail);
}

fn open(out: &mut Vec<u8>, next: u8) -> usize {
    let at = out.len();
    out.extend_from_slice(&[next, 0, 0, 0]);
    at
}

fn close(out: &mut [u8], at: usize) {
    let length = (out.len() - at) as u16;
    out[at + 2..at + 4].copy_from_slice(&length.to_be_bytes());
}
