//! Every noun of what the simulator promises to know of AWS and of the premises, and what shows that it does: an expectation of a scenario
//! that a control breaks, so that the noun's rule, switched off, is missed (`library.rs` runs each control); or a test of a law by its name.
//!
//! `scenario:expectation` is an expectation of `scenarios/` with a control; `file.rs::test` is a test under `sim-scenarios/tests`.

use std::fs;

mod shared;

/// A noun, and what shows it.
type Noun = (&'static str, &'static [&'static str]);

const TRANSIT_GATEWAY: &[Noun] = &[
    ("VPC attachment", &["transit_tgw_egress_vpc:icmp_gets_through"]),
    ("VPN attachment", &["tgw_ecmp_four_tunnels:over_2b"]),
    ("Direct Connect gateway attachment", &["dx_primary_vpn_backup_tgw:site_over_dx"]),
    (
        "peering attachment, within a Region and between two",
        &["tgw_intra_and_inter_region_peering:far_reached", "tgw_intra_and_inter_region_peering:near_reached"],
    ),
    (
        "Connect attachment, over Direct Connect and over a VPC",
        &["tgw_connect_gre:first_session", "tgw_connect_sdwan:second_session"],
    ),
    ("VPN Concentrator", &["vpn_concentrator:not_balanced", "vpn_concentrator:by_packets"]),
    (
        "5,000 attachments",
        &["large.rs::tgw_5000_attachments", "large.rs::five_thousand_attachments_and_more_on_request"],
    ),
    ("appliance mode", &["appliance_mode:all_in_the_mode", "appliance_mode:none_opens_across"]),
    (
        "one subnet per availability zone",
        &["appliance_mode:no_subnet_no_way", "laws/tgw.rs::an_attachment_has_one_subnet_in_each_zone"],
    ),
    ("VPCs of its own Region only", &["laws/tgw.rs::a_gateway_attaches_vpcs_of_its_own_region"]),
    ("association", &["transit.rs::tables_hold_what_is_propagated_into_them_and_entered_by_hand"]),
    ("propagation", &["transit.rs::tables_hold_what_is_propagated_into_them_and_entered_by_hand"]),
    ("blackhole", &["transit.rs::a_blackhole_takes_its_part_of_a_broader_route"]),
    ("ECMP over VPN connections", &["ecmp_conditions:balanced", "tgw_ecmp_four_tunnels:balanced"]),
    ("MTU 8500 and 1500", &["jumbo_dx_to_vpn_failover:all_before", "jumbo_dx_to_vpn_failover:never_so_large"]),
    ("MSS clamping", &["laws/tgw.rs::a_transit_gateway_clamps_the_mss"]),
    (
        "throughput and packet-rate limits of a tunnel",
        &["laws/vpn.rs::a_tunnel_carries_1_25_gbit_and_140_000_packets_a_second"],
    ),
    ("hard quota", &["max_prefix_exceeded:up_and_down", "vpc_100_propagated_routes:and_no_more"]),
    ("adjustable quota", &["laws/vpc.rs::fifty_routes_in_a_table_and_up_to_a_thousand_on_request"]),
];

const DIRECT_CONNECT: &[Noun] = &[
    ("location", &["laws/dx.rs::a_location_of_the_region_comes_before_as_path"]),
    (
        "connection of 1 to 400 Gbit/s, and hosted",
        &["laws/dx.rs::a_connection_has_one_of_these_speeds_and_so_many_virtual_interfaces"],
    ),
    ("LAG by LACP's timers", &["dx_lag_member_loss:on_the_other_line"]),
    ("minimum links", &["dx_lag_member_loss:vpn_carries"]),
    ("private VIF", &["dx_primary_vpn_backup_vgw:before_static"]),
    ("another MTU of a VIF", &["dx_mtu_change:so_is_the_plant", "dx_mtu_change:large_after"]),
    ("transit VIF", &["dx_primary_vpn_backup_tgw:over_dx"]),
    ("public VIF", &["vpn_over_public_vif:answers"]),
    (
        "Direct Connect gateway with allowed prefixes",
        &["dxgw_allowed_prefixes:refused", "dxgw_allowed_prefixes:to_vpc3"],
    ),
    ("no-transit rules", &["dxgw_no_transit:gateway_to_gateway", "laws/dx.rs::each_refusal_is_a_rule_of_its_own"]),
    ("SiteLink", &["sitelink:a_hears_b"]),
    ("BGP 90/30", &["dx_primary_vpn_backup_vgw:dark_90", "dx_primary_vpn_backup_vgw:dark_3"]),
    ("MD5", &["dx_primary_vpn_backup_vgw:before_static"]),
    ("BFD 300 ms x 3", &["dx_bfd:dark", "dx_bfd:by_bfd"]),
    ("StartBgpFailoverTest", &["dx_failover_test:vpn_carries"]),
    ("Direct Connect primary, VPN backup on a VGW", &["dx_primary_vpn_backup_vgw:static_then"]),
    ("Direct Connect primary, VPN backup on a TGW", &["dx_primary_vpn_backup_tgw:vpn_carries"]),
    ("pinned overlay tunnels", &["dx_pinned_overlay:dark_for_the_tunnel_s_hold_time"]),
    ("unpinned overlay tunnels", &["dx_unpinned_overlay:moved_to_line_2"]),
    ("private IP VPN", &["private_ip_vpn:tunnel_up"]),
    ("VPN over a public VIF", &["vpn_over_public_vif:tunnel_up"]),
    ("acceleration, not over a public VIF", &["laws/dx.rs::acceleration_is_not_for_public_virtual_interfaces"]),
    (
        "jumbo frames by propagated routes only",
        &["laws/dx.rs::a_static_route_to_a_virtual_private_gateway_carries_no_jumbo_frames"],
    ),
];

const VPN: &[Noun] = &[
    ("VGW", &["vgw_never_balances:over_two"]),
    ("TGW", &["ecmp_conditions:in_two"]),
    ("accelerated", &["accelerated_vs_internet:edge_loses_less"]),
    (
        "forced NAT traversal and rekeys by the customer",
        &["laws/settings.rs::an_accelerated_connection_is_udp_only", "accelerated_vs_internet:the_customer_rekeys"],
    ),
    ("CloudHub without a VPC", &["cloudhub_without_vpc:1_hears_of_no_vpc"]),
    ("CloudHub", &["cloudhub:1_hears_of_3", "cloudhub_duplicate_asn:3_hears_nothing_of_1", "cloudhub_dx:vpn_then"]),
    ("software VPN on an instance", &["software_vpn_ha:route_replaced"]),
    ("EC2 instance as customer gateway behind its elastic IP", &["ec2_as_customer_gateway:both_ways"]),
    ("Client VPN: client CIDR", &["laws/client.rs::a_client_cidr_is_so_large_and_overlaps_nothing"]),
    (
        "Client VPN: associations in two zones",
        &["client_vpn_split_tunnel:dark", "laws/client.rs::associations_are_in_zones_of_their_own"],
    ),
    ("Client VPN: SNAT at the ENI", &["laws/client.rs::clients_come_in_the_name_of_the_association"]),
    ("Client VPN: a route per association", &["laws/client.rs::each_association_has_routes_of_its_own"]),
    (
        "Client VPN: authorisation by group and prefix",
        &["client_vpn_denied:not_his_group", "client_vpn_denied:no_rule"],
    ),
    ("Client VPN: split and full tunnel", &["laws/client.rs::a_full_tunnel_takes_everything"]),
    (
        "Client VPN: directory, SAML, certificate, MFA",
        &[
            "client_vpn_denied:password",
            "client_vpn_denied:saml",
            "client_vpn_denied:revoked",
            "client_vpn_denied:second_factor",
        ],
    ),
    (
        "IPv6 outside",
        &[
            "ipv6_outside_tgw:an_octet_more",
            "ipv6_outside_tgw:told",
            "laws/ipv6_outside.rs::the_longest_packet_fills_the_path_by_ipv6",
        ],
    ),
    ("IPv6 inside", &["ipv6_inside_tgw:learned", "ipv6_inside_tgw:no_ipv4"]),
    (
        "one family for a connection, /126 inside",
        &["laws/ipv6.rs::a_connection_carries_one_family", "laws/ipv6.rs::an_inside_ipv6_cidr_is_a_126_out_of_fd00"],
    ),
    ("never on a VGW", &["laws/ipv6.rs::a_virtual_private_gateway_carries_no_ipv6"]),
    (
        "packet-too-big and the IPv6 MSS column",
        &["ipv6_inside_tgw:downloads", "laws/ipv6.rs::the_ipv6_mss_column_end_to_end"],
    ),
    ("two customer gateways of a site", &["two_cgw_one_site:office_moves"]),
    ("several sites", &["overlapping_cidrs_two_sites:then_b"]),
    ("several Regions", &["multi_region:frankfurt_is_dark"]),
    ("Azure as the peer", &["azure_peer:aws_rekeys"]),
    ("Google Cloud as the peer", &["gcp_peer:aws_rekeys"]),
];

const VPC: &[Noun] = &[
    ("subnet", &["subnet_route_tables:database_is_not_heard"]),
    ("availability zone", &["endpoint_power_loss:dark"]),
    ("main route table", &["subnet_route_tables:app_answers"]),
    ("edge table", &["vgw_edge_middlebox:dark"]),
    ("internet gateway", &["transit_igw:app_reaches_the_internet"]),
    ("NAT gateway: 350 s, then RST", &["nat_gateway_idle:rarely_is_reset", "nat_gateway_idle:often_is_served"]),
    (
        "NAT gateway: 55,000 ports",
        &[
            "laws/vpc.rs::a_nat_gateway_has_55_000_flows_to_each_destination",
            "laws/vpc.rs::a_nat_gateway_has_55_000_flows_of_each_address",
        ],
    ),
    ("NAT instance", &["onprem_to_internet_via_nat_instance:tcp_gets_through"]),
    ("source/destination check", &["transit_nat_instance:checked"]),
    ("peering", &["transit_peering:peers_reach_each_other"]),
    ("gateway endpoint", &["transit_gateway_endpoint:app_reaches_s3"]),
    ("internal NLB", &["third_party_private_egress:proxy_costs", "third_party_private_egress:no_order_is_lost"]),
    ("interface endpoint, PrivateLink", &["transit_interface_endpoint:office_reaches_s3"]),
    (
        "Route 53 Resolver forwarding, private zones",
        &[
            "resolver_rules:not_from_outside",
            "resolver_rules:corp_few",
            "laws/dns.rs::the_most_specific_decides_and_a_rule_before_a_zone",
        ],
    ),
    (
        "PrivateLink behind an NLB",
        &["privatelink_behind_nlb:outside_is_served", "privatelink_behind_nlb:inside_is_served"],
    ),
    ("security group", &["sg_untracked_flow:nothing_begins"]),
    ("connection tracking with its timers", &["laws/vpc.rs::timers_of_connection_tracking_have_ranges"]),
    ("connection tracking allowance", &["connection_tracking_allowance:ten_wait"]),
    ("untracked flow", &["sg_untracked_flow:untracked_ends"]),
    ("network ACL", &["nacl_ephemeral:answers_die"]),
    ("middlebox", &["vgw_edge_middlebox:gone"]),
    ("transit rule: internet gateway", &["transit_igw:refused"]),
    ("transit rule: NAT gateway", &["transit_nat_gateway:refused"]),
    ("transit rule: peering", &["transit_peering:refused"]),
    ("transit rule: gateway endpoint", &["transit_gateway_endpoint:refused"]),
    ("transit rule: interface endpoint", &["transit_interface_endpoint:and_by_udp"]),
    ("transit rule: NAT instance by routing", &["transit_nat_instance:refused"]),
    ("transit rule: NAT instance addressed itself", &["onprem_to_internet_via_nat_instance:udp_gets_through"]),
    (
        "transit rule: TGW egress VPC",
        &["transit_tgw_egress_vpc:tcp_gets_through", "transit_tgw_nat_gateway:tcp_gets_through"],
    ),
];

const PREMISES: &[Noun] = &[
    (
        "strict state per interface",
        &["ecmp_stateful_firewall_vgw:half_fail", "laws/firewall.rs::strict_state_fails_all_flows_but_one_in_n"],
    ),
    ("state per zone", &["laws/firewall.rs::profiles_differ_in_what_state_is_bound_to"]),
    ("asymmetric routing allowed", &["active_active_static:web_gives_up"]),
    ("strict sequence numbers and loose pickup", &["laws/firewall.rs::failover_moves_flows_that_state_may_hold_back"]),
    ("reset on a miss, or silence", &["laws/firewall.rs::flows_survive_stall_or_are_reset"]),
    ("timeouts of a firewall", &["laws/firewall.rs::idle_flows_are_forgotten"]),
    ("session sync between firewalls", &["two_firewalls_one_site:all_work"]),
    ("NAT", &["cgw_behind_nat:nothing_forgotten"]),
    ("NAT with state for each tunnel", &["nat_per_tunnel:for_want_of_a_mapping"]),
    (
        "VRRPv3",
        &[
            "ha_firewall_takeover:dark",
            "laws/lan.rs::a_backup_takes_over_three_intervals_and_a_skew_time_after_the_last_advertisement",
        ],
    ),
    ("gratuitous ARP over Ethernet", &["ha_firewall_takeover:announced"]),
    ("VLAN", &["laws/lan.rs::vlans_hear_nothing_of_each_other"]),
    ("LAN failure", &["laws/lan.rs::a_cut_cable_moves_one_side_alone"]),
    ("loss of a LAN", &["breakage.rs::a_gateway_that_announces_a_lan_it_has_lost_is_found"]),
    ("IP SLA", &["tracked_static:by_ping", "vrrp_ip_sla:by_sla"]),
    ("vendor presets of firewalls", &["laws/firewall.rs::profiles_differ_in_what_state_is_bound_to"]),
];

const APPLICATIONS: &[Noun] = &[
    ("TCP flows: connect rate, bulk, long idle", &["laws/firewall.rs::flows_survive_stall_or_are_reset"]),
    ("UDP probes and calls", &["ecmp_one_return:one_goes_out_by_b"]),
    ("DNS", &["resolver_rules:kept_all", "resolver_rules:live_few", "resolver_rules:orders"]),
    ("five-tuples for ECMP", &["tgw_ecmp_four_tunnels:flow_5_is_on_it"]),
    ("application outage", &["ecmp_stateful_firewall_vgw:web_gives_up"]),
    ("ECMP drops", &["ecmp_stateful_firewall_vgw:half_fail", "ecmp_stateful_firewall_tgw:by_a_half_fail"]),
];

const MAINTENANCE: &[Noun] = &[
    ("tunnel endpoint replacement", &["tunnel_endpoint_replacement:unharmed"]),
    (
        "MED lowered on the survivor",
        &["laws/telemetry.rs::the_other_tunnel_has_the_lower_med_before_an_endpoint_is_replaced"],
    ),
    (
        "startup action after a replacement",
        &["laws/telemetry.rs::after_a_replacement_aws_calls_only_if_the_startup_action_says_so"],
    ),
    ("lifecycle control", &["tunnel_maintenance_waits:moved_before", "tunnel_maintenance_waits:nothing_yet"]),
    (
        "option changes",
        &[
            "laws/telemetry.rs::changed_options_take_one_tunnel_down",
            "laws/telemetry.rs::changed_options_of_a_connection_take_both_tunnels_down",
        ],
    ),
    ("rotation of pre-shared keys", &["psk_rotation:the_keys_fit"]),
    (
        "CloudTrail events and Config items",
        &[
            "laws/telemetry.rs::changed_options_leave_a_call_and_two_items",
            "laws/telemetry.rs::a_changed_route_is_two_calls_and_four_items",
        ],
    ),
    ("CreateRoute, ReplaceRoute, DeleteRoute", &["route_changed_too_early:dark", "route_changed_too_early:by_hand"]),
    (
        "static routes of a transit gateway changed by hand",
        &[
            "static_routes_moved_by_hand:aws_waits",
            "static_routes_moved_by_hand:then",
            "laws/routes.rs::a_changed_route_of_a_transit_gateway_is_a_call",
        ],
    ),
    (
        "UpdateVirtualInterfaceAttributes",
        &[
            "laws/dx_changes.rs::another_mtu_disrupts_all_virtual_interfaces_of_the_connection",
            "laws/dx_changes.rs::site_link_is_switched_by_a_session_that_is_reset",
        ],
    ),
    (
        "CreateVpnConnectionRoute, DeleteVpnConnectionRoute",
        &["static_route_of_a_new_network:entered", "static_route_of_a_new_network:propagated"],
    ),
];

const TELEMETRY: &[Noun] = &[
    ("TunnelState", &["laws/telemetry.rs::tunnel_state_of_a_bgp_tunnel_is_its_session_s", "tunnel_down_alarm:a_rings"]),
    (
        "TunnelState of a connection: 0.5",
        &["laws/telemetry.rs::tunnel_state_of_a_connection_is_the_mean_of_its_tunnels"],
    ),
    ("TunnelDataIn, TunnelDataOut", &["laws/telemetry.rs::tunnel_data_is_what_is_inside_the_tunnel"]),
    ("AWS/TransitGateway", &["laws/telemetry.rs::a_transit_gateway_counts_by_attachment"]),
    (
        "AWS/DX",
        &[
            "dx_silent_line_alarm:rings",
            "dx_silent_line_alarm:lit",
            "dx_silent_line_alarm:egress",
            "dx_silent_line_alarm:ingress",
            "dx_silent_line_alarm:accepted",
            "dx_silent_line_alarm:advertised",
        ],
    ),
    (
        "alarm with period and evaluation",
        &["tunnel_down_alarm:a_rings", "laws/telemetry.rs::alarms_ring_and_clear_at_the_evaluations_that_are_foretold"],
    ),
    ("SNS notification", &["tunnel_down_alarm:once"]),
    ("Health event: endpoint replacement", &["laws/telemetry.rs::a_replacement_is_told_of_when_it_is_over"]),
    (
        "Health event: single tunnel",
        &["single_tunnel_over_an_hour:alarmed", "laws/telemetry.rs::a_single_tunnel_is_told_of_after_an_hour_in_a_day"],
    ),
    ("VPC flow logs", &["flow_logs_of_drops:premises_accept", "flow_logs_of_drops:group_rejects"]),
    ("TGW flow logs", &["laws/flow_logs.rs::a_transit_gateway_logs_by_attachment"]),
    ("PacketLoss and TunnelLatency, ours", &["laws/telemetry.rs::packet_loss_is_that_of_the_path"]),
];

const BUILT: &[&[Noun]] = &[TRANSIT_GATEWAY, DIRECT_CONNECT, VPN, VPC, PREMISES, APPLICATIONS, MAINTENANCE, TELEMETRY];

/// The names of the expectations of a scenario that a control breaks.
fn controlled(name: &str) -> Option<Vec<String>> {
    let (_, text) = shared::texts().into_iter().find(|(it, _)| it == name)?;
    let scenario = shared::parse(name, &text);
    let plan = scenario.plan();
    Some(plan.controls.iter().map(|control| plan.expectations[control.fails].name.clone()).collect())
}

/// What is wrong with what is said to show a noun.
fn trouble(noun: &str, shown: &str) -> Option<String> {
    if let Some((file, test)) = shown.split_once("::") {
        let text = fs::read_to_string(shared::repository("sim-scenarios/tests").join(file)).unwrap_or_default();
        return (!text.contains(&format!("#[test]\nfn {test}()"))).then(|| format!("{noun}: there is no test {shown}"));
    }
    let Some((name, expectation)) = shown.split_once(':') else {
        return Some(format!("{noun}: {shown} names no expectation"));
    };
    match controlled(name) {
        None => Some(format!("{noun}: there is no scenario {name}")),
        Some(named) if named.iter().any(|it| it == expectation) => None,
        Some(named) => Some(format!("{noun}: no control of {name} breaks `{expectation}`, but {}", named.join(", "))),
    }
}

#[test]
fn every_noun_is_missed_when_its_rule_is_off() {
    let all = BUILT.iter().flat_map(|table| table.iter());
    let wrong: Vec<String> = all
        .flat_map(|(noun, shown)| {
            assert!(!shown.is_empty(), "{noun}");
            shown.iter().filter_map(|it| trouble(noun, it))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
