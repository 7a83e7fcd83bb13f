//! The chain of payloads (RFC 7296 section 3.2) and the payloads without a file of their own.
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Next Payload  |C|  RESERVED   |         Payload Length        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! The critical bit is kept for unknown types only: known ones are sent with it clear and read without looking at it, as
//! section 3.2 demands.

use super::{
    Error, HEADER_LEN, Header, Notify, Proposal, Protocol, Reader, TrafficSelector, notify, proposal, ts, wire_enum,
};

wire_enum! {
    /// Payload types (RFC 7296 section 3.2, RFC 7383 section 2.5).
    PayloadType(u8) {
        None = 0,
        SecurityAssociation = 33,
        KeyExchange = 34,
        IdInitiator = 35,
        IdResponder = 36,
        Certificate = 37,
        CertificateRequest = 38,
        Authentication = 39,
        Nonce = 40,
        Notify = 41,
        Delete = 42,
        VendorId = 43,
        TsInitiator = 44,
        TsResponder = 45,
        Encrypted = 46,
        Configuration = 47,
        Eap = 48,
        EncryptedFragment = 53,
    }
}

wire_enum! {
    /// How the AUTH payload was computed (RFC 7296 section 3.8).
    AuthMethod(u8) {
        RsaSignature = 1,
        SharedKey = 2,
        DssSignature = 3,
        EcdsaSha256 = 9,
        EcdsaSha384 = 10,
        EcdsaSha512 = 11,
        Null = 13,
        DigitalSignature = 14,
    }
}

wire_enum! {
    /// What a CERT or CERTREQ payload holds (RFC 7296 section 3.6).
    CertEncoding(u8) {
        Pkcs7X509 = 1,
        Pgp = 2,
        Dns = 3,
        X509Signature = 4,
        Kerberos = 6,
        Crl = 7,
        Arl = 8,
        Spki = 9,
        X509Attribute = 10,
        RawRsaKey = 11,
        HashAndUrl = 12,
        HashAndUrlOfBundle = 13,
        OcspContent = 14,
        RawPublicKey = 15,
    }
}

wire_enum! {
    /// What an identification is (RFC 7296 section 3.5).
    IdType(u8) {
        Ipv4Addr = 1,
        Fqdn = 2,
        Rfc822Addr = 3,
        Ipv6Addr = 5,
        DerAsn1Dn = 9,
        DerAsn1Gn = 10,
        KeyId = 11,
    }
}

/// An identification: type and data (RFC 7296 section 3.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Id<'a> {
    /// How to read the data.
    pub kind: IdType,
    /// Address octets, name or key id.
    pub data: &'a [u8],
}

impl Id<'_> {
    /// The payload's body, which is what AUTH signs (RFC 7296 section 2.15: RestOfIDPayload).
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.kind.to_wire(), 0, 0, 0]);
        out.extend_from_slice(self.data);
    }
}

/// Which SAs the sender has deleted (RFC 7296 section 3.11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delete<'a> {
    /// IKE (no SPIs: the SA that carries the message) or ESP and AH (SPIs of the sender's inbound SAs).
    pub protocol: Protocol,
    /// Octets of one SPI: 0 or 4.
    pub spi_size: u8,
    /// The SPIs, concatenated; a whole number of them.
    pub spis: &'a [u8],
}

impl Delete<'_> {
    /// The SPIs of ESP or AH SAs.
    pub fn child_spis(&self) -> impl Iterator<Item = u32> {
        super::child_spis(self.spi_size, self.spis)
    }
}

