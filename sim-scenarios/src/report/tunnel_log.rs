//! The tunnel activity log that AWS would publish for each tunnel: what AWS's end of it says about IKE, in AWS's words.
//!
//! Sources: the Site-to-Site VPN User Guide, "Site-to-Site VPN logs": fields, states, log stream names and the `details`
//! strings, which are AWS's to the letter. An `xxxx` in them is filled with the SPI in hexadecimal, or the customer
//! gateway's outside address. AWS names a stream `VPN-ID_OUTSIDE-ADDRESS-IKE.log`; a scenario has no VPN id, so the
//! connection's name stands there. A scenario that does not say when it begins does so at the epoch, as its captures do.
//!
//! AWS documents the strings for IKEv1 and IKEv2 apart; a line is written in the words of the version that is spoken.
//!
//! A line is written from the kept records of AWS's end alone, so that it says what that end can know. It holds no key.
//!
//! What AWS does not state, and how it is read here: `event_timestamp` is in milliseconds, as AWS's sample of the BGP log has
//! it; the text form has the values of the JSON form in the same order, separated by spaces; both "No Proposal Match"
//! strings are written for one refusal; `TS_UNACCEPTABLE` is written whichever end refuses, because AWS's explanation of
//! it speaks of what the customer gateway proposed.
//!
//! Left out:
//! - what AWS documents no string for: of IKEv1 the refusal of an identity, a certificate or selectors, and a handshake that nobody
//!   completes;
//! - the DELETE of an IKE_SA that another has replaced, which changes no state.
//!
//! The BGP log of the same tunnel is [`super::bgp_log`].

use core::net::IpAddr;
use std::collections::BTreeMap;

use serde::Serialize;
use sim_core::id::{NodeId, SessionId};
use sim_core::node::Node;
use sim_core::reason::{Reason, State, Step, TimerKind};
use sim_core::time::{Duration, Instant};
use sim_core::trace::{Record, What};

use super::log::{self, Log};
use crate::build::Built;
use crate::plan::{DpdTimeoutAction, Plan, TunnelId};

/// End of the name of a log stream of tunnel activity.
pub const IKE_STREAM: &str = "-IKE.log";

/// AWS could not agree on a proposal.
pub const NO_PROPOSAL: &str = "No Proposal Match Found by AWS";
/// AWS tells the peer so.
pub const NO_PROPOSAL_NOTIFY: &str = "No Proposal Match Found. Notifying with \"No proposal chosen\"";
/// The CHILD_SA failed, the IKE_SA stands.
pub const PHASE2_FAILED: &str = "AWS tunnel Phase 2 was unable to establish while keeping Phase 1";
/// The selectors do not meet.
pub const TS_UNACCEPTABLE: &str = "AWS: Traffic Selector: TS_UNACCEPTABLE: received from responder";
/// AWS does not believe the peer.
pub const AUTHENTICATION_FAILED: &str = "AWS tunnel is sending AUTHENTICATION_FAILED as the response";
/// The peer's AUTH was made with another key; the customer gateway's address follows.
pub const PSK_MISMATCH: &str = "AWS tunnel detected a pre-shared key mismatch with cgw: ";
/// With IKEv1 the key shows when the peer's message cannot be deciphered.
pub const PSK_UNDECIPHERABLE: &str = "AWS tunnel payload decryption was unsuccessful due to invalid Pre-shared Key";
/// IKEv1's dead peer detection.
pub const PEER_DEAD: &str = "Peer is not responsive - Declaring peer dead";
/// Nobody completed the IKE_SA; the customer gateway's address follows.
pub const HALF_OPEN: &str = "AWS tunnel Timeout: deleting un-established Phase 1 IKE_SA with cgw: ";
/// The peer deleted the IKE_SA.
pub const IKE_DELETE: &str = "AWS tunnel received DELETE for IKE_SA from CGW";
/// The peer deleted a CHILD_SA; its SPI follows.
pub const CHILD_DELETE: &str = "AWS tunnel received DELETE for Phase 2 SA with SPI: ";
/// The peer deleted the CHILD_SA that AWS was rekeying.
pub const REKEY_COLLISION: &str = "AWS tunnel detected a (CHILD_REKEY) collision as CHILD_DELETE";
/// AWS and the peer rekeyed a CHILD_SA at once, and AWS's successor lost.
pub const REDUNDANT_CHILD: &str = "AWS tunnel (CHILD_SA) redundant SA is being deleted due to detected collision";

