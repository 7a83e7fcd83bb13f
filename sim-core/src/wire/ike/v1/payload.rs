//! The chain of payloads (RFC 2408 section 3.2) and the payloads without a file of their own.
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Next Payload  |   RESERVED    |         Payload Length        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! RESERVED is read without looking at it: after a decryption with a wrong key the rest of the chain tells soon enough.

use super::super::HEADER_LEN;
use super::sa::{self, DOI_IPSEC};
use super::{CertEncoding, Error, Header, Proposal, Protocol, Reader, wire_enum};

wire_enum! {
    /// Payload types (RFC 2408 section 3.1, RFC 3947 section 3.2).
    PayloadType(u8) {
        None = 0,
        SecurityAssociation = 1,
        Proposal = 2,
        Transform = 3,
        KeyExchange = 4,
        Identification = 5,
        Certificate = 6,
        CertificateRequest = 7,
        Hash = 8,
        Signature = 9,
        Nonce = 10,
        Notification = 11,
        Delete = 12,
        VendorId = 13,
        NatDetection = 20,
        NatOriginalAddress = 21,
    }
}

wire_enum! {
    /// What an identification is (RFC 2407 section 4.6.2.1).
    IdType(u8) {
        Ipv4Addr = 1,
        Fqdn = 2,
        UserFqdn = 3,
        Ipv4AddrSubnet = 4,
        Ipv6Addr = 5,
        Ipv6AddrSubnet = 6,
        Ipv4AddrRange = 7,
        Ipv6AddrRange = 8,
        DerAsn1Dn = 9,
        DerAsn1Gn = 10,
        KeyId = 11,
    }
}

wire_enum! {
    /// Notify message types (RFC 2408 section 3.14.1, RFC 2407 section 4.6.3, RFC 3706 section 5.2).
    NotifyType(u16) {
        InvalidPayloadType = 1,
        DoiNotSupported = 2,
        SituationNotSupported = 3,
        InvalidCookie = 4,
        InvalidMajorVersion = 5,
        InvalidMinorVersion = 6,
        InvalidExchangeType = 7,
        InvalidFlags = 8,
        InvalidMessageId = 9,
        InvalidProtocolId = 10,
        InvalidSpi = 11,
        InvalidTransformId = 12,
        AttributesNotSupported = 13,
        NoProposalChosen = 14,
        BadProposalSyntax = 15,
        PayloadMalformed = 16,
        InvalidKeyInformation = 17,
        InvalidIdInformation = 18,
        InvalidCertEncoding = 19,
        InvalidCertificate = 20,
        CertTypeUnsupported = 21,
        InvalidCertAuthority = 22,
        InvalidHashInformation = 23,
        AuthenticationFailed = 24,
        InvalidSignature = 25,
        AddressNotification = 26,
        NotifySaLifetime = 27,
        CertificateUnavailable = 28,
        UnsupportedExchangeType = 29,
        UnequalPayloadLengths = 30,
        Connected = 16384,
        ResponderLifetime = 24576,
        ReplayStatus = 24577,
        InitialContact = 24578,
        RUThere = 36136,
        RUThereAck = 36137,
    }
}

impl NotifyType {
    /// True for error types: below 16384 (RFC 2408 section 3.14.1).
    pub const fn is_error(self) -> bool {
        self.to_wire() < 16384
    }
}

/// An identification (RFC 2407 section 4.6.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Id<'a> {
    /// How to read the data.
    pub kind: IdType,
    /// IP protocol number, 0 for any. In phase 1 it is 0, or UDP with port 500.
    pub protocol: u8,
    /// Port, 0 for any.
    pub port: u16,
    /// Address octets, name or key id.
    pub data: &'a [u8],
}

impl Id<'_> {
    /// The payload's body, which the authenticating hashes cover (RFC 2409 section 5: IDii_b, IDir_b).
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.kind.to_wire(), self.protocol]);
        out.extend_from_slice(&self.port.to_be_bytes());
        out.extend_from_slice(self.data);
    }
}

/// A notification (RFC 2408 section 3.14).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Notify<'a> {
    /// The protocol of the SA that it is about.
    pub protocol: Protocol,
    /// The SA it is about: both cookies, or an SPI, or nothing.
    pub spi: &'a [u8],
    /// What it says.
    pub kind: NotifyType,
    /// Data that depends on the type.
    pub data: &'a [u8],
}

/// Which SAs the sender has deleted (RFC 2408 section 3.15).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delete<'a> {
    /// ISAKMP (SPIs are both cookies) or ESP and AH (the sender's inbound SPIs).
    pub protocol: Protocol,
    /// Octets of one SPI: 16 or 4; never 0.
    pub spi_size: u8,
    /// The SPIs, concatenated; a whole number of them.
    pub spis: &'a [u8],
}

impl Delete<'_> {
    /// The SPIs of ESP or AH SAs.
    pub fn child_spis(&self) -> impl Iterator<Item = u32> {
        super::super::child_spis(self.spi_size, self.spis)
    }
}

