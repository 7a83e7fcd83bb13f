use super::*;
use crate::{NoSecrets, Scenario};

const BGP: &str = include_str!("../../../scenarios/active_passive.ron");
const STATIC: &str = include_str!("../../../scenarios/static_active_passive.ron");

fn scenario(text: &str, changes: &[&str]) -> Scenario {
    let scenario = Scenario::parse("scenario.ron", text, &NoSecrets).expect("it makes sense");
    scenario.with(changes, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn order(scenario: &Scenario) -> Order<'_> {
    let tunnels = find(scenario.plan(), "vpn", None).expect("there is a connection vpn");
    Order { plan: scenario.plan(), tunnels, doors: None, local: None, policy_based: false, redact: false }
}

fn written(text: &str, changes: &[&str], format: Format) -> Export {
    export(&order(&scenario(text, changes)), format)
}

const FORMATS: [Format; 5] = [Format::AwsXml, Format::Swanctl, Format::Libreswan, Format::Bird, Format::Frr];

/// One suite for each tunnel, so that the texts are as short as those of a real site.
const SITE: [&str; 13] = [
    "connections.vpn.tunnels.a.pre_shared_key=correct.horse.battery",
    "connections.vpn.tunnels.a.phase1.encryption=[\"AES256-GCM-16\"]",
    "connections.vpn.tunnels.a.phase1.integrity=[\"SHA2-384\"]",
    "connections.vpn.tunnels.a.phase1.dh_groups=[20]",
    "connections.vpn.tunnels.a.phase2.encryption=[\"AES256-GCM-16\"]",
    "connections.vpn.tunnels.a.phase2.dh_groups=[20]",
    "connections.vpn.tunnels.b.pre_shared_key=another_secret_altogether",
    "connections.vpn.tunnels.b.phase1.encryption=[\"AES128\"]",
    "connections.vpn.tunnels.b.phase1.integrity=[\"SHA1\"]",
    "connections.vpn.tunnels.b.phase1.dh_groups=[2]",
    "connections.vpn.tunnels.b.phase2.encryption=[\"AES128\"]",
    "connections.vpn.tunnels.b.phase2.integrity=[\"SHA1\"]",
    "connections.vpn.tunnels.b.phase2.dh_groups=[2]",
];

#[test]
fn each_format_reads_well() {
    for format in FORMATS {
        let export = written(BGP, &SITE, format);
        let secrets = export.secrets.unwrap_or_default();
        insta::assert_snapshot!(format!("{format:?}"), format!("{}{secrets}", export.text));
    }
}

/// Static routes are a matter of the routing program, and AWS's file says that there is no BGP.
#[test]
fn static_routes_are_written_where_they_belong() {
    for format in [Format::Bird, Format::Frr] {
        insta::assert_snapshot!(format!("static_{format:?}"), written(STATIC, &[], format).text);
    }
    let xml = written(STATIC, &[], Format::AwsXml).text;
    assert!(xml.contains("<vpn_connection_attributes>NoBGPVPNConnection<"), "{xml}");
    assert!(!xml.contains("<bgp>"), "{xml}");
    let swanctl = written(STATIC, &[], Format::Swanctl).text;
    assert!(swanctl.contains("#     ip route add 10.0.0.0/16 dev ipsec1 metric "), "{swanctl}");
}

/// The XML as a program reads it, against the plan.
#[test]
fn the_xml_reads_back_as_it_was_meant() {
    let scenario = scenario(BGP, &SITE);
    let order = order(&scenario);
    let text = export(&order, Format::AwsXml).text;
    let read: aws_xml::VpnConnection = quick_xml::de::from_str(&text).expect("it is well-formed");
    assert_eq!(read, aws_xml::document(&Site::of(&order), &mut Remarks::default()));
    let connection = &scenario.plan().connections[0];
    assert_eq!((read.id.as_str(), read.ipsec_tunnel.len()), ("vpn", 2));
    for (read, tunnel) in read.ipsec_tunnel.iter().zip(&connection.tunnels) {
        let ends = [
            (&read.vpn_gateway, tunnel.aws_outside, tunnel.aws_inside),
            (&read.customer_gateway, tunnel.customer_registered, tunnel.customer_inside),
        ];
        for (end, outside, inside) in ends {
            assert_eq!(end.tunnel_outside_address.ip_address, outside);
            assert_eq!(end.tunnel_inside_address.ip_address, inside);
        }
        assert_eq!(read.ike.pre_shared_key.as_bytes(), tunnel.customer.psk.expose());
    }
    let a = &read.ipsec_tunnel[0];
    assert_eq!(
        (a.ike.encryption_protocol.as_str(), a.ike.perfect_forward_secrecy.as_str()),
        ("aes-256-gcm-16", "group20")
    );
    assert_eq!((a.ipsec.lifetime, a.ike.lifetime), (3_600, 28_800));
}

/// AWS's own sample of the file (fixture of Batfish, 2017) has these values; here they come from AWS's defaults.
#[test]
fn awss_defaults_are_those_of_awss_own_file() {
    let scenario = scenario(BGP, &[]);
    let order = order(&scenario);
    let document = aws_xml::document(&Site::of(&order), &mut Remarks::default());
    let aws_xml::IpsecTunnel { ike, ipsec, customer_gateway, .. } = &document.ipsec_tunnel[0];
    let told = [&ike.authentication_protocol, &ike.encryption_protocol, &ike.perfect_forward_secrecy, &ike.mode];
    assert_eq!(told, ["sha1", "aes-128-cbc", "group2", "main"]);
    let told =
        [&ipsec.protocol, &ipsec.authentication_protocol, &ipsec.encryption_protocol, &ipsec.perfect_forward_secrecy];
    assert_eq!(told, ["esp", "hmac-sha1-96", "aes-128-cbc", "group2"]);
    assert_eq!(ipsec.dead_peer_detection, Some(aws_xml::DeadPeerDetection { interval: 10, retries: 3 }));
    assert_eq!(customer_gateway.bgp.as_ref().map(|bgp| bgp.hold_time), Some(30));
}

/// What a format has no word for is named, beside the text and in it; and is not named when it is not said.
#[test]
fn what_cannot_be_said_is_named() {
    let a = |setting: &str| format!("connections.vpn.tunnels.a.{setting}");
    for (format, change, says) in [
        (Format::AwsXml, a("customer.rekey_fuzz=50%"), "vpn.a: rekey_fuzz 50% has no element"),
        (Format::AwsXml, a("customer.replay_window=64"), "vpn.a: replay_window 64 has no element"),
        (Format::AwsXml, a("customer.id=cgw.example"), "vpn.a: id cgw.example has no element"),
        (Format::AwsXml, a("customer.dpd_delay=7s"), "vpn.a: dpd_delay 7s and dpd_timeout 40s: "),
        (Format::Swanctl, a("customer.dpd_timeout=50s"), "vpn.a: dpd_timeout 50s is nothing to strongSwan with IKEv2"),
        (Format::Swanctl, a("customer.half_open_timeout=9s"), "charon { half_open_timeout = 9s }"),
        (Format::Swanctl, a("customer.nat_keepalive=0s"), "charon { keep_alive = 0s }"),
        (
            Format::Swanctl,
            a("customer.retransmission=[\"1s\",\"2s\",\"4s\"]"),
            "charon { retransmit_timeout = 1 retransmit_base = 2 retransmit_tries = 2 }",
        ),
        (Format::Swanctl, a("customer.rekey_margin=100.5s"), "rekey_margin 100.5s is written as 101s"),
        (Format::Swanctl, a("customer.local_cidr=10.1.0.0/16"), "leave out the inside addresses"),
        (Format::Swanctl, a("customer.retry=3s"), "vpn.a: retry 3s: strongSwan tries again at once"),
        (Format::Libreswan, a("customer.phase2.dh_groups=[22,14]"), "vpn.a: phase2.dh_groups 22: Libreswan 4 has no"),
        (Format::Libreswan, a("customer.phase1.dh_groups=[24]"), "no such groups, and there are no others"),
        (Format::Libreswan, a(ROUNDS), "phase1.additional_key_exchanges: Libreswan 4 has none; they are left out"),
        (Format::AwsXml, a(ROUNDS), "phase1.additional_key_exchanges (2) has no element"),
        (Format::Swanctl, a(ROUNDS), "phase1.additional_key_exchanges: they need strongSwan 6.0 or later"),
        (Format::Libreswan, a("customer.nat_keepalive=5s"), "`keep-alive=5` in `config setup`"),
        (Format::Bird, "connections.vpn.routing.customer.jitter=false".into(), "jitter false: BIRD shortens"),
        (
            Format::Bird,
            "connections.vpn.routing.customer.advertisement_interval=5s".into(),
            "advertisement_interval 5s: BIRD has no MinRouteAdvertisementInterval",
        ),
        (Format::Frr, "connections.vpn.routing.customer.idle_hold=77s".into(), "idle_hold 77s: FRR waits 1 s"),
    ] {
        let changed = written(BGP, &[&change], format);
        let named = |export: &Export| export.remarks.iter().any(|remark| remark.to_string().contains(says));
        assert!(named(&changed), "{format:?} {change}: {:#?}", changed.remarks);
        assert!(!named(&written(BGP, &[], format)), "{format:?} says {says:?} of a scenario that does not");
        let folded = changed.text.replace(['#', '!'], " ").split_whitespace().collect::<Vec<_>>().join(" ");
        let first = says.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(folded.contains(&first), "{format:?}: {says:?} is not in\n{}", changed.text);
    }
}

/// Two additional key exchanges of the customer gateway, the second by choice.
const ROUNDS: &str = "customer.phase1.additional_key_exchanges=[\
    (round: 2, key_exchange_methods: [37, 20], requirement: \"optional\"), (round: 1, key_exchange_methods: [36])]";

/// strongSwan 6's words for them, in the order of the rounds.
#[test]
fn strongswan_has_words_for_additional_key_exchanges() {
    let text = written(BGP, &[&format!("connections.vpn.tunnels.a.{ROUNDS}")], Format::Swanctl).text;
    let wanted = "-ke1_mlkem768-ke2_mlkem1024-ke2_ecp384-ke2_none";
    assert!(text.lines().any(|line| line.trim().starts_with("proposals = ") && line.contains(wanted)), "{text}");
}

/// Both daemons have MOBIKE, and only strongSwan has it unless it is told not to.
#[test]
fn mobike_is_as_the_scenario_says() {
    let change = "connections.vpn.tunnels.a.customer.mobike=true";
    for (format, with, without) in
        [(Format::Swanctl, "mobike = yes", Some("mobike = no")), (Format::Libreswan, "mobike=yes", None)]
    {
        let [changed, plain] = [&[change][..], &[]].map(|changes| written(BGP, changes, format).text);
        assert!(changed.contains(with), "{changed}");
        assert!(!plain.contains(with) && without.is_none_or(|said| plain.contains(said)), "{plain}");
    }
}

/// strongSwan draws the moment of a rekey as we do (swanctl.conf: `rand_time` is subtracted), so margin and fuzz need no remark.
#[test]
fn strongswan_rekeys_when_the_scenario_says() {
    let with =
        |change: &str| written(BGP, &[&format!("connections.vpn.tunnels.a.customer.{change}")], Format::Swanctl).text;
    let text = with("rekey_fuzz=50%");
    for line in
        ["rekey_time = 28530s", "rand_time = 135s", "over_time = 270s", "rekey_time = 3330s", "life_time = 3600s"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    // 3600 s less 1800 s, less up to 1800 s: never before a tenth of the life.
    assert!(with("rekey_margin=1800s").contains("rand_time = 1440s"));
}

/// Of several of a kind in one proposal, strongSwan's IKEv1 takes the first (swanctl.conf): each combination is its own.
#[test]
fn ikev1_has_every_combination_by_itself() {
    let changes = [
        "connections.vpn.tunnels.a.ike_versions=[\"ikev1\"]",
        "connections.vpn.tunnels.a.phase1.integrity=[\"SHA1\", \"SHA2-256\"]",
        "connections.vpn.tunnels.a.phase1.dh_groups=[2, 14]",
        "connections.vpn.tunnels.a.phase2.dh_groups=[2]",
    ];
    let text = written(BGP, &changes, Format::Swanctl).text;
    let line = |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)).expect("a line").to_owned();
    let combinations = [
        "aes128-sha1-modp1024",
        "aes128-sha1-modp2048",
        "aes128-sha256-modp1024",
        "aes128-sha256-modp2048",
        "aes256-sha1-modp1024",
        "aes256-sha1-modp2048",
        "aes256-sha256-modp1024",
        "aes256-sha256-modp2048",
    ];
    assert_eq!(line("proposals = "), combinations.join(", "), "and no AES-GCM, which IKEv1 has in phase 2 only");
    let esp = line("esp_proposals = ");
    assert_eq!(esp.split(", ").count(), 10);
    assert!(esp.ends_with("aes128gcm16-modp1024, aes256gcm16-modp1024"), "{esp}");
    assert_eq!(line("version = "), "1");
}

