//! Connections between gateways.

use schemars::JsonSchema;
use serde::Deserialize;
use sim_core::node::ip::ReversePath;
use sim_core::node::tunnel::Fragmentation;
use sim_core::proto::esp::DfBit;
use sim_core::proto::ike::config::{ChildProtocol, IkeVersion, NatTraversal};

use crate::leaf::{
    AnyAddress, Asn, Count, Encryption, Flag, Integrity, Ipv6Prefix, KeySource, Md5KeySource, MssClamping, Name,
    PemSource, Percent, Prefix, PskSource, Registered, Size, Span,
};
use crate::place::{At, List, Named};
use crate::plan::{
    DpdTimeoutAction, ExtendedSequenceNumbers, IkeIdentity, IpVersion, LogOutputFormat, Proposals, Reauthenticates,
    Requirement, StartupAction, TunnelBandwidth,
};

use super::{AccessRule, GracefulRestart, MaxPrefixes};

/// A connection between gateways.
#[derive(Deserialize, JsonSchema, Debug)]
pub enum Connection {
    /// An AWS Site-to-Site VPN connection.
    Vpn(Vpn),
}

/// An AWS Site-to-Site VPN connection.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Vpn {
    /// The customer gateway.
    pub customer_gateway: At<Name>,
    /// The interface of the customer gateway that the tunnels start from; "wan" if not given.
    pub customer_interface: Option<At<Name>>,
    /// The customer gateway's address as AWS has it registered, and its IKE identity; if not given, its interface's, or the
    /// outside address of the NAT in front of it. "none": AWS knows it by its certificate alone, wherever it calls from; it must
    /// be the one that begins, by IKEv2.
    pub customer_address: Option<At<Registered>>,
    /// The customer gateway's autonomous system as AWS has it registered; its own if not given.
    pub customer_asn: Option<At<Asn>>,
    /// The virtual private gateway.
    pub gateway: At<Name>,
    /// Private-IP VPN: the Direct Connect gateway that transports the tunnels. Their outside addresses are out of the transit gateway's
    /// `cidr_blocks` then, and no path leads to them; over the internet if not given.
    pub transport: Option<At<Name>>,
    /// The VPN Concentrator of the transit gateway that the connection is on; if not given, it is an attachment of its own.
    pub concentrator: Option<At<Name>>,
    /// How AWS learns the customer's routes.
    pub routing: Routing,
    /// The customer's side of the traffic selectors that AWS proposes and accepts; "0.0.0.0/0" if not given. Selectors are
    /// negotiated and filter nothing.
    pub local_ipv4_network_cidr: Option<At<Prefix>>,
    /// AWS's side of them; "0.0.0.0/0" if not given.
    pub remote_ipv4_network_cidr: Option<At<Prefix>>,
    /// What its tunnels carry: "ipv4" (if not given) or "ipv6", which takes a transit gateway and BGP. It is one of them, for good.
    pub tunnel_inside_ip_version: Option<At<IpVersion>>,
    /// Of a connection for IPv6, the customer's side of the traffic selectors; "::/0" if not given.
    pub local_ipv6_network_cidr: Option<At<Ipv6Prefix>>,
    /// AWS's side of them; "::/0" if not given.
    pub remote_ipv6_network_cidr: Option<At<Ipv6Prefix>>,
    /// Accelerated VPN, to a transit gateway only: packets enter AWS at an edge of Global Accelerator near the customer gateway, which
    /// drops IP fragments. AWS forces NAT traversal and leaves rekeying to the customer gateway. False if not given. The way to the
    /// edge and behind it is a path of the drawing, and not a public virtual interface of Direct Connect, where AWS has no acceleration.
    pub enable_acceleration: Option<At<Flag>>,
    /// "standard" (if not given: 1.25 Gbit/s and 140,000 packets a second each way) or "large" (5 Gbit/s and 400,000), for both tunnels;
    /// a large one ends at a transit gateway only, and is not accelerated.
    pub tunnel_bandwidth: Option<At<TunnelBandwidth>>,
    /// One or two tunnels; their endpoints are called "CONNECTION.TUNNEL".
    pub tunnels: Named<Tunnel>,
}

