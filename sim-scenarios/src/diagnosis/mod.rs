//! Which settings of a tunnel's two ends do not fit: concluded from what the ends noticed, told with what each of them has.
//!
//! A difference that nobody notices is no misconfiguration, so every entry begins with a record: a refusal, a failed proof of
//! identity, a lifetime that ran out, a request without an answer. AWS's log line for it stands beside it. Keys are
//! never named, only that they differ.
//!
//! A blocked IP protocol 50 is the exception: no machine notices it, so there a filter's drops are the evidence.

use core::fmt::Display;

use sim_core::crypto::certificate::Certificate;
use sim_core::crypto::signature::KeyType;
use sim_core::id::{NodeId, SessionId};
use sim_core::proto::ike::config::Round;
use sim_core::reason::{Reason, State, Step};
use sim_core::time::{Duration, Instant};
use sim_core::trace::{Trace, What};

use crate::build::Built;
use crate::plan::{IkeEnd, Phase, Plan, Tunnel, TunnelId};
use crate::report::model::{Misconfiguration, Seconds};
use crate::report::tunnel_log::{self, TunnelLog};

mod path;

/// AWS's place in a pair of ends; the customer gateway has the other.
const AWS: usize = 0;

/// What does not fit, by tunnel, in the order in which it showed.
pub fn diagnose(plan: &Plan, built: &Built, logs: &[TunnelLog]) -> Vec<Misconfiguration> {
    let mut all = Vec::new();
    for log in logs {
        let tunnel = plan.tunnel(log.id);
        let mut symptoms: Vec<Symptom> = Vec::new();
        for symptom in symptoms_of(built, log.id) {
            // The first of each kind tells the story; later attempts repeat it.
            let known = |kind| symptoms.iter().any(|known| known.kind == kind);
            // A responder that cannot read Main Mode's fifth message goes on being silent.
            let consequence = matches!(symptom.kind, Kind::Silence(_)) && known(Kind::Psk);
            if !known(symptom.kind) && !consequence {
                symptoms.push(symptom);
            }
        }
        let told = symptoms.into_iter().filter_map(|symptom| tell(tunnel, built, log, &symptom));
        all.extend(told);
    }
    all
}

/// What an end noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Psk,
    /// The end that did not expect the other's identity.
    Id(usize),
    /// The end that did not believe the other's certificate, and why.
    Certificate(usize, Reason),
    /// A certificate at one end, a pre-shared key at the other.
    Method,
    Phase1,
    /// Refused in IKEv1's Main Mode, which negotiates the method of authentication too.
    MainMode,
    /// Refused in IKE_AUTH.
    Phase2,
    /// Refused in IKEv1's Quick Mode, which has a group of its own.
    QuickMode,
    /// Refused in CREATE_CHILD_SA.
    Rekey,
    Selectors,
    /// Refused in IKEv1's Quick Mode, which gives them whole or not at all.
    QuickModeSelectors,
    /// The end whose SA reached its lifetime.
    IkeLifetime(usize),
    ChildLifetime(usize),
    /// The end whose request for an IKE_SA had no answer.
    Silence(usize),
    /// The filter that lets IKE pass, but not ESP.
    Esp(NodeId),
    /// Where AH does not verify, because a NAT is on the path.
    Ah(NodeId),
}

struct Symptom {
    at: Instant,
    kind: Kind,
}

fn symptoms_of(built: &Built, id: TunnelId) -> Vec<Symptom> {
    let (trace, sessions) = (&built.world.trace, built.tunnel(id));
    let mut all = Vec::new();
    for end in 0..2 {
        for session in [sessions.ike[end], sessions.child[end]] {
            let mut phase1 = false;
            let noticed = trace.session_records(session).filter_map(|(_, record)| {
                if let What::State { to, .. } = record.what {
                    phase1 = to == State::Up;
                }
                let kind = noticed(&record.what, end, session == sessions.ike[end])?;
                // IKEv1 has one Informational exchange for both phases (RFC 2409 section 5.7): what is refused is the one under way.
                let kind = match kind {
                    Kind::MainMode if phase1 => Kind::QuickMode,
                    Kind::Id(_) if phase1 => Kind::QuickModeSelectors,
                    kind => kind,
                };
                Some(Symptom { at: record.at, kind })
            });
            all.extend(noticed);
        }
    }
    all.extend(path::esp_blocked(trace, sessions));
    all.extend(path::ah_translated(trace, sessions));
    all.sort_by_key(|symptom| symptom.at);
    all
}

