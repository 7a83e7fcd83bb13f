//! DNS messages (RFC 1035 section 4) about the IPv4 addresses of a name, composed and taken apart by the crate `domain`.
//!
//! ```text
//!   query    id, RD                  QNAME A IN
//!   answer   id, QR AA RD RA RCODE   QNAME A IN    the addresses, each with its TTL
//! ```
//!
//! Names in what is composed are compressed (section 4.1.4), and what is read may have any names and a chain of CNAMEs.
//!
//! Left out: every type but A, whose questions are taken and whose answers are empty or refused by [`crate::proto::dns`]; EDNS (RFC 6891),
//! so a message has at most 512 octets (section 2.3.4); messages over TCP (RFC 7766).

use core::fmt::{self, Debug, Display, Formatter};
use core::str::FromStr;
use std::net::Ipv4Addr;

use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::name::{Name, ToName};
use domain::base::{Header, Message as Parsed, MessageBuilder, StaticCompressor, Ttl};
use domain::rdata::A;

/// The port of a name server (RFC 1035 section 4.2).
pub const PORT: u16 = 53;

/// The longest message without EDNS, in octets (RFC 1035 section 2.3.4).
const MESSAGE_MAX: usize = 512;
/// How many addresses fit in the answer for the longest name: 12 octets of header, 255 + 4 of question, 16 for each.
pub const ADDRESSES_MAX: usize = (MESSAGE_MAX - 12 - 259) / 16;

/// A domain name, which is compared without case (RFC 4343).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(Name<Vec<u8>>);

impl DnsName {
    /// Whether it is this domain or below it.
    pub fn is_in(&self, domain: &Self) -> bool {
        self.0.ends_with(&domain.0)
    }

    /// How many labels it has, the root's among them.
    pub fn labels(&self) -> usize {
        self.0.label_count()
    }

    /// `label` below this domain, as RFC 1035 section 5.1 has relative names; nothing if that is too long or no name.
    pub fn below(&self, label: &str) -> Option<Self> {
        let dot = if self.labels() > 1 { "." } else { "" };
        format!("{label}{dot}{self}").parse().ok()
    }
}

/// Why a text is no domain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAName(String);

impl FromStr for DnsName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        text.parse().map(Self).map_err(|error: domain::base::name::FromStrError| NotAName(error.to_string()))
    }
}

impl Display for DnsName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.labels() == 1 { f.write_str(".") } else { write!(f, "{}", self.0) }
    }
}

impl Debug for DnsName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// How an answer ends (RFC 1035 section 4.1.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ResponseCode {
    /// NOERROR; without an address the name has none.
    NoError,
    /// FORMERR: the query could not be read.
    FormatError,
    /// SERVFAIL: the server could not find out.
    ServerFailure,
    /// NXDOMAIN: there is no such name.
    NameError,
    /// NOTIMP: the server does not do that.
    NotImplemented,
    /// REFUSED: the server does not do that for this name or client.
    Refused,
}

impl ResponseCode {
    const fn to_wire(self) -> Rcode {
        match self {
            Self::NoError => Rcode::NOERROR,
            Self::FormatError => Rcode::FORMERR,
            Self::ServerFailure => Rcode::SERVFAIL,
            Self::NameError => Rcode::NXDOMAIN,
            Self::NotImplemented => Rcode::NOTIMP,
            Self::Refused => Rcode::REFUSED,
        }
    }

    /// A code that is none of these says that the server could not help.
    fn from_wire(code: Rcode) -> Self {
        match code {
            Rcode::NOERROR => Self::NoError,
            Rcode::FORMERR => Self::FormatError,
            Rcode::NXDOMAIN => Self::NameError,
            Rcode::NOTIMP => Self::NotImplemented,
            Rcode::REFUSED => Self::Refused,
            _ => Self::ServerFailure,
        }
    }
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Of which name.
    pub name: DnsName,
    /// Whether for its IPv4 addresses: type A of class IN.
    pub for_addresses: bool,
    /// Type and class as they were asked.
    kind: (Rtype, Class),
}

impl Question {
    /// For the IPv4 addresses of a name.
    pub const fn addresses_of(name: DnsName) -> Self {
        Self { name, for_addresses: true, kind: (Rtype::A, Class::IN) }
    }
}

/// What a message is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A query.
    Query {
        /// RD: whether the server shall ask others.
        recursion: bool,
    },
    /// An answer.
    Answer(Answer),
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// How it ends.
    pub code: ResponseCode,
    /// AA: from whom the zone is.
    pub authoritative: bool,
    /// RD of the query.
    pub recursion: bool,
    /// RA: whether the server would ask others.
    pub recursion_available: bool,
    /// The addresses.
    pub addresses: Vec<Ipv4Addr>,
    /// For how many seconds they hold.
    pub ttl: u32,
}