#[test]
fn only_a_text_that_needs_the_key_has_it_and_only_if_asked() {
    for format in FORMATS {
        let has = |redact: bool| {
            let scenario = scenario(BGP, &SITE);
            let export = export(&Order { redact, ..order(&scenario) }, format);
            assert!(!format!("{export:?}").contains("correct.horse"));
            export.text.contains("correct.horse") || export.secrets.is_some_and(|s| s.contains("correct.horse"))
        };
        let needs = matches!(format, Format::AwsXml | Format::Swanctl | Format::Libreswan);
        assert_eq!((has(false), has(true)), (needs, false), "{format:?}");
    }
}

#[test]
fn addresses_and_interfaces_are_the_hosts_choice() {
    let scenario = scenario(BGP, &SITE);
    let address = |last| Ipv4Addr::new(192, 0, 2, last);
    let door = |last, ike_port| Door { address: address(last), ike_port, nat_port: ike_port + 4_000 };
    let doors = Some(vec![door(1, 500), door(2, 10_500)]);
    let order = Order { doors, local: Some(address(9)), policy_based: true, ..order(&scenario) };
    let text = export(&order, Format::Swanctl).text;
    let count = |what: &str| text.lines().filter(|line| line.trim() == what).count();
    assert_eq!(count("local_addrs = 192.0.2.9"), 2);
    assert_eq!((count("remote_addrs = 192.0.2.1"), count("remote_addrs = 192.0.2.2")), (1, 1));
    // Port 500 is the default; with any other the device begins on that of NAT traversal.
    assert_eq!((text.matches("remote_port").count(), count("remote_port = 14500")), (1, 1));
    assert_eq!(count("id = 198.51.100.10"), 2, "AWS's identity stays: once expected, once for the key");
    assert!(!text.contains("if_id"));
    let takes_all = |export: Export| export.remarks.iter().any(|remark| remark.what.contains("takes all traffic"));
    assert!(takes_all(export(&order, Format::Swanctl)) && takes_all(export(&order, Format::Libreswan)));
    assert!(!takes_all(written(BGP, &SITE, Format::Swanctl)));
    let text = export(&order, Format::Libreswan).text;
    assert!(
        text.contains("left=192.0.2.9") && text.contains("rightikeport=14500") && !text.contains("ipsec-interface")
    );
}

