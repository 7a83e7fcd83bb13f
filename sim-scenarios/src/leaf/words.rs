//! The words of the language: choices that have a name each.

use sim_core::net::filter::{Contents, RuleAction, RuleDirection};
use sim_core::net::multipath::FlowFields;
use sim_core::net::nat::{Assignment, Behaviour, Fragments, Passthrough, Refresh};
use sim_core::net::policer::Counted;
use sim_core::node::ip::ReversePath;
use sim_core::node::tunnel::Fragmentation;
use sim_core::proto::esp::DfBit;
use sim_core::proto::ike::config::{ChildProtocol, IkeVersion, NatTraversal, RekeyLaw, SecondChild};
use sim_core::trace::SessionKind;

use super::{Because, Encryption, Integrity, Leaf, Scalar};
use crate::plan::{
    Directions, DpdTimeoutAction, EndpointIcmp, ExtendedSequenceNumbers, IpVersion, Judged, LogOutputFormat, NatMode,
    Otherwise, Proposals, Reauthenticates, Requirement, Side, StartupAction, TcpProfile, Then, TunnelBandwidth,
};
use crate::study::word as study;

words! {
    Encryption: "an encryption algorithm" {
        "AES128" => Self::Aes128,
        "AES256" => Self::Aes256,
        "AES128-GCM-16" => Self::Aes128Gcm16,
        "AES256-GCM-16" => Self::Aes256Gcm16,
        "NULL" => Self::Null,
    }
    DfBit: "a policy for the DF bit" {
        "copy" => Self::Copy,
        "clear" => Self::Clear,
        "set" => Self::Set,
    }
    Fragmentation: "a moment to cut packets" {
        "before_encryption" => Self::BeforeEncryption,
        "after_encryption" => Self::AfterEncryption,
    }
    ExtendedSequenceNumbers: "a choice of sequence numbers" {
        "no" => Self::No,
        "yes" => Self::Yes,
        "preferred" => Self::Preferred,
    }
    Requirement: "a requirement" {
        "required" => Self::Required,
        "optional" => Self::Optional,
    }
    ChildProtocol: "an IPsec protocol" {
        "esp" => Self::Esp,
        "ah" => Self::Ah,
    }
    Integrity: "an integrity algorithm" {
        "SHA1" => Self::Sha1,
        "SHA2-256" => Self::Sha2_256,
        "SHA2-384" => Self::Sha2_384,
        "SHA2-512" => Self::Sha2_512,
    }
    IpVersion: "a version of IP" {
        "ipv4" => Self::V4,
        "ipv6" => Self::V6,
    }
    IkeVersion: "a version of IKE" {
        "ikev1" => Self::V1,
        "ikev2" => Self::V2,
    }
    DpdTimeoutAction: "a DPD timeout action" {
        "clear" => Self::Clear,
        "none" => Self::None,
        "restart" => Self::Restart,
    }
    LogOutputFormat: "a log output format" {
        "json" => Self::Json,
        "text" => Self::Text,
    }
    Reauthenticates: "how an end authenticates anew" {
        "off" => Self::Off,
        "break_before_make" => Self::BreakBeforeMake,
        "make_before_break" => Self::MakeBeforeBreak,
    }
    TunnelBandwidth: "a tunnel bandwidth" {
        "standard" => Self::Standard,
        "large" => Self::Large,
    }
    Contents: "what inspection looks for" {
        "ike" => Self::Ike,
        "esp_in_udp" => Self::EspInUdp,
    }
    NatTraversal: "what is done about NATs" {
        "detect" => Self::Detect,
        "off" => Self::Off,
        "force" => Self::Force,
    }
    Proposals: "a form of proposals" {
        "combined" => Self::Combined,
        "one_by_one" => Self::OneByOne,
    }
    StartupAction: "a startup action" {
        "add" => Self::Add,
        "start" => Self::Start,
    }
    Then: "the verdict of a rule" {
        "accept" => Self::Accept,
        "reject" => Self::Reject,
        "continue" => Self::Continue,
    }
    Otherwise: "the verdict on all other routes" {
        "accept" => Self::Accept,
        "reject" => Self::Reject,
    }
    Side: "an end of a tunnel" {
        "aws" => Self::Aws,
        "customer" => Self::Customer,
    }
    Directions: "a direction of a link" {
        "forward" => Self::Forward,
        "reverse" => Self::Reverse,
        "both" => Self::Both,
    }
    Judged: "a direction of a probe" {
        "forward" => Self::Forward,
        "reverse" => Self::Reverse,
        "round_trip" => Self::RoundTrip,
    }
    ReversePath: "what is asked of a source" {
        "off" => Self::Off,
        "loose" => Self::Loose,
        "strict" => Self::Strict,
    }
    FlowFields: "what a flow is" {
        "three_tuple" => Self::ThreeTuple,
        "five_tuple" => Self::FiveTuple,
    }
    Counted: "what a rate is for" {
        "each_way" => Self::EachWay,
        "together" => Self::Together,
    }
    EndpointIcmp: "whether ICMP errors are sent" {
        "silent" => Self::Silent,
        "errors" => Self::Errors,
    }
    SecondChild: "what becomes of a second pair of SAs" {
        "displaces" => Self::Displaces,
        "refused" => Self::Refused,
        "kept" => Self::Kept,
    }
    RekeyLaw: "a rule for when to rekey" {
        "before_margin" => Self::BeforeMargin,
        "within_margin" => Self::WithinMargin,
    }
    TcpProfile: "a TCP profile" {
        "linux" => Self::Linux,
        "rfc" => Self::Rfc,
    }
    NatMode: "what a NAT translates" {
        "napt" => Self::Napt,
        "one_to_one" => Self::OneToOne,
        "routed" => Self::Routed,
    }
    Behaviour: "a behaviour by RFC 4787" {
        "endpoint_independent" => Self::EndpointIndependent,
        "address_dependent" => Self::AddressDependent,
        "address_and_port_dependent" => Self::AddressAndPortDependent,
    }
    Assignment: "a port assignment" {
        "preserve" => Self::Preserve,
        "sequential" => Self::Sequential,
        "random" => Self::Random,
    }
    Refresh: "a refresh direction" {
        "outbound" => Self::Outbound,
        "inbound" => Self::Inbound,
        "both" => Self::Both,
    }
    Passthrough: "what becomes of a protocol without ports" {
        "drop" => Self::Drop,
        "one_client" => Self::OneClient,
        "one_host" => Self::OneHost,
    }
    Fragments: "what becomes of fragments" {
        "reassemble" => Self::Reassemble,
        "follow_first" => Self::FollowFirst,
        "drop" => Self::Drop,
    }
    RuleDirection: "a direction of a filter rule" {
        "outbound" => Self::Outbound,
        "inbound" => Self::Inbound,
        "both" => Self::Both,
    }
    RuleAction: "an action of a filter rule" {
        "pass" => Self::Pass,
        "drop" => Self::Drop,
        "reject" => Self::Reject,
    }
    study::Extent: "which outages" {
        "longest" => Self::Longest,
        "sum" => Self::Sum,
    }
    study::Quantile: "a quantile" {
        "min" => Self::Min,
        "p50" => Self::P50,
        "p90" => Self::P90,
        "p99" => Self::P99,
        "max" => Self::Max,
    }
    study::Sessions: "a protocol" {
        "any" => Self::Any,
        "ike" => Self::Of(SessionKind::Ike),
        "bgp" => Self::Of(SessionKind::Bgp),
        "bfd" => Self::Of(SessionKind::Bfd),
    }
    study::Count: "what is counted" {
        "packets" => Self::Packets,
        "octets" => Self::Octets,
    }
}
