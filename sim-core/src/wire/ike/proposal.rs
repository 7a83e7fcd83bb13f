//! The Security Association payload (RFC 7296 section 3.3): proposals, transforms, attributes.
//!
//! ```text
//!  SA payload
//!   +- Proposal 1: protocol, SPI           Last Substruc (2 = more, 0 = last), Length, Num, Protocol,
//!   |   +- Transform: type, id, Key Length     SPI Size, Num of Transforms, SPI
//!   |   +- Transform ...                   Last Substruc (3 = more, 0 = last), Length, Type, ID, attributes
//!   +- Proposal 2 ...
//! ```
//!
//! A transform whose attributes are not all understood must not be chosen (section 3.3.6), so unknown ones are kept.

use super::{Error, Reader, wire_enum};

wire_enum! {
    /// What an SA is for (RFC 7296 section 3.3.1).
    Protocol(u8) {
        None = 0,
        Ike = 1,
        Ah = 2,
        Esp = 3,
    }
}

wire_enum! {
    /// What a transform is for (RFC 7296 section 3.3.2; those from 6 on RFC 9370 section 4).
    TransformType(u8) {
        Encryption = 1,
        Prf = 2,
        Integrity = 3,
        DhGroup = 4,
        Esn = 5,
        AdditionalKe1 = 6,
        AdditionalKe2 = 7,
        AdditionalKe3 = 8,
        AdditionalKe4 = 9,
        AdditionalKe5 = 10,
        AdditionalKe6 = 11,
        AdditionalKe7 = 12,
    }
}

impl TransformType {
    /// Additional Key Exchange 1 to 7, in the order in which they are made (RFC 9370 section 2.2.1).
    pub const ADDITIONAL: [Self; 7] = [
        Self::AdditionalKe1,
        Self::AdditionalKe2,
        Self::AdditionalKe3,
        Self::AdditionalKe4,
        Self::AdditionalKe5,
        Self::AdditionalKe6,
        Self::AdditionalKe7,
    ];
}

/// The Key Length attribute (RFC 7296 section 3.3.5), in bits.
const KEY_LENGTH: u16 = 14;
const FORMAT_TV: u16 = 0x8000;

/// An SPI of 0 to 8 octets, as large as its protocol's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spi {
    octets: [u8; 8],
    len: u8,
}

impl Spi {
    /// No SPI, as in an initial IKE proposal.
    pub const EMPTY: Self = Self { octets: [0; 8], len: 0 };

    /// The SPI with these octets; `None` if there are more than 8.
    pub fn new(octets: &[u8]) -> Option<Self> {
        let mut spi = Self::EMPTY;
        spi.octets.get_mut(..octets.len())?.copy_from_slice(octets);
        spi.len = octets.len() as u8;
        Some(spi)
    }

    /// The octets on the wire.
    pub fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// The SPI of an IKE_SA, if it is eight octets long and not zero (RFC 7296 section 3.3.1).
    pub fn ike(&self) -> Option<u64> {
        self.octets().try_into().ok().map(u64::from_be_bytes).filter(|spi| *spi != 0)
    }

    /// The SPI of an ESP or AH SA, if it is four octets long.
    pub fn child(&self) -> Option<u32> {
        self.octets().try_into().ok().map(u32::from_be_bytes)
    }
}

impl From<u64> for Spi {
    fn from(spi: u64) -> Self {
        Self { octets: spi.to_be_bytes(), len: 8 }
    }
}

impl From<u32> for Spi {
    fn from(spi: u32) -> Self {
        let mut octets = [0; 8];
        octets[..4].copy_from_slice(&spi.to_be_bytes());
        Self { octets, len: 4 }
    }
}

/// An attribute other than the first Key Length.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attribute {
    /// Type and two-octet value (AF = 1).
    Short(u16, u16),
    /// Type and value with a length of its own (AF = 0).
    Long(u16, Vec<u8>),
}

/// One algorithm on offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transform {
    /// What it is for.
    pub kind: TransformType,
    /// Which algorithm, in the IANA registry of its type.
    pub id: u16,
    /// Key Length in bits, for ciphers of variable key length.
    pub key_length: Option<u16>,
    /// All other attributes; a transform with any must not be chosen.
    pub unknown: Vec<Attribute>,
}

impl Transform {
    /// A transform without attributes.
    pub const fn new(kind: TransformType, id: u16) -> Self {
        Self { kind, id, key_length: None, unknown: Vec::new() }
    }
}

/// One suite, or one set of alternatives per transform type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// From 1, growing by 1; a response repeats the number it accepts.
    pub number: u8,
    /// What the SA is for.
    pub protocol: Protocol,
    /// The sender's inbound SPI; empty in an initial IKE proposal.
    pub spi: Spi,
    /// Transforms in the sender's order of preference within each type.
    pub transforms: Vec<Transform>,
}