#[test]
fn a_name_that_is_not_there_is_answered_with_one_that_is() {
    let scenario = scenario(BGP, &[]);
    let find = |connection, tunnel| find(scenario.plan(), connection, tunnel);
    assert_eq!(find("vpn", Some("b")).expect("it is there").len(), 1);
    let error = find("vnp", None).expect_err("it is not there");
    assert_eq!(error.to_string(), "there is no connection called `vnp`");
    assert_eq!(error.help.as_deref(), Some("did you mean `vpn`?"));
    let error = find("vpn", Some("c")).expect_err("it is not there");
    assert_eq!(error.to_string(), "`vpn` has no tunnel called `c`");
    assert!(error.help.is_some_and(|help| help.contains("possible: a, b")));
}

/// AWS's file has the customer gateway's address in any case.
#[test]
fn an_address_that_is_not_registered_is_named() {
    let text = include_str!("../../../scenarios/unregistered_address.ron");
    let named = |changes: &[&str]| {
        let export = written(text, changes, Format::AwsXml);
        assert!(export.text.contains("<ip_address>203.0.113.10</ip_address>"), "{}", export.text);
        export.remarks.iter().any(|remark| remark.what.starts_with("customer_address none: "))
    };
    assert!(named(&[]) && !named(&["connections.vpn.customer_address=203.0.113.10"]));
}

