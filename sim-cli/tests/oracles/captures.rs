//! tshark over every capture of the library: it must read and decrypt all of it, and agree with our trace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use serde_json::Value;
use sim_core::wire::ipv4::Ipv4Packet;
use xxhash_rust::xxh3::xxh3_64;

use crate::process::{Outcome, asked_for};
use crate::tshark::{Frame, dissect};

/// What our trace says about the captures.
#[derive(Default)]
struct Told {
    /// What entered each link, in order.
    sent: BTreeMap<String, Vec<Sent>>,
    /// By packet, the digest of its bytes when it was made.
    created: BTreeMap<u64, u64>,
    /// Sent IKE messages: when, the exchange (`None` for a repeated request) and the Message ID.
    ike: Vec<IkeMessage>,
    /// Every prefix to which a router learned a route.
    prefixes: BTreeSet<String>,
}

type IkeMessage = (u64, Option<u32>, u32);

/// A packet that enters a link.
struct Sent {
    packet: u64,
    at_ns: u64,
    sealed: Option<Sealed>,
}

/// The ESP packet around a packet: SPI, sequence number and the end of the ICV.
#[derive(Clone)]
struct Sealed {
    spi: u32,
    sequence: u32,
    icv_end: String,
}

/// Most of a trace says what no capture shows; to skip it unread saves half of the time.
const BESIDE_THE_POINT: [&str; 3] = ["\"event\":\"arrived\"", "\"event\":\"forwarded\"", "\"event\":\"delivered\""];

/// What tshark tells of all captures together.
#[derive(Default)]
struct Seen {
    frames: usize,
    sealed: usize,
    /// IKE messages by packet: one crosses several links, and is sent when it enters its first.
    ike: BTreeMap<u64, IkeMessage>,
    prefixes: BTreeSet<String>,
}