/// One payload. Bodies are borrowed from the datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Payload<'a> {
    /// SA.
    Sa(Vec<Proposal>),
    /// KE: a Diffie-Hellman public value; the group is the SA's.
    Ke(&'a [u8]),
    /// IDii, IDir, IDci or IDcr.
    Id(Id<'a>),
    /// HASH.
    Hash(&'a [u8]),
    /// Ni or Nr.
    Nonce(&'a [u8]),
    /// N.
    Notify(Notify<'a>),
    /// D.
    Delete(Delete<'a>),
    /// VID.
    VendorId(&'a [u8]),
    /// NAT-D: a hash of an address and port (RFC 3947 section 3.2).
    NatD(&'a [u8]),
    /// CERT (RFC 2408 section 3.9). The encodings are numbered as in IKEv2.
    Cert {
        /// What it is.
        encoding: CertEncoding,
        /// One certificate, in DER with [`CertEncoding::X509Signature`].
        data: &'a [u8],
    },
    /// CR (RFC 2408 section 3.10).
    CertReq {
        /// What is asked for.
        encoding: CertEncoding,
        /// With [`CertEncoding::X509Signature`]: the DER of the name of one trusted CA, or nothing for any.
        authority: &'a [u8],
    },
    /// SIG (RFC 2408 section 3.12).
    Sig(&'a [u8]),
    /// NAT-OA, and every type not known here.
    Opaque {
        /// The type.
        kind: PayloadType,
        /// The body.
        body: &'a [u8],
    },
}

/// Reads a chain that starts with a payload of type `first`, and where it ends: behind it there may be padding.
pub fn parse_chain(first: PayloadType, bytes: &[u8]) -> Result<(Vec<Payload<'_>>, usize), Error> {
    let mut payloads = Vec::with_capacity(8);
    let (mut kind, mut rest) = (first, bytes);
    while kind != PayloadType::None {
        let Some((head, behind)) = rest.split_first_chunk::<4>() else {
            return Err(Error::PayloadHeader { payload: kind });
        };
        let length = u16::from_be_bytes([head[2], head[3]]);
        let Some((body, behind)) = usize::from(length).checked_sub(4).and_then(|n| behind.split_at_checked(n)) else {
            return Err(Error::PayloadLength { payload: kind, says: length, left: rest.len() });
        };
        payloads.push(parse_body(kind, body)?);
        kind = PayloadType::from_wire(head[0]);
        rest = behind;
    }
    Ok((payloads, bytes.len() - rest.len()))
}

fn parse_body(kind: PayloadType, body: &[u8]) -> Result<Payload<'_>, Error> {
    let mut r = Reader { rest: body, payload: kind };
    Ok(match kind {
        PayloadType::SecurityAssociation => Payload::Sa(sa::parse(&mut r)?),
        PayloadType::KeyExchange => Payload::Ke(body),
        PayloadType::Identification => {
            let kind = IdType::from_wire(r.u8("ID Type")?);
            let (protocol, port) = (r.u8("Protocol ID")?, r.u16("Port")?);
            Payload::Id(Id { kind, protocol, port, data: r.rest() })
        }
        PayloadType::Hash => Payload::Hash(body),
        // RFC 2409 section 5: between 8 and 256 octets.
        PayloadType::Nonce if !(8..=256).contains(&body.len()) => {
            return r.value("length of Nonce Data", body.len() as u32);
        }
        PayloadType::Nonce => Payload::Nonce(body),
        PayloadType::Notification => Payload::Notify(parse_notify(&mut r)?),
        PayloadType::Delete => Payload::Delete(parse_delete(&mut r)?),
        PayloadType::VendorId => Payload::VendorId(body),
        PayloadType::NatDetection => Payload::NatD(body),
        PayloadType::Certificate => {
            let encoding = CertEncoding::from_wire(r.u8("Cert Encoding")?);
            Payload::Cert { encoding, data: r.rest() }
        }
        PayloadType::CertificateRequest => {
            let encoding = CertEncoding::from_wire(r.u8("Cert. Type")?);
            Payload::CertReq { encoding, authority: r.rest() }
        }
        PayloadType::Signature => Payload::Sig(body),
        PayloadType::None
        | PayloadType::Proposal
        | PayloadType::Transform
        | PayloadType::NatOriginalAddress
        | PayloadType::Other(_) => Payload::Opaque { kind, body },
    })
}

fn parse_notify<'a>(r: &mut Reader<'a>) -> Result<Notify<'a>, Error> {
    parse_doi(r)?;
    let protocol = Protocol::from_wire(r.u8("Protocol-ID")?);
    let spi_size = r.u8("SPI Size")?;
    let kind = NotifyType::from_wire(r.u16("Notify Message Type")?);
    let spi = r.take(usize::from(spi_size), "Security Parameter Index")?;
    Ok(Notify { protocol, spi, kind, data: r.rest() })
}

fn parse_delete<'a>(r: &mut Reader<'a>) -> Result<Delete<'a>, Error> {
    parse_doi(r)?;
    let protocol = Protocol::from_wire(r.u8("Protocol-Id")?);
    let spi_size = r.u8("SPI Size")?;
    let count = r.u16("# of SPIs")?;
    let spis = r.take(usize::from(spi_size) * usize::from(count), "Security Parameter Index(es)")?;
    if !r.rest.is_empty() || spi_size == 0 {
        return r.value("# of SPIs", u32::from(count));
    }
    Ok(Delete { protocol, spi_size, spis })
}

/// Some write the generic ISAKMP domain, 0, when they speak of phase 1 (RFC 2408 section 3.14); it is read as IPsec's.
fn parse_doi(r: &mut Reader<'_>) -> Result<(), Error> {
    match u32::from_be_bytes(r.array("DOI")?) {
        0 | DOI_IPSEC => Ok(()),
        doi => r.value("DOI", doi),
    }
}

/// Builds a message from front to back in one buffer, keeping chain and lengths.
#[derive(Debug)]
pub struct Builder {
    bytes: Vec<u8>,
    /// Where the type of the next payload is to be written.
    next_payload_at: usize,
}

impl Builder {
    /// Starts a message with this header; its Next Payload and Length are computed.
    pub fn new(header: &Header) -> Self {
        let mut bytes = Vec::with_capacity(512);
        header.emit(&mut bytes);
        bytes[NEXT_PAYLOAD_AT] = PayloadType::None.to_wire();
        Self { bytes, next_payload_at: NEXT_PAYLOAD_AT }
    }

    /// Appends a payload.
    ///
    /// # Panics
    /// If the payload is longer than 65,535 octets.
    pub fn push(&mut self, payload: &Payload<'_>) -> &mut Self {
        self.bytes[self.next_payload_at] = kind_of(payload).to_wire();
        let at = self.bytes.len();
        self.next_payload_at = at;
        let out = &mut self.bytes;
        out.extend_from_slice(&[0; 4]);
        match payload {
            Payload::Sa(proposals) => sa::emit(proposals, out),
            Payload::Id(id) => id.emit(out),
            Payload::Notify(n) => {
                out.extend_from_slice(&DOI_IPSEC.to_be_bytes());
                out.extend_from_slice(&[n.protocol.to_wire(), n.spi.len() as u8]);
                out.extend_from_slice(&n.kind.to_wire().to_be_bytes());
                out.extend_from_slice(n.spi);
                out.extend_from_slice(n.data);
            }
            Payload::Delete(d) => {
                let count = d.spis.len().checked_div(usize::from(d.spi_size));
                out.extend_from_slice(&DOI_IPSEC.to_be_bytes());
                out.extend_from_slice(&[d.protocol.to_wire(), d.spi_size]);
                out.extend_from_slice(&(count.unwrap_or(0) as u16).to_be_bytes());
                out.extend_from_slice(d.spis);
            }
            Payload::Cert { encoding, data } | Payload::CertReq { encoding, authority: data } => {
                out.push(encoding.to_wire());
                out.extend_from_slice(data);
            }
            Payload::Ke(body)
            | Payload::Hash(body)
            | Payload::Sig(body)
            | Payload::Nonce(body)
            | Payload::VendorId(body)
            | Payload::NatD(body)
            | Payload::Opaque { body, .. } => out.extend_from_slice(body),
        }
        let length =
            u16::try_from(out.len() - at).expect("an IKE payload is shorter than 64 KiB, as its length field demands");
        out[at + 2..at + 4].copy_from_slice(&length.to_be_bytes());
        self
    }

    /// Pads what is behind the header with zeros to a multiple of the cipher's block (RFC 2409 appendix B); the header's Length
    /// counts them.
    pub fn pad(&mut self, block: usize) -> &mut Self {
        let text = self.bytes.len() - HEADER_LEN;
        self.bytes.resize(HEADER_LEN + text.next_multiple_of(block), 0);
        self
    }

    /// The message, with the header's Length filled in.
    pub fn finish(mut self) -> Vec<u8> {
        let length = (self.bytes.len() as u32).to_be_bytes();
        self.bytes[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&length);
        self.bytes
    }
}

const NEXT_PAYLOAD_AT: usize = 16;

fn kind_of(payload: &Payload<'_>) -> PayloadType {
    match payload {
        Payload::Sa(_) => PayloadType::SecurityAssociation,
        Payload::Ke(_) => PayloadType::KeyExchange,
        Payload::Id(_) => PayloadType::Identification,
        Payload::Hash(_) => PayloadType::Hash,
        Payload::Nonce(_) => PayloadType::Nonce,
        Payload::Notify(_) => PayloadType::Notification,
        Payload::Delete(_) => PayloadType::Delete,
        Payload::VendorId(_) => PayloadType::VendorId,
        Payload::NatD(_) => PayloadType::NatDetection,
        Payload::Cert { .. } => PayloadType::Certificate,
        Payload::CertReq { .. } => PayloadType::CertificateRequest,
        Payload::Sig(_) => PayloadType::Signature,
        Payload::Opaque { kind, .. } => *kind,
    }
}
