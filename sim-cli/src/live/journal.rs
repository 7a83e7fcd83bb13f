//! The journal of a live run: everything that came in, with its instant, so that the run can be repeated without its peers.
//!
//! JSON, one object a line. The first is the [`Head`], then comes an [`Entry`] for each arrival in the order in which they
//! entered the world, and the last is the [`Tail`]. A journal without a tail is of a run that did not end by itself. Whoever
//! has a journal and its scenario can read the traffic: it is as secret as a capture with its keys.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sim_scenarios::Scenario;
use twox_hash::XxHash3_128;

use super::cast::Cast;
use crate::engine::Question;
use crate::failure::Failure;

/// The version of the format.
const FORMAT: u32 = 2;
/// The longest IPv4 packet (RFC 791).
const LONGEST: usize = 65_535;
/// Headers of IPv4 and of UDP (RFC 768).
const HEADERS: [usize; 2] = [20, 8];

/// Of which run a journal is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The version of this format.
    journal: u32,
    /// The version of the program.
    vpnsim: String,
    /// The scenario's name.
    scenario: String,
    /// Changes made to it, pre-shared keys blotted out.
    changes: Vec<String>,
    /// The seed.
    seed: u64,
    /// Who was real.
    pub cast: Cast,
    /// xxh3-128, in hexadecimal, of the scenario's text, the changes, the seed and the pre-shared keys.
    question: String,
}

/// Something that came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// When it entered the world, in nanoseconds since the start.
    pub at: u64,
    /// What it was there.
    pub arrived: Arrived,
}

/// What came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Arrived {
    /// A UDP datagram for the simulated end of a tunnel.
    Udp {
        /// The tunnel, by its name.
        tunnel: String,
        /// Its UDP source port in the world.
        source: u16,
        /// Its destination in the world.
        to: SocketAddrV4,
        /// Who really sent it; nothing depends on it.
        from: String,
        /// Its payload.
        #[serde(with = "hexadecimal")]
        bytes: Vec<u8>,
    },
    /// ESP without UDP for the simulated end of a tunnel.
    Esp {
        /// The tunnel, by its name.
        tunnel: String,
        /// The payload of IP.
        #[serde(with = "hexadecimal")]
        bytes: Vec<u8>,
    },
    /// A packet that a real host sent.
    Packet {
        /// The host, by its name.
        host: String,
        /// The whole packet.
        #[serde(with = "hexadecimal")]
        bytes: Vec<u8>,
    },
}

impl Arrived {
    /// True if no packet is so long.
    fn is_too_long(&self) -> bool {
        match self {
            Self::Udp { bytes, .. } => bytes.len() > LONGEST - HEADERS[0] - HEADERS[1],
            Self::Esp { bytes, .. } => bytes.len() > LONGEST - HEADERS[0],
            Self::Packet { bytes, .. } => bytes.len() > LONGEST,
        }
    }

    /// What it calls the place where it came in.
    fn place(&self) -> &str {
        match self {
            Self::Udp { tunnel, .. } | Self::Esp { tunnel, .. } => tunnel,
            Self::Packet { host, .. } => host,
        }
    }
}

/// How the run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    /// When, in nanoseconds since the start.
    pub end: u64,
    /// How many arrivals there were.
    arrivals: u64,
    /// The digest of the run's trace, as the report has it.
    pub digest: String,
    /// xxh3-128, in hexadecimal, of all lines before this one.
    sum: String,
}

mod hexadecimal {
    use data_encoding::HEXLOWER;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        HEXLOWER.decode(text.as_bytes()).map_err(D::Error::custom)
    }
}

impl Head {
    /// The head of a run of this scenario.
    pub fn of(question: &Question, scenario: &Scenario, cast: &Cast) -> Self {
        let plan = scenario.plan();
        let mut hash = XxHash3_128::new();
        let mut part = |octets: &[u8]| {
            hash.write(&(octets.len() as u64).to_le_bytes());
            hash.write(octets);
        };
        part(question.text.as_bytes());
        question.changes.iter().for_each(|change| part(change.as_bytes()));
        part(&plan.seed.to_le_bytes());
        for tunnel in plan.connections.iter().flat_map(|connection| &connection.tunnels) {
            part(tunnel.aws.psk.expose());
            part(tunnel.customer.psk.expose());
            let credentials = tunnel.aws.credentials.iter();
            credentials.flat_map(|own| own.chain.iter().chain(&own.trust.authorities)).for_each(|it| part(it.der()));
        }
        Self {
            journal: FORMAT,
            vpnsim: env!("CARGO_PKG_VERSION").into(),
            scenario: plan.name.clone(),
            changes: scenario.changes().map(|change| change.to_string()).collect(),
            seed: plan.seed,
            cast: cast.clone(),
            question: format!("{:032x}", hash.finish_128()),
        }
    }
}