/// How AWS learns the customer's routes.
#[derive(Deserialize, JsonSchema, Debug)]
pub enum Routing {
    /// By BGP.
    Bgp(Box<Bgp>),
    /// By hand.
    Static(StaticRouting),
}

/// BGP of both ends, where the tunnel does not say otherwise.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Bgp {
    /// Timers at AWS's end.
    pub aws: BgpTimers,
    /// Timers at the customer gateway's end.
    pub customer: BgpTimers,
}

/// BGP timers of one end.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct BgpTimers {
    /// Hold time that is proposed; 30s if not given. "0s" turns keepalives off.
    pub hold_time: Option<At<Span>>,
    /// Keepalive interval; a third of the hold time if not given.
    pub keepalive: Option<At<Span>>,
    /// Wait before a new TCP connection is tried; 120s if not given (RFC 4271 section 10).
    pub connect_retry: Option<At<Span>>,
    /// Wait after a session failed; 10s if not given.
    pub idle_hold: Option<At<Span>>,
    /// MinRouteAdvertisementInterval; none if not given.
    pub advertisement_interval: Option<At<Span>>,
    /// Up to this, the wait after a failure doubles with each further one (DampPeerOscillations, RFC 4271 section 8.1.1), and a session
    /// that lasted so long starts over; it does not double if not given.
    pub idle_hold_limit: Option<At<Span>>,
    /// Whether timers are shortened by a random factor of 0.75 to 1 (RFC 4271 section 10); true if not given.
    pub jitter: Option<At<Flag>>,
    /// How late it acts on an expired hold timer at most, as daemons do that look at their timers now and then; "0s" if not given.
    pub poll: Option<At<Span>>,
}

/// Routes that are entered by hand at AWS.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct StaticRouting {
    /// What is behind the customer gateway.
    pub prefixes: Vec<At<Prefix>>,
}