/// One payload. Bodies are borrowed from the datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Payload<'a> {
    /// SA: proposals in the sender's order of preference.
    Sa(Vec<Proposal>),
    /// KE: a Diffie-Hellman group and public value.
    Ke {
        /// Transform id of the group.
        group: u16,
        /// The public value.
        data: &'a [u8],
    },
    /// IDi.
    IdI(Id<'a>),
    /// IDr.
    IdR(Id<'a>),
    /// CERT.
    Cert {
        /// What it holds.
        encoding: CertEncoding,
        /// One certificate, in DER with [`CertEncoding::X509Signature`].
        data: &'a [u8],
    },
    /// CERTREQ.
    CertReq {
        /// What is wanted.
        encoding: CertEncoding,
        /// With [`CertEncoding::X509Signature`]: SHA-1 of the SubjectPublicKeyInfo of each trusted CA, concatenated.
        authorities: &'a [u8],
    },
    /// AUTH.
    Auth {
        /// How it was computed.
        method: AuthMethod,
        /// The proof.
        data: &'a [u8],
    },
    /// Ni or Nr.
    Nonce(&'a [u8]),
    /// N.
    Notify(Notify<'a>),
    /// D.
    Delete(Delete<'a>),
    /// V.
    VendorId(&'a [u8]),
    /// TSi.
    TsI(Vec<TrafficSelector>),
    /// TSr.
    TsR(Vec<TrafficSelector>),
    /// SK or SKF: the rest of the message, still sealed.
    Sealed {
        /// [`PayloadType::Encrypted`] or [`PayloadType::EncryptedFragment`].
        kind: PayloadType,
        /// Type of the first payload inside.
        first: PayloadType,
        /// IV, ciphertext and ICV; their lengths depend on the suite.
        body: &'a [u8],
    },
    /// CP, EAP, and every type not known here.
    Opaque {
        /// The type.
        kind: PayloadType,
        /// The critical bit; false for known types.
        critical: bool,
        /// The body.
        body: &'a [u8],
    },
}

/// Reads a chain that starts with a payload of type `first` and fills `bytes`.
pub fn parse_chain(first: PayloadType, bytes: &[u8]) -> Result<Vec<Payload<'_>>, Error> {
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
        let next = PayloadType::from_wire(head[0]);
        if matches!(kind, PayloadType::Encrypted | PayloadType::EncryptedFragment) {
            // Its Next Payload names what is inside, so it ends the chain (RFC 7296 section 3.14).
            payloads.push(Payload::Sealed { kind, first: next, body });
            kind = PayloadType::None;
        } else {
            payloads.push(parse_body(kind, head[1] & CRITICAL != 0, body)?);
            kind = next;
        }
        rest = behind;
    }
    if rest.is_empty() { Ok(payloads) } else { Err(Error::Trailing(rest.len())) }
}

const CRITICAL: u8 = 0x80;

fn parse_body(kind: PayloadType, critical: bool, body: &[u8]) -> Result<Payload<'_>, Error> {
    let mut r = Reader { rest: body, payload: kind };
    Ok(match kind {
        PayloadType::SecurityAssociation => Payload::Sa(proposal::parse(&mut r)?),
        PayloadType::KeyExchange => {
            let group = r.u16("Diffie-Hellman Group Num")?;
            r.u16("RESERVED")?;
            let data = r.rest();
            Payload::Ke { group, data }
        }
        PayloadType::IdInitiator => Payload::IdI(parse_id(&mut r)?),
        PayloadType::IdResponder => Payload::IdR(parse_id(&mut r)?),
        PayloadType::Authentication => {
            let method = AuthMethod::from_wire(r.u8("Auth Method")?);
            r.array::<3>("RESERVED")?;
            let data = r.rest();
            Payload::Auth { method, data }
        }
        // RFC 7296 section 3.9: between 16 and 256 octets.
        PayloadType::Nonce if !(16..=256).contains(&body.len()) => {
            return r.value("length of Nonce Data", body.len() as u32);
        }
        PayloadType::Nonce => Payload::Nonce(body),
        PayloadType::Notify => Payload::Notify(notify::parse(&mut r)?),
        PayloadType::Delete => Payload::Delete(parse_delete(&mut r)?),
        PayloadType::VendorId => Payload::VendorId(body),
        PayloadType::TsInitiator => Payload::TsI(ts::parse(&mut r)?),
        PayloadType::TsResponder => Payload::TsR(ts::parse(&mut r)?),
        PayloadType::Certificate => {
            let encoding = CertEncoding::from_wire(r.u8("Cert Encoding")?);
            Payload::Cert { encoding, data: r.rest() }
        }
        PayloadType::CertificateRequest => {
            let encoding = CertEncoding::from_wire(r.u8("Cert Encoding")?);
            Payload::CertReq { encoding, authorities: r.rest() }
        }
        PayloadType::Configuration | PayloadType::Eap => Payload::Opaque { kind, critical: false, body },
        PayloadType::None | PayloadType::Encrypted | PayloadType::EncryptedFragment | PayloadType::Other(_) => {
            Payload::Opaque { kind, critical, body }
        }
    })
}

fn parse_id<'a>(r: &mut Reader<'a>) -> Result<Id<'a>, Error> {
    let kind = IdType::from_wire(r.u8("ID Type")?);
    r.array::<3>("RESERVED")?;
    let data = r.rest();
    Ok(Id { kind, data })
}

fn parse_delete<'a>(r: &mut Reader<'a>) -> Result<Delete<'a>, Error> {
    let protocol = Protocol::from_wire(r.u8("Protocol ID")?);
    let spi_size = r.u8("SPI Size")?;
    let count = r.u16("Num of SPIs")?;
    let spis = r.take(usize::from(spi_size) * usize::from(count), "Security Parameter Index(es)")?;
    if !r.rest.is_empty() || (spi_size == 0 && count != 0) {
        return r.value("Num of SPIs", u32::from(count));
    }
    Ok(Delete { protocol, spi_size, spis })
}