/// A refusal counts at the end that makes it and at the one that hears it, of which one may be a real device without records.
fn noticed(what: &What, end: usize, ike: bool) -> Option<Kind> {
    match what {
        What::State { to: State::Down | State::Deleting, from, reason, .. } => match reason {
            Reason::PskMismatch => Some(Kind::Psk),
            Reason::IdMismatch => Some(Kind::Id(end)),
            Reason::AuthMethodMismatch => Some(Kind::Method),
            Reason::CertificateExpired
            | Reason::CertificateUnknownCa
            | Reason::CertificateUnfit
            | Reason::CertificateIdMismatch => Some(Kind::Certificate(end, *reason)),
            Reason::InvalidKe => Some(Kind::Phase1),
            Reason::LifetimeExpired if ike => Some(Kind::IkeLifetime(end)),
            Reason::LifetimeExpired => Some(Kind::ChildLifetime(end)),
            Reason::RetransmitExhausted if ike && *from == State::Connecting => Some(Kind::Silence(end)),
            _ => None,
        },
        What::Step { step, response: true, notice: Some(notice), .. } => match (step, notice) {
            (Step::IkeSaInitSent | Step::IkeSaInitReceived, Reason::NoProposalChosen) => Some(Kind::Phase1),
            (Step::IkeAuthSent | Step::IkeAuthReceived, Reason::NoProposalChosen) => Some(Kind::Phase2),
            (Step::CreateChildSaSent | Step::CreateChildSaReceived, Reason::NoProposalChosen) => Some(Kind::Rekey),
            (
                Step::IkeAuthSent | Step::IkeAuthReceived | Step::CreateChildSaSent | Step::CreateChildSaReceived,
                Reason::TsUnacceptable,
            ) => Some(Kind::Selectors),
            _ => None,
        },
        What::Step { step: Step::MainModeReceived, notice: Some(Reason::PayloadMalformed), .. }
        | What::Step { step: Step::IsakmpInformationalReceived, notice: Some(Reason::Undecipherable), .. } => {
            Some(Kind::Psk)
        }
        What::Step { step, notice: Some(notice), .. } => match (step, notice) {
            (Step::IsakmpInformationalSent | Step::IsakmpInformationalReceived, Reason::NoProposalChosen) => {
                Some(Kind::MainMode)
            }
            (Step::IsakmpInformationalSent, Reason::InvalidIdInformation) => Some(Kind::Id(end)),
            (Step::IsakmpInformationalReceived, Reason::InvalidIdInformation) => Some(Kind::Id(1 - end)),
            _ => None,
        },
        _ => None,
    }
}

