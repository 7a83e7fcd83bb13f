//! The pieces of advice that there are: what each is called, how much it weighs, what it rests on, and which scenario of the library
//! shows it.

use schemars::JsonSchema;
use serde::Serialize;

/// How much a piece of advice weighs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Traffic is lost, or goes another way than the drawing says, without any failure.
    High,
    /// One failure, or one maintenance, costs more than it has to; or cryptography is weaker than RFCs recommend.
    Medium,
    /// Nobody is told, or a limit is near.
    Low,
}

impl Severity {
    /// All of them, the gravest first.
    pub const ALL: [Self; 3] = [Self::High, Self::Medium, Self::Low];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// A page that a piece of advice rests on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Source {
    /// Document and part.
    pub title: &'static str,
    /// Address.
    pub page: &'static str,
}

/// A kind of advice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Its code, stable across versions.
    pub code: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// What it rests on.
    pub sources: &'static [Source],
    /// The scenario of the library that shows it, without extension.
    pub scenario: &'static str,
}

const fn rule(code: &'static str, severity: Severity, sources: &'static [Source], scenario: &'static str) -> Rule {
    Rule { code, severity, sources, scenario }
}

macro_rules! source {
    ($name:ident, $title:literal, $page:literal) => {
        const $name: Source = Source { title: $title, page: $page };
    };
}

source!(
    RESILIENCE,
    "Site-to-Site VPN: resilience",
    "https://docs.aws.amazon.com/vpn/latest/s2svpn/disaster-recovery-resiliency.html"
);
source!(
    REPLACEMENT,
    "Site-to-Site VPN: endpoint replacements",
    "https://docs.aws.amazon.com/vpn/latest/s2svpn/endpoint-replacements.html"
);
source!(
    REDUNDANT,
    "Site-to-Site VPN: redundant connections",
    "https://docs.aws.amazon.com/vpn/latest/s2svpn/vpn-redundant-connection.html"
);
source!(
    PRIORITY,
    "Site-to-Site VPN: route priority",
    "https://docs.aws.amazon.com/vpn/latest/s2svpn/vpn-route-priority.html"
);
source!(
    UPDATES,
    "Site-to-Site VPN: routing during tunnel updates",
    "https://docs.aws.amazon.com/vpn/latest/s2svpn/routing-vpn-tunnel-updates.html"
);
source!(OPTIONS, "Site-to-Site VPN: tunnel options", "https://docs.aws.amazon.com/vpn/latest/s2svpn/VPNTunnels.html");
source!(
    INITIATION,
    "Site-to-Site VPN: initiation options",
    "https://docs.aws.amazon.com/vpn/latest/s2svpn/initiate-vpn-tunnels.html"
);
source!(
    CUSTOMER,
    "Site-to-Site VPN: your customer gateway device",
    "https://docs.aws.amazon.com/vpn/latest/s2svpn/your-cgw.html"
);
source!(
    PRACTICE,
    "Site-to-Site VPN: best practices for a customer gateway",
    "https://docs.aws.amazon.com/vpn/latest/s2svpn/cgw-best-practice.html"
);
source!(QUOTAS, "Site-to-Site VPN: quotas", "https://docs.aws.amazon.com/vpn/latest/s2svpn/vpn-limits.html");
source!(
    CLOUDWATCH,
    "Site-to-Site VPN: CloudWatch",
    "https://docs.aws.amazon.com/vpn/latest/s2svpn/monitoring-cloudwatch-vpn.html"
);
source!(
    HEALTH,
    "Site-to-Site VPN: AWS Health events",
    "https://docs.aws.amazon.com/vpn/latest/s2svpn/monitoring-vpn-health-events.html"
);
source!(CLOUDHUB, "Site-to-Site VPN: CloudHub", "https://docs.aws.amazon.com/vpn/latest/s2svpn/VPN_CloudHub.html");
source!(
    TGW,
    "Transit gateways: how they work",
    "https://docs.aws.amazon.com/vpc/latest/tgw/how-transit-gateways-work.html"
);
source!(
    VPC_ROUTES,
    "VPC: route priority",
    "https://docs.aws.amazon.com/vpc/latest/userguide/route-tables-priority.html"
);
source!(VPC_QUOTAS, "VPC: quotas", "https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html");
source!(
    DX_BGP,
    "Direct Connect: BGP settings",
    "https://docs.aws.amazon.com/directconnect/latest/UserGuide/bgp-specific-settings.html"
);
source!(
    DX_JUMBO,
    "Direct Connect: jumbo frames",
    "https://docs.aws.amazon.com/directconnect/latest/UserGuide/set-jumbo-frames-vif.html"
);
source!(RFC_IKE_ALGORITHMS, "RFC 8247: algorithms of IKEv2", "https://www.rfc-editor.org/rfc/rfc8247");
source!(RFC_ESP_ALGORITHMS, "RFC 8221: algorithms of ESP", "https://www.rfc-editor.org/rfc/rfc8221");
source!(RFC_IKEV1, "RFC 9395: IKEv1 is deprecated", "https://www.rfc-editor.org/rfc/rfc9395");
source!(RFC_KEEPALIVE, "RFC 3948, section 4: NAT keepalives", "https://www.rfc-editor.org/rfc/rfc3948#section-4");
source!(
    RFC_URPF,
    "RFC 3704, section 2.2: strict reverse path forwarding",
    "https://www.rfc-editor.org/rfc/rfc3704#section-2.2"
);
source!(RFC_BGP, "RFC 4271, section 4.2: hold time", "https://www.rfc-editor.org/rfc/rfc4271#section-4.2");
source!(RFC_GRACEFUL, "RFC 4724: graceful restart of BGP", "https://www.rfc-editor.org/rfc/rfc4724");
source!(RFC_IKE, "RFC 7296: IKEv2", "https://www.rfc-editor.org/rfc/rfc7296");