/// What a setting is about, and so which formats must have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum About {
    Ipsec,
    /// IPsec of a connection with static routing.
    Static,
    Bgp,
}

impl About {
    fn formats(self) -> [Format; 3] {
        match self {
            Self::Ipsec | Self::Static => [Format::AwsXml, Format::Swanctl, Format::Libreswan],
            Self::Bgp => [Format::AwsXml, Format::Bird, Format::Frr],
        }
    }
}

impl About {
    fn text(self) -> &'static str {
        if self == Self::Static { STATIC } else { BGP }
    }
}

/// For each setting of a customer gateway: a value that is not the default, and what else must be said for it.
const SETTINGS: [(&str, &str, &[&str], About); 61] = {
    use About::{Bgp, Ipsec, Static};
    [
        ("pre_shared_key", "yet.another.key", &[], Ipsec),
        ("authentication", "Certificate()", &["connections.vpn.tunnels.a.ike_versions=[\"ikev2\"]"], Ipsec),
        ("ike_versions", "[\"ikev2\"]", &[], Ipsec),
        ("id", "cgw.example", &[], Ipsec),
        ("expected_id", "aws.example", &[], Ipsec),
        ("local_cidr", "10.1.0.0/16", &[], Ipsec),
        ("remote_cidr", "10.0.0.0/16", &[], Ipsec),
        (
            "traffic_selectors",
            "[(local_cidr: \"10.1.0.0/16\", remote_cidr: \"10.0.0.0/16\")]",
            &["connections.vpn.tunnels.a.customer.ike_versions=[\"ikev2\"]"],
            Static,
        ),
        ("phase1.encryption", "[\"AES256\"]", &[], Ipsec),
        ("phase1.integrity", "[\"SHA2-512\"]", &[], Ipsec),
        ("phase1.dh_groups", "[21]", &[], Ipsec),
        ("phase1.additional_key_exchanges", "[(round: 1, key_exchange_methods: [36])]", &[], Ipsec),
        ("phase1.lifetime", "20000s", &[], Ipsec),
        ("phase2.encryption", "[\"AES256\"]", &[], Ipsec),
        ("phase2.integrity", "[\"SHA2-512\"]", &["connections.vpn.tunnels.a.phase2.encryption=[\"AES128\"]"], Ipsec),
        ("phase2.dh_groups", "[21]", &[], Ipsec),
        ("phase2.additional_key_exchanges", "[(round: 1, key_exchange_methods: [36])]", &[], Ipsec),
        ("phase2.lifetime", "3000s", &[], Ipsec),
        ("rekey_margin", "100s", &[], Ipsec),
        ("rekey_fuzz", "50%", &[], Ipsec),
        ("replay_window", "64", &[], Ipsec),
        ("dpd_delay", "7s", &[], Ipsec),
        ("dpd_timeout", "50s", &[], Ipsec),
        ("dpd_timeout_action", "none", &[], Ipsec),
        ("startup_action", "add", &[], Ipsec),
        ("retransmission", "[\"1s\", \"2s\"]", &[], Ipsec),
        ("half_open_timeout", "9s", &[], Ipsec),
        ("retry", "3s", &[], Ipsec),
        ("ike_fragmentation", "false", &[], Ipsec),
        ("ike_fragment_size", "700", &[], Ipsec),
        ("proposals", "one_by_one", &["connections.vpn.tunnels.a.phase1.dh_groups=[20, 21]"], Ipsec),
        ("reauthentication", "make_before_break", &[], Ipsec),
        (
            "reauthentication_time",
            "7h",
            &["connections.vpn.tunnels.a.customer.reauthentication=make_before_break"],
            Ipsec,
        ),
        ("mobike", "true", &[], Ipsec),
        ("invalid_cookie", "true", &[], Ipsec),
        ("nat_traversal", "force", &[], Ipsec),
        ("nat_keepalive", "5s", &[], Ipsec),
        ("extended_sequence_numbers", "preferred", &[], Ipsec),
        ("child_protocol", "ah", &[], Ipsec),
        ("df_bit", "set", &[], Ipsec),
        ("clear_df_bit", "true", &[], Ipsec),
        ("fragmentation", "after_encryption", &[], Ipsec),
        ("path_mtu_discovery", "false", &[], Ipsec),
        ("mss_clamping", "1300", &[], Ipsec),
        ("tfc_padding", "500", &[], Ipsec),
        ("dummy_interval", "1s", &[], Ipsec),
        ("rekey_packets", "1000", &[], Ipsec),
        ("last_sequence_number", "1000", &[], Ipsec),
        ("delete_rekeyed_delay", "5s", &[], Ipsec),
        ("reverse_path", "strict", &[], Ipsec),
        ("access_list", "{\"bgp\": (protocol: \"tcp\", port: 179)}", &[], Ipsec),
        ("md5_key", "a.key.of.its.own", &[], Bgp),
        ("multihop", "2", &[], Bgp),
        ("ttl_security", "1", &[], Bgp),
        ("max_prefixes", "(most: 50)", &[], Bgp),
        ("graceful_restart", "()", &[], Bgp),
        ("prepend", "2", &[], Bgp),
        ("med", "77", &[], Bgp),
        ("local_preference", "300", &[], Bgp),
        ("import_policy", "p", &["nodes.cgw.policies={\"p\": (otherwise: \"accept\")}"], Bgp),
        ("export_policy", "p", &["nodes.cgw.policies={\"p\": (otherwise: \"accept\")}"], Bgp),
    ]
};