fn tell(tunnel: &Tunnel, built: &Built, log: &TunnelLog, symptom: &Symptom) -> Option<Misconfiguration> {
    let (aws, customer) = (&tunnel.aws, &tunnel.customer);
    let sessions = built.tunnel(log.id);
    let line = |details: &str| log.first(details).map(|line| line.details.clone());
    let entry = |setting: &str, aws: String, customer: String, text: String, log: Option<String>| Misconfiguration {
        tunnel: tunnel.name.clone(),
        at_s: symptom.at.into(),
        setting: setting.into(),
        aws,
        customer,
        text,
        log,
    };
    let both = |aws: &str, customer: &str| format!("AWS has {aws}, the customer gateway {customer}");
    Some(match symptom.kind {
        // With certificates the keys of phase 1 do not come from it.
        Kind::Psk if aws.credentials.is_some() && customer.credentials.is_some() => return None,
        Kind::Psk => entry(
            "pre_shared_key",
            "hidden".into(),
            "hidden".into(),
            "the two ends have different pre-shared keys, so neither can authenticate the other.".into(),
            line(tunnel_log::PSK_MISMATCH).or_else(|| line(tunnel_log::PSK_UNDECIPHERABLE)),
        ),
        Kind::Id(end) => {
            let outside = [tunnel.aws_outside, tunnel.customer_registered].map(|address| address.to_string());
            let or = |id: &Option<crate::plan::IkeIdentity>, i: usize| {
                id.as_ref().map_or_else(|| outside[i].clone(), ToString::to_string)
            };
            if end == AWS {
                let (expected, sent) = (or(&aws.expected_id, 1), or(&customer.id, 1));
                let text = format!("AWS expects the customer gateway to be {expected}, but it says that it is {sent}.");
                entry("id", expected, sent, text, line(tunnel_log::AUTHENTICATION_FAILED))
            } else {
                let (sent, expected) = (or(&aws.id, 0), or(&customer.expected_id, 0));
                let text =
                    format!("the customer gateway expects AWS to be {expected}, but AWS says that it is {sent}.");
                entry("id", sent, expected, text, line(tunnel_log::AUTHENTICATION_FAILED))
            }
        }
        Kind::Certificate(end, reason) => {
            let log = line(tunnel_log::AUTHENTICATION_FAILED).filter(|_| end == AWS);
            let v1 = path::speaks_v1(&built.world.trace, sessions.ike[end], symptom.at);
            certificate(tunnel, end, reason, (symptom.at, v1), log, &entry)?
        }
        Kind::Method => {
            let has = |end: &IkeEnd| match &end.credentials {
                Some(_) => "a certificate".to_owned(),
                None => "a pre-shared key".to_owned(),
            };
            let (a, c) = (has(aws), has(customer));
            let text = format!("the two ends prove who they are in different ways: {}.", both(&a, &c));
            entry("authentication", a, c, text, line(tunnel_log::AUTHENTICATION_FAILED))
        }
        Kind::Phase1 if only_rounds_differ(&aws.phase1, &customer.phase1) => {
            let (a, c) = (additional(&aws.phase1), additional(&customer.phase1));
            let text = format!(
                "the two ends do not agree on additional key exchanges (RFC 9370) in phase 1: {}.",
                both(&a, &c)
            );
            entry("phase1.additional_key_exchanges", a, c, text, line(tunnel_log::NO_PROPOSAL))
        }
        Kind::MainMode if method(aws) != method(customer) => {
            let (a, c) = (method(aws), method(customer));
            let text = format!("IKEv1 negotiates one way for both ends to prove who they are: {}.", both(&a, &c));
            entry("authentication", a, c, text, line(tunnel_log::NO_PROPOSAL))
        }
        Kind::Phase1 | Kind::MainMode => {
            let (a, c) = (suites(&aws.phase1, true), suites(&customer.phase1, true));
            let text = format!("no phase 1 proposal fits both ends: {}.", both(&a, &c));
            entry("phase1", a, c, text, line(tunnel_log::NO_PROPOSAL))
        }
        Kind::Phase2
            if protection_fits(&aws.phase2, &customer.phase2) && aws.child_protocol != customer.child_protocol =>
        {
            let name = |end: &crate::plan::IkeEnd| format!("{:?}", end.child_protocol).to_uppercase();
            let (a, c) = (name(aws), name(customer));
            let text = format!("the two ends want different protocols: {}.", both(&a, &c));
            entry("child_protocol", a, c, text, line(tunnel_log::NO_PROPOSAL))
        }
        Kind::Phase2 | Kind::QuickMode if protection_fits(&aws.phase2, &customer.phase2) && !numbers_fit(tunnel) => {
            let (a, c) = (aws.extended_sequence_numbers.to_string(), customer.extended_sequence_numbers.to_string());
            let text = format!("the two ends do not agree on extended sequence numbers: {}.", both(&a, &c));
            let log =
                if symptom.kind == Kind::Phase2 { tunnel_log::NO_PROPOSAL } else { tunnel_log::NO_PROPOSAL_NOTIFY };
            entry("extended_sequence_numbers", a, c, text, line(log))
        }
        Kind::Phase2 => {
            let (a, c) = (suites(&aws.phase2, false), suites(&customer.phase2, false));
            let text = format!("no phase 2 proposal fits both ends: {}.", both(&a, &c));
            entry("phase2", a, c, text, line(tunnel_log::NO_PROPOSAL))
        }
        Kind::QuickMode if protection_fits(&aws.phase2, &customer.phase2) => {
            let (a, c) = (groups(&aws.phase2), groups(&customer.phase2));
            let meet = aws.phase2.dh_groups.iter().any(|group| customer.phase2.dh_groups.contains(group));
            let why = if meet {
                "the Diffie-Hellman group for PFS does not fit: Quick Mode offers one group alone, the first of the end that begins"
            } else {
                "no Diffie-Hellman group for PFS fits both ends"
            };
            let text = format!(
                "{why}: {}. Quick Mode has a key exchange of its own, so the first CHILD_SA already fails, while phase 1 is up.",
                both(&a, &c)
            );
            entry("pfs_group", a, c, text, line(tunnel_log::NO_PROPOSAL_NOTIFY))
        }
        Kind::QuickMode => {
            let (a, c) = (suites(&aws.phase2, true), suites(&customer.phase2, true));
            let text = format!("no phase 2 proposal fits both ends: {}.", both(&a, &c));
            entry("phase2", a, c, text, line(tunnel_log::NO_PROPOSAL_NOTIFY))
        }
        Kind::Rekey if only_rounds_differ(&aws.phase2, &customer.phase2) => {
            let (a, c) = (additional(&aws.phase2), additional(&customer.phase2));
            let text = format!(
                "the two ends do not agree on additional key exchanges (RFC 9370) in phase 2: {}. IKE_AUTH has none, so the \
                 tunnel came up all the same; the first rekey of its CHILD_SA was refused at {}.",
                both(&a, &c),
                Seconds::from(symptom.at)
            );
            entry("phase2.additional_key_exchanges", a, c, text, line(tunnel_log::PHASE2_FAILED))
        }
        Kind::Rekey if protection_fits(&aws.phase2, &customer.phase2) => {
            let (a, c) = (groups(&aws.phase2), groups(&customer.phase2));
            let died = down(&built.world.trace, sessions.child[AWS], symptom.at);
            let died = died.map_or_else(String::new, |at| format!("; the tunnel died at {}", Seconds::from(at)));
            let text = format!(
                "no Diffie-Hellman group for PFS fits both ends: {}. IKE_AUTH has no key exchange, so the tunnel came up \
                 all the same; the first rekey of its CHILD_SA was refused at {}{died}.",
                both(&a, &c),
                Seconds::from(symptom.at)
            );
            entry("pfs_group", a, c, text, line(tunnel_log::PHASE2_FAILED))
        }
        Kind::Rekey => {
            let (a, c) = (suites(&aws.phase2, true), suites(&customer.phase2, true));
            let text = format!("no phase 2 proposal fits both ends: {}.", both(&a, &c));
            entry("phase2", a, c, text, line(tunnel_log::PHASE2_FAILED))
        }
        Kind::Selectors | Kind::QuickModeSelectors => {
            let sides =
                |aws: &dyn Display, customer: &dyn Display| format!("{aws} at AWS and {customer} at the customer");
            let a = sides(&aws.local_cidr, &aws.remote_cidr);
            let c = sides(&customer.remote_cidr, &customer.local_cidr);
            let whole = "IKEv1 does not narrow: what one end asks for must lie within what the other has.";
            let (verb, after) = match symptom.kind {
                Kind::QuickModeSelectors => ("fit", format!(" {whole}")),
                _ => ("meet", String::new()),
            };
            let text = format!("the traffic selectors do not {verb}: {}.{after}", both(&a, &c));
            entry("traffic_selectors", a, c, text, line(tunnel_log::TS_UNACCEPTABLE))
        }
        Kind::Esp(filter) => {
            let text = format!(
                "both ends are up, but {} drops their ESP: IP protocol 50 is blocked. Dead peer detection is IKE and notices \
                 nothing.",
                built.world.node_name(filter)
            );
            entry("path", String::new(), String::new(), text, None)
        }
        // Without a NAT it is damage on the way, which is no setting.
        Kind::Ah(_) if tunnel.customer_registered == tunnel.customer_outside => return None,
        Kind::Ah(end) => {
            let text = format!(
                "both ends are up, but no packet verifies at {}: AH authenticates the outer addresses, and a NAT makes {} of {}. \
                 ESP does not. IKE notices nothing.",
                built.world.node_name(end),
                tunnel.customer_registered,
                tunnel.customer_outside
            );
            entry("child_protocol", "ah".into(), "ah".into(), text, None)
        }
        Kind::IkeLifetime(end) => lifetime(1, end, &aws.phase1, &customer.phase1, &entry)?,
        Kind::ChildLifetime(end) => lifetime(2, end, &aws.phase2, &customer.phase2, &entry)?,
        Kind::Silence(end) => {
            let text = path::silence(built, tunnel, sessions, end, symptom.at)?;
            entry("path", String::new(), String::new(), text, line(tunnel_log::HALF_OPEN))
        }
    })
}