/// A tunnel: AWS's tunnel options, and under `customer` the customer gateway's own settings.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    /// AWS's outside address. An IPv6 one is for a connection to a transit gateway, and needs an `ipv6_address` on the interface where the
    /// tunnel starts; both tunnels of a connection have addresses of one family.
    pub outside_address: At<AnyAddress>,
    /// The inside /30 of 169.254.0.0/16: AWS takes the first host, the customer gateway the second.
    pub inside_cidr: At<Prefix>,
    /// Of a connection for IPv6, the inside /126 out of fd00::/8: AWS takes the first host, the customer gateway the second.
    pub inside_ipv6_cidr: Option<At<Ipv6Prefix>>,
    /// Availability zone of AWS's endpoint; if not given, "az1" for the first tunnel and "az2" for the second.
    pub availability_zone: Option<At<Name>>,
    /// Pre-shared key: the key itself, "file:PATH", or "env:VARIABLE"; if not given, one is drawn from the seed.
    pub pre_shared_key: Option<At<PskSource>>,
    /// How AWS's end proves who it is: PreSharedKey() (if not given) or Certificate(...).
    pub authentication: Option<Authentication>,
    /// Versions of IKE that AWS allows, "ikev1" and "ikev2"; both if not given.
    pub ike_versions: Option<List<IkeVersion>>,
    /// What AWS allows for the IKE_SA.
    #[serde(default)]
    pub phase1: Phase,
    /// What AWS allows for the CHILD_SA.
    #[serde(default)]
    pub phase2: Phase,
    /// How long before the end of a lifetime rekeying begins at the latest; 270s if not given.
    pub rekey_margin: Option<At<Span>>,
    /// By how much the margin is enlarged at random, 0% to 100%; 100% if not given.
    pub rekey_fuzz: Option<At<Percent>>,
    /// Anti-replay window in packets, 64 to 2048; 1024 if not given.
    pub replay_window: Option<At<Count>>,
    /// Silence after which AWS checks whether the customer gateway lives; 10s if not given.
    pub dpd_delay: Option<At<Span>>,
    /// Silence after which AWS holds the customer gateway for dead, 30s or more; 40s if not given.
    pub dpd_timeout: Option<At<Span>>,
    /// What AWS does then: "clear" (if not given), "none" or "restart".
    pub dpd_timeout_action: Option<At<DpdTimeoutAction>>,
    /// Who begins: "add" (if not given: the customer gateway) or "start" (AWS too).
    pub startup_action: Option<At<StartupAction>>,
    /// Waits between retransmissions of AWS's IKE requests.
    pub retransmission: Option<List<Span>>,
    /// When AWS forgets an IKE_SA that nobody completes; 30s if not given.
    pub half_open_timeout: Option<At<Span>>,
    /// Wait before AWS tries again, if it begins; 10s if not given.
    pub retry: Option<At<Span>>,
    /// Whether AWS fragments long IKEv2 messages itself, if the customer gateway can (RFC 7383); true if not given.
    pub ike_fragmentation: Option<At<Flag>>,
    /// The longest IP packet with an IKE message before it does so, in octets; 1280 if not given.
    pub ike_fragment_size: Option<At<Count>>,
    /// Extended sequence numbers: "no" (if not given), "yes" or "preferred". An extra: AWS has no such option.
    pub extended_sequence_numbers: Option<At<ExtendedSequenceNumbers>>,
    /// Whether this end answers a customer gateway that says that its address may change (RFC 4555); false if not given. An extra:
    /// AWS documents no MOBIKE.
    pub mobike: Option<At<Flag>>,
    /// "esp" (if not given) or "ah". An extra: AWS has ESP only.
    pub child_protocol: Option<At<ChildProtocol>>,
    /// How long AWS's end goes on taking packets of a CHILD_SA that was rekeyed and deleted, which others have overtaken; "0s" if
    /// not given: AWS publishes nothing.
    pub delete_rekeyed_delay: Option<At<Span>>,
    /// Whether the customer chooses when pending maintenance is applied, up to a last moment (tunnel endpoint lifecycle control). If not
    /// given, it is on where a `ReplaceTunnelEndpoint` has `auto_applied_after`, and else off, as AWS.
    pub tunnel_endpoint_lifecycle_control: Option<At<Flag>>,
    /// Form of the tunnel's log: "json" (if not given) or "text".
    pub log_output_format: Option<At<LogOutputFormat>>,
    /// Form of the log of its BGP session: "json" (if not given) or "text".
    pub bgp_log_output_format: Option<At<LogOutputFormat>>,
    /// How many prefixes AWS takes from the customer gateway; its quota if not given, which is 100 on a virtual private gateway and
    /// 1,000 on a transit gateway.
    pub max_prefixes: Option<MaxPrefixes>,
    /// How many prefixes AWS announces to the customer gateway at most; its quota if not given, which is 1,000 on a virtual private
    /// gateway and 5,000 on a transit gateway. What it does beyond is not published: here others are withheld until one is withdrawn.
    pub most_announced: Option<At<Count>>,
    /// The key of TCP MD5 at AWS's end (RFC 2385): the key itself, "file:PATH", or "env:VARIABLE". An extra, which AWS does not have
    /// on VPN tunnels.
    pub md5_key: Option<At<Md5KeySource>>,
    /// TTL security at AWS's end (RFC 5082): how many hops away the customer gateway is at most. An extra: AWS documents none.
    pub ttl_security: Option<At<Count>>,
    /// Graceful restart at AWS's end (RFC 4724). An extra: AWS documents none on VPN tunnels.
    pub graceful_restart: Option<GracefulRestart>,
    /// What the customer gateway has configured for this tunnel.
    #[serde(default)]
    pub customer: CustomerEnd,
}

/// How an end proves who it is.
#[derive(Deserialize, JsonSchema, Debug)]
pub enum Authentication {
    /// By the pre-shared key, which is a setting of its own.
    PreSharedKey(SharedKey),
    /// By a certificate, as AWS Private CA issues them.
    Certificate(Box<Certificate>),
}