/// The log of one tunnel.
pub type TunnelLog = Log<Line>;

/// A line, with AWS's field names in AWS's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When.
    #[serde(skip)]
    pub at: Instant,
    /// Milliseconds since the epoch.
    pub event_timestamp: u64,
    /// The same for people.
    pub timestamp: String,
    /// Whether AWS checks that the customer gateway lives.
    pub dpd_enabled: bool,
    /// Whether a NAT was detected when the IKE_SA was negotiated last.
    pub nat_t_detected: bool,
    /// `established`, `rekeying`, `negotiating` or `down`.
    pub ike_phase1_state: &'static str,
    /// The same of the CHILD_SA.
    pub ike_phase2_state: &'static str,
    /// What happened.
    pub details: String,
}

impl log::Line for Line {
    fn plain(&self) -> String {
        let Self { event_timestamp, timestamp, dpd_enabled, nat_t_detected, details, .. } = self;
        let (phase1, phase2) = (self.ike_phase1_state, self.ike_phase2_state);
        format!("{event_timestamp} {timestamp} {dpd_enabled} {nat_t_detected} {phase1} {phase2} {details}")
    }
}

impl TunnelLog {
    /// The first line whose details begin like this.
    pub fn first(&self, details: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.details.starts_with(details))
    }
}

/// The logs of all tunnels whose AWS end is simulated, by connection and tunnel.
pub fn tunnel_logs(plan: &Plan, built: &Built) -> Vec<TunnelLog> {
    let mut scribes: BTreeMap<NodeId, Scribe> = BTreeMap::new();
    for (connection, planned) in plan.connections.iter().enumerate() {
        for (tunnel, planned_tunnel) in planned.tunnels.iter().enumerate() {
            if matches!(built.world.node(planned_tunnel.endpoint), Node::External(_)) {
                continue;
            }
            let id = TunnelId { connection, tunnel };
            let sessions = built.tunnel(id);
            let log = TunnelLog {
                id,
                tunnel: planned_tunnel.name.clone(),
                stream: format!("{}_{}{IKE_STREAM}", planned.name, planned_tunnel.aws_outside),
                format: planned_tunnel.log_output_format,
                lines: Vec::new(),
            };
            let scribe = Scribe {
                log,
                sessions: [sessions.ike[0], sessions.child[0]],
                cgw: planned_tunnel.customer_registered,
                dpd: planned_tunnel.aws.dpd.action != DpdTimeoutAction::None,
                began: plan.begins,
                nat: false,
                phases: [State::Down; 2],
                retransmits: 0,
                v1: false,
            };
            scribes.insert(planned_tunnel.endpoint, scribe);
        }
    }
    for (_, record) in built.world.trace.records() {
        if let Some(scribe) = scribes.get_mut(&record.node) {
            scribe.read(record);
        }
    }
    let mut logs: Vec<TunnelLog> = scribes.into_values().map(|scribe| scribe.log).collect();
    logs.sort_by_key(|log| (log.id.connection, log.id.tunnel));
    logs
}

/// Reads the records of AWS's end of a tunnel and writes its log.
struct Scribe {
    log: TunnelLog,
    /// IKE and CHILD_SA of this end.
    sessions: [SessionId; 2],
    cgw: IpAddr,
    dpd: bool,
    /// When the world began, counted from the epoch.
    began: Duration,
    nat: bool,
    /// State of both.
    phases: [State; 2],
    /// How often the request that is under way was sent again.
    retransmits: u32,
    /// True if the session speaks IKEv1, for which AWS documents other strings.
    v1: bool,
}

