//! tshark over the captures of the library: it must read and decrypt all of it, and agree with our trace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use pcap_file::pcapng::{Block, PcapNgReader};
use serde_json::Value;
use sim_core::time::Duration;
use sim_core::wire::ah::AhPacket;
use sim_core::wire::ipv4::Ipv4Packet;
use sim_core::wire::ipv6::Ipv6Packet;
use sim_core::wire::{arp, ethernet};
use sim_scenarios::plan::{self, NodeKind, Plan};
use sim_scenarios::{NoSecrets, Scenario};
use twox_hash::XxHash3_64;

use crate::process::{Outcome, asked_for};
use crate::repeats::Readable;
use crate::tshark::{Frame, Icvs, Lan, Tcp, Update, dissect};

/// What our trace says about the captures.
#[derive(Default)]
struct Told {
    /// What entered each link, in order.
    sent: BTreeMap<String, Vec<Sent>>,
    /// The date on which the world begins, in nanoseconds since 1970, from which captures count.
    begins_ns: u64,
    /// Who made each packet; fragments are cut from others and have no such event.
    makers: BTreeMap<u64, String>,
    /// The digest of each packet's bytes as it was made, or as a NAT left it. What is inside ESP is nobody's to change.
    digests: BTreeMap<u64, u64>,
    /// Packets that were cut from others.
    cut: BTreeSet<u64>,
    /// Sent IKE messages: when, the exchange (`None` for a repeated request) and the Message ID.
    ike: Vec<IkeMessage>,
    /// The ends of BGP sessions, by name: that of the tunnel, `@`, and the side.
    bgp: BTreeMap<String, BgpEnd>,
    /// A real device: the trace has its packets as they came in, and knows nothing of how they were made.
    real: Option<String>,
}

type IkeMessage = (u64, Option<u32>, u32);

/// UPDATEs in order, each with its time in nanoseconds.
type Updates = Vec<(u64, Update)>;

/// One end of a BGP session.
#[derive(Clone, Default)]
struct BgpEnd {
    node: String,
    /// NEXT_HOP of the last UPDATE that arrived: the other end's address, unless somebody passed a route on unchanged.
    hears: Option<IpAddr>,
    /// One for each time that it was Established.
    runs: Vec<Run>,
}

/// What an end of a session sent while the session was Established.
#[derive(Clone, Default)]
struct Run {
    updates: Updates,
    over: bool,
}

/// A packet that enters a link.
struct Sent {
    packet: u64,
    at_ns: u64,
    /// The digest of its bytes, if it was made or translated whole.
    digest: Option<u64>,
    /// True if it was cut from another packet.
    cut: bool,
    sealed: Option<Sealed>,
}

/// The ESP packet around a packet: SPI, sequence number and the end of the ICV.
#[derive(Clone)]
struct Sealed {
    spi: u32,
    sequence: u32,
    icv_end: String,
}

/// Scenarios whose CHILD_SAs have extended sequence numbers, which this tshark does not know.
const EXTENDED: [&str; 1] = ["extended_sequence_numbers"];

/// Scenarios in which something happens after so many packets.
const COUNTED: [&str; 1] = ["sequence_exhaustion"];

/// Most of a trace says what no capture shows; to skip it unread saves half of the time.
const BESIDE_THE_POINT: [&str; 3] = ["\"event\":\"arrived\"", "\"event\":\"forwarded\"", "\"event\":\"delivered\""];

/// What tshark tells of all captures together.
#[derive(Default)]
struct Seen {
    frames: usize,
    sealed: usize,
    plain: usize,
    /// ESP packets of a real device.
    foreign: usize,
    /// IKE messages by packet: one crosses several links, and is sent when it enters its first.
    ike: BTreeMap<u64, IkeMessage>,
    /// Who sends from an inner address.
    makers: BTreeMap<IpAddr, String>,
    streams: BTreeMap<StreamKey, Updates>,
    /// The protocols of Ethernet.
    lan: BTreeSet<Lan>,
}

/// One direction of a TCP connection in one capture: the link, tshark's number, source and destination.
type StreamKey = (String, u32, (IpAddr, IpAddr));