pub(super) fn parse(r: &mut Reader<'_>) -> Result<Vec<Proposal>, Error> {
    let mut proposals = Vec::with_capacity(1);
    loop {
        let last = r.u8("Last Substruc")?;
        let (mut inner, _) = substructure(r, "Proposal Length")?;
        proposals.push(parse_proposal(&mut inner)?);
        match (last, r.rest.is_empty()) {
            (0, true) => return Ok(proposals),
            (2, false) => {}
            _ => return r.value("Last Substruc", u32::from(last)),
        }
    }
}

/// Reads RESERVED and a length that counts from the octet before them; returns what it spans and how much.
fn substructure<'a>(r: &mut Reader<'a>, field: &'static str) -> Result<(Reader<'a>, u16), Error> {
    r.u8("RESERVED")?;
    let length = r.u16(field)?;
    let Some(n) = usize::from(length).checked_sub(4) else {
        return r.value(field, u32::from(length));
    };
    let rest = r.take(n, field)?;
    let payload = r.payload;
    Ok((Reader { rest, payload }, length))
}

fn parse_proposal(r: &mut Reader<'_>) -> Result<Proposal, Error> {
    let number = r.u8("Proposal Num")?;
    let protocol = Protocol::from_wire(r.u8("Protocol ID")?);
    let spi_size = r.u8("SPI Size")?;
    let count = r.u8("Num of Transforms")?;
    let Some(spi) = Spi::new(r.take(usize::from(spi_size), "SPI")?) else {
        return r.value("SPI Size", u32::from(spi_size));
    };
    let mut transforms = Vec::with_capacity(usize::from(count));
    for i in 1..=count {
        let last = r.u8("Last Substruc")?;
        if last != if i == count { 0 } else { 3 } {
            return r.value("Last Substruc", u32::from(last));
        }
        let (mut inner, _) = substructure(r, "Transform Length")?;
        transforms.push(parse_transform(&mut inner)?);
    }
    if !r.rest.is_empty() {
        return r.value("Num of Transforms", u32::from(count));
    }
    Ok(Proposal { number, protocol, spi, transforms })
}

fn parse_transform(r: &mut Reader<'_>) -> Result<Transform, Error> {
    let kind = TransformType::from_wire(r.u8("Transform Type")?);
    r.u8("RESERVED")?;
    let mut transform = Transform::new(kind, r.u16("Transform ID")?);
    while !r.rest.is_empty() {
        let kind = r.u16("Attribute Type")?;
        let value = r.u16("Attribute Value")?;
        let attribute = if kind & FORMAT_TV != 0 {
            Attribute::Short(kind & !FORMAT_TV, value)
        } else {
            Attribute::Long(kind, r.take(usize::from(value), "Attribute Value")?.to_vec())
        };
        match attribute {
            Attribute::Short(KEY_LENGTH, bits) if transform.key_length.is_none() && transform.unknown.is_empty() => {
                transform.key_length = Some(bits);
            }
            other => transform.unknown.push(other),
        }
    }
    Ok(transform)
}

pub(super) fn emit(proposals: &[Proposal], out: &mut Vec<u8>) {
    for (i, proposal) in proposals.iter().enumerate() {
        let more = i + 1 < proposals.len();
        let at = open(out, if more { 2 } else { 0 });
        out.extend_from_slice(&[
            proposal.number,
            proposal.protocol.to_wire(),
            proposal.spi.len,
            proposal.transforms.len() as u8,
        ]);
        out.extend_from_slice(proposal.spi.octets());
        for (j, transform) in proposal.transforms.iter().enumerate() {
            let more = j + 1 < proposal.transforms.len();
            let at = open(out, if more { 3 } else { 0 });
            emit_transform(transform, out);
            close(out, at);
        }
        close(out, at);
    }
}

fn emit_transform(transform: &Transform, out: &mut Vec<u8>) {
    out.extend_from_slice(&[transform.kind.to_wire(), 0]);
    out.extend_from_slice(&transform.id.to_be_bytes());
    if let Some(bits) = transform.key_length {
        out.extend_from_slice(&(KEY_LENGTH | FORMAT_TV).to_be_bytes());
        out.extend_from_slice(&bits.to_be_bytes());
    }
    for attribute in &transform.unknown {
        let (kind, value, tail): (u16, u16, &[u8]) = match attribute {
            Attribute::Short(kind, value) => (kind | FORMAT_TV, *value, &[]),
            Attribute::Long(kind, value) => (kind & !FORMAT_TV, value.len() as u16, value),
        };
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
        out.extend_from_slice(tail);
    }
}

fn open(out: &mut Vec<u8>, last: u8) -> usize {
    let at = out.len();
    out.extend_from_slice(&[last, 0, 0, 0]);
    at
}

fn close(out: &mut [u8], at: usize) {
    let length = (out.len() - at) as u16;
    out[at + 2..at + 4].copy_from_slice(&length.to_be_bytes());
}