/// Builds a message from front to back in one buffer, keeping chain and lengths.
#[derive(Debug)]
pub struct Builder {
    pub(super) bytes: Vec<u8>,
    /// Where the type of the next payload is to be written.
    pub(super) next_payload_at: usize,
    /// Where the open SK payload's generic header is.
    pub(super) sk_at: Option<usize>,
}

impl Builder {
    /// Starts a message with this header; its Next Payload and Length are computed.
    pub fn new(header: &Header) -> Self {
        let mut bytes = Vec::with_capacity(512);
        header.emit(&mut bytes);
        bytes[NEXT_PAYLOAD_AT] = PayloadType::None.to_wire();
        Self { bytes, next_payload_at: NEXT_PAYLOAD_AT, sk_at: None }
    }

    /// Appends a payload.
    ///
    /// # Panics
    /// If the payload is longer than 65,535 octets.
    pub fn push(&mut self, payload: &Payload<'_>) -> &mut Self {
        let (kind, critical) = kind_of(payload);
        let at = self.open(kind);
        if critical {
            self.bytes[at + 1] |= CRITICAL;
        }
        let out = &mut self.bytes;
        match payload {
            Payload::Sa(proposals) => proposal::emit(proposals, out),
            Payload::Ke { group, data } => {
                out.extend_from_slice(&group.to_be_bytes());
                out.extend_from_slice(&[0, 0]);
                out.extend_from_slice(data);
            }
            Payload::IdI(id) | Payload::IdR(id) => id.emit(out),
            Payload::Cert { encoding, data } | Payload::CertReq { encoding, authorities: data } => {
                out.push(encoding.to_wire());
                out.extend_from_slice(data);
            }
            Payload::Auth { method, data } => {
                out.extend_from_slice(&[method.to_wire(), 0, 0, 0]);
                out.extend_from_slice(data);
            }
            Payload::Notify(n) => n.emit(out),
            Payload::Delete(d) => {
                let count = d.spis.len().checked_div(usize::from(d.spi_size));
                out.extend_from_slice(&[d.protocol.to_wire(), d.spi_size]);
                out.extend_from_slice(&(count.unwrap_or(0) as u16).to_be_bytes());
                out.extend_from_slice(d.spis);
            }
            Payload::TsI(selectors) | Payload::TsR(selectors) => ts::emit(selectors, out),
            Payload::Sealed { first, body, .. } => {
                out[at] = first.to_wire();
                out.extend_from_slice(body);
            }
            Payload::Nonce(body) | Payload::VendorId(body) | Payload::Opaque { body, .. } => {
                out.extend_from_slice(body);
            }
        }
        self.close(at);
        self
    }

    /// The message, with the header's Length filled in.
    pub fn finish(mut self) -> Vec<u8> {
        self.write_message_length(self.bytes.len());
        self.bytes
    }

    /// Writes a generic payload header and links it into the chain; returns where it is.
    pub(super) fn open(&mut self, kind: PayloadType) -> usize {
        self.bytes[self.next_payload_at] = kind.to_wire();
        self.next_payload_at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.next_payload_at
    }

    fn close(&mut self, at: usize) {
        self.write_payload_length(at, self.bytes.len() - at);
    }

    pub(super) fn write_payload_length(&mut self, at: usize, length: usize) {
        let length = u16::try_from(length).expect("an IKE payload is shorter than 64 KiB, as its length field demands");
        self.bytes[at + 2..at + 4].copy_from_slice(&length.to_be_bytes());
    }

    pub(super) fn write_message_length(&mut self, length: usize) {
        let length = (length as u32).to_be_bytes();
        self.bytes[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&length);
    }
}

pub(super) const NEXT_PAYLOAD_AT: usize = 16;

fn kind_of(payload: &Payload<'_>) -> (PayloadType, bool) {
    let kind = match payload {
        Payload::Sa(_) => PayloadType::SecurityAssociation,
        Payload::Ke { .. } => PayloadType::KeyExchange,
        Payload::IdI(_) => PayloadType::IdInitiator,
        Payload::IdR(_) => PayloadType::IdResponder,
        Payload::Cert { .. } => PayloadType::Certificate,
        Payload::CertReq { .. } => PayloadType::CertificateRequest,
        Payload::Auth { .. } => PayloadType::Authentication,
        Payload::Nonce(_) => PayloadType::Nonce,
        Payload::Notify(_) => PayloadType::Notify,
        Payload::Delete(_) => PayloadType::Delete,
        Payload::VendorId(_) => PayloadType::VendorId,
        Payload::TsI(_) => PayloadType::TsInitiator,
        Payload::TsR(_) => PayloadType::TsResponder,
        Payload::Sealed { kind, .. } => *kind,
        Payload::Opaque { kind, critical, .. } => return (*kind, *critical),
    };
    (kind, false)
}