/// A journal being written.
pub struct Writer {
    file: BufWriter<File>,
    path: PathBuf,
    sum: XxHash3_128,
    arrivals: u64,
}

impl Writer {
    /// Begins a journal. An earlier one of that name is replaced.
    pub fn create(path: &Path, head: &Head) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|error| Failure::undeliverable(path, &error))?;
        let mut writer = Self { file: BufWriter::new(file), path: path.into(), sum: XxHash3_128::new(), arrivals: 0 };
        writer.line(head)?;
        Ok(writer)
    }

    /// Writes an arrival down.
    pub fn arrival(&mut self, entry: &Entry) -> Result<(), Failure> {
        self.arrivals += 1;
        self.line(entry)
    }

    /// Ends the journal.
    pub fn close(mut self, end: u64, digest: &str) -> Result<(), Failure> {
        let sum = format!("{:032x}", self.sum.finish_128());
        self.line(&Tail { end, arrivals: self.arrivals, digest: digest.into(), sum })?;
        self.file.flush().map_err(|error| Failure::undeliverable(&self.path, &error))
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::undeliverable(&self.path, &error);
        let mut text = serde_json::to_string(value).map_err(|error| failed(error.into()))?;
        text.push('\n');
        self.sum.write(text.as_bytes());
        self.file.write_all(text.as_bytes()).map_err(failed)
    }
}

/// A journal that is whole.
#[derive(Debug)]
pub struct Journal {
    head: Head,
    pub entries: Vec<Entry>,
    pub tail: Tail,
    path: PathBuf,
}