use Severity::{High, Low, Medium};

pub(super) const ENDS_DO_NOT_FIT: Rule = rule("ends_do_not_fit", High, &[RFC_IKE, OPTIONS], "wrong_proposal");
pub(super) const NO_COMMON_PFS_GROUP: Rule =
    rule("no_common_pfs_group", High, &[RFC_IKE, CUSTOMER], "pfs_mismatch_at_rekey");
pub(super) const NOBODY_CALLS: Rule = rule("nobody_calls", High, &[INITIATION], "dpd_clear");
pub(super) const STATIC_VPN_BESIDE_DX: Rule = rule("static_vpn_beside_dx", High, &[TGW], "static_beats_dx_on_tgw");
pub(super) const STATE_BOUND_TO_TUNNEL: Rule =
    rule("firewall_state_bound_to_tunnel", High, &[PRIORITY, TGW], "ecmp_stateful_firewall_vgw");
pub(super) const STRICT_REVERSE_PATH: Rule =
    rule("strict_reverse_path", High, &[RFC_URPF, PRIORITY], "asymmetric_urpf");
pub(super) const NAT_FORGETS: Rule = rule("nat_forgets_before_keepalive", High, &[RFC_KEEPALIVE], "nat_timeout_idle");
pub(super) const SITE_INSIDE_VPC: Rule = rule("site_overlaps_vpc", High, &[VPC_ROUTES], "overlapping_vpc_and_site");
pub(super) const CLEAR_TEXT: Rule = rule("packets_in_clear", High, &[RFC_ESP_ALGORITHMS], "null_encryption");
pub(super) const SAME_ASN: Rule = rule("sites_share_asn", High, &[CLOUDHUB], "cloudhub_duplicate_asn");
pub(super) const ONE_TUNNEL: Rule =
    rule("one_tunnel", Medium, &[RESILIENCE, REPLACEMENT], "single_tunnel_over_an_hour");
pub(super) const ONE_CUSTOMER_GATEWAY: Rule = rule("one_customer_gateway", Medium, &[REDUNDANT], "two_cgw_one_site");
pub(super) const SINGLE_POINT: Rule = rule("single_point_of_failure", Medium, &[RESILIENCE], "multi_region");
pub(super) const PREPENDING_BEATS_MED: Rule =
    rule("prepending_defeats_med", Medium, &[PRIORITY, UPDATES], "prepend_active_passive");
pub(super) const LOCAL_PREFERENCE_BEATS_MED: Rule =
    rule("local_preference_defeats_med", Medium, &[UPDATES, PRIORITY], "tunnel_endpoint_replacement");
pub(super) const WEAK_SUITE: Rule =
    rule("weak_suite", Medium, &[OPTIONS, RFC_IKE_ALGORITHMS, RFC_ESP_ALGORITHMS], "wrong_proposal");