/// The end does not believe the other's certificate.
fn certificate(
    tunnel: &Tunnel,
    end: usize,
    reason: Reason,
    (at, v1): (Instant, bool),
    log: Option<String>,
    entry: &Entry<'_>,
) -> Option<Misconfiguration> {
    let ends = [&tunnel.aws, &tunnel.customer];
    let names = ["AWS", "the customer gateway"];
    let (judge, judged) = (names[end], names[1 - end]);
    let own = ends[1 - end].credentials.as_ref()?.chain.first()?;
    let trusted =
        list(&ends[end].credentials.as_ref()?.trust.authorities.iter().map(Certificate::subject).collect::<Vec<_>>());
    let seconds = |t: Duration| Seconds::from(Instant::START + t);
    let settings = |judge: String, judged: String| if end == AWS { (judge, judged) } else { (judged, judge) };
    let (setting, a, c, text) = match reason {
        Reason::CertificateExpired => {
            let began = ends[end].credentials.as_ref()?.began;
            let expired = own.not_after().saturating_sub(began);
            let (a, c) = settings(String::new(), format!("expired at {}", seconds(expired)));
            let text = format!(
                "the certificate of {judged}, {}, expired at {}; {judge} refused it at {}. {}",
                own.subject(),
                seconds(expired),
                Seconds::from(at),
                if v1 {
                    "An ISAKMP SA that was authenticated before lives on until it ends: IKEv1 has no rekey of phase 1 without \
                     another proof."
                } else {
                    "An IKE_SA that was authenticated before lives on, and so do its rekeys: it shows when the tunnel has to \
                     be set up anew."
                }
            );
            ("certificate", a, c, text)
        }
        Reason::CertificateUnknownCa => {
            let (a, c) = settings(format!("trusts {trusted}"), format!("issued by {}", own.issuer()));
            let text = format!(
                "the certificate of {judged}, {}, was issued by {}, from which no path leads to {trusted}, which {judge} trusts.",
                own.subject(),
                own.issuer()
            );
            ("certificate", a, c, text)
        }
        Reason::CertificateIdMismatch => {
            let said = ends[1 - end].id.as_ref().map_or_else(String::new, ToString::to_string);
            let (a, c) = settings(String::new(), said.clone());
            let text = format!(
                "{judged} says that it is {said}, but its certificate is one of {}, so {judge} does not believe it.",
                own.subject()
            );
            ("id", a, c, text)
        }
        _ => {
            let (a, c) = settings(String::new(), own.subject());
            let text = format!(
                "{judge} cannot use the certificate of {judged}, {}: AWS wants authority key identifier, subject key \
                 identifier and basic constraints in it, and its key must be one to sign with.",
                own.subject()
            );
            ("certificate", a, c, text)
        }
    };
    Some(entry(setting, a, c, text, log))
}

