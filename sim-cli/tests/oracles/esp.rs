//! strongSwan opposite what our ESP has beyond the common: extended sequence numbers, NULL encryption, and an outside of IPv6.
//!
//! strongSwan's IKE agrees to extended sequence numbers, but its user-space ESP has none and then refuses the SA, so packets
//! cross only where both ends settle on 32 bits. That ours are right with 64 is for vectors to say.

use std::net::Ipv4Addr;

use sim_core::crypto::dh::DhGroup;
use sim_core::crypto::prf::Prf;
use sim_core::crypto::suite::{Encryption, Integrity};
use sim_core::proto::ike::config::{Config, Esn, EspOffer, Identity, IkeOffer, Startup};
use sim_core::time::Duration;

use crate::gateway::{Gateway, INITIATE};
use crate::network::isolated;
use crate::pace::Clock;
use crate::process::expect;
use crate::strongswan::{OURS, OURS_V6, StrongSwan, THEIRS, THEIRS_V6, addresses};

const HOSTS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 1, 0, 1), Ipv4Addr::new(10, 2, 0, 1)];
const PSK: &str = "correct horse battery staple";
const LIMIT: Duration = Duration::from_secs(30);
const PINGS: u16 = 20;

/// What the two ends have, and what comes of it.
struct Case {
    encryption: Encryption,
    integrity: Option<Integrity>,
    esn: &'static [Esn],
    /// strongSwan's words for its side.
    proposal: &'static str,
    /// True if strongSwan begins.
    they_begin: bool,
    /// How strongSwan reports the CHILD_SA, on which packets then cross; `None`: there is none.
    report: Option<&'static str>,
    /// What its log says if there is none.
    log: &'static [&'static str],
    /// Between addresses of IPv6.
    ipv6: bool,
}

const GCM: Case = Case {
    encryption: Encryption::AesGcm16_256,
    integrity: None,
    esn: &[Esn::No],
    proposal: "aes256gcm16-ecp256",
    they_begin: false,
    report: None,
    log: &["received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built"],
    ipv6: false,
};

/// strongSwan prefers extended sequence numbers and takes 32 bits; our end has 32 alone.
const PREFERRED: Case =
    Case { proposal: "aes256gcm16-ecp256-esn-noesn", report: Some("TUNNEL-in-UDP, ESP:AES_GCM_16-256"), ..GCM };

/// Both insist on them, and IKE agrees.
const EXTENDED: Case = Case {
    proposal: "aes256gcm16-ecp256-esn",
    esn: &[Esn::Yes],
    log: &["selected proposal: ESP:AES_GCM_16_256/EXT_SEQ", "IPsec SA: ESN not supported"],
    ..GCM
};

#[test]
fn who_prefers_extended_sequence_numbers_gives_what_there_is() {
    judge("esp::who_prefers_extended_sequence_numbers_gives_what_there_is", &PREFERRED);
}

#[test]
fn who_prefers_extended_sequence_numbers_takes_what_there_is() {
    let case = Case { they_begin: true, ..PREFERRED };
    judge("esp::who_prefers_extended_sequence_numbers_takes_what_there_is", &case);
}

#[test]
fn we_propose_extended_sequence_numbers() {
    judge("esp::we_propose_extended_sequence_numbers", &EXTENDED);
}

#[test]
fn strongswan_proposes_extended_sequence_numbers() {
    judge("esp::strongswan_proposes_extended_sequence_numbers", &Case { they_begin: true, ..EXTENDED });
}

/// strongSwan insists on them, and our end has 32 bits alone, as AWS by its list of options.
#[test]
fn extended_sequence_numbers_are_refused() {
    let test = "esp::extended_sequence_numbers_are_refused";
    judge(test, &Case { proposal: "aes256gcm16-ecp256-esn", they_begin: true, ..GCM });
}

/// RFC 2410: packets in clear with an HMAC, both ways.
#[test]
fn null_encryption_is_understood() {
    let (encryption, integrity) = (Encryption::Null, Some(Integrity::HmacSha2_256_128));
    let (proposal, report) = ("null-sha256-ecp256", Some("TUNNEL-in-UDP, ESP:NULL/HMAC_SHA2_256_128"));
    judge("esp::null_encryption_is_understood", &Case { encryption, integrity, proposal, report, ..GCM });
}