/// The same of BGP's timers.
const TIMERS: [(&str, &str); 8] = [
    ("hold_time", "60s"),
    ("keepalive", "7s"),
    ("connect_retry", "50s"),
    ("idle_hold", "77s"),
    ("idle_hold_limit", "300s"),
    ("advertisement_interval", "5s"),
    ("jitter", "false"),
    ("poll", "3s"),
];

/// Names of all settings in a schema; those of a group are `GROUP.SETTING`.
fn settings_of<T: schemars::JsonSchema>() -> std::collections::BTreeSet<String> {
    let schema = schemars::schema_for!(T);
    let names = |schema: &serde_json::Value| -> Vec<String> {
        schema["properties"].as_object().map(|all| all.keys().cloned().collect()).unwrap_or_default()
    };
    let whole = schema.as_value();
    let phase: Vec<String> = names(&whole["$defs"]["Phase"]);
    let all = names(whole).into_iter().flat_map(|name| match name.as_str() {
        "phase1" | "phase2" => phase.iter().map(|of| format!("{name}.{of}")).collect(),
        _ => vec![name],
    });
    all.collect()
}

/// Nothing that a scenario can say of a customer gateway's tunnel is dropped in silence: it changes the configuration, or is
/// named as what that has no word for. A setting that the schema has and this table has not fails it.
#[test]
fn every_setting_is_mapped_or_named_in_every_format() {
    let mut known: std::collections::BTreeSet<String> = SETTINGS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    // Which is refused, so there is nothing to write.
    known.insert("bfd".to_owned());
    assert_eq!(known, settings_of::<crate::schema::CustomerEnd>(), "a customer gateway's settings");
    let timers: std::collections::BTreeSet<String> = TIMERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(timers, settings_of::<crate::schema::BgpTimers>(), "BGP's timers");
    let ends = SETTINGS.iter().map(|(name, value, with, about)| {
        (format!("connections.vpn.tunnels.a.customer.{name}={value}"), *with, *about)
    });
    let timers = TIMERS
        .iter()
        .map(|(name, value)| (format!("connections.vpn.routing.customer.{name}={value}"), &[][..], About::Bgp));
    let mut dropped = Vec::new();
    for (change, with, about) in ends.chain(timers) {
        for format in about.formats() {
            let base: Vec<&str> = SITE.iter().chain(with).copied().collect();
            let (before, after) = (written(about.text(), &base, format), {
                let changed: Vec<&str> = base.iter().copied().chain([change.as_str()]).collect();
                written(about.text(), &changed, format)
            });
            if before == after {
                dropped.push(format!("{format:?}: {change}"));
            }
        }
    }
    assert!(dropped.is_empty(), "neither mapped nor named:\n{}", dropped.join("\n"));
}