/// How an end proves who it is in IKEv1.
fn method(end: &IkeEnd) -> String {
    match end.credentials.as_ref().map(|credentials| credentials.key.kind()) {
        None => "a pre-shared key".into(),
        Some(KeyType::Rsa) => "a certificate with RSA".into(),
        Some(KeyType::EcdsaP256) => "a certificate with ECDSA on P-256".into(),
        Some(KeyType::EcdsaP384) => "a certificate with ECDSA on P-384".into(),
    }
}

type Entry<'a> = dyn Fn(&str, String, String, String, Option<String>) -> Misconfiguration + 'a;

/// An SA that ran out at one end is only worth a word if the other end would have kept it.
fn lifetime(phase: u8, end: usize, aws: &Phase, customer: &Phase, entry: &Entry<'_>) -> Option<Misconfiguration> {
    let (a, c) = (aws.lifetime, customer.lifetime);
    let shorter = if end == AWS { a < c } else { c < a };
    let whose = if end == AWS { "AWS's end" } else { "the customer gateway's end" };
    let text = format!(
        "the lifetimes of phase {phase} differ: AWS has {a}, the customer gateway {c}, and the SA ran out at {whose}."
    );
    shorter.then(|| entry(&format!("phase{phase}_lifetime"), a.to_string(), c.to_string(), text, None))
}