/// Scenarios whose captures are not judged, and why.
const UNJUDGED: [(&str, &str); 3] = [
    ("appliance_mode.ron", "links between a gateway and a VPC with several zones share a name"),
    ("client_vpn_denied.ron", "the transport of Client VPN is a model"),
    ("client_vpn_split_tunnel.ron", "the transport of Client VPN is a model"),
];

/// Of the library, one scenario of so many is judged in the short form: a third of ten minutes. `VPNSIM_FULL=1` judges all.
const SAMPLE: usize = 3;

/// Scenarios that are in every sample: both versions of IKE, what this test has exceptions for, and each protocol of Ethernet.
const ALWAYS: [&str; 7] = [
    "active_passive.ron",
    "ikev1_active_passive.ron",
    "extended_sequence_numbers.ron",
    "sequence_exhaustion.ron",
    "dx_lag_member_loss.ron",
    "vrrp_ip_sla.ron",
    "ipv6_inside_tgw.ron",
];

fn is_full() -> bool {
    #[allow(clippy::disallowed_methods, reason = "the short form and the long one of this test")]
    std::env::var_os("VPNSIM_FULL").is_some()
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
        .filter(|path| !UNJUDGED.iter().any(|(name, _)| path.ends_with(name)))
        .collect();
    scenarios.sort();
    assert!(!scenarios.is_empty(), "no scenarios in {}", library.display());
    for name in ALWAYS {
        assert!(scenarios.iter().any(|path| path.ends_with(name)), "{name} is in the library");
    }
    let always = |path: &Path| ALWAYS.iter().any(|name| path.ends_with(name));
    let sample = scenarios.iter().enumerate().filter(|(n, path)| is_full() || n % SAMPLE == 0 || always(path));
    let scenarios: Vec<&PathBuf> = sample.map(|(_, path)| path).collect();
    let left = Mutex::new(scenarios.iter());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(scenario) = { left.lock().expect("no thread panics").next() } {
                    // One scenario of each version: wrong keys of either must be noticed.
                    let speaks_bgp = scenario.ends_with("active_passive.ron");
                    let doubt = speaks_bgp || scenario.ends_with("ikev1_active_passive.ron");
                    if let Err(message) = judge(scenario, doubt, speaks_bgp) {
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

/// Probes closer together than this are [`THINNED`] times as far apart in the short form, and no closer than this: nine in ten of them
/// say nothing of the captures that the tenth does not say, and they are nine tenths of the work.
const CLOSE: Duration = Duration::from_millis(100);
const THINNED: u64 = 10;

/// The arguments that make a scenario's traffic thin.
fn thinned(name: &str, scenario: &Scenario) -> Vec<String> {
    if is_full() || COUNTED.contains(&name) {
        return Vec::new();
    }
    let close = scenario.plan().probes.iter().filter(|probe| probe.every < CLOSE);
    close
        .map(|probe| (&probe.name, probe.every.scale(THINNED, 1).max(CLOSE).as_nanos()))
        .map(|(name, every)| format!("--set=probes.{name}.every={every}ns"))
        .collect()
}

/// The protocols of Ethernet that a drawing must show: ARP with a switch, VRRP with a virtual router, LACP with a LAG.
fn on_ethernet(plan: &Plan) -> BTreeSet<Lan> {
    let of = |node: &plan::Node| match &node.kind {
        NodeKind::Switch(_) => vec![Lan::Arp],
        NodeKind::CustomerGateway(it) => it.interfaces.iter().flat_map(of_interface).collect(),
        NodeKind::BgpRouter(it) => it.interfaces.iter().flat_map(of_interface).collect(),
        _ => Vec::new(),
    };
    plan.nodes.iter().flat_map(of).collect()
}

fn of_interface(interface: &plan::Interface) -> Vec<Lan> {
    let lacp = interface.lag.map(|_| Lan::Lacp);
    let vrrp = (!interface.virtual_routers.is_empty()).then_some(Lan::Vrrp);
    lacp.into_iter().chain(vrrp).collect()
}

/// Runs a scenario and holds its captures against its trace; `doubt` asks too whether tshark would notice what is wrong, also
/// in UPDATEs if the scenario `speaks_bgp`.
fn judge(scenario: &Path, doubt: bool, speaks_bgp: bool) -> Outcome {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let out = &dir.path().join("out");
    let name = scenario.file_stem().unwrap_or_default().to_string_lossy();
    let read = parsed(scenario)?;
    capture(scenario, &thinned(&name, &read), out)?;
    let mut told = Told::read(&out.join("events.jsonl"))?;
    told.begins_ns = read.plan().begins.as_nanos();
    let mut seen = Seen::default();
    let icvs = if EXTENDED.contains(&&*name) { Icvs::Extended } else { Icvs::Good };
    for capture in captures(out)? {
        seen.capture(&told, &capture, out, icvs)?;
    }
    seen.agrees(&told)?;
    equal("the protocols of Ethernet", &seen.lan, &on_ethernet(read.plan()))?;
    intermediate_decrypts(out)?;
    if doubt {
        wrong_keys_are_noticed(out)?;
        if told.bgp.is_empty() == speaks_bgp {
            return Err(format!("{} ends of BGP sessions", told.bgp.len()));
        }
        if speaks_bgp {
            wrong_updates_are_noticed(&seen, &told)?;
        }
        wrong_bytes_are_noticed(told, out)?;
    }
    Ok(())
}

fn parsed(scenario: &Path) -> Outcome<Scenario> {
    let text = fs::read_to_string(scenario).map_err(|e| e.to_string())?;
    Scenario::parse(&scenario.to_string_lossy(), &text, &NoSecrets).map_err(|e| e.to_string())
}

/// Runs a scenario with all its captures and its trace in `out`.
fn capture(scenario: &Path, changes: &[String], out: &Path) -> Outcome {
    let vpnsim = Command::new(env!("CARGO_BIN_EXE_vpnsim"))
        .arg("run")
        .arg(scenario)
        .args(changes)
        .args(["--pcap", "--trace", "packets", "--format", "json", "--out"])
        .arg(out)
        .output();
    let vpnsim = vpnsim.map_err(|e| e.to_string())?;
    // Whether expectations held is for others to judge.
    match vpnsim.status.code() {
        Some(0 | 1) => Ok(()),
        _ => Err(String::from_utf8_lossy(&vpnsim.stderr).into_owned()),
    }
}

/// Each other message of IKEv1 is lost and sent again, in both phases: what a busy machine does to a live run now and then.
#[test]
fn messages_of_ikev1_that_are_sent_again_are_read() {
    if !asked_for("captures::messages_of_ikev1_that_are_sent_again_are_read") {
        return;
    }
    let judged = || {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let out = &dir.path().join("out");
        let each_second = ["\"1s\""; 8].join(", ");
        let waits = |end: &str| format!("connections.vpn.tunnels.a.{end}retransmission=[{each_second}]");
        let (aws, customer) = (waits(""), waits("customer."));
        let changes = [
            &aws,
            &customer,
            r#"links.path-a.loss="50%""#,
            "duration=60s",
            "faults={}",
            "expect={}",
            "control=[]",
            "probes.app.every=1s",
        ];
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/ikev1_active_passive.ron");
        capture(&scenario, &changes.map(|change| format!("--set={change}")), out)?;
        let mut told = Told::read(&out.join("events.jsonl"))?;
        told.begins_ns = parsed(&scenario)?.plan().begins.as_nanos();
        let mut seen = Seen::default();
        let mut repeats = 0;
        for capture in captures(out)? {
            seen.capture(&told, &capture, out, Icvs::Good)?;
            repeats += Readable::of(&capture)?.repeats();
        }
        equal("messages were sent again", &(repeats > 3), &true)?;
        seen.agrees(&told)
    };
    judged().unwrap_or_else(|why: String| panic!("{why}"));
}

/// Holds the captures of a live run against its trace: what was sent here, octet by octet, and that everything which the
/// real device at a node sent is read and decrypted, too.
pub fn judge_live(out: &Path, real: &str) -> Outcome {
    let mut told = Told::read(&out.join("events.jsonl"))?;
    told.real = Some(real.into());
    let mut seen = Seen::default();
    for capture in captures(out)? {
        seen.capture(&told, &capture, out, Icvs::Good)?;
    }
    if seen.foreign == 0 || !seen.ike.keys().any(|packet| told.is_foreign(*packet)) {
        return Err(format!("{} ESP packets of {real}", seen.foreign));
    }
    seen.agrees(&told)
}

/// The captures in a directory.
pub fn captures(out: &Path) -> Outcome<Vec<PathBuf>> {
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
        let digest = || u64::from_str_radix(event["xxh3"].as_str()?, 16).ok();
        match event["event"].as_str()? {
            "translated" | "mss_clamped" | "encapsulated" | "decapsulated"
                if sealed.contains_key(&number("packet")?) => {}
            "translated" | "mss_clamped" | "encapsulated" | "decapsulated" => {
                self.digests.insert(number("packet")?, digest()?);
            }
            "created" => {
                let digest = digest()?;
                self.digests.insert(number("packet")?, digest);
                self.makers.insert(number("packet")?, text("node")?);
            }
            "sealed" => {
                let sequence = number("sequence")? as u32;
                let state = Sealed { spi: spi()?, sequence, icv_end: text("icv_end")? };
                sealed.insert(number("packet")?, state);
            }
            "opened" => {
                let packet = number("packet")?;
                // What a real device has sealed was not there before.
                if sealed.remove(&packet).is_none() {
                    self.digests.remove(&packet);
                }
            }
            "cut_from" => {
                self.cut.insert(number("packet")?);
                // A fragment of a sealed packet shows what is inside only when all of them are there.
                if let Some(state) = sealed.get(&number("parent")?).cloned() {
                    sealed.insert(number("packet")?, state);
                    let inner = self.digests.get(&number("parent")?).copied();
                    inner.and_then(|inner| self.digests.insert(number("packet")?, inner));
                }
            }
            "sent" => {
                let packet = number("packet")?;
                let digest = self.digests.get(&packet).copied();
                let cut = self.cut.contains(&packet);
                let sent = Sent { packet, at_ns, digest, cut, sealed: sealed.get(&packet).cloned() };
                self.sent.entry(text("link")?).or_default().push(sent);
            }
            // A message of IKE for which there was no way: it is on no link, and its record was the last one.
            "dropped"
                if event["reason"] == "no_route" && self.makers.get(&number("packet")?) == text("node").as_ref() =>
            {
                self.ike.pop_if(|message| message.0 == at_ns);
            }
            "message" if text("session")?.starts_with(BGP) => self.bgp_message(event, at_ns)?,
            "message" => {
                let exchange = match event["message"].as_str()? {
                    "ike_sa_init_sent" => Some(34),
                    "ike_auth_sent" => Some(35),
                    "create_child_sa_sent" => Some(36),
                    "informational_sent" => Some(37),
                    "ike_intermediate_sent" => Some(43),
                    "ike_followup_ke_sent" => Some(44),
                    "main_mode_sent" => Some(2),
                    "quick_mode_sent" => Some(32),
                    "isakmp_informational_sent" => Some(5),
                    "retransmitted" => None,
                    _ => return Some(()),
                };
                self.ike.push((at_ns, exchange, number("detail")? as u32));
            }
            "session_changed" => {
                let session = text("session")?;
                let Some(name) = session.strip_prefix(BGP) else { return Some(()) };
                let end = self.bgp.entry(name.to_owned()).or_default();
                end.node = text("node")?;
                if event["to"] == "established" {
                    end.runs.push(Run::default());
                } else if event["from"] == "established" {
                    end.runs.last_mut()?.over = true;
                }
            }
            _ => {}
        }
        Some(())
    }

    /// True if a real device has made the packet.
    fn is_foreign(&self, packet: u64) -> bool {
        self.real.is_some() && self.makers.get(&packet) == self.real.as_ref()
    }

    /// An UPDATE that was sent, which is possible in Established only (RFC 4271 section 8.2.2).
    fn bgp_message(&mut self, event: &Value, at_ns: u64) -> Option<()> {
        let prefixes = |key: &str| {
            let all = event[key].as_array()?;
            all.iter().map(|prefix| prefix.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        };
        let update = match event["message"].as_str()? {
            "update_sent" => Update { withdrawn: prefixes("withdrawn")?, announced: prefixes("announced")? },
            "end_of_rib_sent" => Update { withdrawn: Vec::new(), announced: Vec::new() },
            "update_received" if event["next_hop"].is_string() => {
                let name = event["session"].as_str()?.strip_prefix(BGP)?;
                self.bgp.get_mut(name)?.hears = event["next_hop"].as_str()?.parse().ok();
                return Some(());
            }
            _ => return Some(()),
        };
        let end = self.bgp.get_mut(event["session"].as_str()?.strip_prefix(BGP)?)?;
        end.runs.last_mut().filter(|run| !run.over)?.updates.push((at_ns, update));
        Some(())
    }

    /// The one end of a session at a device that has its other end at another and at this address, with its name. The ends of
    /// a tunnel's session have the tunnel's name; plain routers call each other as they like, and hear each other's NEXT_HOP.
    fn bgp_end(&self, from: &str, to: &str, (own, address): (IpAddr, IpAddr)) -> Option<(&str, &BgpEnd)> {
        let ends = |node: &str| self.bgp.iter().filter(move |(_, end)| end.node == node).collect::<Vec<_>>();
        let name_of = |name: &str| name.split('@').next().map(str::to_owned);
        let theirs: Vec<_> = ends(to).iter().map(|(name, _)| name_of(name)).collect();
        // Who hears nothing, or of other next hops, is known by the name that both ends have.
        only(ends(from).into_iter().filter(|(_, end)| end.hears == Some(address)))
            .or_else(|| only(ends(from).into_iter().filter(|(name, _)| theirs.contains(&name_of(name)))))
            // Of several sessions between two devices, the one whose other end hears of this address.
            .or_else(|| {
                let (theirs, _) = only(ends(to).into_iter().filter(|(_, end)| end.hears == Some(own)))?;
                only(ends(from).into_iter().filter(|(name, _)| name_of(name) == name_of(theirs)))
            })
    }
}

/// The end, if there is one and no other.
fn only<'a>(mut ends: impl Iterator<Item = (&'a String, &'a BgpEnd)>) -> Option<(&'a str, &'a BgpEnd)> {
    match (ends.next(), ends.next()) {
        (Some((name, end)), None) => Some((name, end)),
        _ => None,
    }
}

/// What precedes the name of a BGP session's end.
const BGP: &str = "bgp ";

impl Seen {
    /// Holds the capture of one link against what the trace says went into that link.
    fn capture(&mut self, told: &Told, capture: &Path, keys: &Path, icvs: Icvs) -> Outcome {
        let mut next = 0;
        let mut interface = None;
        let mut bytes = packets(capture)?;
        dissect(capture, keys, icvs, |mut frame| {
            frame.at_ns = frame.at_ns.checked_sub(told.begins_ns).ok_or("a packet from before the world began")?;
            let link = interface.get_or_insert_with(|| frame.interface.clone());
            let rest = told.sent.get(link).and_then(|sent| sent.get(next..)).unwrap_or_default();
            let sent = rest.first().ok_or_else(|| format!("more packets than the trace has on {link}"))?;
            next += 1;
            let bytes = bytes.next().ok_or("tshark has more packets than the capture")??;
            self.frame(told, sent, &frame, &bytes).map_err(|e| format!("packet {next}, {}: {e}", frame.comment))
        })?;
        let link = interface.unwrap_or_default();
        let all = told.sent.get(&link).map_or(0, Vec::len);
        match next == all {
            true => Ok(()),
            false => Err(format!("{}: {next} of the trace's {all} packets", capture.display())),
        }
    }

    /// Holds one packet against the trace. That its addresses are right, the inner ones too, needs no words of its own:
    /// its bytes are those of the packet that the trace saw made.
    fn frame(&mut self, told: &Told, sent: &Sent, frame: &Frame, bytes: &[u8]) -> Outcome {
        self.frames += 1;
        self.lan.extend(frame.lan);
        let bytes = inside_frame(bytes)?;
        equal("the packet's name", &frame.comment, &format!("#{}", sent.packet))?;
        equal("its time", &frame.at_ns, &sent.at_ns)?;
        match (&frame.esp, &sent.sealed) {
            (None, None) => {
                if let Some(digest) = sent.digest {
                    self.plain += 1;
                    equal("the packet", &was(bytes, digest), &true)?;
                }
            }
            (Some(esp), Some(sealed)) => {
                self.sealed += 1;
                equal("the SPI", &esp.spi, &sealed.spi)?;
                equal("the sequence number", &esp.sequence, &sealed.sequence)?;
                equal("the end of the ICV", &esp.icv.ends_with(&sealed.icv_end), &true)?;
                let seen = match &esp.inner {
                    Some(inner) => inner.clone(),
                    None => inside_ah(bytes)?,
                };
                match sent.digest {
                    Some(inner) => {
                        let same = was(&seen, inner) || was(without_tfc_padding(&seen), inner);
                        equal("the inner packet", &same, &true)?;
                    }
                    // What was cut before it was sealed was not made whole.
                    None if sent.cut => {}
                    None => return Err("the inner packet was never made".into()),
                }
            }
            // tshark shows it with the last fragment.
            (None, Some(_)) if more_fragments(bytes) => self.sealed += 1,
            (Some(_), None) if told.is_foreign(sent.packet) => {
                self.foreign += 1;
                let came = sent.digest.ok_or("the packet never came in")?;
                equal("the packet", &was(bytes, came), &true)?;
            }
            (esp, sealed) => return Err(format!("ESP: {} seen, {} told", esp.is_some(), sealed.is_some())),
        }
        // The trace has a message once, in however many fragments it travels.
        if let Some(ike) = frame.ike.as_ref().filter(|ike| ike.fragment == 1) {
            let message = (sent.at_ns, Some(ike.exchange), ike.message_id);
            let first = self.ike.entry(sent.packet).or_insert(message);
            first.0 = first.0.min(sent.at_ns);
        }
        if let (Some(tcp), Some(maker)) = (&frame.tcp, told.makers.get(&sent.packet)) {
            self.segment(frame, tcp, maker);
        }
        Ok(())
    }

    fn segment(&mut self, frame: &Frame, tcp: &Tcp, maker: &str) {
        self.makers.entry(tcp.ends.0).or_insert_with(|| maker.to_owned());
        let key = (frame.interface.clone(), tcp.stream, tcp.ends);
        let updates = tcp.updates.iter().map(|update| (frame.at_ns, update.clone()));
        self.streams.entry(key).or_default().extend(updates);
    }

    /// What is true of all captures of a run together.
    fn agrees(&self, told: &Told) -> Outcome {
        let sealed = told.sent.values().flatten().filter(|sent| sent.sealed.is_some()).count();
        equal("ESP packets", &self.sealed, &sealed)?;
        // A world of plain routers has no IKE to show.
        if self.plain == 0 || self.ike.is_empty() != told.ike.is_empty() {
            return Err(format!("{} plain packets, {} IKE messages", self.plain, self.ike.len()));
        }
        let ours = self.ike.iter().filter(|(packet, _)| !told.is_foreign(**packet));
        let mut seen: Vec<_> = ours.map(|(_, message)| *message).collect();
        for &(at_ns, exchange, id) in &told.ike {
            let same = |m: &IkeMessage| m.0 == at_ns && m.2 == id && (exchange.is_none() || m.1 == exchange);
            let place = seen.iter().position(same);
            let place = place.ok_or_else(|| format!("no IKE message {exchange:?} {id} at {at_ns} ns"))?;
            seen.swap_remove(place);
        }
        equal("IKE messages that the trace does not have", &seen, &Vec::new())?;
        self.updates_agree(told)
    }

    /// On every link, the UPDATEs of a connection are the first of those that the trace says were sent in that run of the
    /// session, in order and none before it was sent; and on some link all of them, unless the session ended, because
    /// then TCP may have died with octets that it never sent.
    fn updates_agree(&self, told: &Told) -> Outcome {
        let mut whole: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for ((link, stream, ends), seen) in &self.streams {
            let Some(&(first, _)) = seen.first() else { continue };
            let what = format!("UPDATEs from {} to {} in TCP stream {stream} on {link}", ends.0, ends.1);
            let maker = |address| self.makers.get(address).ok_or_else(|| format!("{what}: nobody is {address}"));
            let (from, to) = (maker(&ends.0)?, maker(&ends.1)?);
            let (name, BgpEnd { runs, .. }) =
                told.bgp_end(from, to, *ends).ok_or_else(|| format!("{what}: no session or several"))?;
            let begun = |run: &Run| run.updates.first().is_some_and(|(at, _)| *at <= first);
            let place = runs.iter().rposition(begun).ok_or_else(|| format!("{what}: none was sent by then"))?;
            let sent = &runs[place].updates;
            let first_sent = sent.get(..seen.len()).ok_or_else(|| format!("{what}: more than were sent"))?;
            for ((seen_at, seen), (sent_at, sent)) in seen.iter().zip(first_sent) {
                equal(&what, seen, sent)?;
                equal(&format!("{what}: seen before it was sent"), &(seen_at < sent_at), &false)?;
            }
            let counts = whole.entry(name).or_insert_with(|| vec![0; runs.len()]);
            counts[place] = counts[place].max(seen.len());
        }
        for (name, end) in &told.bgp {
            for (place, run) in end.runs.iter().enumerate().filter(|(_, run)| !run.over) {
                let seen = whole.get(name.as_str()).map_or(0, |counts| counts[place]);
                equal(&format!("the number of UPDATEs of {name}"), &seen, &run.updates.len())?;
            }
        }
        Ok(())
    }
}

/// What a frame carries, without its padding. An LACPDU is made with its frame, which no switch changes.
fn inside_frame(bytes: &[u8]) -> Outcome<&[u8]> {
    if !ethernet::is_frame(bytes) {
        return Ok(bytes);
    }
    let header = ethernet::Header::parse(bytes).map_err(|e| e.to_string())?;
    let data = &bytes[header.octets()..];
    match header.ethertype {
        ethernet::ethertype::IPV4 => Ok(without_tfc_padding(data)),
        ethernet::ethertype::ARP => data.get(..arp::LEN).ok_or_else(|| "an ARP message that is cut short".to_owned()),
        _ => Ok(bytes),
    }
}

/// True if the rest of its datagram follows in other packets.
fn more_fragments(bytes: &[u8]) -> bool {
    Ipv4Packet::new_checked(bytes).is_ok_and(|ip| ip.more_fragments())
}

/// What ESP carries may be longer than the packet in it (RFC 4303 section 2.7).
fn without_tfc_padding(inner: &[u8]) -> &[u8] {
    match Ipv6Packet::new_checked(inner) {
        Ok(ip) => &inner[..ip.total_len()],
        Err(_) => Ipv4Packet::new_checked(inner).map_or(inner, |ip| &inner[..usize::from(ip.total_len())]),
    }
}

/// What AH carries.
fn inside_ah(bytes: &[u8]) -> Outcome<Vec<u8>> {
    let ip = Ipv4Packet::new_checked(bytes).map_err(|e| e.to_string())?;
    let ah = AhPacket::new_checked(ip.payload()).map_err(|e| e.to_string())?;
    Ok(ip.payload()[ah.header_len()..].to_vec())
}

/// The packets of a capture, as a reader of pcapng gives them.
pub fn packets(capture: &Path) -> Outcome<impl Iterator<Item = Outcome<Vec<u8>>>> {
    let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", capture.display());
    let file = fs::File::open(capture).map_err(|e| failed(&e))?;
    let mut reader = PcapNgReader::new(BufReader::new(file)).map_err(|e| failed(&e))?;
    Ok(std::iter::from_fn(move || {
        loop {
            return match reader.next_block()? {
                Ok(Block::EnhancedPacket(packet)) => Some(Ok(packet.data.into_owned())),
                Ok(_) => continue,
                Err(e) => Some(Err(e.to_string())),
            };
        }
    }))
}

/// True if these bytes are those of a packet with this digest, apart from what forwarding changes: each hop takes one
/// off the TTL or hop limit (RFC 1812 section 5.3.1, RFC 8200 section 3).
fn was(inner: &[u8], created: u64) -> bool {
    let mut bytes = inner.to_vec();
    (0..8).any(|_| {
        let same = XxHash3_64::oneshot(&bytes) == created;
        if let Ok(mut packet) = Ipv6Packet::new_checked(&mut bytes[..]) {
            packet.set_hop_limit(packet.hop_limit().wrapping_add(1));
        }
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
        if captures(out)?.iter().all(|capture| dissect(capture, keys.path(), Icvs::Good, |_| Ok(())).is_ok()) {
            return Err(format!("tshark does not notice wrong keys in {wrong}"));
        }
    }
    Ok(())
}

/// IKE_INTERMEDIATE decrypts with the first keys of its IKE_SA: all others are made by it. Every scenario that has any has one.
fn intermediate_decrypts(out: &Path) -> Outcome {
    const TABLE: &str = "ikev2_decryption_table";
    let rows = fs::read_to_string(out.join(TABLE)).map_err(|e| format!("{TABLE}: {e}"))?;
    let mut known = BTreeSet::new();
    let spis = |row: &str| row.split(',').take(2).map(str::to_owned).collect::<Vec<_>>();
    let first: Vec<&str> = rows.lines().filter(|row| known.insert(spis(row))).collect();
    if first.len() == rows.lines().count() {
        return Ok(());
    }
    let keys = tempfile::tempdir().map_err(|e| e.to_string())?;
    fs::write(keys.path().join(TABLE), first.join("\n") + "\n").map_err(|e| e.to_string())?;
    captures(out)?.iter().try_for_each(|capture| dissect(capture, keys.path(), Icvs::Intermediate, |_| Ok(())))
}

/// With one UPDATE of the trace missing, changed, out of order or too many, the captures must not agree any more.
fn wrong_updates_are_noticed(seen: &Seen, told: &Told) -> Outcome {
    type Doubt = fn(&mut Updates);
    let doubts: [(&str, Doubt); 4] = [
        ("missing", |updates| drop(updates.remove(0))),
        ("changed", |updates| updates[0].1.announced = vec!["192.0.2.0/24".to_owned()]),
        ("out of order", |updates| updates.swap(0, 1)),
        ("too many", |updates| updates.push(updates[0].clone())),
    ];
    for (what, doubt) in doubts {
        let mut wrong = Told { bgp: told.bgp.clone(), ..Told::default() };
        let lasting = wrong.bgp.values_mut().flat_map(|end| &mut end.runs).find(|run| !run.over);
        doubt(&mut lasting.ok_or("no session lasts to the end")?.updates);
        if seen.updates_agree(&wrong).is_ok() {
            return Err(format!("an UPDATE {what} is not noticed"));
        }
    }
    match Seen::default().updates_agree(told) {
        Ok(()) => Err("captures without UPDATEs are not noticed".into()),
        Err(_) => Ok(()),
    }
}

/// With another digest of every packet's creation, the shortest capture must not agree any more.
fn wrong_bytes_are_noticed(mut told: Told, out: &Path) -> Outcome {
    told.sent.values_mut().flatten().filter_map(|sent| sent.digest.as_mut()).for_each(|digest| *digest ^= 1);
    let length = |capture: &PathBuf| fs::metadata(capture).map_or(u64::MAX, |file| file.len());
    let capture = captures(out)?.into_iter().min_by_key(length).ok_or("no captures")?;
    match Seen::default().capture(&told, &capture, out, Icvs::Good) {
        Ok(()) => Err(format!("{}: wrong bytes are not noticed", capture.display())),
        Err(_) => Ok(()),
    }
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