#[test]
fn tshark_agrees_with_the_trace() {
    if !asked_for("captures::tshark_agrees_with_the_trace") {
        return;
    }
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut scenarios: Vec<PathBuf> = fs::read_dir(&library)
        .expect("the library of scenarios")
        .map(|entry| entry.expect("an entry of the library").path())
        .filter(|path| path.extension().is_some_and(|e| e == "ron"))
        .collect();
    scenarios.sort();
    assert!(!scenarios.is_empty(), "no scenarios in {}", library.display());
    let left = Mutex::new(scenarios.iter().enumerate());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((place, scenario)) = { left.lock().expect("no thread panics").next() } {
                    // One scenario of each version: wrong keys of either must be noticed.
                    let doubt = place == 0 || scenario.ends_with("ikev1_active_passive.ron");
                    if let Err(message) = judge(scenario, doubt) {
                        let failure = format!("{}: {message}", scenario.display());
                        failures.lock().expect("no thread panics").push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no thread panics");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Runs a scenario and holds its captures against its trace; `doubt` asks too whether tshark would notice wrong keys.
fn judge(scenario: &Path, doubt: bool) -> Outcome {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let out = &dir.path().join("out");
    let vpnsim = Command::new(env!("CARGO_BIN_EXE_vpnsim"))
        .arg("run")
        .arg(scenario)
        .args(["--pcap", "--trace", "packets", "--format", "json", "--out"])
        .arg(out)
        .output();
    let vpnsim = vpnsim.map_err(|e| e.to_string())?;
    // Whether expectations held is for others to judge.
    if !matches!(vpnsim.status.code(), Some(0 | 1)) {
        return Err(String::from_utf8_lossy(&vpnsim.stderr).into_owned());
    }
    let told = Told::read(&out.join("events.jsonl"))?;
    let mut seen = Seen::default();
    for capture in captures(out)? {
        seen.capture(&told, &capture, out)?;
    }
    seen.agrees(&told)?;
    match doubt {
        true => wrong_keys_are_noticed(out),
        false => Ok(()),
    }
}

/// The captures in a directory.
fn captures(out: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(out).map_err(|e| format!("{}: {e}", out.display()))?;
    let mut captures: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    captures.retain(|path| path.extension().is_some_and(|e| e == "pcapng"));
    captures.sort();
    Ok(captures)
}

impl Told {
    fn read(events: &Path) -> Outcome<Self> {
        let file = fs::File::open(events).map_err(|e| format!("{}: {e}", events.display()))?;
        let mut told = Self::default();
        let mut sealed = BTreeMap::new();
        for line in BufReader::new(file).lines() {
            let line = line.map_err(|e| e.to_string())?;
            if BESIDE_THE_POINT.iter().any(|event| line.contains(event)) {
                continue;
            }
            let event: Value = serde_json::from_str(&line).map_err(|e| format!("{line}: {e}"))?;
            told.event(&event, &mut sealed).ok_or_else(|| format!("not understood: {line}"))?;
        }
        Ok(told)
    }

    /// Takes one event; `sealed` holds the packets that are inside ESP at this time.
    fn event(&mut self, event: &Value, sealed: &mut BTreeMap<u64, Sealed>) -> Option<()> {
        let at_ns = (event["at_s"].as_f64()? * 1e9).round() as u64;
        let text = |key: &str| event[key].as_str().map(str::to_owned);
        let number = |key: &str| event[key].as_u64();
        let spi = || u32::from_str_radix(event["spi"].as_str()?, 16).ok();
        match event["event"].as_str()? {
            "created" => {
                let digest = u64::from_str_radix(event["xxh3"].as_str()?, 16).ok()?;
                self.created.insert(number("packet")?, digest);
            }
            "sealed" => {
                let sequence = number("sequence")? as u32;
                let state = Sealed { spi: spi()?, sequence, icv_end: text("icv_end")? };
                sealed.insert(number("packet")?, state);
            }
            "opened" => drop(sealed.remove(&number("packet")?)),
            "cut_from" => {
                let state = sealed.get(&number("parent")?).cloned();
                state.map(|state| sealed.insert(number("packet")?, state));
            }
            "sent" => {
                let packet = number("packet")?;
                let sent = Sent { packet, at_ns, sealed: sealed.get(&packet).cloned() };
                self.sent.entry(text("link")?).or_default().push(sent);
            }
            "message" => {
                let exchange = match event["message"].as_str()? {
                    "ike_sa_init_sent" => Some(34),
                    "ike_auth_sent" => Some(35),
                    "create_child_sa_sent" => Some(36),
                    "informational_sent" => Some(37),
                    "main_mode_sent" => Some(2),
                    "quick_mode_sent" => Some(32),
                    "isakmp_informational_sent" => Some(5),
                    "retransmitted" => None,
                    _ => return Some(()),
                };
                self.ike.push((at_ns, exchange, number("detail")? as u32));
            }
            "route_changed" if event["reason"] == "learned" => {
                self.prefixes.insert(text("prefix")?);
            }
            _ => {}
        }
        Some(())
    }
}

impl Seen {
    /// Holds the capture of one link against what the trace says went into that link.
    fn capture(&mut self, told: &Told, capture: &Path, keys: &Path) -> Outcome {
        let mut next = 0;
        let mut interface = None;
        dissect(capture, keys, |frame| {
            let link = interface.get_or_insert_with(|| frame.interface.clone());
            let sent = told.sent.get(link).and_then(|sent| sent.get(next));
            let sent = sent.ok_or_else(|| format!("more packets than the trace has on {link}"))?;
            next += 1;
            self.frame(told, sent, &frame).map_err(|e| format!("packet {next}, {}: {e}", frame.comment))
        })?;
        let link = interface.unwrap_or_default();
        let all = told.sent.get(&link).map_or(0, Vec::len);
        match next == all {
            true => Ok(()),
            false => Err(format!("{}: {next} of the trace's {all} packets", capture.display())),
        }
    }

    fn frame(&mut self, told: &Told, sent: &Sent, frame: &Frame) -> Outcome {
        self.frames += 1;
        equal("the packet's name", &frame.comment, &format!("#{}", sent.packet))?;
        equal("its time", &frame.at_ns, &sent.at_ns)?;
        match (&frame.esp, &sent.sealed) {
            (None, None) => {}
            (Some(esp), Some(sealed)) => {
                self.sealed += 1;
                equal("the SPI", &esp.spi, &sealed.spi)?;
                equal("the sequence number", &esp.sequence, &sealed.sequence)?;
                equal("the end of the ICV", &esp.icv.ends_with(&sealed.icv_end), &true)?;
                let created = told.created.get(&sent.packet).ok_or("the inner packet was never made")?;
                equal("the inner packet", &was(&esp.inner, *created), &true)?;
            }
            (esp, sealed) => return Err(format!("ESP: {} seen, {} told", esp.is_some(), sealed.is_some())),
        }
        if let Some(ike) = &frame.ike {
            let message = (sent.at_ns, Some(ike.exchange), ike.message_id);
            let first = self.ike.entry(sent.packet).or_insert(message);
            first.0 = first.0.min(sent.at_ns);
        }
        let prefix = |(address, length): (&Ipv4Addr, &u8)| format!("{address}/{length}");
        let announced = frame.lengths.iter().skip(frame.withdrawn.len());
        self.prefixes.extend(frame.announced.iter().zip(announced).map(prefix));
        Ok(())
    }

    /// What is true of all captures of a run together.
    fn agrees(self, told: &Told) -> Outcome {
        if self.sealed == 0 || self.ike.is_empty() {
            return Err(format!("{} ESP packets, {} IKE messages", self.sealed, self.ike.len()));
        }
        let mut seen: Vec<_> = self.ike.into_values().collect();
        for &(at_ns, exchange, id) in &told.ike {
            let same = |m: &IkeMessage| m.0 == at_ns && m.2 == id && (exchange.is_none() || m.1 == exchange);
            let place = seen.iter().position(same);
            let place = place.ok_or_else(|| format!("no IKE message {exchange:?} {id} at {at_ns} ns"))?;
            seen.swap_remove(place);
        }
        equal("IKE messages that the trace does not have", &seen, &Vec::new())?;
        equal("prefixes in UPDATEs", &self.prefixes, &told.prefixes)
    }
}

/// True if these bytes are those of a packet with this digest, apart from what forwarding changes: each hop takes one
/// off the TTL (RFC 1812 section 5.3.1).
fn was(inner: &[u8], created: u64) -> bool {
    let mut bytes = inner.to_vec();
    (0..8).any(|_| {
        let same = xxh3_64(&bytes) == created;
        if let Ok(mut packet) = Ipv4Packet::new_checked(&mut bytes[..]) {
            let ttl = packet.ttl();
            packet.set_ttl(ttl.wrapping_add(1));
            packet.fill_checksum();
        }
        same
    })
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, tshark: &T, ours: &T) -> Outcome {
    match tshark == ours {
        true => Ok(()),
        false => Err(format!("{what}: tshark {tshark:?}, our trace {ours:?}")),
    }
}

/// An oracle must be able to say no: with one table's keys changed, tshark must complain of some capture.
fn wrong_keys_are_noticed(out: &Path) -> Outcome {
    const TABLES: [&str; 3] = ["ikev2_decryption_table", "ikev1_decryption_table", "esp_sa"];
    let used = |table: &str| fs::metadata(out.join(table)).is_ok_and(|file| file.len() > 0);
    for wrong in TABLES.into_iter().filter(|table| used(table)) {
        let keys = tempfile::tempdir().map_err(|e| e.to_string())?;
        for table in TABLES {
            let rows = fs::read_to_string(out.join(table)).map_err(|e| format!("{table}: {e}"))?;
            let rows = if table == wrong { rows.lines().map(spoil).collect() } else { rows };
            fs::write(keys.path().join(table), rows).map_err(|e| e.to_string())?;
        }
        if captures(out)?.iter().all(|capture| dissect(capture, keys.path(), |_| Ok(())).is_ok()) {
            return Err(format!("tshark does not notice wrong keys in {wrong}"));
        }
    }
    Ok(())
}

/// A row of a key table with the last octet of its last key changed: that of the integrity algorithm or the AEAD.
fn spoil(row: &str) -> String {
    const OCTET: usize = 2;
    let mut fields: Vec<String> = row.split(',').map(str::to_owned).collect();
    let is_key = |field: &String| {
        let digits = field.trim_matches('"').trim_start_matches("0x");
        digits.len() > 16 && digits.bytes().all(|b| b.is_ascii_hexdigit())
    };
    if let Some(key) = fields.iter_mut().rfind(|field| is_key(field)) {
        let end = key.trim_end_matches('"').len() - OCTET;
        let octet = if &key[end..end + OCTET] == "00" { "01" } else { "00" };
        key.replace_range(end..end + OCTET, octet);
    }
    fields.join(",") + "\n"
}