/// Nothing more to say: `PreSharedKey()`.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct SharedKey {}

/// A certificate and whom its owner trusts. What is drawn needs no files: the same name is the same CA at both ends.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Certificate {
    /// Its private key: "ecdsa-p256" (if not given), "ecdsa-p384" or "rsa-2048" is drawn from the seed, "file:PATH" or
    /// "env:VARIABLE" is one in PEM.
    pub key: Option<At<KeySource>>,
    /// For a key in PEM: "file:PATH" of its certificate in PEM, followed by those between it and the CA.
    pub certificate: Option<At<PemSource>>,
    /// For a drawn key: name of the CA that issues the certificate; if not given, "private-ca" at AWS's end, and at the
    /// customer's the CA that AWS trusts.
    pub issuer: Option<At<Name>>,
    /// The CA that must have issued the other end's certificate: a name, or "file:PATH" of certificates in PEM; if not given, the
    /// one that issued this end's certificate at AWS's end, and at the customer's the one that issued AWS's.
    pub ca: Option<At<PemSource>>,
    /// For a drawn key: how long after the beginning the certificate expires; 9480h if not given, which are 395 days.
    pub expires: Option<At<Span>>,
}

/// An additional key exchange, with the names of AWS's tunnel options.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct AdditionalKeyExchange {
    /// Its round, 1 to 7: they are made in this order.
    pub round: At<Count>,
    /// Methods by their IANA numbers: 35, 36 and 37 are ML-KEM-512, ML-KEM-768 and ML-KEM-1024, the others Diffie-Hellman groups.
    pub key_exchange_methods: List<Count>,
    /// "required" (if not given) or "optional": left out with a peer that does not offer it.
    pub requirement: Option<At<Requirement>>,
}

/// What one phase allows.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// "AES128", "AES256", "AES128-GCM-16", "AES256-GCM-16"; all if not given. In phase 2 also "NULL", which leaves packets in
    /// clear to look into; an extra, which AWS does not have.
    pub encryption: Option<List<Encryption>>,
    /// "SHA1", "SHA2-256", "SHA2-384", "SHA2-512"; all if not given.
    pub integrity: Option<List<Integrity>>,
    /// 2, 14 to 24, and 5 in phase 2 only; all if not given.
    pub dh_groups: Option<List<Count>>,
    /// Additional key exchanges (RFC 9370), as against quantum computers; none if not given. IKEv2 only. Those of phase 2 are made
    /// when the CHILD_SA is rekeyed.
    pub additional_key_exchanges: Option<Vec<AdditionalKeyExchange>>,
    /// Lifetime; 28800s for phase 1 and 3600s for phase 2 if not given.
    pub lifetime: Option<At<Span>>,
}

/// What one CHILD_SA of a policy-based device is for.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Selectors {
    /// The network behind the customer gateway.
    pub local_cidr: At<Prefix>,
    /// The network behind AWS.
    pub remote_cidr: At<Prefix>,
}