/// A message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// What an answer has from its query.
    pub id: u16,
    /// What is asked.
    pub question: Question,
    /// What it is.
    pub kind: Kind,
}

/// Why octets are no message that can be dealt with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// They are no message at all, or an answer that cannot be read.
    Nothing,
    /// A query that is to be answered by these octets: FORMERR, if it cannot be read, or NOTIMP, if it is no standard one.
    Query(Vec<u8>),
}

impl Message {
    /// Reads a message with one question, which all have that are sent (RFC 9619).
    ///
    /// # Errors
    /// [`Malformed`], if the octets are none.
    pub fn parse(octets: &[u8]) -> Result<Self, Malformed> {
        let message = Parsed::from_octets(octets).map_err(|_| Malformed::Nothing)?;
        let header = message.header();
        let malformed = |code| if header.qr() { Malformed::Nothing } else { Malformed::Query(refusal(header, code)) };
        if header.opcode() != Opcode::QUERY {
            return Err(malformed(Rcode::NOTIMP));
        }
        let asked = message.sole_question().map_err(|_| malformed(Rcode::FORMERR))?;
        let kind = (asked.qtype(), asked.qclass());
        let question =
            Question { name: DnsName(asked.qname().to_name()), for_addresses: kind == (Rtype::A, Class::IN), kind };
        let kind = if header.qr() {
            Kind::Answer(answer(&message, header).ok_or(Malformed::Nothing)?)
        } else {
            Kind::Query { recursion: header.rd() }
        };
        Ok(Self { id: header.id(), question, kind })
    }

    /// Its octets. Of more than [`ADDRESSES_MAX`] addresses those that fit.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut builder = MessageBuilder::from_target(StaticCompressor::new(Vec::with_capacity(64)))
            .unwrap_or_else(|_| unreachable!("a vector grows"));
        let header = builder.header_mut();
        header.set_id(self.id);
        match &self.kind {
            Kind::Query { recursion } => header.set_rd(*recursion),
            Kind::Answer(answer) => {
                header.set_qr(true);
                header.set_aa(answer.authoritative);
                header.set_rd(answer.recursion);
                header.set_ra(answer.recursion_available);
                header.set_rcode(answer.code.to_wire());
            }
        }
        let mut questions = builder.question();
        let _ = questions.push((&self.question.name.0, self.question.kind.0, self.question.kind.1));
        let mut answers = questions.answer();
        if let Kind::Answer(answer) = &self.kind {
            for address in answer.addresses.iter().take(ADDRESSES_MAX) {
                let record = (&self.question.name.0, Class::IN, Ttl::from_secs(answer.ttl), A::new(*address));
                let _ = answers.push(record);
            }
        }
        answers.finish().into_target()
    }
}

/// What a message answers; nothing if its records cannot be read.
fn answer(message: &Parsed<&[u8]>, header: Header) -> Option<Answer> {
    let name = message.canonical_name()?;
    let records = message.answer().ok()?.limit_to::<A>();
    let (mut addresses, mut ttl) = (Vec::new(), u32::MAX);
    for record in records {
        let record = record.ok()?;
        if *record.owner() == name {
            addresses.push(record.data().addr());
            ttl = ttl.min(record.ttl().as_secs());
        }
    }
    Some(Answer {
        code: ResponseCode::from_wire(header.rcode()),
        authoritative: header.aa(),
        recursion: header.rd(),
        recursion_available: header.ra(),
        ttl: if addresses.is_empty() { 0 } else { ttl },
        addresses,
    })
}