impl Journal {
    /// Reads a journal.
    ///
    /// # Errors
    /// If it is none, of another version, not whole, or not as it was written.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let octets = std::fs::read(path).map_err(|error| Failure::unreadable(path, &error))?;
        let parsed = match std::str::from_utf8(&octets) {
            Ok(text) => Self::parse(path, text),
            Err(_) => Err(("is no journal of `vpnsim live`".to_owned(), None)),
        };
        parsed.map_err(|(problem, help)| Failure::unusable_journal(path, problem, help))
    }

    fn parse(path: &Path, text: &str) -> Result<Self, (String, Option<String>)> {
        let plain = |problem: &str| (problem.to_owned(), None);
        let truncated = || {
            let help = "the run that wrote it was killed, or the file was not copied whole";
            ("is truncated: its last line is missing".to_owned(), Some(help.to_owned()))
        };
        let mut lines = text.split_inclusive('\n');
        let first = lines.next().ok_or_else(|| plain("is empty"))?;
        #[derive(Deserialize)]
        struct Format {
            journal: u32,
        }
        match serde_json::from_str::<Format>(first) {
            Ok(Format { journal: FORMAT }) => {}
            Ok(Format { journal }) => {
                return Err(plain(&format!("is a journal of version {journal}; this program reads version {FORMAT}")));
            }
            Err(_) => return Err(plain("is no journal of `vpnsim live`")),
        }
        let damaged =
            |line: usize, error: &dyn std::fmt::Display| plain(&format!("is damaged in line {line}: {error}"));
        let head: Head = serde_json::from_str(first).map_err(|error| damaged(1, &error))?;
        let mut sum = XxHash3_128::new();
        sum.write(first.as_bytes());
        let mut entries: Vec<Entry> = Vec::new();
        let rest: Vec<&str> = lines.collect();
        let Some((last, middle)) = rest.split_last() else { return Err(truncated()) };
        for (n, line) in middle.iter().enumerate() {
            let entry: Entry = serde_json::from_str(line).map_err(|error| damaged(n + 2, &error))?;
            if entries.last().is_some_and(|before| before.at > entry.at) {
                return Err(damaged(n + 2, &"it is of an earlier instant than the line before it"));
            }
            if entry.arrived.is_too_long() {
                return Err(damaged(n + 2, &"no packet is so long"));
            }
            sum.write(line.as_bytes());
            entries.push(entry);
        }
        let Ok(tail) = serde_json::from_str::<Tail>(last) else { return Err(truncated()) };
        if tail.sum != format!("{:032x}", sum.finish_128()) || tail.arrivals != entries.len() as u64 {
            return Err(plain("is damaged: its lines are not those that were written"));
        }
        if entries.last().is_some_and(|last| last.at > tail.end) {
            return Err(plain("is damaged: it ends before its last arrival"));
        }
        Ok(Self { head, entries, tail, path: path.into() })
    }

    /// Who was real.
    pub fn cast(&self) -> &Cast {
        &self.head.cast
    }

    /// Something came in where nobody is real.
    pub fn names_nobody(&self, arrived: &Arrived) -> Failure {
        let problem = format!("is damaged: nobody real is at `{}`", arrived.place());
        Failure::unusable_journal(&self.path, problem, None)
    }

    /// Makes the changes that it tells of to a question that has none of its own.
    pub fn recall(&self, question: &mut Question) {
        if question.changes.is_empty() {
            question.changes.clone_from(&self.head.changes);
        }
    }

    /// Holds it against the question that is asked.
    ///
    /// # Errors
    /// If it is of another.
    pub fn belongs_to(&self, asked: &Head) -> Result<(), Failure> {
        let head = &self.head;
        let listed = |changes: &[String]| match changes {
            [] => "no changes".to_owned(),
            some => some.iter().map(|change| format!("--set {change}")).collect::<Vec<_>>().join(" "),
        };
        let (problem, help) = if head.vpnsim != asked.vpnsim {
            (format!("was written by vpnsim {}, and this is {}", head.vpnsim, asked.vpnsim), None)
        } else if head.scenario != asked.scenario {
            (format!("is of the scenario `{}`, not of `{}`", head.scenario, asked.scenario), None)
        } else if head.changes != asked.changes || head.seed != asked.seed {
            let of = |head: &Head| format!("seed {} and {}", head.seed, listed(&head.changes));
            (
                format!("is of a run with {}, not with {}", of(head), of(asked)),
                Some("leave --set and --seed out".into()),
            )
        } else if head.question != asked.question {
            let help = "the scenario's text or a pre-shared key has changed since";
            ("is of another text of this scenario".to_owned(), Some(help.into()))
        } else {
            return Ok(());
        };
        Err(Failure::unusable_journal(&self.path, problem, help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        let text = |text: &str| text.to_owned();
        Head {
            journal: FORMAT,
            vpnsim: text("1.2.3"),
            scenario: text("box"),
            changes: Vec::new(),
            seed: 7,
            cast: Cast::default(),
            question: text("00"),
        }
    }

    fn entry(at: u64) -> Entry {
        let (tunnel, from) = ("vpn.a".to_owned(), "192.0.2.1:4500".to_owned());
        let (source, to) = (4500, SocketAddrV4::new([198, 51, 100, 10].into(), 4500));
        Entry { at, arrived: Arrived::Udp { tunnel, source, to, from, bytes: vec![0x00, 0xff] } }
    }

    fn others(at: u64) -> [Entry; 2] {
        [
            Entry { at, arrived: Arrived::Esp { tunnel: "vpn.b".into(), bytes: vec![1; 8] } },
            Entry { at, arrived: Arrived::Packet { host: "app".into(), bytes: vec![0x45; 20] } },
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let mut writer = Writer::create(&path, &head()).unwrap();
        let all = [[entry(5), entry(5)], others(6)].concat();
        all.iter().for_each(|entry| writer.arrival(entry).unwrap());
        writer.close(6, "0123").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(r#""bytes":"00ff""#), "{text}");
        let journal = Journal::read(&path).unwrap();
        assert_eq!(journal.head, head());
        assert_eq!(journal.entries, all);
        assert_eq!((journal.tail.end, journal.tail.arrivals, journal.tail.digest.as_str()), (6, 4, "0123"));
        assert!(journal.belongs_to(&head()).is_ok());
        let newer = Head { vpnsim: "1.2.4".into(), ..head() };
        let refused = journal.belongs_to(&newer).unwrap_err().to_string();
        assert!(refused.ends_with("was written by vpnsim 1.2.3, and this is 1.2.4"), "{refused}");
    }

    /// Whatever is left of a journal, it is refused and not misread.
    #[test]
    fn no_part_of_a_journal_passes_for_the_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let mut writer = Writer::create(&path, &head()).unwrap();
        writer.arrival(&entry(5)).unwrap();
        writer.close(6, "0123").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        // Without its last line end it is still whole.
        for length in 0..text.len() - 1 {
            assert!(Journal::parse(&path, &text[..length]).is_err(), "{length}");
        }
        let mut octets = text.into_bytes();
        for at in 0..octets.len() - 1 {
            octets[at] ^= 1;
            let refused = std::str::from_utf8(&octets).map_or(true, |text| Journal::parse(&path, text).is_err());
            // The end and the digest in the tail are what a replay is held against.
            let tail = String::from_utf8_lossy(&octets[..at]).contains("\"end\"");
            assert!(refused || tail, "octet {at}");
            octets[at] ^= 1;
        }
    }
}