/// The customer gateway's settings of one tunnel. What is not given is as at AWS's end, unless said otherwise.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct CustomerEnd {
    /// Pre-shared key, if it differs from AWS's.
    pub pre_shared_key: Option<At<PskSource>>,
    /// How it proves who it is; as AWS if not given.
    pub authentication: Option<Authentication>,
    /// Versions of IKE that it speaks: it begins with the highest.
    pub ike_versions: Option<List<IkeVersion>>,
    /// Who it says it is; if not given its outside address, which is what AWS expects, or its certificate's subject.
    pub id: Option<At<IkeIdentity>>,
    /// Who it expects AWS to be; if not given AWS's outside address or its certificate's subject, which is what AWS says.
    pub expected_id: Option<At<IkeIdentity>>,
    /// Its own side of the traffic selectors.
    pub local_cidr: Option<At<Prefix>>,
    /// AWS's side of them.
    pub remote_cidr: Option<At<Prefix>>,
    /// In place of `local_cidr` and `remote_cidr`, of a policy-based device: between which networks it protects traffic, each pair by
    /// a CHILD_SA of its own, in IKEv1 by a Quick Mode each. What is of no pair does not leave. Static routing only.
    pub traffic_selectors: Option<Vec<Selectors>>,
    /// What it proposes for the IKE_SA.
    #[serde(default)]
    pub phase1: Phase,
    /// What it proposes for the CHILD_SA.
    #[serde(default)]
    pub phase2: Phase,
    /// How long before the end of a lifetime rekeying begins at the latest.
    pub rekey_margin: Option<At<Span>>,
    /// By how much the margin is enlarged at random.
    pub rekey_fuzz: Option<At<Percent>>,
    /// Anti-replay window in packets.
    pub replay_window: Option<At<Count>>,
    /// Silence after which it checks whether AWS lives.
    pub dpd_delay: Option<At<Span>>,
    /// Silence after which it holds AWS for dead; "0s": when the repetitions of a check have ended (`retransmission`), as strongSwan
    /// does. Never is `dpd_timeout_action` "none".
    pub dpd_timeout: Option<At<Span>>,
    /// What it does then: "clear", "none" or "restart" (if not given).
    pub dpd_timeout_action: Option<At<DpdTimeoutAction>>,
    /// Who begins: "start" (if not given) or "add".
    pub startup_action: Option<At<StartupAction>>,
    /// Waits between retransmissions of its IKE requests.
    pub retransmission: Option<List<Span>>,
    /// When it forgets an IKE_SA that nobody completes.
    pub half_open_timeout: Option<At<Span>>,
    /// Wait before it tries again; 10s if not given.
    pub retry: Option<At<Span>>,
    /// Whether it fragments long IKEv2 messages itself, if AWS can (RFC 7383); true if not given.
    pub ike_fragmentation: Option<At<Flag>>,
    /// The longest IP packet with an IKE message before it does so, in octets.
    pub ike_fragment_size: Option<At<Count>>,
    /// How it writes its proposals: "combined" (if not given: lists of algorithms) or "one_by_one" (each combination by itself, as
    /// many devices do, which makes IKE_SA_INIT long).
    pub proposals: Option<At<Proposals>>,
    /// Whether it proves its identity anew from time to time, and asks for AWS's: "off" (if not given), "break_before_make" or
    /// "make_before_break" (RFC 7296 section 2.8.3). IKEv2 only.
    pub reauthentication: Option<At<Reauthenticates>>,
    /// How long after the last time; the phase 1 lifetime without the rekey margin if not given.
    pub reauthentication_time: Option<At<Span>>,
    /// Whether it says that its address may change, as strongSwan does (RFC 4555): its SAs survive that if the other end says so,
    /// too, which AWS does not. False if not given.
    pub mobike: Option<At<Flag>>,
    /// Whether it says INVALID-COOKIE of an ISAKMP SA that it does not have (RFC 2408 section 5.2); false if not given. IKEv1 only.
    pub invalid_cookie: Option<At<Flag>>,
    /// What it does about NATs: "detect" (if not given), "off" (it looks for none, and ESP is never in UDP) or "force" (it says that
    /// there is one, so that ESP always is) (RFC 7296 section 2.23, RFC 3947).
    pub nat_traversal: Option<At<NatTraversal>>,
    /// How long it sends nothing, while it is behind a NAT, until it sends a NAT keepalive; 20s if not given, "0s": never
    /// (RFC 3948 section 4).
    pub nat_keepalive: Option<At<Span>>,
    /// Extended sequence numbers: "no" (if not given), "yes" or "preferred" (RFC 4303 section 2.2.1).
    pub extended_sequence_numbers: Option<At<ExtendedSequenceNumbers>>,
    /// What CHILD_SAs are: "esp" (if not given) or "ah", which encrypts nothing and dies behind a NAT (RFC 4302). IKEv2 only.
    pub child_protocol: Option<At<ChildProtocol>>,
    /// The DF bit of the packets around sealed ones: "clear" (if not given), "copy" from the packet inside, or "set"
    /// (RFC 4301 section 8.1).
    pub df_bit: Option<At<DfBit>>,
    /// Whether packets that are too long for the tunnel are cut although their DF bit forbids it, as AWS's configuration files ask;
    /// false if not given: their sender hears by ICMP that they are too long.
    pub clear_df_bit: Option<At<Flag>>,
    /// Where packets that are too long for the tunnel are cut: "before_encryption" (if not given; what AWS recommends) or
    /// "after_encryption".
    pub fragmentation: Option<At<Fragmentation>>,
    /// Whether it believes ICMP that tells of a narrower path to AWS; true if not given. There is none without `df_bit` "copy" or
    /// "set" (RFC 4301 section 8.2).
    pub path_mtu_discovery: Option<At<Flag>>,
    /// To what it lowers the maximum segment size that TCP tells through the tunnel: "off" (if not given), "auto" (what fits the
    /// negotiated suite) or a number of octets.
    pub mss_clamping: Option<At<MssClamping>>,
    /// Shorter packets are padded to this length before they are encrypted, at most to the tunnel's MTU; no padding if not given
    /// (RFC 4303 section 2.7).
    pub tfc_padding: Option<At<Size>>,
    /// How often it sends a dummy packet, which AWS throws away; never if not given (RFC 4303 section 2.6).
    pub dummy_interval: Option<At<Span>>,
    /// After so many packets on a CHILD_SA it is rekeyed; 0: never. Three quarters of the sequence numbers if not given
    /// (RFC 4303 section 3.3.3).
    pub rekey_packets: Option<At<Count>>,
    /// The last sequence number that it sends with on a CHILD_SA: then it refuses to go on. 4294967295 if not given, or
    /// 2^64 - 1 with extended ones; less shows in minutes what happens at the end.
    pub last_sequence_number: Option<At<Count>>,
    /// How long it goes on taking packets of a CHILD_SA that was rekeyed and deleted, which others have overtaken; "0s" if not given
    /// (strongSwan: 5s).
    pub delete_rekeyed_delay: Option<At<Span>>,
    /// How often it prepends its autonomous system to what it advertises through this tunnel; 0 if not given.
    pub prepend: Option<At<Count>>,
    /// MED on what it advertises through this tunnel; none if not given.
    pub med: Option<At<Count>>,
    /// LOCAL_PREF of what it hears through this tunnel: higher wins; 100 if not given.
    pub local_preference: Option<At<Count>>,
    /// What it asks of the source of a packet that comes out of this tunnel: "off" (if not given), "loose" or "strict" (RFC 3704).
    pub reverse_path: Option<At<ReversePath>>,
    /// What it does not let into this tunnel or out of it, also of its own: rules in order, the first that fits decides, what none
    /// fits passes.
    #[serde(default)]
    pub access_list: Named<AccessRule>,
    /// The key of TCP MD5 (RFC 2385), if it differs from AWS's.
    pub md5_key: Option<At<Md5KeySource>>,
    /// The TTL of what it sends in the BGP session; 1 if not given. AWS's end is one hop away.
    pub multihop: Option<At<Count>>,
    /// How many hops away AWS's end is at most, by TTL security (RFC 5082): it sends with TTL 255 and hears nothing that came from
    /// farther away. In place of `multihop`; as AWS if not given.
    pub ttl_security: Option<At<Count>>,
    /// How many prefixes it takes from AWS; any number if not given.
    pub max_prefixes: Option<MaxPrefixes>,
    /// Graceful restart (RFC 4724); as AWS if not given.
    pub graceful_restart: Option<GracefulRestart>,
    /// BFD through the tunnel, which AWS's VPN endpoints do not answer: refused.
    pub bfd: Option<super::Bfd>,
    /// The gateway's policy for what it hears through this tunnel, after `local_preference`; everything is taken if not given.
    pub import_policy: Option<At<Name>>,
    /// The gateway's policy for what it advertises through this tunnel, after `prepend` and `med`; everything that it has is
    /// advertised if not given, also what it heard elsewhere.
    pub export_policy: Option<At<Name>>,
}