/// The answer to a query that is not dealt with: its header and nothing else.
fn refusal(query: Header, code: Rcode) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    let header = builder.header_mut();
    header.set_id(query.id());
    header.set_qr(true);
    header.set_opcode(query.opcode());
    header.set_rd(query.rd());
    header.set_rcode(code);
    builder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DnsName {
        text.parse().expect("a name")
    }

    /// RFC 1035 section 4.1, by hand: id 0xABCD, RD, one question, 3www7example3com0 A IN.
    const QUERY: &[u8] =
        b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01";
    /// Its answer: QR AA RD RA, one record whose name points at octet 12, TTL 300, 192.0.2.1.
    const ANSWER: &[u8] =
        b"\xab\xcd\x85\x80\x00\x01\x00\x01\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01\
        \xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\xc0\x00\x02\x01";

    #[test]
    fn octets_are_those_of_the_rfc() {
        let question = Question::addresses_of(name("www.example.com"));
        let query = Message { id: 0xabcd, question: question.clone(), kind: Kind::Query { recursion: true } };
        assert_eq!(query.to_octets(), QUERY);
        assert_eq!(Message::parse(QUERY), Ok(query));
        let answer = Answer {
            code: ResponseCode::NoError,
            authoritative: true,
            recursion: true,
            recursion_available: true,
            addresses: vec![Ipv4Addr::new(192, 0, 2, 1)],
            ttl: 300,
        };
        let answer = Message { id: 0xabcd, question, kind: Kind::Answer(answer) };
        assert_eq!(answer.to_octets(), ANSWER);
        assert_eq!(Message::parse(ANSWER), Ok(answer));
    }

    /// RFC 1034 section 3.6.2: the addresses of an alias are those of its canonical name.
    #[test]
    fn aliases_are_followed() {
        // www is an alias (type 5, 4 octets: 1a and a pointer to "example") of a.example.com, which has the address.
        let aliased = [
            &ANSWER[..7],
            b"\x02\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01",
            b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01a\xc0\x10",
            b"\x01a\xc0\x10\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\xc0\x00\x02\x09",
        ]
        .concat();
        let Ok(Message { kind: Kind::Answer(answer), .. }) = Message::parse(&aliased) else { panic!("an answer") };
        assert_eq!(answer.addresses, [Ipv4Addr::new(192, 0, 2, 9)]);
    }

    #[test]
    fn no_octets_are_too_strange() {
        assert_eq!(Message::parse(&QUERY[..11]), Err(Malformed::Nothing));
        // Section 4.1.1: the id, RD and the opcode are the query's; RCODE 1 is a format error, 4 not implemented.
        let refused = |flags: [u8; 2]| Err(Malformed::Query([&[0xab, 0xcd], &flags[..], &[0; 8]].concat()));
        assert_eq!(Message::parse(&QUERY[..20]), refused([0x81, 1]));
        let status = [&QUERY[..2], &[0x11], &QUERY[3..]].concat();
        assert_eq!(Message::parse(&status), refused([0x91, 4]));
        assert_eq!(Message::parse(&ANSWER[..ANSWER.len() - 1]), Err(Malformed::Nothing));
        for cut in 0..ANSWER.len() {
            let _ = Message::parse(&ANSWER[..cut]);
            let mut damaged = ANSWER.to_vec();
            damaged[cut] ^= 0xff;
            let _ = Message::parse(&damaged);
        }
    }

    proptest::proptest! {
        /// Octets from outside, be they random or a message with some of them changed, are read or refused.
        #[test]
        fn random_octets_are_read_or_refused(
            octets in proptest::collection::vec(proptest::num::u8::ANY, 0..64),
            changes in proptest::collection::vec((0..ANSWER.len(), proptest::num::u8::ANY), 0..8),
        ) {
            let mut answer = ANSWER.to_vec();
            changes.iter().for_each(|(at, octet)| answer[*at] = *octet);
            for octets in [octets, answer] {
                if let Ok(message) = Message::parse(&octets) {
                    let again = Message::parse(&message.to_octets()).expect("what is written can be read");
                    proptest::prop_assert_eq!((again.id, &again.question), (message.id, &message.question));
                }
            }
        }
    }

    #[test]
    fn names_know_their_domain() {
        let db = name("db.corp.example");
        assert!(db.is_in(&name("CORP.example")) && db.is_in(&name(".")) && db.is_in(&db));
        assert!(!db.is_in(&name("orp.example")) && !name("corp.example").is_in(&db));
        assert_eq!(name("corp.example").below("db"), Some(db));
        assert_eq!(name(".").below("example"), Some(name("example")));
        assert!("a..b".parse::<DnsName>().is_err() && "x".repeat(64).parse::<DnsName>().is_err());
    }

    /// As many addresses as are promised fit beside the longest name.
    #[test]
    fn a_full_answer_has_at_most_512_octets() {
        let long = [&"a".repeat(63), &"b".repeat(63), &"c".repeat(63), &"d".repeat(61)].map(String::as_str).join(".");
        let answer = Answer {
            code: ResponseCode::NoError,
            authoritative: true,
            recursion: true,
            recursion_available: true,
            addresses: vec![Ipv4Addr::LOCALHOST; 40],
            ttl: 1,
        };
        let message = Message { id: 1, question: Question::addresses_of(name(&long)), kind: Kind::Answer(answer) };
        let octets = message.to_octets();
        assert!(octets.len() <= MESSAGE_MAX && octets.len() > MESSAGE_MAX - 16, "{}", octets.len());
    }
}