fn list<T: Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// "AES128, AES256 with SHA1 and group 2", without the group where none is negotiated.
fn suites(phase: &Phase, with_groups: bool) -> String {
    let groups = if with_groups { format!(" and {}", groups(phase)) } else { String::new() };
    format!("{} with {}{groups}", list(&phase.encryption), list(&phase.integrity))
}

fn groups(phase: &Phase) -> String {
    let noun = if phase.dh_groups.len() == 1 { "group" } else { "groups" };
    format!("{noun} {}", list(&phase.dh_groups.iter().map(|group| group.id()).collect::<Vec<_>>()))
}

/// "round 1 (36, required)", or "none".
fn additional(phase: &Phase) -> String {
    let round = |round: &Round| {
        let methods: Vec<String> = round.methods.iter().map(|method| method.id().to_string()).collect();
        let requirement = if round.optional { "optional" } else { "required" };
        format!("round {} ({}, {requirement})", round.number, methods.join(" or "))
    };
    let rounds: Vec<String> = phase.additional.iter().map(round).collect();
    if rounds.is_empty() { "none".into() } else { rounds.join(", ") }
}

/// Whether cipher, integrity algorithm and group fit, and additional key exchanges are not the same.
fn only_rounds_differ(a: &Phase, b: &Phase) -> bool {
    let group = a.dh_groups.iter().any(|group| b.dh_groups.contains(group));
    protection_fits(a, b) && group && a.additional != b.additional
}

/// Whether both ends can number packets alike.
fn numbers_fit(tunnel: &Tunnel) -> bool {
    let (a, b) = (tunnel.aws.extended_sequence_numbers, tunnel.customer.extended_sequence_numbers);
    a.offered().iter().any(|esn| b.offered().contains(esn))
}

/// Whether a cipher, and an integrity algorithm if it needs one, fits both ends.
fn protection_fits(a: &Phase, b: &Phase) -> bool {
    let hash = a.integrity.iter().any(|i| b.integrity.contains(i));
    a.encryption
        .iter()
        .filter(|e| b.encryption.contains(e))
        .any(|e| hash || crate::build::ike::encryption(*e).is_aead())
}

/// When a session went down, after `since`.
fn down(trace: &Trace, session: SessionId, since: Instant) -> Option<Instant> {
    let mut records = trace.session_records(session).filter(|(_, record)| record.at >= since);
    records.find_map(|(_, record)| matches!(record.what, What::State { to: State::Down, .. }).then_some(record.at))
}