/// Between addresses of IPv6, which are also the identities of both ends (ID_IPV6_ADDR); inside goes IPv4.
const OVER_IPV6: Case =
    Case { proposal: "aes256gcm16-ecp256", report: Some("TUNNEL-in-UDP, ESP:AES_GCM_16-256"), ipv6: true, ..GCM };

#[test]
fn we_begin_between_addresses_of_ipv6() {
    judge("esp::we_begin_between_addresses_of_ipv6", &OVER_IPV6);
}

#[test]
fn strongswan_begins_between_addresses_of_ipv6() {
    judge("esp::strongswan_begins_between_addresses_of_ipv6", &Case { they_begin: true, ..OVER_IPV6 });
}

fn judge(test: &str, case: &Case) {
    isolated(test, || {
        let mut strongswan = StrongSwan::start(HOSTS)?;
        let mut addresses = addresses(HOSTS);
        let mut text = CONF.to_owned();
        if case.ipv6 {
            strongswan = strongswan.with_ipv6()?;
            (addresses.local, addresses.remote) = (OURS_V6.into(), THEIRS_V6.into());
            text = text.replace(&THEIRS.to_string(), &THEIRS_V6.to_string());
            text = text.replace(&OURS.to_string(), &OURS_V6.to_string());
        }
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let file = dir.path().join("swanctl.conf");
        let start = if case.they_begin { "start" } else { "none" };
        let text = text.replace("@ESP@", case.proposal).replace("@START@", start);
        std::fs::write(&file, text).map_err(|e| e.to_string())?;
        let clock = Clock::start();
        let (mut gateway, inbox) = Gateway::new(config(case), addresses, clock.now())?;
        strongswan.swanctl(&format!("--load-all --file {}", file.display()))?;
        if !case.they_begin {
            gateway.handle(clock.now(), INITIATE)?;
        }
        let mut live = || {
            let Some(report) = case.report else {
                return clock
                    .ask("strongSwan's failure", LIMIT, &mut gateway, &inbox, || expect(&strongswan.log(), case.log));
            };
            clock.run("CHILD_SA", LIMIT, &mut gateway, &inbox, Gateway::carries)?;
            clock.ask("strongSwan's SAs", LIMIT, &mut gateway, &inbox, || {
                let report = format!("{report}\n");
                expect(&strongswan.sas()?, &["INSTALLED", &report])
            })?;
            for _ in 0..PINGS {
                let answered = gateway.replies();
                gateway.ping(answered)?;
                clock.run("the answer to a ping", LIMIT, &mut gateway, &inbox, |g| g.replies() > answered)?;
            }
            Ok(())
        };
        let outcome = live();
        outcome.map_err(|e| format!("{e}\n--- our gateway\n{}\n--- strongSwan\n{}", gateway.log(), strongswan.log()))
    });
}

fn config(case: &Case) -> Config {
    let [local, remote]: [Identity; 2] = match case.ipv6 {
        true => [OURS_V6, THEIRS_V6].map(Identity::Ipv6),
        false => [OURS, THEIRS].map(Identity::Ipv4),
    };
    let mut config = Config::customer_gateway(local, remote, PSK.as_bytes());
    let groups = vec![DhGroup::Ecp256];
    config.ike_offers = vec![IkeOffer {
        encryption: vec![Encryption::AesGcm16_256],
        integrity: Vec::new(),
        prf: vec![Prf::HmacSha2_256],
        groups: groups.clone(),
        additional: Vec::new(),
    }];
    config.esp_offers = vec![EspOffer {
        encryption: vec![case.encryption],
        integrity: case.integrity.into_iter().collect(),
        groups,
        additional: Vec::new(),
    }];
    config.esn = case.esn.to_vec();
    if case.they_begin {
        config.startup = Startup::Add;
    }
    config
}

const CONF: &str = "
connections {
    vpnsim {
        version = 2
        dpd_delay = 60s
        local_addrs = 192.0.2.2
        remote_addrs = 192.0.2.1
        proposals = aes256gcm16-prfsha256-ecp256
        mobike = no
        local { auth = psk
            id = 192.0.2.2 }
        remote { auth = psk
            id = 192.0.2.1 }
        children {
            net {
                local_ts = 0.0.0.0/0
                remote_ts = 0.0.0.0/0
                esp_proposals = @ESP@
                start_action = @START@
            }
        }
    }
}
secrets { ike-vpnsim { secret = \"correct horse battery staple\" } }
";