impl Scribe {
    fn read(&mut self, record: &Record) {
        match record.what {
            What::Step { session, step, detail, response, notice, .. } if session == self.sessions[0] => {
                self.step(record.at, step, detail, response, notice);
            }
            What::Expired { session: Some(session), timer: TimerKind::HalfOpen, .. }
                if session == self.sessions[0] && !self.v1 =>
            {
                self.write(record.at, format!("{HALF_OPEN}{}", self.cgw));
            }
            What::State { session, from, to, reason } => {
                let Some(phase) = self.sessions.iter().position(|own| *own == session) else { return };
                self.phases[phase] = to;
                if phase == 0 && to == State::Down {
                    self.ended(record.at, from, reason);
                }
            }
            What::Power { .. } => self.phases = [State::Down; 2],
            What::Step { .. } | What::Expired { .. } | What::Genesis | What::Fault { .. } | What::Route { .. } => {}
        }
    }

    fn step(&mut self, at: Instant, step: Step, detail: u32, response: bool, notice: Option<Reason>) {
        if step.is_sent() && step != Step::Retransmitted && !response {
            self.retransmits = 0;
        }
        match (step, response) {
            (Step::Retransmitted, false) => self.retransmits += 1,
            (Step::IkeSaInitReceived, false) | (Step::IkeSaInitSent, false) => (self.nat, self.v1) = (false, false),
            (Step::MainModeReceived, _) if notice == Some(Reason::PayloadMalformed) => {
                self.write(at, PSK_UNDECIPHERABLE.into());
            }
            (Step::IsakmpInformationalReceived, _) if notice == Some(Reason::Undecipherable) => {
                self.write(at, PSK_UNDECIPHERABLE.into());
            }
            (Step::MainModeReceived | Step::MainModeSent, _) => self.v1 = true,
            // RFC 2409 has one Informational exchange for both phases: what is refused is the phase under way.
            (Step::IsakmpInformationalSent, _) if notice == Some(Reason::NoProposalChosen) => {
                let phase2 = self.phases[0] == State::Up;
                self.write(at, if phase2 { NO_PROPOSAL_NOTIFY } else { NO_PROPOSAL }.into());
            }
            (Step::NatDetected, _) => self.nat = true,
            (Step::IkeSaInitSent, true) => self.refused(at, notice, false),
            (Step::IkeAuthSent, true) if notice == Some(Reason::AuthenticationFailed) => {
                self.write(at, AUTHENTICATION_FAILED.into());
            }
            (Step::IkeAuthSent, true) => self.refused(at, notice, true),
            (Step::IkeAuthReceived, true) => self.heard(at, notice),
            (Step::CreateChildSaReceived, false) => {
                self.write(at, format!("AWS tunnel processed request (id={detail}) for CREATE_CHILD_SA"));
            }
            (Step::CreateChildSaSent, true) => {
                self.refused(at, notice, true);
                self.write(at, format!("AWS tunnel is sending response (id={detail}) for CREATE_CHILD_SA"));
            }
            (Step::CreateChildSaSent, false) => {
                self.write(at, format!("AWS tunnel is sending request (id={detail}) for CREATE_CHILD_SA"));
            }
            (Step::CreateChildSaReceived, true) => {
                self.write(at, format!("AWS tunnel processed response (id={detail}) for CREATE_CHILD_SA"));
                self.heard(at, notice);
            }
            (Step::RedundantChild, _) => self.write(at, REDUNDANT_CHILD.into()),
            (Step::ChildDeleteReceived, _) => {
                self.write(at, format!("{CHILD_DELETE}{detail:08x}"));
                if self.phases[1] == State::Rekeying {
                    self.write(at, REKEY_COLLISION.into());
                }
            }
            _ => {}
        }
    }