pub(super) const IKEV1: Rule = rule("ikev1", Medium, &[RFC_IKEV1], "ikev1_active_passive");
pub(super) const DEFAULT_ROUTE: Rule = rule("default_route_to_tgw", Medium, &[VPC_ROUTES, TGW], "default_route_on_tgw");
pub(super) const NOBODY_CHECKS: Rule = rule("dpd_none_on_static", Medium, &[OPTIONS], "dpd_none");
pub(super) const NOBODY_CALLS_AGAIN: Rule = rule("nobody_calls_again", Medium, &[OPTIONS, INITIATION], "dpd_clear");
pub(super) const ROUTE_OUTLIVES_TUNNEL: Rule =
    rule("route_outlives_tunnel", Medium, &[CUSTOMER], "profile_strongswan_bird");
pub(super) const DX_WITHOUT_BFD: Rule = rule("dx_without_bfd", Medium, &[DX_BGP], "dx_bfd");
pub(super) const GRACEFUL_AND_BFD: Rule =
    rule("graceful_restart_with_bfd", Medium, &[DX_BGP, RFC_GRACEFUL], "graceful_restart_vs_bfd");
pub(super) const SLOW_HOLD_TIMER: Rule = rule("slow_hold_timer", Medium, &[CUSTOMER, RFC_BGP], "hold_timer_sweep");
pub(super) const NO_MSS_CLAMP: Rule = rule("no_mss_clamp", Medium, &[PRACTICE], "mtu_blackhole_and_clamp");
pub(super) const JUMBO_BEFORE_VPN: Rule =
    rule("jumbo_dx_before_vpn", Medium, &[DX_JUMBO, PRACTICE], "jumbo_dx_to_vpn_failover");
pub(super) const MISSED_ZONE: Rule = rule("attachment_misses_zone", Medium, &[TGW], "appliance_mode");
pub(super) const SITES_OVERLAP: Rule = rule("sites_overlap", Medium, &[PRIORITY], "overlapping_cidrs_two_sites");
pub(super) const AWS_CALLS_A_NAT: Rule = rule("aws_calls_a_nat", Low, &[INITIATION], "cgw_behind_nat");
pub(super) const LIFETIMES_DIFFER: Rule = rule("lifetimes_differ", Low, &[OPTIONS], "azure_peer");
pub(super) const NEAR_PREFIX_LIMIT: Rule = rule("near_prefix_limit", Low, &[QUOTAS], "max_prefix_exceeded");
pub(super) const NEAR_ROUTE_LIMIT: Rule =
    rule("near_propagated_route_limit", Low, &[VPC_QUOTAS], "vpc_100_propagated_routes");
pub(super) const NO_ALARM: Rule = rule("no_tunnel_alarm", Low, &[CLOUDWATCH, HEALTH], "tunnel_down_alarm");

/// Every piece of advice that there is, the gravest first.
pub const RULES: [Rule; 33] = [
    ENDS_DO_NOT_FIT,
    NO_COMMON_PFS_GROUP,
    NOBODY_CALLS,
    STATIC_VPN_BESIDE_DX,
    STATE_BOUND_TO_TUNNEL,
    STRICT_REVERSE_PATH,
    NAT_FORGETS,
    SITE_INSIDE_VPC,
    CLEAR_TEXT,
    SAME_ASN,
    ONE_TUNNEL,
    ONE_CUSTOMER_GATEWAY,
    SINGLE_POINT,
    PREPENDING_BEATS_MED,
    LOCAL_PREFERENCE_BEATS_MED,
    WEAK_SUITE,
    IKEV1,
    DEFAULT_ROUTE,
    NOBODY_CHECKS,
    NOBODY_CALLS_AGAIN,
    ROUTE_OUTLIVES_TUNNEL,
    DX_WITHOUT_BFD,
    GRACEFUL_AND_BFD,
    SLOW_HOLD_TIMER,
    NO_MSS_CLAMP,
    JUMBO_BEFORE_VPN,
    MISSED_ZONE,
    SITES_OVERLAP,
    AWS_CALLS_A_NAT,
    LIFETIMES_DIFFER,
    NEAR_PREFIX_LIMIT,
    NEAR_ROUTE_LIMIT,
    NO_ALARM,
];