    /// AWS refuses a proposal or the selectors.
    fn refused(&mut self, at: Instant, notice: Option<Reason>, keeps_phase1: bool) {
        match notice {
            Some(Reason::NoProposalChosen) => {
                self.write(at, NO_PROPOSAL.into());
                self.write(at, NO_PROPOSAL_NOTIFY.into());
            }
            Some(Reason::TsUnacceptable) => self.write(at, TS_UNACCEPTABLE.into()),
            Some(_) | None => return,
        }
        if keeps_phase1 {
            self.write(at, PHASE2_FAILED.into());
        }
    }

    /// The customer gateway refuses AWS's CHILD_SA.
    fn heard(&mut self, at: Instant, notice: Option<Reason>) {
        match notice {
            Some(Reason::TsUnacceptable) => self.write(at, TS_UNACCEPTABLE.into()),
            Some(Reason::NoProposalChosen) => {}
            Some(_) | None => return,
        }
        self.write(at, PHASE2_FAILED.into());
    }

    /// The IKE session is down.
    fn ended(&mut self, at: Instant, from: State, reason: Reason) {
        match reason {
            Reason::PeerDeleted => self.write(at, IKE_DELETE.into()),
            Reason::PskMismatch => {
                self.write(at, format!("{PSK_MISMATCH}{}", self.cgw));
                // AWS notices the mismatch before it answers; the record of it follows the answer's.
                if let [.., answer, noticed] = &mut self.log.lines[..]
                    && answer.at == at
                    && answer.details == AUTHENTICATION_FAILED
                {
                    noticed.ike_phase1_state = answer.ike_phase1_state;
                    core::mem::swap(answer, noticed);
                }
            }
            Reason::RetransmitExhausted if self.v1 && from == State::Connecting => {}
            Reason::PeerDead | Reason::RetransmitExhausted if self.v1 => self.write(at, PEER_DEAD.into()),
            Reason::RetransmitExhausted if from == State::Connecting => {
                self.write(at, format!("{HALF_OPEN}{}", self.cgw));
            }
            Reason::PeerDead | Reason::RetransmitExhausted => {
                self.write(at, format!("AWS tunnel DPD timed out after {} retransmits", self.retransmits));
            }
            _ => {}
        }
    }

    fn write(&mut self, at: Instant, details: String) {
        let (event_timestamp, timestamp) = stamp(self.began, at);
        self.log.lines.push(Line {
            at,
            event_timestamp,
            timestamp,
            dpd_enabled: self.dpd,
            nat_t_detected: self.nat,
            ike_phase1_state: code(self.phases[0]),
            ike_phase2_state: code(self.phases[1]),
            details,
        });
    }
}

/// An instant of a world that began so long after the epoch, in milliseconds and for people.
pub(crate) fn stamp(began: Duration, at: Instant) -> (u64, String) {
    let milliseconds = (began.as_nanos() + at.as_nanos()) / 1_000_000;
    (milliseconds, written(began, at, "%Y-%m-%d %H:%M:%S%.3fZ"))
}

/// The same in another form, in the notation of `strftime`; nothing if it is beyond what has a date.
pub(crate) fn written(began: Duration, at: Instant, form: &str) -> String {
    let milliseconds = i64::try_from((began.as_nanos() + at.as_nanos()) / 1_000_000).ok();
    let timestamp = milliseconds.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    timestamp.map(|it| it.strftime(form).to_string()).unwrap_or_default()
}

/// AWS's word for the state of a phase.
const fn code(state: State) -> &'static str {
    match state {
        State::Up | State::Established | State::Master => "established",
        State::Rekeying => "rekeying",
        State::Connecting | State::Connect | State::Active | State::OpenSent | State::OpenConfirm | State::Init => {
            "negotiating"
        }
        State::Down | State::Deleting | State::Idle | State::AdminDown | State::Initialize | State::Backup => "down",
    }
}
